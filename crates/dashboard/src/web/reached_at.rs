//! The address by which a viewer reached the dashboard.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::header::HOST;
use axum::http::request::Parts;
use http_server::Host;
use tracker_core::UserKey;

use super::access::Visitor;
use super::client::{CameThrough, LocalAddress};
use super::page_addresses::is_for_others;

/// What URLs for a viewer are made of: the address by which the viewer reached the dashboard, where it is known, which is one that
/// works in the viewer's network; and the viewer's key.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ReachedAt {
    /// The address of this machine at which the request came in.
    local: Option<SocketAddr>,
    /// The address that the viewer asked for. It is another one where a router, a proxy or a container's published port is
    /// between.
    asked: Option<SocketAddr>,
    /// Where the tracker is for users.
    pub(super) user_key: Option<UserKey>,
}

impl<S: Send + Sync> FromRequestParts<S> for ReachedAt {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let local = parts.extensions.get().map(|&LocalAddress(local)| local);
        let authority = parts.uri.authority().map(|authority| authority.as_str().as_bytes());
        let host = authority.or_else(|| parts.headers.get(HOST).map(|host| host.as_bytes()));
        let default_port = if CameThrough::of(&parts.extensions).tls { 443 } else { 80 };
        let asked = host.and_then(|host| Host::parse(host).ok()?.address(default_port));
        let is_here = parts.extensions.get().is_some_and(|ConnectInfo::<SocketAddr>(viewer)| viewer.ip().is_loopback());
        // Loopback is another machine, unless the viewer is on this one.
        let user_key = parts.extensions.get::<Visitor>().and_then(|visitor| visitor.user_key);
        Ok(Self { local, asked: asked.filter(|asked| is_here || !asked.ip().is_loopback()), user_key })
    }
}

impl ReachedAt {
    #[cfg(test)]
    pub(crate) fn new(local: Option<SocketAddr>, asked: Option<SocketAddr>) -> Self {
        Self { local, asked, user_key: None }
    }

    /// The same for URLs without a key.
    pub(super) fn without_user_key(self) -> Self {
        Self { user_key: None, ..self }
    }

    /// The address and port for URLs of the dashboard, if it means the same on other machines.
    pub(crate) fn for_others(self) -> Option<SocketAddr> {
        self.asked.filter(|address| is_for_others(address.ip())).or_else(|| self.local_for_others())
    }

    /// Returns `true` if it is an address of a private network, or of loopback.
    pub(crate) fn is_private(self) -> bool {
        let ip = self.asked.or(self.local).map(|address| address.ip().to_canonical());
        match ip {
            Some(IpAddr::V4(v4)) => v4.is_private() || v4.is_loopback() || v4.is_link_local(),
            Some(IpAddr::V6(v6)) => v6.is_unique_local() || v6.is_loopback() || v6.is_unicast_link_local(),
            None => false,
        }
    }

    /// The address of this machine, if it means the same on other machines.
    fn local_for_others(self) -> Option<SocketAddr> {
        self.local.filter(|address| is_for_others(address.ip()))
    }

    /// The address, if it is one of loopback.
    pub(crate) fn by_loopback(self) -> Option<SocketAddr> {
        [self.asked, self.local].into_iter().flatten().find(|address| address.ip().is_loopback())
    }

    /// These announce URLs, those with this address first. They are added if they are missing: the address of a VPN is none for
    /// everybody, but right for this viewer. `listening` are the addresses on which clients are served.
    pub(crate) fn first(self, listening: &[SocketAddr], urls: Vec<String>) -> Vec<String> {
        let serves = |address: IpAddr| {
            move |listening: &&SocketAddr| {
                let is_any = listening.ip().is_unspecified() && listening.is_ipv4() == address.is_ipv4();
                is_any || listening.ip() == address
            }
        };
        // What another port of the address that the viewer asked for leads to, is not known.
        let address = self.local_for_others().map(|address| address.ip());
        let Some((address, listening)) = address.and_then(|ip| Some((ip, listening.iter().find(serves(ip))?))) else {
            return urls;
        };
        let here = SocketAddr::new(address, listening.port());
        let mut ordered: Vec<String> = Vec::new();
        for url in &urls {
            let Some((scheme, _)) = url.split_once("://") else { continue };
            let url = format!("{scheme}://{here}/announce");
            if !ordered.contains(&url) {
                ordered.push(url);
            }
        }
        let others: Vec<_> = urls.into_iter().filter(|url| !ordered.contains(url)).collect();
        ordered.extend(others);
        ordered
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    #[test]
    fn the_urls_by_which_the_viewer_came_are_first() {
        let all = ["0.0.0.0:6969", "[::]:6969"];
        let urls =
            ["http://10.77.0.1:6969", "http://192.168.5.1:6969", "http://[fd77::1]:6969", "udp://10.77.0.1:6969"];
        for (reached_at, listening, expected) in [
            (
                Some("192.168.5.1"),
                &all[..],
                &[
                    "http://192.168.5.1:6969",
                    "udp://192.168.5.1:6969",
                    "http://10.77.0.1:6969",
                    "http://[fd77::1]:6969",
                    "udp://10.77.0.1:6969",
                ][..],
            ),
            (
                Some("10.77.0.1"),
                &all,
                &["http://10.77.0.1:6969", "udp://10.77.0.1:6969", "http://192.168.5.1:6969", "http://[fd77::1]:6969"],
            ),
            (
                Some("fd77::1"),
                &["[fd77::1]:6969"],
                &[
                    "http://[fd77::1]:6969",
                    "udp://[fd77::1]:6969",
                    "http://10.77.0.1:6969",
                    "http://192.168.5.1:6969",
                    "udp://10.77.0.1:6969",
                ],
            ),
            // Over a VPN, whose address is not for everybody.
            (
                Some("100.101.102.103"),
                &all,
                &[
                    "http://100.101.102.103:6969",
                    "udp://100.101.102.103:6969",
                    "http://10.77.0.1:6969",
                    "http://192.168.5.1:6969",
                    "http://[fd77::1]:6969",
                    "udp://10.77.0.1:6969",
                ],
            ),
            // By what means nothing to others, by an address that does not serve clients, and without a server of our own.
            (Some("127.0.0.1"), &all, &urls),
            (Some("fe80::1"), &all, &urls),
            (Some("192.168.5.1"), &["10.77.0.1:6969"], &urls),
            (Some("fd77::1"), &all[..1], &urls),
            (None, &all, &urls),
        ] {
            let announce = |urls: &[&str]| urls.iter().map(|url| format!("{url}/announce")).collect::<Vec<_>>();
            let listening: Vec<_> = listening.iter().map(|address| address.parse().unwrap()).collect();
            let at = reached_at.map(|address| SocketAddr::new(address.parse().unwrap(), 6970));
            let reached = ReachedAt::new(at, Some(([192, 168, 7, 7], 80).into()));
            assert_eq!(reached.first(&listening, announce(&urls)), announce(expected), "{reached_at:?} {listening:?}");
        }
        assert_eq!(ReachedAt::new(Some(([10, 77, 0, 1], 6970).into()), None).first(&[], Vec::new()), [""; 0]);
    }
    #[tokio::test]
    async fn the_address_that_the_viewer_asked_for_is_the_one_for_others() {
        for (viewer, local, host, expected, loopback) in [
            // The published port of a container, a port that a router forwards, and a proxy.
            ("192.168.1.77", "172.17.0.2:6970", "192.168.1.5:8080", Some("192.168.1.5:8080"), None),
            ("203.0.113.9", "192.168.1.5:6970", "198.51.100.1", Some("198.51.100.1:80"), None),
            ("127.0.0.1", "127.0.0.1:6970", "[fd77::1]:80", Some("[fd77::1]:80"), Some("127.0.0.1:6970")),
            ("192.168.1.77", "192.168.1.5:6970", "192.168.1.5:6970", Some("192.168.1.5:6970"), None),
            // Names, and what means something else to others.
            ("192.168.1.77", "192.168.1.5:6970", "lab-pc.local:80", Some("192.168.1.5:6970"), None),
            ("192.168.1.77", "192.168.1.5:6970", "[fe80::1]:80", Some("192.168.1.5:6970"), None),
            ("192.168.1.77", "192.168.1.5:6970", "0.0.0.0:80", Some("192.168.1.5:6970"), None),
            ("172.17.0.1", "172.17.0.2:6970", "127.0.0.1:8080", Some("172.17.0.2:6970"), None),
            ("127.0.0.1", "127.0.0.1:6970", "127.0.0.1:8080", None, Some("127.0.0.1:8080")),
            ("127.0.0.1", "127.0.0.1:6970", "localhost:6970", None, Some("127.0.0.1:6970")),
        ] {
            let mut request = Request::builder().header(HOST, host).body(()).unwrap();
            let viewer = SocketAddr::new(viewer.parse().unwrap(), 50000);
            request.extensions_mut().insert(ConnectInfo(viewer));
            request.extensions_mut().insert(LocalAddress(local.parse().unwrap()));
            let (mut parts, ()) = request.into_parts();
            let Ok(reached) = ReachedAt::from_request_parts(&mut parts, &()).await;
            let parse = |address: Option<&str>| address.map(|address| address.parse().unwrap());
            assert_eq!((reached.for_others(), reached.by_loopback()), (parse(expected), parse(loopback)), "{host}");
        }
    }
}
