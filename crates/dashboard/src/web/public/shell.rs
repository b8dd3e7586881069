//! The frame of the pages for everybody.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use torrent_library::ContentKey;
use tracker_core::Instant;

use crate::web::format::unix;
use crate::web::role::Role;
use crate::web::shell::render;
use crate::web::{Dashboard, assets};

/// The frame around every page for everybody.
pub(super) struct PublicShell {
    /// The URL prefix of the assets.
    pub(super) assets: String,
    /// The time of the tracker's machine in Unix seconds, for the scripts.
    pub(super) now: i64,
    /// The path of the page.
    pub(super) path: String,
    /// What the page is about, by which the scripts see that it is about something else.
    pub(super) page: String,
    /// The name of the machine that shares, where one is known.
    machine: Option<String>,
    pub(super) operator: bool,
    /// `true` if there are accounts to sign in with.
    pub(super) signs_in: bool,
}

impl PublicShell {
    pub(super) fn new(dashboard: &Dashboard, role: Role, path: impl Into<String>, page: impl Into<String>) -> Self {
        Self {
            assets: assets::folder(),
            now: unix(dashboard.zero() + dashboard.config().clock.now().since(Instant::ZERO)),
            path: path.into(),
            page: page.into(),
            // The first is the one that the operator chose, or the machine's own without a domain.
            machine: dashboard.host_names().first().filter(|name| *name != "localhost").cloned(),
            operator: role == Role::Operator,
            signs_in: dashboard.has_accounts(),
        }
    }

    /// The heading of a page of several files.
    pub(super) fn heading(&self) -> String {
        self.machine.as_ref().map_or_else(|| "Files".to_owned(), |machine| format!("Files from {machine}"))
    }
}

/// An error, for those who come to get a file.
#[derive(Template)]
#[template(path = "public/error.html")]
struct ErrorPage<'a> {
    shell: PublicShell,
    reason: &'static str,
    /// Unless the reason says it all.
    error: Option<&'a str>,
    /// The page to go on to.
    link: Link<'a>,
}

/// A link and its text.
struct Link<'a> {
    href: String,
    text: &'a str,
}

/// A page that says what is wrong, and leads to the files.
pub(in crate::web) fn error_page(dashboard: &Dashboard, status: StatusCode, error: Option<&str>) -> Response {
    error_page_with(dashboard, status, error, Link { href: "/".to_owned(), text: "Show the files" })
}

/// The page in place of a file that has a newer version at this path.
pub(in crate::web) fn replaced_page(dashboard: &Dashboard, newer: &str) -> Response {
    let error = "this file is not shared any more: there is a newer version of it";
    let link = Link { href: newer.to_owned(), text: "Show the newer version" };
    error_page_with(dashboard, StatusCode::NOT_FOUND, Some(error), link)
}

/// The page in place of an archive of a folder, where there are none. `key` is that of the folder's page.
pub(in crate::web) fn no_zip_page(dashboard: &Dashboard, error: &str, key: ContentKey) -> Response {
    let link = Link { href: format!("/files/{key}"), text: "Show the files of the folder" };
    error_page_with(dashboard, StatusCode::NOT_FOUND, Some(error), link)
}

fn error_page_with(dashboard: &Dashboard, status: StatusCode, error: Option<&str>, link: Link<'_>) -> Response {
    let reason = match status {
        StatusCode::CONFLICT => "This has changed",
        StatusCode::SERVICE_UNAVAILABLE => "Busy right now",
        _ => status.canonical_reason().unwrap_or("Error"),
    };
    let shell = PublicShell::new(dashboard, Role::Viewer, "/", "error");
    (status, render(&ErrorPage { shell, reason, error, link })).into_response()
}
