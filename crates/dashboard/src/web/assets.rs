//! Static files of the pages (styles, scripts, icons), compiled into the program.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use crate::web::problem::Problem;

const CSS: &str = "text/css; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

macro_rules! styles {
    ($($name:literal),*) => {
        concat!($(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/css/", $name, ".css")), "\n"),*)
    };
}

macro_rules! assets {
    ($($name:literal $kind:ident),* $(,)?) => {
        /// Each with its name and its type.
        const ASSETS: &[(&str, &str, &[u8])] = &[
            ("page.css", CSS, STYLE.as_bytes()),
            $(($name, $kind, include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/", $name)))),*
        ];
    };
}

/// The colours of the style sheet, which plots that stand alone have, too.
pub(super) const COLORS: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/css/colors.css"));

/// The style sheet: one column of cards in the middle, in two themes, for phones from 360 px on. A file for each component, in
/// this order, since later rules win.
const STYLE: &str = styles!(
    "colors", "ground", "frame", "cards", "urls", "numbers", "plots", "lists", "log", "forms", "tables", "notes",
    "viewers", "beamer", "manage", "report", "narrow"
);

assets! {
    "theme.js" JAVASCRIPT,
    "main.js" JAVASCRIPT,
    "actions.js" JAVASCRIPT,
    "base.js" JAVASCRIPT,
    "copy.js" JAVASCRIPT,
    "format.js" JAVASCRIPT,
    "live.js" JAVASCRIPT,
    "morph.js" JAVASCRIPT,
    "plots.js" JAVASCRIPT,
    "refresh.js" JAVASCRIPT,
    "selection.js" JAVASCRIPT,
    "times.js" JAVASCRIPT,
    "viewer.js" JAVASCRIPT,
    "icon.svg" SVG,
}

/// Stands for the content of all assets. It is in their URLs, so that browsers may keep them for good, and modules that
/// import each other by relative names are always of one version.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut hasher = Sha256::new();
    for (name, _, content) in ASSETS {
        hasher.update(name);
        hasher.update(content.len().to_le_bytes());
        hasher.update(content);
    }
    hasher.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
});

/// The folder of the assets in URLs, without a slash at its end.
pub(super) fn folder() -> String {
    format!("/assets/{}", *VERSION)
}

/// `GET /assets/{version}/{name}`.
pub(super) async fn versioned(Path((version, name)): Path<(String, String)>, headers: HeaderMap) -> Response {
    asset(&name, version == *VERSION, &headers)
}

/// `GET /assets/{name}`: for those who know no version.
pub(super) async fn plain(Path(name): Path<String>, headers: HeaderMap) -> Response {
    asset(&name, false, &headers)
}

fn asset(name: &str, current: bool, headers: &HeaderMap) -> Response {
    let Some((_, kind, content)) = ASSETS.iter().find(|(known, ..)| *known == name) else {
        return Problem::new(StatusCode::NOT_FOUND, "there is no such file").into_response();
    };
    let etag = format!("\"{}\"", *VERSION);
    let cache = if current { "public, max-age=31536000, immutable" } else { "no-cache" };
    let caching = [(CACHE_CONTROL, cache.to_owned()), (ETAG, etag.clone())];
    if headers.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == etag.as_bytes()) {
        return (StatusCode::NOT_MODIFIED, caching).into_response();
    }
    (caching, [(CONTENT_TYPE, *kind)], *content).into_response()
}
