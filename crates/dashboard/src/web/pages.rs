//! The pages: HTML that shows everything without scripts, and that the scripts in `assets/` fetch again to stay current.

mod assets;
mod attention;
pub(super) mod format;
mod log;
mod make;
mod overview;
mod qr;
mod torrent;
mod torrents;

use std::mem;
use std::time::{SystemTime, UNIX_EPOCH};

use askama::Template;
use axum::Router;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_LENGTH};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use tracker_core::{InfoHash, Instant};
use url::form_urlencoded;

use tracker_host::ServiceState;

use super::Dashboard;
use super::access::Role;
use super::problem::Problem;
use format::{Moment, MomentStyle};

pub(super) fn router() -> Router<Dashboard> {
    Router::new()
        .route("/", get(overview::page))
        .route("/torrents", get(torrents::page))
        .route("/torrents/{info_hash}", get(torrent::page))
        .route("/make", get(make::page))
        .route("/log", get(log::page))
        .route("/plots/{name}", get(overview::plot))
        .route("/qr.svg", get(qr::svg))
        .route("/assets/{name}", get(assets::plain))
        .route("/assets/{version}/{name}", get(assets::versioned))
        .fallback(async || Problem::new(StatusCode::NOT_FOUND, "there is no such page"))
}

/// Gives errors to people as pages: where a browser asks for HTML, a [`Problem`] or a bare status becomes some.
pub(super) async fn readable_errors(State(dashboard): State<Dashboard>, request: Request, next: Next) -> Response {
    let wants_html = request.method() == Method::GET && accepts_html(request.headers());
    let (mut parts, body) = request.into_parts();
    let role = if wants_html {
        Role::from_request_parts(&mut parts, &dashboard).await.unwrap_or(Role::Viewer)
    } else {
        Role::Viewer
    };
    let response = next.run(Request::from_parts(parts, body)).await;
    let status = response.status();
    if !wants_html || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let reason = status.canonical_reason().unwrap_or("Error");
    let error = response.extensions().get::<Problem>().map_or(reason, |problem| &problem.error);
    let page = ErrorPage { shell: Shell::new(&dashboard, role, Section::None), status: status.as_u16(), reason, error };
    let mut page = (status, render(&page)).into_response();
    // All that it said otherwise stays, such as which methods there are.
    let mut headers = response.into_parts().0.headers;
    headers.remove(CONTENT_LENGTH);
    headers.extend(mem::take(page.headers_mut()));
    *page.headers_mut() = headers;
    page
}

/// A page for those who may not have any other, and perhaps not what belongs to it; with a link, if there is one to what they may have.
pub(super) fn refused(problem: &Problem, link: Option<String>) -> Response {
    let reason = problem.status.canonical_reason().unwrap_or("Error");
    (problem.status, render(&RefusedPage { reason, error: &problem.error, link, assets: assets::folder() }))
        .into_response()
}

pub(super) fn accepts_html(headers: &HeaderMap) -> bool {
    headers.get_all(ACCEPT).iter().any(|accept| accept.to_str().is_ok_and(|accept| accept.contains("text/html")))
}

/// An error, for people.
#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    shell: Shell,
    status: u16,
    reason: &'static str,
    error: &'a str,
}

/// An error in a page without anything around it.
#[derive(Template)]
#[template(path = "refused.html")]
struct RefusedPage<'a> {
    reason: &'static str,
    error: &'a str,
    link: Option<String>,
    assets: String,
}

/// What stands around every page.
struct Shell {
    section: Section,
    role: Role,
    running: bool,
    /// Where the assets are.
    assets: String,
    /// Unix seconds, by which the scripts know the time of the tracker's machine.
    now: i64,
    /// The time of day at the tracker's zero, as it is reckoned now.
    zero: SystemTime,
}

/// The part of the site that a page is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Section {
    Overview,
    Torrents,
    Make,
    Log,
    None,
}

impl Shell {
    fn new(dashboard: &Dashboard, role: Role, section: Section) -> Self {
        let zero = dashboard.zero();
        Self {
            section,
            role,
            running: matches!(dashboard.0.config.service.state(), ServiceState::Running { .. }),
            assets: assets::folder(),
            now: unix(zero + dashboard.0.config.clock.now().since(Instant::ZERO)),
            zero,
        }
    }

    fn operator(&self) -> bool {
        self.role == Role::Operator
    }

    fn is(&self, section: &str) -> bool {
        match self.section {
            Section::Overview => section == "overview",
            Section::Torrents => section == "torrents",
            Section::Make => section == "make",
            Section::Log => section == "log",
            Section::None => false,
        }
    }

    fn moment(&self, at: Instant, style: MomentStyle) -> Moment {
        Moment { at: unix(self.zero + at.since(Instant::ZERO)), now: self.now, style }
    }

    fn wall(&self, at: SystemTime, style: MomentStyle) -> Moment {
        Moment { at: unix(at), now: self.now, style }
    }
}

/// Unix seconds.
pub(super) fn unix(at: SystemTime) -> i64 {
    match at.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_secs()).map_or(i64::MIN, |secs| -secs),
    }
}

/// A page as it is at this moment, never out of a cache.
fn render(page: &impl Template) -> Response {
    match page.render() {
        Ok(html) => ([(CACHE_CONTROL, "no-store")], Html(html)).into_response(),
        Err(error) => {
            tracing::error!(%error, "cannot render a page");
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the page could not be put together").into_response()
        }
    }
}

/// Puts a page together beside the event loop: long lists, folders and digests may wait for a disk or take their time.
async fn aside(dashboard: Dashboard, work: impl FnOnce(&Dashboard) -> Response + Send + 'static) -> Response {
    dashboard.work(work).await.unwrap_or_else(Problem::into_response)
}

/// A path with a query of what is not empty.
fn link(path: &str, query: &[(&str, &str)]) -> String {
    let mut pairs = form_urlencoded::Serializer::new(String::new());
    pairs.extend_pairs(query.iter().filter(|(_, value)| !value.is_empty()));
    match pairs.finish() {
        query if query.is_empty() => path.to_owned(),
        query => format!("{path}?{query}"),
    }
}

/// What a torrent is called: by its name, or by its info-hash where that is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Label {
    text: String,
    is_hash: bool,
    href: String,
}

impl Label {
    fn new(info_hash: &InfoHash, name: Option<&str>) -> Self {
        let name = name.map(str::trim).filter(|name| !name.is_empty());
        Self {
            text: name.map_or_else(|| info_hash.to_string(), str::to_owned),
            is_hash: name.is_none(),
            href: format!("/torrents/{info_hash}"),
        }
    }
}

/// The head of a column by which a table can be sorted.
struct Column {
    label: &'static str,
    /// The link that sorts by it, or turns the order.
    href: String,
    /// For `aria-sort`, where the table is sorted by it.
    sorted: Option<&'static str>,
    class: &'static str,
}

/// The links between the parts of a long list.
struct Pages {
    /// From 1.
    page: usize,
    pages: usize,
    previous: Option<String>,
    next: Option<String>,
}

impl Pages {
    /// Of a list of `total`, where `link` leads to a page counted from 0.
    fn new(page: usize, page_size: usize, total: usize, link: impl Fn(usize) -> String) -> Self {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_encoded_and_leave_out_what_is_empty() {
        assert_eq!(link("/torrents", &[("search", ""), ("sort", "")]), "/torrents");
        assert_eq!(link("/torrents", &[("search", "a&b <c>"), ("page", "2")]), "/torrents?search=a%26b+%3Cc%3E&page=2");
    }

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

    #[test]
    fn a_torrent_without_a_name_is_called_by_its_hash() {
        let info_hash = InfoHash::from([0xab; 20]);
        assert_eq!(Label::new(&info_hash, Some(" a ")).text, "a");
        let label = Label::new(&info_hash, Some("  "));
        assert!(label.is_hash);
        assert_eq!(label.text, "ab".repeat(20));
    }
}
