//! The checks before the routes of the dashboard, as far as they are about hosts and origins.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderName, HeaderValue, Request, StatusCode};
use dashboard::{Dashboard, DashboardConfig};
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::runtime::Runtime;
use torrent_library::{Library, LibraryConfig};
use tower::ServiceExt;
use tracker_core::{Config, Instant, Shards};
use tracker_host::{Bind, Bound, Clock, Events, Service, ServiceError};
use tracker_monitor::{Computers, Failures, LogBuffer, Observer};

use crate::header_lines::headers;

const NAME: &str = "lab-pc";
const HEADERS: [HeaderName; 4] =
    [HOST, ORIGIN, HeaderName::from_static("sec-fetch-site"), HeaderName::from_static("x-forwarded-for")];

/// A dashboard whose tracker cannot be started: who gets past the checks sees that.
static ROUTER: LazyLock<(Runtime, Router)> = LazyLock::new(|| {
    let shards = Shards::new(Config::default(), NonZeroUsize::MIN, &mut StdRng::seed_from_u64(1));
    let shards = Arc::new(shards.expect("a valid configuration"));
    let clock = Clock::fixed(Instant::ZERO);
    let library = Library::open(LibraryConfig::default()).expect("no folder is read");
    let events = Events::without_thread(Arc::clone(&shards));
    let observer =
        Observer::start(&events, Computers::new(clock, library.clone()), Failures::default).expect("a thread");
    let config = DashboardConfig::new(shards.into(), clock, observer, LogBuffer::new(), Service::new(NoPorts), library);
    let dashboard = Dashboard::new(config.with(|config| config.host_names = vec![NAME.into()]));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    (runtime, dashboard.router())
});

struct NoPorts;

impl Bind for NoPorts {
    fn bind(&self) -> Result<Bound, ServiceError> {
        Err("there are no ports here".into())
    }
}

/// A request for a host that is not this machine is refused, and
/// one that changes something also if it is of a page of another site, or of a viewer.
pub(crate) fn dashboard_access(input: &[u8]) {
    let headers = headers(input, &HEADERS);
    let values = |name: HeaderName| headers.iter().filter(move |header| header.0 == name).map(|header| &header.1);
    let hosts: Vec<_> = values(HOST).collect();
    let is_own_host = hosts.iter().all(|host| is_own(host.as_bytes()));

    let looked = send(Request::get("/"), &headers, [192, 168, 1, 9].into());
    assert!(
        looked == StatusCode::OK || looked == StatusCode::BAD_REQUEST || looked == StatusCode::FORBIDDEN,
        "{looked}"
    );
    assert!(looked != StatusCode::OK || (is_own_host && hosts.len() <= 1), "{hosts:?}");
    let changed = send(Request::post("/api/v1/tracker/start"), &headers, [127, 0, 0, 1].into());
    if !matches!(changed, StatusCode::BAD_REQUEST | StatusCode::FORBIDDEN) {
        assert!(is_own_host && hosts.len() == 1, "{hosts:?}");
        for origin in values(ORIGIN) {
            assert!(is_same(origin.as_bytes(), hosts[0].as_bytes()), "{origin:?} {hosts:?}");
        }
    }
    let viewer = send(Request::post("/api/v1/tracker/start"), &headers, [192, 168, 1, 9].into());
    assert!(matches!(viewer, StatusCode::BAD_REQUEST | StatusCode::FORBIDDEN), "{viewer}");
}

fn send(request: axum::http::request::Builder, headers: &[(HeaderName, HeaderValue)], remote: IpAddr) -> StatusCode {
    let (runtime, router) = &*ROUTER;
    let request = headers.iter().fold(request, |request, (name, value)| request.header(name, value));
    let mut request = request.body(Body::empty()).expect("a request");
    request.extensions_mut().insert(ConnectInfo(SocketAddr::new(remote, 50_000)));
    runtime.block_on(router.clone().oneshot(request)).expect("a router does not fail").status()
}

/// Returns `true` for an address, `localhost` and the name, said in a simpler way than the code does.
fn is_own(host: &[u8]) -> bool {
    let Ok(host) = str::from_utf8(host) else { return false };
    if let Some((address, _)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return address.split('%').next().is_some_and(|address| address.parse::<Ipv6Addr>().is_ok());
    }
    let name = host.split(':').next().unwrap_or_default();
    let name = name.strip_suffix('.').unwrap_or(name);
    name.parse::<IpAddr>().is_ok() || [NAME, "localhost"].iter().any(|own| name.eq_ignore_ascii_case(own))
}

/// Returns `true` if both have the same host and port, where neither is written in an unusual way.
fn is_same(origin: &[u8], host: &[u8]) -> bool {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).to_ascii_lowercase();
    let (origin, host) = (text(origin), text(host));
    let Some((scheme, origin)) = origin.split_once("://") else { return false };
    let default = if scheme == "https" { ":443" } else { ":80" };
    let plain = |host: &str| host.trim_end_matches(':').trim_end_matches(default).trim_end_matches('.').to_owned();
    let unusual = |host: &str| host.contains(['[', '%']) || host.contains(":0") || host.contains(".:");
    plain(&origin) == plain(&host) || unusual(&origin) || unusual(&host)
}
