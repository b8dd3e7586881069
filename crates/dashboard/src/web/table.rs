//! Tables of long lists: their columns, by which they can be sorted, and their pages.

use serde::de::DeserializeOwned;
use serde::de::value::{self, StrDeserializer};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tracker_monitor::{Order, Page, PageQuery};

use super::shell::link;

/// A column by which a table can be sorted.
pub(super) struct SortColumn<S> {
    pub(super) sort: S,
    pub(super) label: &'static str,
    /// The order when the column is chosen.
    pub(super) first: Order,
    pub(super) class: &'static str,
}

/// The head of a column on a page.
pub(super) struct Column {
    pub(super) label: &'static str,
    /// The link that sorts by it, or turns the order.
    pub(super) href: String,
    /// The value of `aria-sort`, if the table is sorted by this column.
    pub(super) sorted: Option<String>,
    pub(super) class: &'static str,
}

/// The query of a page with a table. Invalid values are ignored.
#[derive(Debug, Default, Deserialize)]
pub(super) struct TableParams {
    pub(super) search: Option<String>,
    pub(super) sort: Option<String>,
    pub(super) order: Option<String>,
    pub(super) page: Option<String>,
}

/// A table: its columns, and the part of the list that its query asks for.
pub(super) struct Table<S: 'static> {
    columns: &'static [SortColumn<S>],
    query: PageQuery<S>,
}

impl<S: Copy + Default + PartialEq + Serialize + DeserializeOwned> Table<S> {
    pub(super) fn new(columns: &'static [SortColumn<S>], params: TableParams) -> Self {
        let sort: S = parse_name(params.sort.as_deref()).unwrap_or_default();
        let first = columns.iter().find(|column| column.sort == sort).map_or(Order::Ascending, |column| column.first);
        let query = PageQuery {
            search: params.search.unwrap_or_default(),
            sort,
            order: parse_name(params.order.as_deref()).unwrap_or(first),
            page: params.page.and_then(|page| page.parse().ok()).unwrap_or(1),
            ..PageQuery::default()
        };
        Self { columns, query }
    }

    pub(super) fn search(&self) -> &str {
        &self.query.search
    }

    /// The word of the API for the current sort key.
    pub(super) fn sort(&self) -> String {
        name_of(self.query.sort)
    }

    /// The word of the API for the current order.
    pub(super) fn order(&self) -> String {
        name_of(self.query.order)
    }

    /// The page that the query asks for; the last one if it is beyond the end, since items may have gone.
    pub(super) fn page<T>(&self, list: impl Fn(&PageQuery<S>) -> Page<T>) -> Page<T> {
        let page = list(&self.query);
        if page.items.is_empty() && page.total > 0 {
            return list(&PageQuery { page: page.total.div_ceil(page.page_size), ..self.query.clone() });
        }
        page
    }

    /// The heads of the columns, with links to `path`.
    pub(super) fn heads(&self, path: &str) -> Vec<Column> {
        let head = |column: &SortColumn<S>| {
            let sorted = column.sort == self.query.sort;
            let next = if sorted { turned(self.query.order) } else { column.first };
            Column {
                label: column.label,
                href: self.link(path, column.sort, next, None),
                sorted: sorted.then(|| self.order()),
                class: column.class,
            }
        };
        self.columns.iter().map(head).collect()
    }

    /// The links from `page` to its neighbours, to `path`.
    pub(super) fn pages<T>(&self, path: &str, page: &Page<T>) -> Pages {
        let link = |number| self.link(path, self.query.sort, self.query.order, Some(number));
        Pages::new(page.page, page.page_size, page.total, link)
    }

    fn link(&self, path: &str, sort: S, order: Order, page: Option<usize>) -> String {
        let page = page.map(|page| page.to_string()).unwrap_or_default();
        link(path, &[("search", self.search()), ("sort", &name_of(sort)), ("order", &name_of(order)), ("page", &page)])
    }
}

/// The links between the parts of a long list.
pub(super) struct Pages {
    /// From 1.
    pub(super) page: usize,
    pub(super) pages: usize,
    pub(super) previous: Option<String>,
    pub(super) next: Option<String>,
    /// `true` if the scripts show the other parts in place, for which the list has to be a region of the page.
    pub(super) in_place: bool,
}

impl Pages {
    /// The links of a list of `total` items; `link` makes the link to a page.
    pub(super) fn new(page: usize, page_size: usize, total: usize, link: impl Fn(usize) -> String) -> Self {
        let pages = total.div_ceil(page_size.max(1)).max(1);
        let page = page.clamp(1, pages);
        Self {
            page,
            pages,
            previous: Some(page - 1).filter(|&previous| previous > 0).map(&link),
            next: Some(page + 1).filter(|&next| next <= pages).map(&link),
            in_place: true,
        }
    }

    /// The same links, each of which opens its page anew.
    pub(super) fn opened_anew(self) -> Self {
        Self { in_place: false, ..self }
    }
}

/// The part of a long list that is asked for. Invalid values are ignored.
#[derive(Debug, Default, Deserialize)]
pub(super) struct PartParams {
    page: Option<String>,
}

impl PartParams {
    /// The number of the page, from 1.
    pub(super) fn page(&self) -> usize {
        page_number(self.page.as_deref())
    }
}

/// The number of a page in a query; the first one if there is none.
pub(super) fn page_number(page: Option<&str>) -> usize {
    page.and_then(|page| page.parse().ok()).unwrap_or(1)
}

/// A part of a long list.
pub(super) struct Part<'a, T> {
    pub(super) items: &'a [T],
    page: usize,
    page_size: usize,
    total: usize,
}

impl<'a, T> Part<'a, T> {
    /// The page with this number, from 1; the last one if it is beyond the end.
    pub(super) fn new(all: &'a [T], page_size: usize, page: usize) -> Self {
        let page = page.clamp(1, all.len().div_ceil(page_size).max(1));
        let begin = (page - 1) * page_size;
        let items = &all[begin..all.len().min(begin + page_size)];
        Self { items, page, page_size, total: all.len() }
    }

    /// The links to its neighbours, with this query.
    pub(super) fn pages(&self, path: &str, query: &[(&str, &str)]) -> Pages {
        let link = |page: usize| link(path, &[query, &[("page", &page.to_string())]].concat());
        Pages::new(self.page, self.page_size, self.total, link)
    }
}

/// Parses a word of the API; `None` if there is no such word.
fn parse_name<T: DeserializeOwned>(name: Option<&str>) -> Option<T> {
    T::deserialize(StrDeserializer::<value::Error>::new(name?)).ok()
}

/// The word of the API for it.
fn name_of(value: impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(name)) => name,
        other => unreachable!("an enum without fields is a string, not {other:?}"),
    }
}

fn turned(order: Order) -> Order {
    match order {
        Order::Ascending => Order::Descending,
        Order::Descending => Order::Ascending,
    }
}

#[cfg(test)]
mod tests {
    use tracker_monitor::PeerSort;

    use super::*;

    #[test]
    fn pages_have_neighbours() {
        let pages = |page, total| {
            let pages = Pages::new(page, 10, total, |page| page.to_string());
            (pages.page, pages.pages, pages.previous, pages.next)
        };
        let some = |page: &str| Some(page.to_owned());
        assert_eq!(pages(1, 0), (1, 1, None, None));
        assert_eq!(pages(1, 11), (1, 2, None, some("2")));
        assert_eq!(pages(2, 11), (2, 2, some("1"), None));
        assert_eq!(pages(10, 11), (2, 2, some("1"), None));
    }

    #[test]
    fn names_are_those_of_the_api() {
        assert_eq!(name_of(PeerSort::State), "state");
        assert_eq!(parse_name(Some("state")), Some(PeerSort::State));
        assert_eq!(parse_name::<PeerSort>(Some("standing")), None);
        assert_eq!(parse_name(Some("descending")), Some(Order::Descending));
        assert_eq!(parse_name::<Order>(None), None);
    }

    #[test]
    fn parts_of_a_list() {
        let all = [1, 2, 3, 4, 5];
        let part = |page| Part::new(&all, 2, page).items;
        assert_eq!([part(0), part(1), part(2)], [&[1, 2][..], &[1, 2], &[3, 4]]);
        assert_eq!([part(3), part(4), part(usize::MAX)], [[5], [5], [5]]);
        assert!(Part::<u8>::new(&[], 2, 1).items.is_empty());
        assert!(Part::new(&all, 5, 1).pages("/", &[]).next.is_none());
        assert_eq!(Part::new(&all, 2, 2).pages("/", &[]).next.as_deref(), Some("/?page=3"));
    }
}
