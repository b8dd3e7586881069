//! Long lists in parts, and the columns by which they can be sorted.

use tracker_monitor::Order;

/// The head of a column by which a table can be sorted.
pub(super) struct Column {
    pub(super) label: &'static str,
    /// The link that sorts by it, or turns the order.
    pub(super) href: String,
    /// For `aria-sort`, where the table is sorted by it.
    pub(super) sorted: Option<&'static str>,
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
    /// Of a list of `total`, where `link` leads to a page counted from 0.
    pub(super) fn new(page: usize, page_size: usize, total: usize, link: impl Fn(usize) -> String) -> Self {
        let pages = total.div_ceil(page_size.max(1)).max(1);
        let page = page.min(pages - 1);
        Self {
            page: page + 1,
            pages,
            previous: page.checked_sub(1).map(&link),
            next: Some(page + 1).filter(|next| *next < pages).map(&link),
        }
    }
}

/// The page of a query, which counts from 1, as it counts from 0.
pub(super) fn page_index(page: Option<&str>) -> usize {
    page.and_then(|page| page.parse::<usize>().ok()).unwrap_or(1).saturating_sub(1)
}

pub(super) fn order(name: Option<&str>) -> Option<Order> {
    match name? {
        "ascending" => Some(Order::Ascending),
        "descending" => Some(Order::Descending),
        _ => None,
    }
}

pub(super) fn order_name(order: Order) -> &'static str {
    match order {
        Order::Ascending => "ascending",
        Order::Descending => "descending",
    }
}

pub(super) fn aria_sort(order: Order) -> &'static str {
    order_name(order)
}

pub(super) fn turned(order: Order) -> Order {
    match order {
        Order::Ascending => Order::Descending,
        Order::Descending => Order::Ascending,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_have_neighbours() {
        let pages = |page, total| {
            let pages = Pages::new(page, 10, total, |page| page.to_string());
            (pages.page, pages.pages, pages.previous, pages.next)
        };
        let some = |page: &str| Some(page.to_owned());
        assert_eq!(pages(0, 0), (1, 1, None, None));
        assert_eq!(pages(0, 11), (1, 2, None, some("1")));
        assert_eq!(pages(1, 11), (2, 2, some("0"), None));
        assert_eq!(pages(9, 11), (2, 2, some("0"), None));
    }
}
