//! The address by which a viewer reached the dashboard.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::client::LocalAddress;
use super::page_addresses::is_for_others;

/// The address of this machine by which a viewer reached the dashboard, where it is known. It is one that works in the viewer's
/// network.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReachedAt(Option<SocketAddr>);

impl<S: Send + Sync> FromRequestParts<S> for ReachedAt {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(parts.extensions.get().map(|&LocalAddress(local)| local)))
    }
}

impl ReachedAt {
    #[cfg(test)]
    pub(crate) fn new(address: Option<SocketAddr>) -> Self {
        Self(address)
    }

    /// The address, if it means the same on other machines.
    pub(crate) fn for_others(self) -> Option<SocketAddr> {
        self.0.filter(|address| is_for_others(address.ip()))
    }

    /// The address, if it is one of loopback.
    pub(crate) fn by_loopback(self) -> Option<SocketAddr> {
        self.0.filter(|address| address.ip().is_loopback())
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
        let address = self.for_others().map(|address| address.ip());
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
            let reached = ReachedAt(reached_at.map(|address| SocketAddr::new(address.parse().unwrap(), 6970)));
            assert_eq!(reached.first(&listening, announce(&urls)), announce(expected), "{reached_at:?} {listening:?}");
        }
        assert_eq!(ReachedAt(Some(([10, 77, 0, 1], 6970).into())).first(&[], Vec::new()), [""; 0]);
    }
}
