//! The link to the page for people, which browsers get that come to a port for clients.

use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, X_CONTENT_TYPE_OPTIONS};
use axum::response::{Html, IntoResponse, Response};
use http_server::{Connection, Host, is_of_browser};

use crate::Adapter;

/// The URL of the page, by the host that a browser has asked for; `None` if a program sent the request, or there is no page.
pub(crate) fn page_url(adapter: &Adapter, request: &Request) -> Option<String> {
    let is_of_browser = request.headers().iter().any(|(name, value)| is_of_browser(name.as_str(), value.as_bytes()));
    let local = request.extensions().get::<Connection>().filter(|_| is_of_browser)?.local().ip().to_canonical();
    let port = adapter.pages().port(local)?;
    Some(format!("http://{}/", Host::of(request).ok()??.with_port(port)))
}

/// A page with that link.
pub(crate) fn link_page(status: StatusCode, url: &str) -> Response {
    // A host has no character that means something in HTML.
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>BitTorrent tracker</title>\n\
         <main>\n<h1>This port is for BitTorrent clients</h1>\n\
         <p>The files are at <a href=\"{url}\">{url}</a>.</p>\n</main>\n</html>\n"
    );
    let headers = [
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'; base-uri 'none'"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (status, headers, Html(html)).into_response()
}
