//! The path under which a reverse proxy offers a server.

use std::fmt;
use std::str::FromStr;

use axum::Router;
use axum::extract::Request;
use axum::http::Uri;
use tower::Layer;
use tower::util::MapRequestLayer;

/// The maximum length of a [`BasePath`] in bytes.
const MAX_BYTES: usize = 100;

/// The path under which a reverse proxy offers a server, such as `/tracker` in `https://example.org/tracker/`; empty where it has a
/// host to itself, which is the default.
///
/// It begins with a slash and does not end with one. Between slashes are letters, digits, `-`, `.`, `_` and `~`, but neither `.` nor
/// `..`. It has at most 100 bytes.
///
/// Some proxies pass the path on, others remove it. So a server answers with it and without it, and writes it into each URL.
///
/// ```
/// use http_server::BasePath;
///
/// let base: BasePath = "/tracker".parse()?;
/// assert_eq!(base.strip("/tracker/login"), Some("/login"));
/// assert_eq!(base.strip("/login"), None);
/// # Ok::<(), http_server::ParseBasePathError>(())
/// ```
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct BasePath(String);

/// A text that is not a [`BasePath`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseBasePathError {
    /// It does not begin with a slash.
    #[error("a base path begins with a slash, as in /tracker: write the path alone, without http:// and a host")]
    NoSlash,
    /// It ends with a slash.
    #[error("a base path does not end with a slash: write /tracker, and leave it out for /")]
    SlashAtEnd,
    /// It has two slashes in a row, `.` or `..`.
    #[error("a base path has names between its slashes, which are neither empty nor . or .., as in /lab/tracker")]
    NoName,
    /// It has a character that may not stand in it.
    #[error("a base path has no {found:?}: write letters, digits and - . _ ~ between slashes, as in /tracker")]
    Character {
        /// The first such character.
        found: char,
    },
    /// It is too long.
    #[error("a base path has at most {MAX_BYTES} bytes, this one has {bytes}")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
}

impl BasePath {
    /// The path; `""` if there is none.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns `true` if there is no base path.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What follows the base path in a path, with or without a query. `None` if it does not begin with the base path, or ends with
    /// it: `/trackers` is not under `/tracker`.
    pub fn strip<'p>(&self, path: &'p str) -> Option<&'p str> {
        path.strip_prefix(&self.0).filter(|rest| rest.starts_with('/'))
    }

    /// A path in bytes without the base path, where it has one.
    pub fn without<'p>(&self, path: &'p [u8]) -> &'p [u8] {
        path.strip_prefix(self.0.as_bytes()).filter(|rest| rest.first() == Some(&b'/')).unwrap_or(path)
    }

    /// A router that serves these routes under the base path and without it. The base path itself is the route `/`. Routes find
    /// the path without it in [`Request::uri`], and with it in `OriginalUri`.
    pub fn routes(&self, routes: Router) -> Router {
        if self.is_empty() {
            return routes;
        }
        let base = self.clone();
        let strip = MapRequestLayer::new(move |mut request: Request| {
            if let Some(uri) = base.strip_uri(request.uri()) {
                *request.uri_mut() = uri;
            }
            request
        });
        // Not as a layer of the router, which would come after the path has chosen the route.
        Router::new().fallback_service(strip.layer(routes))
    }

    /// A URI without the base path. `None` if it does not have one.
    fn strip_uri(&self, uri: &Uri) -> Option<Uri> {
        let target = uri.path_and_query()?.as_str();
        let rest = target.strip_prefix(&self.0)?;
        let rest = match rest.bytes().next() {
            Some(b'/') => rest.to_owned(),
            Some(b'?') | None => format!("/{rest}"),
            Some(_) => return None,
        };
        let mut parts = uri.clone().into_parts();
        parts.path_and_query = Some(rest.parse().ok()?);
        Uri::from_parts(parts).ok()
    }
}

impl fmt::Display for BasePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for BasePath {
    type Err = ParseBasePathError;

    /// Reads a base path. There is no text for none: that is the default.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let segments = text.strip_prefix('/').ok_or(ParseBasePathError::NoSlash)?;
        if text.len() > MAX_BYTES {
            return Err(ParseBasePathError::TooLong { bytes: text.len() });
        }
        let is_allowed = |character: char| character.is_ascii_alphanumeric() || "-._~/".contains(character);
        if let Some(found) = segments.chars().find(|character| !is_allowed(*character)) {
            return Err(ParseBasePathError::Character { found });
        }
        if segments.ends_with('/') || segments.is_empty() {
            return Err(ParseBasePathError::SlashAtEnd);
        }
        if segments.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
            return Err(ParseBasePathError::NoName);
        }
        Ok(Self(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::StatusCode;
    use axum::routing::get;
    use tower::ServiceExt;

    use super::*;

    fn base(path: &str) -> BasePath {
        path.parse().unwrap()
    }

    #[test]
    fn a_base_path_is_names_between_slashes() {
        let longest = format!("/{}", "x".repeat(99));
        for path in ["/tracker", "/a/b", "/-._~", "/..a", "/A1", &longest] {
            assert_eq!(base(path).to_string(), path);
        }
        for (text, expected) in [
            ("", ParseBasePathError::NoSlash),
            ("tracker", ParseBasePathError::NoSlash),
            ("http://lab-pc/tracker", ParseBasePathError::NoSlash),
            ("/", ParseBasePathError::SlashAtEnd),
            ("/tracker/", ParseBasePathError::SlashAtEnd),
            ("//tracker", ParseBasePathError::NoName),
            ("/a//b", ParseBasePathError::NoName),
            ("/./a", ParseBasePathError::NoName),
            ("/a/..", ParseBasePathError::NoName),
            ("/a b", ParseBasePathError::Character { found: ' ' }),
            ("/a%20b", ParseBasePathError::Character { found: '%' }),
            ("/a?b", ParseBasePathError::Character { found: '?' }),
            ("/a;b", ParseBasePathError::Character { found: ';' }),
            ("/a\"b", ParseBasePathError::Character { found: '"' }),
            ("/gr\u{fc}n", ParseBasePathError::Character { found: '\u{fc}' }),
            (&format!("{longest}x"), ParseBasePathError::TooLong { bytes: 101 }),
        ] {
            assert_eq!(text.parse::<BasePath>(), Err(expected), "{text}");
        }
    }

    #[test]
    fn only_what_is_under_it_is_stripped() {
        for (path, expected) in [
            ("/tracker/", Some("/")),
            ("/tracker/announce/key", Some("/announce/key")),
            ("/tracker//evil.example", Some("//evil.example")),
            ("/tracker/tracker/", Some("/tracker/")),
            ("/tracker", None),
            ("/trackers/", None),
            ("/tracker%2f", None),
            ("/Tracker/", None),
            ("/announce", None),
            ("", None),
        ] {
            assert_eq!(base("/tracker").strip(path), expected, "{path}");
            assert_eq!(base("/tracker").without(path.as_bytes()), expected.unwrap_or(path).as_bytes(), "{path}");
            assert_eq!(BasePath::default().without(path.as_bytes()), path.as_bytes());
        }
    }

    #[tokio::test]
    async fn routes_are_served_with_it_and_without_it() {
        let routes = Router::new()
            .route("/", get(async |uri: Uri| uri.to_string()))
            .route("/page", get(async |uri: Uri| uri.to_string()));
        for (base_path, target, expected) in [
            ("/a/b", "/page?x=/a/b", Some("/page?x=/a/b")),
            ("/a/b", "/a/b/page?x=1", Some("/page?x=1")),
            ("/a/b", "http://host/a/b/page", Some("http://host/page")),
            ("/a/b", "/a/b", Some("/")),
            ("/a/b", "/a/b?x", Some("/?x")),
            ("/a/b", "/a/b/", Some("/")),
            ("/a/b", "/", Some("/")),
            ("/a/b", "/a/bpage", None),
            ("/a/b", "/a/page", None),
            ("/a/b", "/a/b/a/b/page", None),
            ("", "/page", Some("/page")),
            ("", "/a/b/page", None),
        ] {
            let base_path = if base_path.is_empty() { BasePath::default() } else { base(base_path) };
            let request = Request::get(target).body(Body::empty()).unwrap();
            let response = base_path.routes(routes.clone()).oneshot(request).await.unwrap();
            let status = response.status();
            let text = to_bytes(response.into_body(), 1000).await.unwrap();
            match expected {
                Some(expected) => assert_eq!((status, &*text), (StatusCode::OK, expected.as_bytes()), "{target}"),
                None => assert_eq!(status, StatusCode::NOT_FOUND, "{target}"),
            }
        }
    }
}
