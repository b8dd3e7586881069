//! The page for people that is beside a server for clients.

use std::net::{IpAddr, SocketAddr};
use std::sync::{PoisonError, RwLock};

use tracker_core::AnnounceError;

/// The addresses at which this machine has a page for people, to which those are led who come to a port for clients.
///
/// ```
/// use tracker_host::Pages;
///
/// let pages = Pages::default();
/// assert_eq!(pages.url([10, 0, 0, 9].into(), [10, 0, 0, 1].into()), None);
/// pages.set(vec!["0.0.0.0:6970".parse().unwrap()]);
/// assert_eq!(pages.url([10, 0, 0, 9].into(), [10, 0, 0, 1].into()).unwrap(), "http://10.0.0.1:6970/");
/// ```
#[derive(Debug, Default)]
pub struct Pages(RwLock<Vec<SocketAddr>>);

impl Pages {
    /// Sets the addresses of the page.
    pub fn set(&self, addresses: Vec<SocketAddr>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = addresses;
    }

    /// The port of the page for those who reach this address of the machine, if there is one.
    pub fn port(&self, local: IpAddr) -> Option<u16> {
        let serves = |page: &&SocketAddr| {
            page.ip() == local || (page.ip().is_unspecified() && page.is_ipv4() == local.is_ipv4())
        };
        let pages = self.0.read().unwrap_or_else(PoisonError::into_inner);
        pages.iter().find(serves).map(SocketAddr::port)
    }

    /// The text that refuses an announce of a client at `remote` that has reached `local`: a user whose key is not valid gets another one
    /// on the page.
    pub fn refusal(&self, error: &AnnounceError, remote: IpAddr, local: IpAddr) -> String {
        let url = if *error == AnnounceError::UnknownUser { self.url(remote, local) } else { None };
        url.map_or_else(|| error.to_string(), |url| format!("{error} from {url}"))
    }

    /// The URL of the page for a client at `remote` that has reached `local`, if there is one. Of somebody who came through a proxy on
    /// this machine the address that it has reached is not known.
    pub fn url(&self, remote: IpAddr, local: IpAddr) -> Option<String> {
        let local = local.to_canonical();
        if local.is_loopback() && !remote.to_canonical().is_loopback() {
            return None;
        }
        self.port(local).map(|port| format!("http://{}/", SocketAddr::new(local, port)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_has_the_address_that_was_reached() {
        let pages = Pages::default();
        pages.set(vec!["10.0.0.1:80".parse().unwrap(), "[::]:6970".parse().unwrap()]);
        for (remote, local, expected) in [
            ("10.0.0.9", "10.0.0.1", Some("http://10.0.0.1:80/")),
            ("::ffff:10.0.0.9", "::ffff:10.0.0.1", Some("http://10.0.0.1:80/")),
            ("10.0.0.9", "10.0.1.1", None),
            ("fd77::9", "fd77::1", Some("http://[fd77::1]:6970/")),
            ("::1", "::1", Some("http://[::1]:6970/")),
            ("fd77::9", "::1", None),
        ] {
            assert_eq!(pages.url(remote.parse().unwrap(), local.parse().unwrap()).as_deref(), expected, "{remote}");
        }
    }
}
