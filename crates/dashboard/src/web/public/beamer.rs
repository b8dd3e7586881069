//! What is shown on the wall: the file, where to get it, who has it. To be read from the back row.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use torrent_library::ContentKey;

use super::file::moved;
use super::list::Row;
use super::not_shared;
use super::offers::{Offer, Offers};
use super::page_url::{PageLink, page_url};
use super::progress::{self, Have};
use super::shell::PublicShell;
use super::viewer::Viewer;
use crate::web::Dashboard;
use crate::web::format::counted;
use crate::web::shell::{render, render_blocking};

/// The maximum number of files in the list.
const FILES: usize = 6;

#[derive(Template)]
#[template(path = "public/beamer.html")]
struct BeamerPage {
    shell: PublicShell,
    shown: Shown,
    /// The URL to type, if others can reach one.
    url: Option<String>,
    /// The code that its readers need.
    access_code: Option<String>,
    /// The page of which there is a QR code: that of the file, or of all.
    encoded: Option<PageLink>,
}

enum Shown {
    File {
        name: String,
        have: Option<Have>,
        /// The computers that do not have it.
        missing: Option<String>,
    },
    Files {
        rows: Vec<Row>,
        more: Option<String>,
    },
}

/// `GET /beamer`.
pub(super) async fn page(State(dashboard): State<Dashboard>, viewer: Viewer) -> Response {
    render_blocking(dashboard, move |dashboard| all(dashboard, viewer)).await
}

/// `GET /beamer/{key}`.
pub(super) async fn page_of(State(dashboard): State<Dashboard>, viewer: Viewer, Path(key): Path<String>) -> Response {
    render_blocking(dashboard, move |dashboard| one(dashboard, viewer, &key)).await
}

fn all(dashboard: &Dashboard, viewer: Viewer) -> Response {
    let offers = Offers::of(dashboard);
    let shown = match offers.all() {
        [only] => Shown::of(dashboard, only),
        all => Shown::Files {
            rows: all.iter().take(FILES).map(|offer| Row::new(dashboard, offer)).collect(),
            more: all.len().checked_sub(FILES).filter(|more| *more > 0).map(|more| counted(more as u64, "more file")),
        },
    };
    render_beamer(dashboard, viewer, shown, None)
}

fn one(dashboard: &Dashboard, viewer: Viewer, key: &str) -> Response {
    let key = key.parse().ok();
    if let Some(moved) = key.and_then(|key| moved(dashboard, key)) {
        return Redirect::temporary(&format!("/beamer/{moved}")).into_response();
    }
    match key.and_then(|key| Offer::find(dashboard, key)) {
        Some(offer) => render_beamer(dashboard, viewer, Shown::of(dashboard, &offer), Some(offer.key)),
        None => not_shared(dashboard, key, "/beamer/"),
    }
}

/// `key` is that of the file, if it is one of several.
fn render_beamer(dashboard: &Dashboard, viewer: Viewer, shown: Shown, key: Option<ContentKey>) -> Response {
    let path = key.map_or_else(|| "/beamer".to_owned(), |key| format!("/beamer/{key}"));
    render(&BeamerPage {
        shell: PublicShell::new(dashboard, viewer.role, path, "beamer"),
        shown,
        url: page_url(dashboard, viewer.reached_at, None),
        access_code: dashboard.code().map(ToOwned::to_owned),
        encoded: PageLink::of(dashboard, viewer.reached_at, key),
    })
}

impl Shown {
    fn of(dashboard: &Dashboard, offer: &Offer) -> Self {
        Self::File {
            name: offer.name.to_string(),
            have: Have::of(&dashboard.config().observer.computers().progress(offer.key)),
            missing: progress::missing(dashboard, offer),
        }
    }
}
