//! The routes.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, HOST};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http_server::{Connection, Host, is_of_browser};
use tokio::task::JoinError;
use tracker_host::user_key;

use crate::Adapter;
use crate::failure::{Failure, SentByBrowser, WrongPath};
use crate::forwarded::{client_address, is_trusted, speaks_for_others};
use crate::page_link::{link_page, page_url};
use crate::shown_path::without_keys;

/// Characters of a wrong path that the failure repeats.
const MAX_PATH_CHARS: usize = 64;

/// The routes of a tracker.
///
/// | path | answer |
/// |---|---|
/// | `/announce`, `/announce/…` | 200 and a bencoded dictionary, whatever is asked ([BEP 3](https://www.bittorrent.org/beps/bep_0003.html)); 403 for a browser |
/// | `/scrape`, `/scrape/…` | the same ([BEP 48](https://www.bittorrent.org/beps/bep_0048.html)) |
/// | `/health` | 200 and `ok` while the server runs |
/// | `/` | a line for people who open it in a browser, or a link to the [page](Adapter::set_pages) for them |
///
/// After `/announce/` there may be the key of a [user](tracker_core::Users); where the tracker is not for users, what stands there is
/// ignored. At `/` and all other paths, a query
/// with `info_hash=` is answered with a failure that names the right URL, or behind a proxy the right path. Otherwise other paths
/// are 404, and methods other than GET and HEAD are 405. Every request must carry its [`Connection`] as an extension, or it is
/// answered with 500. All paths are served under the [base path](crate::HttpConfig::base_path) as well.
///
/// ```
/// # use std::{num::NonZeroUsize, sync::Arc};
/// # use rand::{SeedableRng, rngs::StdRng};
/// # use tracker_core::{Config, Shards};
/// # use tracker_host::Clock;
/// # use tracker_http::{Adapter, HttpConfig};
/// use axum::{body::Body, http::{Request, StatusCode}};
/// use tower::ServiceExt;
///
/// # let shards = Arc::new(Shards::new(Config::default(), NonZeroUsize::MIN, &mut StdRng::seed_from_u64(1))?);
/// # let adapter = Adapter::new(shards, Clock::start(), HttpConfig::default())?;
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let request = Request::get("/health").body(Body::empty())?;
/// let response = tracker_http::router(adapter).oneshot(request).await?;
/// assert_eq!(response.status(), StatusCode::OK);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn router(adapter: Adapter) -> Router {
    let base_path = adapter.config().base_path.clone();
    // A wildcard does not match nothing, hence the paths with a slash at the end.
    let routes = Router::new()
        .route("/announce", get(announce))
        .route("/announce/", get(announce))
        .route("/announce/{*key}", get(announce))
        .route("/scrape", get(scrape))
        .route("/scrape/", get(scrape))
        .route("/scrape/{*key}", get(scrape))
        .route("/health", get(async || "ok\n"))
        .route("/", get(home))
        .fallback(elsewhere)
        .with_state(adapter);
    base_path.routes(routes)
}

/// A line for people who open it in a browser.
async fn home(State(adapter): State<Adapter>, request: Request) -> Response {
    if is_of_client(&request) {
        return refuse_path(&adapter, &request).into_response();
    }
    let line = || {
        let base_path = &adapter.config().base_path;
        format!("This is a BitTorrent tracker. Its announce path is {base_path}/announce.\n").into_response()
    };
    page_for_people(&adapter, &request, StatusCode::OK).unwrap_or_else(line)
}

async fn elsewhere(State(adapter): State<Adapter>, request: Request) -> Response {
    if is_of_client(&request) {
        return refuse_path(&adapter, &request).into_response();
    }
    let not_found = || (StatusCode::NOT_FOUND, "not found\n").into_response();
    page_for_people(&adapter, &request, StatusCode::NOT_FOUND).unwrap_or_else(not_found)
}

/// The link to the page for people, where there is one. Behind a proxy its URL is not known.
fn page_for_people(adapter: &Adapter, request: &Request, status: StatusCode) -> Option<Response> {
    let url = page_url(adapter, request).filter(|_| !is_proxied(adapter, request))?;
    Some(link_page(status, &url))
}

/// Returns `true` if the query is one of an announce or a scrape.
fn is_of_client(request: &Request) -> bool {
    matches!(*request.method(), Method::GET | Method::HEAD)
        && request.uri().query().is_some_and(|query| query.contains("info_hash="))
}

/// Refuses the announce or the scrape of a torrent whose tracker URL has a wrong path. The user sees the text in the client; of a
/// 404 clients show a number, and another 200 they would take for an answer without peers.
fn refuse_path(adapter: &Adapter, request: &Request) -> Result<Answer, Refused> {
    let path = request.uri().path();
    let last = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    let what = if last.starts_with("scrape") { "scrape" } else { "announce" };
    let connection = admit(what, adapter, request)?;
    let url = (!is_proxied(adapter, request)).then(|| {
        let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
        match host.filter(|host| Host::parse(host.as_bytes()).is_ok()) {
            Some(host) => format!("http://{host}/{what}"),
            None => format!("http://{}/{what}", connection.local()),
        }
    });
    let failure = WrongPath { what, path: without_keys(path).chars().take(MAX_PATH_CHARS).collect(), url }.into();
    Ok(Answer(adapter.refuse(what, connection.remote().ip(), &failure).into()))
}

/// Returns `true` if a request came through a proxy, or may have. Only the proxy knows by which URL its clients reach it: one for
/// TLS has another scheme, and many put another host into the header.
fn is_proxied(adapter: &Adapter, request: &Request) -> bool {
    let peer = request.extensions().get::<Connection>().map(|connection| connection.remote().ip());
    speaks_for_others(request.headers()) || peer.is_some_and(|peer| is_trusted(peer, &adapter.config().trusted_proxies))
}

async fn announce(State(adapter): State<Adapter>, request: Request) -> Result<Answer, Refused> {
    let connection = admit("announce", &adapter, &request)?;
    let (remote, local) = (connection.remote().ip(), connection.local().ip());
    Ok(Answer(adapter.announce(remote, local, user_key(path(&request)), query(&request)).into()))
}

async fn scrape(State(adapter): State<Adapter>, request: Request) -> Result<Answer, Refused> {
    let remote = admit("scrape", &adapter, &request)?.remote().ip();
    let user_key = user_key(path(&request));
    if !adapter.is_full_scrape(query(&request)) {
        return Ok(Answer(adapter.scrape(remote, user_key, query(&request))));
    }
    adapter.full_scrape(remote, user_key, query(&request).into()).await.map(Answer).map_err(Refused::Panicked)
}

fn path(request: &Request) -> &[u8] {
    request.uri().path().as_bytes()
}

fn query(request: &Request) -> &[u8] {
    request.uri().query().unwrap_or_default().as_bytes()
}

/// A bencoded dictionary, which may be one with `failure reason`.
struct Answer(Bytes);

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        ([(CONTENT_TYPE, "text/plain")], self.0).into_response()
    }
}

/// A request that does not get as far as the adapter.
enum Refused {
    /// It has no [`Connection`].
    NoConnection,
    /// A browser sent it. The text is for the person.
    Browser(String),
    /// The client gets a failure.
    Failure(Vec<u8>),
    /// Its work ended in a bug.
    Panicked(JoinError),
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        match self {
            Self::NoConnection => {
                tracing::error!("a request came without its Connection");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
            Self::Browser(text) => (StatusCode::FORBIDDEN, text).into_response(),
            Self::Failure(body) => Answer(body.into()).into_response(),
            Self::Panicked(error) => {
                tracing::error!(%error, "a request failed");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }
}

/// Checks who sent a request, and for which host. Returns the connection with the client's address in it, which behind a
/// trusted proxy is not that of the other end.
fn admit(what: &'static str, adapter: &Adapter, request: &Request) -> Result<Connection, Refused> {
    let connection = request.extensions().get::<Connection>().ok_or(Refused::NoConnection)?;
    let mut remote = connection.remote();
    let peer = remote.ip();
    if request.headers().iter().any(|(name, value)| is_of_browser(name.as_str(), value.as_bytes())) {
        let failure = Failure::from(SentByBrowser);
        adapter.refuse(what, peer, &failure);
        let page = page_url(adapter, request).filter(|_| !is_proxied(adapter, request));
        let page = page.map(|url| format!("; the page for people is {url}")).unwrap_or_default();
        return Err(Refused::Browser(format!("{}{page}\n", failure.reason())));
    }
    let trusted_proxies = &adapter.config().trusted_proxies;
    let client = client_address(peer, request.headers(), trusted_proxies);
    if !is_trusted(peer, trusted_proxies) {
        if speaks_for_others(request.headers()) {
            adapter.warn_of_unknown_proxy(peer);
        }
    } else if let Some(client) = client.as_ref().ok().filter(|client| is_trusted(**client, trusted_proxies)) {
        // It names none, or another one that named none to it.
        adapter.warn_of_silent_proxy(peer, *client);
    }
    let client = client.map_err(Failure::from);
    let client = client.and_then(|client| check_host(adapter, request).map(|()| client));
    let client = client.map_err(|failure| Refused::Failure(adapter.refuse(what, peer, &failure)))?;
    remote.set_ip(client);
    Ok(Connection::new(remote, connection.local()))
}

/// Checks the host that a request is for. The one in its target goes before the header (RFC 9112, 3.2.2).
fn check_host(adapter: &Adapter, request: &Request) -> Result<(), Failure> {
    if let Some(authority) = request.uri().authority() {
        adapter.check_host(authority.as_str().as_bytes())?;
    } else {
        for host in request.headers().get_all(HOST) {
            adapter.check_host(host.as_bytes())?;
        }
    }
    Ok(())
}
