//! A part of a long list.

/// Which part of a list is asked for, in which order, and of what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageQuery<S> {
    /// Only what contains this, in either case; empty for all.
    pub search: String,
    /// By what the list is sorted.
    pub sort: S,
    /// Which way.
    pub order: Order,
    /// The page, from 0.
    pub page: usize,
    /// Items on a page, at most [`MAX_PAGE_SIZE`](Self::MAX_PAGE_SIZE).
    pub page_size: usize,
}

impl<S> PageQuery<S> {
    /// Items on a page, at most.
    pub const MAX_PAGE_SIZE: usize = 1000;
}

/// Which way a list is sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// The least first.
    #[default]
    Ascending,
    /// The most first.
    Descending,
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// How many there are on all pages.
    pub total: usize,
    /// Which page this is, from 0.
    pub page: usize,
    /// Items on a full page.
    pub page_size: usize,
}
