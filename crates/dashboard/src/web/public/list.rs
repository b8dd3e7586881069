//! The home of those who come to get a file: the list of files, or the only one there is.

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use super::file;
use super::offers::{Offer, Offers};
use super::progress::{self, Have, Mine};
use super::shell::PublicShell;
use super::viewer::Viewer;
use crate::web::Dashboard;
use crate::web::api::extract::Query;
use crate::web::shell::{render, render_blocking};
use crate::web::table::{Pages, Part, PartParams};

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

impl Row {
    pub(super) fn new(dashboard: &Dashboard, offer: &Offer) -> Self {
        let progress = dashboard.config().observer.computers().progress(offer.key);
        Self {
            key: offer.key.to_string(),
            name: offer.name.to_string(),
            size: offer.size_text(),
            is_folder: offer.files.is_some(),
            have: Have::of(&progress),
            note: progress::source(dashboard, offer, &progress),
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
        pages: part.pages("/", &[]),
        shares: dashboard.config().shared_folder.is_some(),
    })
}
