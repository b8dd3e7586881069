//! Pages of long lists, and the columns by which they can be sorted.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde::de::value::{self, StrDeserializer};
use serde_json::Value;
use tracker_monitor::Order;

/// The head of a column by which a table can be sorted.
pub(super) struct Column {
    pub(super) label: &'static str,
    /// The link that sorts by it, or turns the order.
    pub(super) href: String,
    /// For `aria-sort`, where the table is sorted by it.
    pub(super) sorted: Option<String>,
    pub(super) class: &'static str,
}

/// The links between the parts of a long list.
pub(super) struct Pages {
    /// From 1.
    pub(super) page: usize,
    pub(super) pages: usize,
    pub(super) previous: Option<String>,
    pub(super) next: Option<String>,
}

impl Pages {
    /// Of a list of `total`, where `link` leads to a page. Pages count from 1.
    pub(super) fn new(page: usize, page_size: usize, total: usize, link: impl Fn(usize) -> String) -> Self {
        let pages = total.div_ceil(page_size.max(1)).max(1);
        let page = page.clamp(1, pages);
        Self {
            page,
            pages,
            previous: Some(page - 1).filter(|&previous| previous > 0).map(&link),
            next: Some(page + 1).filter(|&next| next <= pages).map(&link),
        }
    }
}

/// The page that a query asks for, the first if it asks for none.
pub(super) fn page_number(page: Option<&str>) -> usize {
    page.and_then(|page| page.parse().ok()).unwrap_or(1)
}

/// Parses a word of the API; `None` if there is no such word.
pub(super) fn parse_name<T: DeserializeOwned>(name: Option<&str>) -> Option<T> {
    T::deserialize(StrDeserializer::<value::Error>::new(name?)).ok()
}

/// The word of the API for it.
pub(super) fn name_of(value: impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(name)) => name,
        other => unreachable!("an enum without fields is a string, not {other:?}"),
    }
}

pub(super) fn turned(order: Order) -> Order {
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
}
