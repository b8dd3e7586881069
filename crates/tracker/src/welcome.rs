//! What the operator is told at the start.

use std::fmt::{self, Display};
use std::net::{IpAddr, SocketAddr};

/// Where clients find the tracker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AnnounceUrls {
    /// For torrents, the best first.
    pub(crate) lan: Vec<String>,
    /// For clients on this machine, where that is all there is.
    pub(crate) loopback: Option<String>,
}

impl AnnounceUrls {
    /// The URLs of a tracker that listens at `listening` on a machine with these LAN addresses.
    pub(crate) fn new(listening: &[SocketAddr], lan: &[IpAddr]) -> Self {
        let mut addresses: Vec<SocketAddr> = Vec::new();
        for listening in listening.iter().filter(|listening| !listening.ip().is_loopback()) {
            if listening.ip().is_unspecified() {
                let of_family = lan.iter().filter(|address| address.is_ipv4() == listening.is_ipv4());
                addresses.extend(of_family.map(|&address| SocketAddr::new(address, listening.port())));
            } else {
                addresses.push(*listening);
            }
        }
        addresses.sort_by_key(SocketAddr::is_ipv6);
        let loopback = listening.iter().find_map(|&listening| match listening.ip() {
            IpAddr::V4(v4) if v4.is_unspecified() => Some(SocketAddr::from(([127, 0, 0, 1], listening.port()))),
            IpAddr::V6(v6) if v6.is_unspecified() => {
                Some(SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], listening.port())))
            }
            ip => ip.is_loopback().then_some(listening),
        });
        let mut urls = Vec::new();
        for address in addresses.into_iter().map(url) {
            if !urls.contains(&address) {
                urls.push(address);
            }
        }
        Self { loopback: loopback.filter(|_| urls.is_empty()).map(url), lan: urls }
    }
}

fn url(address: SocketAddr) -> String {
    format!("http://{address}/announce")
}

/// The start-up text.
#[derive(Debug)]
pub(crate) struct Welcome<'a> {
    pub(crate) urls: &'a AnnounceUrls,
    /// Whether the tracker listens on loopback addresses only.
    pub(crate) loopback_only: bool,
}

impl Display for Welcome<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.urls.lan {
            [] if self.loopback_only => {
                writeln!(f, "The tracker listens on a loopback address: only clients on this machine can use it, by")?;
            }
            [] => {
                writeln!(
                    f,
                    "This machine has no address on a LAN (only loopback, link-local, container or tunnel ones), so there \
                     is no announce URL for other machines. Connect it to the network and start the tracker again."
                )?;
                writeln!(f, "Clients on this machine can use")?;
            }
            [_] => writeln!(f, "The announce URL to put into torrents:")?,
            [_, ..] => {
                writeln!(f, "The announce URLs, each by another address of this machine; the first suits most:")?
            }
        }
        self.urls.lan.iter().chain(&self.urls.loopback).try_for_each(|url| writeln!(f, "    {url}"))?;
        if !self.urls.lan.is_empty() {
            writeln!(f, "If other machines cannot reach it, see `tracker --firewall`.")?;
        }
        writeln!(f, "Ctrl-C stops the tracker.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls(listening: &[&str], lan: &[&str]) -> AnnounceUrls {
        let listening: Vec<_> = listening.iter().map(|address| address.parse().unwrap()).collect();
        let lan: Vec<_> = lan.iter().map(|address| address.parse().unwrap()).collect();
        AnnounceUrls::new(&listening, &lan)
    }

    #[test]
    fn urls_follow_what_is_listened_on() {
        let lan = ["192.168.1.5", "10.77.0.1", "fd77::1"];
        for (listening, expected) in [
            (
                &["0.0.0.0:6969", "[::]:6969"][..],
                &[
                    "http://192.168.1.5:6969/announce",
                    "http://10.77.0.1:6969/announce",
                    "http://[fd77::1]:6969/announce",
                ][..],
            ),
            (&["[::]:6969", "10.77.0.1:80"], &["http://10.77.0.1:80/announce", "http://[fd77::1]:6969/announce"]),
            (&["10.77.0.1:80", "127.0.0.1:80"], &["http://10.77.0.1:80/announce"]),
            (
                &["10.77.0.1:6969", "0.0.0.0:6969"],
                &["http://10.77.0.1:6969/announce", "http://192.168.1.5:6969/announce"],
            ),
        ] {
            let urls = urls(listening, &lan);
            assert_eq!(urls.lan, expected, "{listening:?}");
            assert_eq!(urls.loopback, None);
        }
    }

    #[test]
    fn without_the_lan_there_is_loopback() {
        for (listening, expected) in [
            (&["0.0.0.0:6969", "[::]:6969"][..], "http://127.0.0.1:6969/announce"),
            (&["[::]:6969"], "http://[::1]:6969/announce"),
            (&["127.0.0.1:4000"], "http://127.0.0.1:4000/announce"),
        ] {
            assert_eq!(urls(listening, &[]), AnnounceUrls { lan: vec![], loopback: Some(expected.to_owned()) });
        }
        let loopback = urls(&["127.0.0.1:4000"], &["192.168.1.5"]);
        assert_eq!(loopback.loopback.as_deref(), Some("http://127.0.0.1:4000/announce"));
    }

    #[test]
    fn the_text_says_what_is_the_matter() {
        let text = |urls, loopback_only| Welcome { urls: &urls, loopback_only }.to_string();
        let one = text(urls(&["10.77.0.1:80"], &[]), false);
        assert!(one.starts_with("The announce URL to put into torrents:\n    http://10.77.0.1:80/announce\n"), "{one}");
        assert!(one.contains("--firewall"));
        let loopback = text(urls(&["127.0.0.1:80"], &["10.77.0.1"]), true);
        assert!(loopback.contains("only clients on this machine"), "{loopback}");
        let none = text(urls(&["0.0.0.0:80"], &[]), false);
        assert!(none.contains("no address on a LAN") && none.contains("http://127.0.0.1:80/announce"), "{none}");
    }
}
