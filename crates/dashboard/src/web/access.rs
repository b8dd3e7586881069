//! Access: who may look, and who may change things.
//!
//! Before every route, a request is checked in this order:
//!
//! - Does the tracker's address policy admit the sender?
//! - Is the `Host` a name or an address of this machine? Otherwise it may be a page of another site whose name was pointed
//!   at this machine (DNS rebinding).
//! - Is the page served over TLS, and was it asked for without? Then the answer is where it is over TLS.
//! - Does it change something, and was it sent by a page of another site? Browsers send their user's cookies with it.
//! - Is the sender the operator? Operators come over loopback, have signed in, or have the token: from the URL that is printed at
//!   the start, which begins a session, or in the header `Authorization: Bearer TOKEN`.
//! - May others look? [`Viewers`](super::Viewers) says who may, and there may be a code that they need. Those who may not are led to
//!   the page where they sign in.
//!
//! Behind a proxy on this machine, all requests come over loopback. They need the token nevertheless if the proxy adds
//! `Forwarded`, `X-Forwarded-For`, `X-Real-IP` or `Via`, or passes on a `Host` other than loopback, or none. A proxy that does
//! none of this makes an operator of everybody: set [`token_always`](super::DashboardConfig::token_always) for it. The address
//! policy sees only the proxy, so that the proxy must decide itself whom it serves. After a header of the PROXY protocol all of this
//! is about the client that the header names, who is never on this machine.

mod attempts;
mod sessions;
mod sign_in;
mod token;
mod visitor;

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::rejection::ExtensionRejection;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, FORWARDED, ORIGIN, REFERRER_POLICY, SET_COOKIE, VIA,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Redirect, Response};
use http_server::Host;
use tracker_host::LogThrottle;

pub(crate) use attempts::Attempts;
pub(crate) use sessions::{Session, Sessions};
pub(crate) use sign_in::{SignInError, enter_code, sign_in, sign_out};
pub(crate) use token::Token;
pub(crate) use visitor::Visitor;

use super::client::{CameThrough, Client, LocalAddress};
use super::problem::Problem;
use super::refusal::{self, accepts_html};
use super::role::Role;
use super::shell::link;
use super::{Dashboard, Viewers, transfer, wrong_port};
use sign_in::{pass_cookie, session_cookie};

/// The first of the operator's pages.
const OPERATOR_HOME: &str = "/manage";

/// The page where people sign in.
pub(super) const SIGN_IN: &str = "/login";

/// Where their browsers say that they sign out.
pub(super) const SIGN_OUT: &str = "/logout";

/// The id of the note about a wrong token, which every page has: the style sheet shows it where a URL's fragment names it.
const WRONG_TOKEN_NOTE: &str = "wrong-token";

/// The paths that monitoring asks for.
const MONITORING: [&str; 2] = ["/health", "/metrics"];

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Headers of every response: browsers run and load only files of the dashboard, show it in no frame, and send no referrer to
/// other sites.
const PROTECTION: [(HeaderName, HeaderValue); 4] = [
    (
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
             form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
        ),
    ),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    // With `no-referrer` the forms of our own pages would be sent with `Origin: null`.
    (REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
];

/// Limits the log lines about wrong tokens.
static WRONG_TOKENS: LogThrottle = LogThrottle::new(Duration::from_secs(60));

/// Routes with the checks before them.
pub(super) fn guarded(routes: Router<Dashboard>, dashboard: &Dashboard) -> Router<Dashboard> {
    routes.layer(middleware::from_fn_with_state(dashboard.clone(), guard))
}

/// Lets a request through to its route, or answers it.
async fn guard(
    State(dashboard): State<Dashboard>,
    remote: Result<ConnectInfo<SocketAddr>, ExtensionRejection>,
    mut request: Request,
    next: Next,
) -> Response {
    let is_tls = CameThrough::of(request.extensions()).tls;
    let mut response = match remote {
        Ok(ConnectInfo(mut remote)) => {
            // Routes find the address canonical, whichever server the router runs on.
            remote.set_ip(remote.ip().to_canonical());
            // What comes through a proxy says nothing about this machine's firewall.
            if !CameThrough::of(request.extensions()).proxy {
                dashboard.reached_from(remote.ip());
            }
            request.extensions_mut().insert(ConnectInfo(remote));
            match admit(&dashboard, remote, &request) {
                Ok(Admitted::As(visitor)) => {
                    let visitor = visitor.with_user_key(&dashboard);
                    request.extensions_mut().insert(visitor.role);
                    request.extensions_mut().insert(visitor);
                    next.run(request).await
                }
                Ok(Admitted::After(answer)) => answer,
                Err(problem) => refusal::answer(problem, &request),
            }
        }
        // Without the address of the sender nothing can be checked.
        Err(missing) => missing.into_response(),
    };
    let headers = response.headers_mut();
    if is_tls {
        sign_in::secure_cookies(headers);
    }
    for (name, value) in PROTECTION {
        // What is shared has a stricter policy of its own.
        headers.entry(name).or_insert(value);
    }
    // Responses that may be cached set the header themselves.
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// The outcome of the checks, if the request is not refused.
enum Admitted {
    /// It goes to its route.
    As(Visitor),
    /// This is answered first.
    After(Response),
}

fn admit(dashboard: &Dashboard, remote: SocketAddr, request: &Request) -> Result<Admitted, Problem> {
    let config = &dashboard.0.config;
    if !config.shards.admits(remote.ip()) {
        let remote = remote.ip();
        return Err(Problem::forbidden(match config.shards.clients().admits_address(remote) {
            true => format!("the tracker does not serve your address {remote}; the operator can allow it with --allow"),
            // The operator meant it: no advice on how to get in.
            false => format!("the operator does not let address {remote} use this tracker"),
        }));
    }
    dashboard.look_at_accounts();
    let host = Host::of(request).map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "the request is for no host"))?;
    if let Some(name) = host.and_then(|host| host.unknown_name(&dashboard.host_names())) {
        return Err(Problem::forbidden(format!(
            "the tracker does not know its machine by the name {name:?}; open the page by an address of the machine, or \
             start the tracker with --host-name and this name"
        )));
    }
    if let Some(over_tls) = over_tls(dashboard, remote, request, host) {
        return Ok(Admitted::After(over_tls));
    }
    let came_through = CameThrough::of(request.extensions());
    if !request.method().is_safe() && is_of_another_site(request.headers(), host, came_through.tls) {
        return Err(Problem::forbidden("a page of another site has sent this, so that it is not done"));
    }

    let port = host.map_or(80, |host| host.port());
    let token = &dashboard.0.token;
    if let Some((given, uri)) = secret_in_uri(request, "token", OPERATOR_HOME) {
        return enter_with_token(dashboard, remote, request, port, given, &uri).map(Admitted::After);
    }
    if let Some(given) = bearer(request.headers()) {
        return if token.is(given) { Ok(Admitted::As(Visitor::with_token(port))) } else { Err(wrong_token(remote)) };
    }
    let visitor = Visitor::of_session(dashboard, remote.ip(), request.headers(), port);
    let is_here = !config.token_always
        && !came_through.proxy
        && !dashboard.trusts(remote.ip())
        && is_at_this_machine(remote, request.headers(), host);
    let visitor = visitor.unwrap_or_else(|| Visitor::unknown(port));
    let visitor = Visitor { role: if is_here { Role::Operator } else { visitor.role }, ..visitor };
    if visitor.role == Role::Operator {
        return Ok(Admitted::As(visitor));
    }
    let code = dashboard.code();
    if let Some((code, (given, uri))) = code.zip(secret_in_uri(request, "code", "/")) {
        return enter_with_code(dashboard, remote, request, visitor, code, given, &uri);
    }
    let may_look = match config.viewers {
        Viewers::Lan => {
            code.is_none() || visitor.is_signed_in() || sign_in::has_pass(dashboard, request.headers(), port)
        }
        Viewers::Login => visitor.is_signed_in(),
        Viewers::None => false,
    };
    if may_look || is_open(request) {
        return Ok(Admitted::As(visitor));
    }
    if accepts_html(request.headers()) && *request.method() == Method::GET {
        let uri = request.uri().path_and_query().map_or("/", |uri| uri.as_str());
        return Ok(Admitted::After(to_sign_in(uri, "")));
    }
    let why = match config.viewers {
        Viewers::Lan => "this needs the code: add it to the URL, as in ?code=1234",
        Viewers::Login => "this is for people who have signed in",
        Viewers::None => "this is for the operator only",
    };
    Err(Problem::new(StatusCode::UNAUTHORIZED, format!("{why}; in a browser, open {}", dashboard.path(SIGN_IN))))
}

/// Leads a request that came over plain HTTP to the same page over TLS, if that is served: at the same port. What programs ask for
/// that do not trust every certificate is answered as it is: BitTorrent clients, and those on this machine.
fn over_tls(dashboard: &Dashboard, remote: SocketAddr, request: &Request, host: Option<Host<'_>>) -> Option<Response> {
    let path = request.uri().path();
    let CameThrough { tls, proxy } = CameThrough::of(request.extensions());
    let is_of_program = || MONITORING.contains(&path) || path.starts_with("/api/");
    let is_plain = transfer::is_for_clients(request.uri())
        || wrong_port::is_for_clients(path)
        || (is_of_program() && !proxy && is_at_this_machine(remote, request.headers(), host));
    if !dashboard.has_tls() || tls || is_plain {
        return None;
    }
    if speaks_for_others(request.headers()) {
        // If the browser speaks TLS to the proxy already, a redirect would lead it back here each time.
        let why =
            "this page is served over https: let the proxy connect by https, or start the tracker without --tls-cert";
        return Some(Problem::new(StatusCode::BAD_REQUEST, why).into_response());
    }
    let local = || request.extensions().get().map(|LocalAddress(local)| local.to_string());
    let Some(host) = host.map(|host| host.with_port(host.port())).or_else(local) else {
        return Some(Problem::new(StatusCode::BAD_REQUEST, "this page is served over https").into_response());
    };
    let uri = request.uri().path_and_query().map_or("/", |uri| uri.as_str());
    // Temporary, since browsers keep permanent ones even after the certificate is removed.
    Some(Redirect::temporary(&format!("https://{host}{}", dashboard.path(uri))).into_response())
}

/// The answer to a request with a token in its URL: a session, and the way to the URL without it.
fn enter_with_token(
    dashboard: &Dashboard,
    remote: SocketAddr,
    request: &Request,
    port: u16,
    given: &str,
    uri: &str,
) -> Result<Response, Problem> {
    if !dashboard.0.token.is(given) {
        let problem = wrong_token(remote);
        // Who has kept an old address sees the page all the same, with a note on it.
        let page = || Redirect::to(&format!("{uri}#{WRONG_TOKEN_NOTE}")).into_response();
        return if accepts_html(request.headers()) { Ok(page()) } else { Err(problem) };
    }
    let visitor = Visitor::of_session(dashboard, remote.ip(), request.headers(), port);
    if visitor.is_some_and(|visitor| visitor.role == Role::Operator) {
        return Ok(Redirect::to(uri).into_response());
    }
    let secret = dashboard.0.sessions.begin(None, remote.ip(), dashboard.unix_now());
    let cookie = session_cookie(dashboard, port, &secret, Role::Operator, None);
    Ok(([(SET_COOKIE, cookie)], Redirect::to(uri)).into_response())
}

/// The answer to a request with a code in its URL: a browser gets a cookie, and is sent to the URL without it. Programs, which have no
/// cookies, say it with each request.
fn enter_with_code(
    dashboard: &Dashboard,
    remote: SocketAddr,
    request: &Request,
    visitor: Visitor,
    code: &str,
    given: &str,
    uri: &str,
) -> Result<Admitted, Problem> {
    let is_browser = accepts_html(request.headers());
    if is_browser && sign_in::has_pass(dashboard, request.headers(), visitor.port) {
        return Ok(Admitted::After(Redirect::to(uri).into_response()));
    }
    let local = request.extensions().get().map(|&LocalAddress(local)| local.ip());
    let client = Client::new(&dashboard.config().shards, remote.ip(), local);
    match sign_in::is_code(dashboard, code, given, client) {
        Ok(()) if is_browser => {
            let cookie = pass_cookie(dashboard, visitor.port);
            Ok(Admitted::After(([(SET_COOKIE, cookie)], Redirect::to(uri)).into_response()))
        }
        Ok(()) => Ok(Admitted::As(visitor)),
        Err(error) if is_browser => Ok(Admitted::After(to_sign_in(uri, error.name()))),
        Err(error) => Err(error.into()),
    }
}

/// Leads a browser to the page where people sign in, and from there back. `wrong` is what was wrong with its code.
fn to_sign_in(uri: &str, wrong: &str) -> Response {
    Redirect::to(&link(SIGN_IN, &[("next", if uri == "/" { "" } else { uri }), ("wrong", wrong)])).into_response()
}

/// Returns `true` for what everybody may have whom the address policy admits: what the page to sign in needs, and what BitTorrent
/// clients ask for, which cannot sign in.
fn is_open(request: &Request) -> bool {
    let path = request.uri().path();
    path == SIGN_IN
        || path == SIGN_OUT
        || path.starts_with("/assets/")
        || transfer::is_for_clients(request.uri())
        || wrong_port::is_for_clients(path)
}

/// Returns `true` if the headers say that a page of another site sent the request. Only browsers send them.
fn is_of_another_site(headers: &HeaderMap, host: Option<Host<'_>>, is_tls: bool) -> bool {
    // A page of this host that came without TLS may be anybody's.
    let is_own =
        |origin: &str| host.is_some_and(|host| host.is_origin(origin)) && (!is_tls || origin.starts_with("https://"));
    let is_other_origin = headers.get_all(ORIGIN).iter().any(|origin| !origin.to_str().is_ok_and(is_own));
    // `none` is the user, without a page; `same-site` is anything on another port of this machine.
    is_other_origin || headers.get_all(SEC_FETCH_SITE).iter().any(|site| site != "same-origin" && site != "none")
}

/// Returns `true` if a request has one of the headers that proxies add.
fn speaks_for_others(headers: &HeaderMap) -> bool {
    [FORWARDED, X_FORWARDED_FOR, X_REAL_IP, VIA].iter().any(|header| headers.contains_key(header))
}

/// Returns `true` if a request was sent on this machine, and not by a proxy on it.
fn is_at_this_machine(remote: SocketAddr, headers: &HeaderMap, host: Option<Host<'_>>) -> bool {
    remote.ip().is_loopback() && !speaks_for_others(headers) && host.is_some_and(|host| host.is_loopback())
}

/// The secret with this name in the query of a request for something to look at, and the URI without it: from the page for
/// everybody it leads to `home`.
fn secret_in_uri<'r>(request: &'r Request, name: &str, home: &str) -> Option<(&'r str, String)> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return None;
    }
    let value = |pair: &'r str| pair.strip_prefix(name)?.strip_prefix('=');
    let secret = request.uri().query()?.split('&').find_map(value)?;
    let others = request.uri().query()?.split('&').filter(|pair| value(pair).is_none() && !pair.is_empty());
    let mut uri = match local_path(request.uri().path()) {
        path if path == "/" => home.to_owned(),
        path => path,
    };
    for (index, pair) in others.enumerate() {
        uri.push(if index == 0 { '?' } else { '&' });
        uri.push_str(pair);
    }
    Some((secret, uri))
}

/// A path on this server. Two slashes would begin the name of another host, also with a tab between them, which browsers leave out.
pub(super) fn local_path(path: &str) -> String {
    if path.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
        return "/".to_owned();
    }
    format!("/{}", path.trim_start_matches(['/', '\\']))
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then_some(token.trim())
}

fn wrong_token(remote: SocketAddr) -> Problem {
    if let Some(suppressed) = WRONG_TOKENS.allows() {
        tracing::warn!(remote = %remote.ip(), suppressed, "a wrong token was refused");
    }
    Problem::forbidden(
        "this token is not, or no longer, right: the tracker makes a new one at each start, and prints it",
    )
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;
    use std::sync::Arc;

    use axum::body::{Body, to_bytes};
    use axum::http::header::{ACCEPT, COOKIE, HOST, LOCATION};
    use axum::http::request::Builder;
    use axum::routing::{get, post};
    use rand::SeedableRng;
    use rand::rngs::StdRng;
    use tower::ServiceExt;
    use tracker_core::{Access, ClientPolicy, Config, Instant, Shards};
    use tracker_host::{Clock, Events};

    use super::*;
    use crate::web::role::Operator;
    use crate::{AccountRole, Accounts, DashboardConfig};
    use torrent_library::{Library, LibraryConfig};
    use tracker_host::{Bind, Bound, Service, ServiceError};
    use tracker_monitor::{Computers, Failures, LogBuffer, Observer};

    const LAN: &str = "192.168.1.9";
    const LOOPBACK: &str = "127.0.0.1";

    struct NoPorts;

    impl Bind for NoPorts {
        fn bind(&self) -> Result<Bound, ServiceError> {
            Err("there are no ports here".into())
        }
    }

    fn dashboard(access: Access) -> Dashboard {
        dashboard_of(access, false)
    }

    fn dashboard_of(access: Access, token_always: bool) -> Dashboard {
        dashboard_with(Config::default().with(|config| config.access = access), token_always)
    }

    fn dashboard_with(config: Config, token_always: bool) -> Dashboard {
        let shards = Arc::new(Shards::new(config, NonZeroUsize::MIN, &mut StdRng::seed_from_u64(1)).unwrap());
        let clock = Clock::fixed(Instant::ZERO);
        let library = Library::open(LibraryConfig::default()).unwrap();
        let events = Events::start(Arc::clone(&shards)).unwrap();
        let observer = Observer::start(&events, Computers::new(clock, library.clone()), Failures::default).unwrap();
        let service = Service::new(NoPorts);
        let config = DashboardConfig::new(shards.into(), clock, observer, LogBuffer::new(), service, library);
        Dashboard::new(config.with(|config| {
            config.host_names = vec!["lab-pc".into()];
            config.token_always = token_always;
        }))
    }

    struct Answer {
        status: StatusCode,
        headers: HeaderMap,
        text: String,
    }

    async fn answer(dashboard: &Dashboard, remote: &str, request: Builder) -> Answer {
        let routes = Router::new()
            .route("/", get(async |role: Role| format!("{role:?}")))
            .route("/kept", get(async || [(CACHE_CONTROL, "max-age=3600")]))
            .route("/change", post(async |_: Operator| "changed"));
        let app = guarded(routes, dashboard).with_state(dashboard.clone());
        let mut request = request.body(Body::empty()).unwrap();
        request.extensions_mut().insert(ConnectInfo(SocketAddr::new(remote.parse().unwrap(), 50_000)));
        let (parts, body) = app.oneshot(request).await.unwrap().into_parts();
        let text = String::from_utf8(to_bytes(body, 10_000).await.unwrap().to_vec()).unwrap();
        Answer { status: parts.status, headers: parts.headers, text }
    }

    fn look(host: &str) -> Builder {
        Request::get("/").header(HOST, host)
    }

    fn change(host: &str) -> Builder {
        Request::post("/change").header(HOST, host)
    }

    #[track_caller]
    fn assert_refused(answer: &Answer, words: &str) {
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{}", answer.text);
        assert!(answer.text.contains(words), "{}", answer.text);
    }

    #[tokio::test]
    async fn names_follow_the_machine_to_another_network() {
        let dashboard = dashboard(Access::default());
        let status = async |host: &str| answer(&dashboard, LAN, look(host)).await.status;
        assert_eq!(status("lab-pc.school.example:6970").await, StatusCode::FORBIDDEN);
        dashboard.set_host_names(vec!["lab-pc".into(), "lab-pc.school.example".into()]);
        assert_eq!(status("lab-pc.school.example:6970").await, StatusCode::OK);
    }

    #[tokio::test]
    async fn a_name_in_local_is_admitted_while_the_page_has_it() {
        let dashboard = dashboard(Access::default());
        let status = async |host: &str| answer(&dashboard, LAN, look(host)).await.status;
        let statuses = async || [status("tracker.local:6970").await, status("Tracker-2.local.").await];
        assert_eq!(statuses().await, [StatusCode::FORBIDDEN; 2]);
        dashboard.set_host_names(vec!["lab-pc".into(), "tracker.local".into()]);
        assert_eq!(statuses().await, [StatusCode::OK, StatusCode::FORBIDDEN]);
        dashboard.set_host_names(vec!["lab-pc".into(), "tracker-2.local".into()]);
        assert_eq!(statuses().await, [StatusCode::FORBIDDEN, StatusCode::OK]);
    }

    #[tokio::test]
    async fn looking_is_for_those_who_may_use_the_tracker() {
        let dashboard = dashboard(Access::default());
        for remote in [LAN, LOOPBACK, "fd77::9", "::ffff:10.0.0.1"] {
            assert_eq!(answer(&dashboard, remote, look("192.168.1.5:6970")).await.text, "Viewer", "{remote}");
        }
        for remote in ["203.0.113.9", "::ffff:203.0.113.9"] {
            let refused = answer(&dashboard, remote, look("192.168.1.5:6970")).await;
            assert_refused(&refused, "does not serve your address 203.0.113.9;");
            // Not with a token, either.
            let request = look("192.168.1.5").header(AUTHORIZATION, format!("Bearer {}", dashboard.token()));
            assert_refused(&answer(&dashboard, remote, request).await, "--allow");
        }
        let everybody = self::dashboard(Access::All);
        assert_eq!(answer(&everybody, "203.0.113.9", look("192.168.1.5:6970")).await.status, StatusCode::OK);
    }

    #[tokio::test]
    async fn who_is_denied_by_a_rule_gets_no_advice() {
        let clients = ClientPolicy {
            allowed_networks: vec!["192.168.0.0/16".parse().unwrap(), "203.0.113.0/24".parse().unwrap()],
            denied_networks: vec!["192.168.1.9/32".parse().unwrap()],
            ..ClientPolicy::default()
        };
        let dashboard = dashboard_with(Config::default().with(|config| config.clients = Arc::new(clients)), false);
        for (remote, words) in [
            ("192.168.1.9", "the operator does not let address 192.168.1.9 use this tracker"),
            ("10.0.0.1", "the operator does not let address 10.0.0.1 use this tracker"),
            // `--allow` keeps it out even though a rule allows it.
            ("203.0.113.9", "the operator can allow it with --allow"),
        ] {
            let refused = answer(&dashboard, remote, look("192.168.1.5:6970")).await;
            assert_refused(&refused, words);
            assert_eq!(refused.text.contains("--allow"), words.contains("--allow"), "{}", refused.text);
        }
    }

    #[tokio::test]
    async fn names_that_are_not_the_machines_are_refused() {
        let dashboard = dashboard(Access::default());
        for host in ["lab-pc:6970", "LAB-PC", "192.168.1.5:6970", "[fd77::1]:6970", "localhost:6970"] {
            assert_eq!(answer(&dashboard, LAN, look(host)).await.status, StatusCode::OK, "{host}");
        }
        for remote in [LAN, LOOPBACK] {
            for request in
                [look("evil.example:6970"), change("evil.example:6970"), Request::get("http://evil.example/")]
            {
                let refused = answer(&dashboard, remote, request).await;
                assert_refused(&refused, "evil.example");
                assert!(refused.text.contains("--host-name"), "{}", refused.text);
            }
        }
        let twice = look("127.0.0.1").header(HOST, "evil.example");
        assert_eq!(answer(&dashboard, LOOPBACK, twice).await.status, StatusCode::BAD_REQUEST);
        assert_eq!(answer(&dashboard, LAN, Request::get("/")).await.status, StatusCode::OK, "no browser");
    }

    #[tokio::test]
    async fn a_refusal_is_json_or_a_page_for_people() {
        let dashboard = dashboard(Access::default());
        let json = answer(&dashboard, LAN, look("<script>")).await;
        assert_eq!(json.status, StatusCode::BAD_REQUEST);
        assert_eq!(json.headers["content-type"], "application/json");
        let json = answer(&dashboard, LAN, look("evil.example")).await;
        assert!(json.text.starts_with("{\"error\":\"the tracker does not know"), "{}", json.text);
        let page = answer(&dashboard, LAN, look("evil.example").header(ACCEPT, "text/html,*/*")).await;
        assert!(page.text.contains("<p>the tracker does not know"), "{}", page.text);
        assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    }

    #[tokio::test]
    async fn operators_come_over_loopback() {
        let dashboard = dashboard(Access::default());
        for (remote, host, is_operator) in [
            (LOOPBACK, "localhost:6970", true),
            (LOOPBACK, "127.0.0.1:6970", true),
            ("127.0.0.77", "127.0.0.77:6970", true),
            ("::1", "[::1]:6970", true),
            ("::ffff:127.0.0.1", "127.0.0.1:6970", true),
            (LAN, "192.168.1.5:6970", false),
            (LAN, "localhost:6970", false),
            // A proxy that passes on the name.
            (LOOPBACK, "lab-pc", false),
            (LOOPBACK, "192.168.1.5:6970", false),
        ] {
            let role = if is_operator { "Operator" } else { "Viewer" };
            assert_eq!(answer(&dashboard, remote, look(host)).await.text, role, "{remote} {host}");
            let changed = answer(&dashboard, remote, change(host)).await;
            if is_operator {
                assert_eq!(changed.text, "changed", "{remote} {host}");
            } else {
                assert_refused(&changed, "only the operator may do this");
            }
        }
        // A proxy that passes on nothing.
        assert_eq!(answer(&dashboard, LOOPBACK, Request::get("/")).await.text, "Viewer");
    }

    #[tokio::test]
    async fn everybody_may_be_asked_for_the_token() {
        let dashboard = dashboard_of(Access::default(), true);
        let request = || look("localhost:6970");
        assert_eq!(answer(&dashboard, LOOPBACK, request()).await.text, "Viewer");
        let with_token = request().header(AUTHORIZATION, format!("Bearer {}", dashboard.token()));
        assert_eq!(answer(&dashboard, LOOPBACK, with_token).await.text, "Operator");
        let with_cookie = request().header(COOKIE, session(&dashboard));
        assert_eq!(answer(&dashboard, LOOPBACK, with_cookie).await.text, "Operator");
    }

    #[tokio::test]
    async fn an_old_address_leads_to_the_page() {
        let dashboard = dashboard(Access::default());
        let request = Request::get("/manage/log?token=old&search=%22").header(HOST, "localhost:6970");
        let answered = answer(&dashboard, LOOPBACK, request.header(ACCEPT, "text/html")).await;
        assert_eq!(answered.status, StatusCode::SEE_OTHER);
        assert_eq!(answered.headers[LOCATION], "/manage/log?search=%22#wrong-token");
        assert!(!answered.headers.contains_key(SET_COOKIE));
    }

    #[tokio::test]
    async fn requests_through_a_proxy_need_the_token() {
        let dashboard = dashboard(Access::default());
        for (header, value) in [
            ("forwarded", "for=10.0.0.7"),
            ("x-forwarded-for", "127.0.0.1"),
            ("x-forwarded-for", ""),
            ("x-real-ip", "10.0.0.7"),
            ("via", "1.1 proxy"),
        ] {
            let request = || look("localhost:6970").header(header, value);
            assert_eq!(answer(&dashboard, LOOPBACK, request()).await.text, "Viewer", "{header}");
            let with_token = request().header(AUTHORIZATION, format!("Bearer {}", dashboard.token()));
            assert_eq!(answer(&dashboard, LOOPBACK, with_token).await.text, "Operator", "{header}");
        }
    }

    #[tokio::test]
    async fn who_comes_through_the_proxy_protocol_is_not_at_this_machine() {
        let dashboard = dashboard(Access::default());
        let through = |proxy: bool| look("localhost:6970").extension(CameThrough { proxy, tls: false });
        assert_eq!(answer(&dashboard, LOOPBACK, through(false)).await.text, "Operator");
        assert_eq!(answer(&dashboard, LOOPBACK, through(true)).await.text, "Viewer");
        let with_token = through(true).header(AUTHORIZATION, format!("Bearer {}", dashboard.token()));
        assert_eq!(answer(&dashboard, LOOPBACK, with_token).await.text, "Operator");
    }

    #[tokio::test]
    async fn cookies_that_came_over_tls_stay_there() {
        let dashboard = dashboard(Access::default());
        for (tls, end) in [(true, "; Path=/; Secure"), (false, "; Path=/")] {
            let uri = format!("/?token={}", dashboard.token());
            let request = Request::get(&uri).header(HOST, "lab-pc").extension(CameThrough { tls, proxy: false });
            let given = answer(&dashboard, LAN, request).await;
            let cookie = given.headers[SET_COOKIE].to_str().unwrap();
            assert!(cookie.ends_with(end), "{cookie}");
        }
    }

    #[tokio::test]
    async fn a_token_in_the_url_becomes_a_cookie() {
        let dashboard = dashboard(Access::default());
        let token = dashboard.token();
        for (uri, location) in [
            (format!("/?token={token}"), "/manage"),
            (format!("/?search=a&token={token}&page=2"), "/manage?search=a&page=2"),
            (format!("/manage/log?token={token}&token={token}"), "/manage/log"),
            (format!("//evil.example/?token={token}"), "/evil.example/"),
            (format!("/\\evil.example/?token={token}"), "/evil.example/"),
        ] {
            let given = answer(&dashboard, LAN, Request::get(&uri).header(HOST, "lab-pc:6970")).await;
            assert_eq!(
                (given.status, &given.headers[LOCATION]),
                (StatusCode::SEE_OTHER, &HeaderValue::from_static(location)),
                "{uri}"
            );
            let cookie = given.headers[SET_COOKIE].to_str().unwrap();
            let secret = cookie.strip_prefix("tracker-6970=").unwrap();
            let secret = secret.strip_suffix("; HttpOnly; SameSite=Strict; Path=/").unwrap();
            // Every port of the host is sent the cookie: it must not have the token in it.
            assert_ne!(secret, token);

            let with = |cookie: String| look("lab-pc:6970").header(COOKIE, cookie);
            let role = |cookie: String| answer(&dashboard, LAN, with(cookie));
            assert_eq!(role(format!("a=b; tracker-6970={secret}")).await.text, "Operator");
            let changed = change("lab-pc:6970").header(COOKIE, format!("tracker-6970={secret}"));
            assert_eq!(answer(&dashboard, LAN, changed).await.text, "changed");
            // Of another tracker on this machine, or of an earlier start; and the token itself is none.
            assert_eq!(role(format!("tracker-6971={secret}")).await.text, "Viewer");
            assert_eq!(role(format!("tracker-6970={}", secret.replace(char::is_numeric, "z"))).await.text, "Viewer");
            assert_eq!(role(format!("tracker-6970={token}")).await.text, "Viewer");
            let (id, ..) = dashboard.0.sessions.find(secret, LAN.parse().unwrap(), dashboard.unix_now()).unwrap();
            assert!(dashboard.0.sessions.end(&id));
            assert_eq!(role(format!("tracker-6970={secret}")).await.text, "Viewer");
        }
    }

    /// The cookie of an operator who has opened the URL with the token.
    fn session(dashboard: &Dashboard) -> String {
        let secret = dashboard.0.sessions.begin(None, LAN.parse().unwrap(), dashboard.unix_now());
        format!("tracker-6970={}", secret.as_str())
    }

    /// A dashboard with these settings, whose operator is only who has the token or has signed in.
    fn narrowed(change: impl FnOnce(&mut DashboardConfig)) -> Dashboard {
        Dashboard::new(dashboard(Access::default()).config().clone().with(change))
    }

    #[tokio::test]
    async fn where_not_everybody_may_look_strangers_are_led_to_sign_in() {
        for viewers in [Viewers::Login, Viewers::None] {
            let dashboard = narrowed(|config| config.viewers = viewers);
            let page = Request::get("/kept?page=2").header(HOST, "lab-pc:6970").header(ACCEPT, "text/html");
            let led = answer(&dashboard, LAN, page).await;
            assert_eq!(
                (led.status, led.headers[LOCATION].to_str().unwrap()),
                (StatusCode::SEE_OTHER, "/login?next=%2Fkept%3Fpage%3D2")
            );
            let home = answer(&dashboard, LAN, look("lab-pc:6970").header(ACCEPT, "text/html")).await;
            assert_eq!(home.headers[LOCATION], "/login");
            let program = answer(&dashboard, LAN, look("lab-pc:6970")).await;
            assert_eq!(program.status, StatusCode::UNAUTHORIZED);
            assert!(program.text.contains("/login"), "{}", program.text);
            let changed = answer(&dashboard, LAN, change("lab-pc:6970").header(ACCEPT, "text/html")).await;
            assert_eq!(changed.status, StatusCode::UNAUTHORIZED);
            // What is there for all: the page itself has routes elsewhere.
            for open in ["/login", "/assets/page.css", "/seed/x/y", "/announce", "/announce/key", "/scrape"] {
                let answered = answer(&dashboard, LAN, Request::get(open).header(HOST, "lab-pc:6970")).await;
                assert_eq!(answered.status, StatusCode::NOT_FOUND, "{open}");
            }
            for closed in ["/logins", "/seed", "/announcements", "/assets"] {
                let answered = answer(&dashboard, LAN, Request::get(closed).header(HOST, "lab-pc:6970")).await;
                assert_eq!(answered.status, StatusCode::UNAUTHORIZED, "{closed}");
            }
            let operator = look("lab-pc:6970").header(COOKIE, session(&dashboard));
            assert_eq!(answer(&dashboard, LAN, operator).await.text, "Operator");
            assert_eq!(answer(&dashboard, LOOPBACK, look("localhost:6970")).await.text, "Operator");
        }
    }

    #[tokio::test]
    async fn accounts_open_what_their_role_may() {
        let folder = tempfile::tempdir().unwrap();
        let accounts = Accounts::open(folder.path().join("operators.json")).unwrap();
        accounts.add("anna", AccountRole::Operator).unwrap();
        accounts.add("ben", AccountRole::Viewer).unwrap();
        for (viewers, of_ben) in [(Viewers::Lan, true), (Viewers::Login, true), (Viewers::None, false)] {
            let dashboard = narrowed(|config| (config.viewers, config.accounts) = (viewers, Some(accounts.clone())));
            let cookie = |name: &str| {
                let account = accounts.find(name).unwrap();
                let secret = dashboard.0.sessions.begin(Some(&account), LAN.parse().unwrap(), dashboard.unix_now());
                format!("tracker-6970={}", secret.as_str())
            };
            let role = |cookie: String| answer(&dashboard, LAN, look("lab-pc:6970").header(COOKIE, cookie));
            assert_eq!(role(cookie("anna")).await.text, "Operator");
            let ben = role(cookie("ben")).await;
            assert_eq!((ben.status == StatusCode::OK, ben.text == "Viewer"), (of_ben, of_ben), "{viewers:?}");
            // With another password the session is over.
            let before = cookie("anna");
            accounts.reset("anna").unwrap();
            assert_ne!(role(before.clone()).await.text, "Operator");
            let removed = cookie("ben");
            accounts.remove("ben").unwrap();
            assert_eq!(dashboard.0.sessions.list(dashboard.unix_now()).len(), 3);
            role(removed).await;
            accounts.add("ben", AccountRole::Viewer).unwrap();
        }
    }

    #[tokio::test]
    async fn a_browser_that_is_signed_in_begins_no_other_session() {
        let dashboard = dashboard(Access::default());
        let with_token = |cookie: &str| {
            let request = Request::get(format!("/?token={}", dashboard.token())).header(HOST, "lab-pc:6970");
            request.header(COOKIE, cookie)
        };
        let first = answer(&dashboard, LAN, with_token("a=b")).await;
        let cookie = first.headers[SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
        let second = answer(&dashboard, LAN, with_token(&cookie)).await;
        assert_eq!((second.status, second.headers.get(SET_COOKIE)), (StatusCode::SEE_OTHER, None));
        assert_eq!(dashboard.0.sessions.list(dashboard.unix_now()).len(), 1);
    }

    #[tokio::test]
    async fn a_code_opens_the_page() {
        let dashboard = narrowed(|config| config.code = Some("4711".into()));
        let html = |uri: &str| Request::get(uri).header(HOST, "lab-pc:6970").header(ACCEPT, "text/html");
        assert_eq!(answer(&dashboard, LAN, html("/")).await.headers[LOCATION], "/login");
        let given = answer(&dashboard, LAN, html("/kept?code=4711&page=2")).await;
        assert_eq!(
            (given.status, &given.headers[LOCATION]),
            (StatusCode::SEE_OTHER, &HeaderValue::from_static("/kept?page=2"))
        );
        let cookie = given.headers[SET_COOKIE].to_str().unwrap();
        let value = cookie.strip_suffix("; HttpOnly; SameSite=Lax; Path=/").unwrap().to_owned();
        assert!(!value.contains("4711"), "{value}");
        assert_eq!(answer(&dashboard, LAN, html("/").header(COOKIE, &value)).await.text, "Viewer");
        assert_eq!(
            answer(&dashboard, LAN, html("/").header(COOKIE, "tracker-code-6970=4711")).await.headers[LOCATION],
            "/login"
        );
        let known = answer(&dashboard, LAN, html("/kept?code=1234").header(COOKIE, &value)).await;
        assert_eq!(known.headers[LOCATION], "/kept", "an old code in a link");
        let wrong = answer(&dashboard, "192.168.1.11", html("/kept?code=1234")).await;
        assert_eq!(wrong.headers[LOCATION], "/login?next=%2Fkept&wrong=code");
        // Programs say it with each request.
        let program = |uri: &str| Request::get(uri).header(HOST, "lab-pc:6970");
        assert_eq!(answer(&dashboard, LAN, program("/?code=4711")).await.text, "Viewer");
        assert_eq!(answer(&dashboard, LAN, program("/")).await.status, StatusCode::UNAUTHORIZED);
        for _ in 0..5 {
            assert_eq!(answer(&dashboard, LAN, program("/?code=1234")).await.status, StatusCode::FORBIDDEN);
        }
        assert_eq!(answer(&dashboard, LAN, program("/?code=4711")).await.status, StatusCode::TOO_MANY_REQUESTS);
        // Others are not slowed, and what was opened stays so.
        assert_eq!(answer(&dashboard, "192.168.1.10", program("/?code=4711")).await.text, "Viewer");
        assert_eq!(answer(&dashboard, LAN, html("/").header(COOKIE, &value)).await.text, "Viewer");
        // Without a code it means nothing.
        let open = self::dashboard(Access::default());
        assert_eq!(answer(&open, LAN, html("/?code=1234")).await.text, "Viewer");
    }

    #[tokio::test]
    async fn wrong_tokens_are_refused() {
        let dashboard = dashboard(Access::default());
        let other = Token::draw();
        for given in ["", "x", other.as_str(), &dashboard.token()[1..]] {
            // Also to who needs none.
            for remote in [LAN, LOOPBACK] {
                let in_url = Request::get(format!("/?token={given}"));
                let refused = answer(&dashboard, remote, in_url).await;
                assert_refused(&refused, "this token is not");
                assert!(!refused.headers.contains_key(SET_COOKIE));
                let in_header = look("127.0.0.1").header(AUTHORIZATION, format!("Bearer {given}"));
                assert_refused(&answer(&dashboard, remote, in_header).await, "this token is not");
            }
        }
        let bearer = change("lab-pc").header(AUTHORIZATION, format!("bearer {}", dashboard.token()));
        assert_eq!(answer(&dashboard, LAN, bearer).await.text, "changed");
        let in_url = Request::post(format!("/change?token={}", dashboard.token()));
        assert_refused(&answer(&dashboard, LAN, in_url).await, "only the operator may do this");
    }

    #[tokio::test]
    async fn pages_of_other_sites_change_nothing() {
        let dashboard = dashboard(Access::default());
        let cookie = session(&dashboard);
        for (remote, host) in [(LOOPBACK, "127.0.0.1:6970"), (LAN, "lab-pc:6970")] {
            let request = || change(host).header(COOKIE, &cookie);
            for (header, value, is_own) in [
                ("origin", format!("http://{host}"), true),
                ("origin", format!("https://{host}"), true),
                ("origin", "http://evil.example".into(), false),
                ("origin", "http://127.0.0.1:8000".into(), false),
                ("origin", "null".into(), false),
                ("sec-fetch-site", "same-origin".into(), true),
                ("sec-fetch-site", "none".into(), true),
                ("sec-fetch-site", "same-site".into(), false),
                ("sec-fetch-site", "cross-site".into(), false),
            ] {
                let answer = answer(&dashboard, remote, request().header(header, &value)).await;
                if is_own {
                    assert_eq!(answer.text, "changed", "{header}: {value}");
                } else {
                    assert_refused(&answer, "another site");
                }
            }
            let both = request().header("origin", format!("http://{host}")).header("sec-fetch-site", "cross-site");
            assert_refused(&answer(&dashboard, remote, both).await, "another site");
            let two = request().header("origin", format!("http://{host}")).header("origin", "http://evil.example");
            assert_refused(&answer(&dashboard, remote, two).await, "another site");
            // A link to the page is none of it.
            let link = look(host).header("sec-fetch-site", "cross-site");
            assert_eq!(answer(&dashboard, remote, link).await.status, StatusCode::OK);
        }
        let no_host = Request::post("/change").header("origin", "http://127.0.0.1:6970");
        assert_refused(&answer(&dashboard, LOOPBACK, no_host).await, "another site");
    }

    #[tokio::test]
    async fn every_answer_protects_its_reader() {
        let dashboard = dashboard(Access::default());
        for (remote, request, status) in [
            (LAN, look("lab-pc"), StatusCode::OK),
            (LAN, change("lab-pc"), StatusCode::FORBIDDEN),
            (LAN, look("evil.example"), StatusCode::FORBIDDEN),
            (LAN, Request::get("/nowhere"), StatusCode::NOT_FOUND),
            (LAN, Request::delete("/"), StatusCode::METHOD_NOT_ALLOWED),
            (LAN, Request::get(format!("/?token={}", dashboard.token())), StatusCode::SEE_OTHER),
            ("203.0.113.9", look("lab-pc"), StatusCode::FORBIDDEN),
        ] {
            let answer = answer(&dashboard, remote, request).await;
            assert_eq!(answer.status, status);
            for (name, value) in PROTECTION {
                assert_eq!(answer.headers.get_all(&name).iter().collect::<Vec<_>>(), [value], "{status} {name}");
            }
            assert_eq!(answer.headers[CACHE_CONTROL], "no-store", "{status}");
            assert!(!answer.headers.keys().any(|name| name.as_str().starts_with("access-control-")));
        }
        assert_eq!(answer(&dashboard, LAN, Request::get("/kept")).await.headers[CACHE_CONTROL], "max-age=3600");
    }
}
