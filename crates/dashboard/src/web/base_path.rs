//! The base path in what is answered.
//!
//! Routes, pages and redirects have the paths that the router knows, without the base path. It is taken from requests before they
//! come to the router, and put into responses here, after all else: into the URLs of pages, and into `Location`. So a new link needs
//! no thought. Two kinds of URLs are not in either place, and have it from [`Dashboard::path`]: those with a host, which others get,
//! and those in sentences. Scripts have it from `base.js`.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::LOCATION;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use http_server::BasePath;

use super::Dashboard;

/// The attributes of pages that have URLs in them.
const URL_ATTRIBUTES: [&str; 7] = ["href", "src", "action", "data-post", "data-delete", "data-then", "data-events"];

/// The first segments of all paths that the router knows, and of those on the ports for clients.
const FIRST_SEGMENTS: [&str; 18] = [
    "announce", "api", "assets", "beamer", "download", "files", "health", "log", "login", "logout", "make", "manage",
    "metrics", "plots", "qr.svg", "scrape", "seed", "torrents",
];

/// Returns `true` if a base path begins as the path of a page does. With the base path `/manage`, a request for `/manage` could be
/// for that page, by a proxy that removes the base path, or for the first page, by one that does not.
pub fn conflicts_with_page(base_path: &BasePath) -> bool {
    let first = base_path.as_str().split('/').nth(1);
    first.is_some_and(|first| FIRST_SEGMENTS.contains(&first))
}

/// Marks the response with a page that was rendered here, unlike a shared file.
#[derive(Debug, Clone, Copy)]
pub(super) struct RenderedPage;

impl Dashboard {
    /// A path of the dashboard as others know it, with the base path.
    pub(super) fn path(&self, path: &str) -> String {
        format!("{}{path}", self.base_path())
    }
}

/// Routes whose responses have the base path in their URLs, if there is one.
pub(super) fn layered(routes: Router<Dashboard>, dashboard: &Dashboard) -> Router<Dashboard> {
    if dashboard.base_path().is_empty() {
        return routes;
    }
    routes.layer(middleware::from_fn_with_state(dashboard.clone(), write_base_path))
}

async fn write_base_path(State(dashboard): State<Dashboard>, request: Request, next: Next) -> Response {
    let base_path = dashboard.base_path();
    let mut response = next.run(request).await;
    if let Some(location) = response.headers().get(LOCATION).filter(|location| location.as_bytes().starts_with(b"/")) {
        let location = [base_path.as_str().as_bytes(), location.as_bytes()].concat();
        let location = HeaderValue::from_bytes(&location).expect("both parts may stand in a header");
        response.headers_mut().insert(LOCATION, location);
    }
    if response.extensions().get::<RenderedPage>().is_none() {
        return response;
    }
    let (parts, body) = response.into_parts();
    // It is in memory.
    match to_bytes(body, usize::MAX).await.map(|html| String::from_utf8(html.into())) {
        Ok(Ok(html)) => Response::from_parts(parts, Body::from(with_base_path(&html, base_path))),
        _ => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// A page with the base path before each path in its [`URL_ATTRIBUTES`].
///
/// Values of attributes stand in double quotes, and text has none that is not escaped: so `="/` is the start of a value, whatever
/// names are on the page. What stands before it is the attribute.
fn with_base_path(html: &str, base_path: &BasePath) -> String {
    const BEGIN: &str = "=\"/";
    let has_url = |before: &str| {
        let attribute = before.rsplit(|character: char| character.is_ascii_whitespace()).next();
        attribute.is_some_and(|attribute| URL_ATTRIBUTES.contains(&attribute))
    };
    let mut written = String::with_capacity(html.len() + html.len() / 8);
    let mut rest = html;
    while let Some(at) = rest.find(BEGIN) {
        let (before, after) = rest.split_at(at);
        written.push_str(before);
        written.push_str("=\"");
        if has_url(before) {
            written.push_str(base_path.as_str());
        }
        written.push('/');
        rest = &after[BEGIN.len()..];
    }
    written.push_str(rest);
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_in_urls_get_the_base_path() {
        let base_path = "/a/b".parse().unwrap();
        for (html, expected) in [
            (
                r#"<a href="/">x</a><a class="y" href="/z?a=/b">"#,
                r#"<a href="/a/b/">x</a><a class="y" href="/a/b/z?a=/b">"#,
            ),
            ("<form\naction=\"/x\">", "<form\naction=\"/a/b/x\">"),
            (r#"<p data-post="/x" data-then="/y">"#, r#"<p data-post="/a/b/x" data-then="/a/b/y">"#),
            (r##"<a href="#x" href="?y" href="http://h/z">"##, r##"<a href="#x" href="?y" href="http://h/z">"##),
            (
                r#"<input value="/home" data-make="/x" data-copy="/y">"#,
                r#"<input value="/home" data-make="/x" data-copy="/y">"#,
            ),
            (
                r#"<p title="a/href" other-href="/x">href=&#34;/x</p>"#,
                r#"<p title="a/href" other-href="/x">href=&#34;/x</p>"#,
            ),
            ("", ""),
        ] {
            assert_eq!(with_base_path(html, &base_path), expected);
        }
    }

    /// axum names the paths of a router only in its debug text.
    #[test]
    fn no_route_is_forgotten() {
        let routes = format!("{:?}", crate::web::routes());
        let paths = routes.split('"').filter_map(|text| text.strip_prefix('/'));
        let segments = paths.map(|path| path.split('/').next().unwrap_or_default());
        let segments = segments.filter(|first| !first.is_empty() && !first.starts_with("{*__private"));
        let mut segments: Vec<_> = segments.collect();
        segments.sort_unstable();
        segments.dedup();
        assert_eq!(segments, FIRST_SEGMENTS);
    }

    #[test]
    fn a_base_path_is_not_called_like_a_page() {
        for (path, expected) in
            [("/manage", true), ("/files/x", true), ("/announce", true), ("/tracker", false), ("/x/manage", false)]
        {
            assert_eq!(conflicts_with_page(&path.parse().unwrap()), expected, "{path}");
        }
        assert!(!conflicts_with_page(&BasePath::default()));
    }
}
