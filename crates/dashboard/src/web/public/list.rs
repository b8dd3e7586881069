//! The home of those who come to get a file: the list of files, or the only one there is.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;

use super::file;
use super::offers::{Offer, Offers};
use super::progress::{self, Have, Mine};
use super::shell::PublicShell;
use super::viewer::Viewer;
use crate::web::Dashboard;
use crate::web::api::extract::Query;
use crate::web::shell::{link, render, render_blocking};
use crate::web::table::Pages;

/// The maximum number of files on a page.
const PAGE: usize = 200;

#[derive(Template)]
#[template(path = "public/list.html")]
struct ListPage {
    shell: PublicShell,
    mine: Vec<Mine>,
    rows: Vec<Row>,
    pages: Pages,
    /// `true` if there is a share folder.
    shares: bool,
}

/// An offer in a list.
pub(super) struct Row {
    pub(super) key: String,
    pub(super) name: String,
    pub(super) size: String,
    pub(super) is_folder: bool,
    pub(super) have: Option<Have>,
    pub(super) note: Option<String>,
}

/// The part of a long list that is asked for. Invalid values are ignored.
#[derive(Debug, Default, Deserialize)]
pub(super) struct PartParams {
    page: Option<String>,
}

impl PartParams {
    /// The number of the page, from 1.
    pub(super) fn page(&self) -> usize {
        self.page.as_ref().and_then(|page| page.parse().ok()).unwrap_or(1)
    }
}

impl Row {
    pub(super) fn new(dashboard: &Dashboard, offer: &Offer) -> Self {
        Self {
            key: offer.key.to_string(),
            name: offer.name.to_string(),
            size: offer.size_text(),
            is_folder: offer.files.is_some(),
            have: Have::of(dashboard, offer),
            note: progress::source(dashboard, offer),
        }
    }
}

/// `GET /`.
pub(super) async fn page(
    State(dashboard): State<Dashboard>,
    viewer: Viewer,
    Query(params): Query<PartParams>,
) -> Response {
    render_blocking(dashboard, move |dashboard| home(dashboard, viewer, &params)).await
}

fn home(dashboard: &Dashboard, viewer: Viewer, params: &PartParams) -> Response {
    let offers = Offers::of(dashboard);
    if let [only] = offers.all() {
        return file::render_file(dashboard, viewer, only, "/", params);
    }
    let part = Part::new(offers.all(), PAGE, params.page());
    render(&ListPage {
        shell: PublicShell::new(dashboard, viewer.role, "/", "list"),
        mine: Mine::unfinished(dashboard, viewer.address, offers.all()),
        rows: part.items.iter().map(|offer| Row::new(dashboard, offer)).collect(),
        pages: part.pages("/"),
        shares: dashboard.config().shared_folder.is_some(),
    })
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

    /// The links to its neighbours.
    pub(super) fn pages(&self, path: &str) -> Pages {
        Pages::new(self.page, self.page_size, self.total, |page| link(path, &[("page", &page.to_string())]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_list() {
        let all = [1, 2, 3, 4, 5];
        let part = |page| Part::new(&all, 2, page).items;
        assert_eq!([part(0), part(1), part(2)], [&[1, 2][..], &[1, 2], &[3, 4]]);
        assert_eq!([part(3), part(4), part(usize::MAX)], [[5], [5], [5]]);
        assert!(Part::<u8>::new(&[], 2, 1).items.is_empty());
        assert!(Part::new(&all, 5, 1).pages("/").next.is_none());
        assert_eq!(Part::new(&all, 2, 2).pages("/").next.as_deref(), Some("/?page=3"));
    }
}
