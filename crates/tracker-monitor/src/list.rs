//! A part of a long list.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

/// A query for one page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageQuery<S> {
    /// Only what contains this, in either case; empty for all.
    pub search: String,
    /// The order of the list.
    pub sort: S,
    /// The direction of the order.
    pub order: Order,
    /// The page, from 1; 0 counts as 1. The pages after the last one are empty.
    pub page: usize,
    /// Items on a page, from 1 to [`MAX_PAGE_SIZE`](Self::MAX_PAGE_SIZE). Less counts as 1, and more as that.
    pub page_size: usize,
}

impl<S> PageQuery<S> {
    /// Items on a page, at most.
    pub const MAX_PAGE_SIZE: usize = 1000;

    /// Items on a page where nobody says otherwise.
    pub const DEFAULT_PAGE_SIZE: usize = 50;

    /// The page out of these items, all of those that were searched for. Only its own items are sorted: it takes a time that
    /// grows with their number and not faster, also at the end of a long list.
    pub(crate) fn cut<T>(&self, mut items: Vec<T>, compare: impl Fn(&T, &T) -> Ordering) -> Page<T> {
        let total = items.len();
        let page_size = self.page_size.clamp(1, Self::MAX_PAGE_SIZE);
        let page = self.page.max(1);
        let start = (page - 1).saturating_mul(page_size).min(total);
        let end = start.saturating_add(page_size).min(total);
        if end < total {
            items.select_nth_unstable_by(end, &compare);
            items.truncate(end);
        }
        if 0 < start && start < end {
            items.select_nth_unstable_by(start, &compare);
        }
        let mut items = items.split_off(start);
        items.sort_unstable_by(&compare);
        Page { items, total, page, page_size }
    }
}

/// The first 50 of all.
impl<S: Default> Default for PageQuery<S> {
    fn default() -> Self {
        Self {
            search: String::new(),
            sort: S::default(),
            order: Order::default(),
            page: 1,
            page_size: Self::DEFAULT_PAGE_SIZE,
        }
    }
}

/// The direction of a list's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Order {
    /// The least first.
    #[default]
    Ascending,
    /// The most first.
    Descending,
}

impl Order {
    pub(crate) fn apply(self, ordering: Ordering) -> Ordering {
        match self {
            Self::Ascending => ordering,
            Self::Descending => ordering.reverse(),
        }
    }

    /// Items without a value come last in both directions.
    pub(crate) fn apply_to<T>(self, a: Option<T>, b: Option<T>, compare: impl Fn(&T, &T) -> Ordering) -> Ordering {
        match (a, b) {
            (Some(a), Some(b)) => self.apply(compare(&a, &b)),
            (a, b) => b.is_some().cmp(&a.is_some()),
        }
    }
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Items on all pages.
    pub total: usize,
    /// The page, from 1.
    pub page: usize,
    /// Items on a full page.
    pub page_size: usize,
}

impl<T> Page<T> {
    /// Converts the items; the page is the same part of the list.
    pub fn map<U>(self, item: impl FnMut(T) -> U) -> Page<U> {
        let Self { items, total, page, page_size } = self;
        Page { items: items.into_iter().map(item).collect(), total, page, page_size }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = PageQuery::<()>::MAX_PAGE_SIZE;

    fn page(items: impl IntoIterator<Item = u32>, page: usize, page_size: usize) -> Page<u32> {
        let query = PageQuery { page, page_size, ..PageQuery::<()>::default() };
        query.cut(items.into_iter().collect(), u32::cmp)
    }

    #[test]
    fn pages_are_the_parts_of_the_sorted_list() {
        for len in [0, 1, 9, 10, 11, 100] {
            // In another order.
            let items = || (0..len).map(|item| item * 37 % 101);
            let mut sorted: Vec<_> = items().collect();
            sorted.sort_unstable();
            for page_size in [1, 3, 10, 100, 1000] {
                let mut all = Vec::new();
                for number in 1..=len as usize / page_size + 1 {
                    let page = page(items(), number, page_size);
                    assert_eq!((page.total, page.page, page.page_size), (len as usize, number, page_size));
                    assert!(page.items.len() <= page_size);
                    all.extend(page.items);
                }
                assert_eq!(all, sorted, "{len} by {page_size}");
            }
        }
    }

    #[test]
    fn there_is_nothing_behind_the_end() {
        for (number, page_size) in [(11, 10), (12, 10), (2, 1000), (usize::MAX, 10), (usize::MAX, usize::MAX)] {
            let page = page(0..100, number, page_size);
            assert_eq!((page.items.len(), page.total, page.page), (0, 100, number));
        }
    }

    #[test]
    fn pages_count_from_1() {
        assert_eq!((page(0..100, 0, 10).items, page(0..100, 0, 10).page), ((0..10).collect(), 1));
    }

    #[test]
    fn sizes_are_kept_within_their_bounds() {
        assert_eq!((page(0..100, 4, 0).items, page(0..100, 4, 0).page_size), (vec![3], 1));
        let most = page(0..2500, 2, usize::MAX);
        assert_eq!((most.items.len(), most.items[0], most.page_size), (MAX, MAX as u32, MAX));
    }

    #[test]
    fn what_has_no_value_comes_last_either_way() {
        let sorted = |order: Order| {
            let mut items = [Some(2), None, Some(1), Some(3), None];
            items.sort_by(|&a, &b| order.apply_to(a, b, u32::cmp));
            items
        };
        assert_eq!(sorted(Order::Ascending), [Some(1), Some(2), Some(3), None, None]);
        assert_eq!(sorted(Order::Descending), [Some(3), Some(2), Some(1), None, None]);
    }
}
