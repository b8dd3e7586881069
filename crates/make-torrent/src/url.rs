//! URLs and hosts to write into torrents, checked for mistakes that break clients.

use std::net::IpAddr;
use std::str::FromStr;

use ::url::{Host, ParseError};

const ANNOUNCE_SCHEMES: &[&str] = &["http", "https", "udp", "ws", "wss"];
const WEB_SEED_SCHEMES: &[&str] = &["http", "https", "ftp"];

/// The value of one `-a`: a tier of announce URLs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AnnounceTier(pub(crate) Vec<Url>);

impl FromStr for AnnounceTier {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let urls = text.split(',').map(|url| Url::parse(url, ANNOUNCE_SCHEMES));
        urls.collect::<Result<_, _>>().map(Self)
    }
}

/// The value of one `-w`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WebSeeds(pub(crate) Vec<Url>);

impl FromStr for WebSeeds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let urls = text.split(',').map(|url| Url::parse(url, WEB_SEED_SCHEMES));
        urls.collect::<Result<_, _>>().map(Self)
    }
}

/// A DHT node. An IPv6 address stands without brackets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl FromStr for Node {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (host, port) = text.rsplit_once(':').ok_or_else(|| format!("{text:?} has no port, as in {text}:6881"))?;
        let not_a_node = |error| format!("{text:?} is not a host with a port: {}", in_words(error));
        let port = port.parse().ok().filter(|&port| port > 0).ok_or_else(|| not_a_node(ParseError::InvalidPort))?;
        let host = match Host::parse(host).map_err(not_a_node)? {
            Host::Ipv6(address) => address.to_string(),
            host @ (Host::Ipv4(_) | Host::Domain(_)) => host.to_string(),
        };
        Ok(Self { host, port })
    }
}

/// A URL with an allowed scheme and a valid host.
///
/// It is written into the torrent as given, because clients and trackers differ in how they normalise URLs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Url {
    text: String,
    host: Host,
    /// `true` if it is an HTTP URL whose path has no component like `announce` or `announce.php`.
    lacks_announce: bool,
}

/// The set of machines that can use an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Other machines. Host names other than `localhost` count as such.
    Network,
    /// Only the machine itself.
    Loopback,
    /// None: programs can listen on it, but not connect to it.
    Unspecified,
    /// Machines on the same network segment; with IPv6 only if the interface is given too.
    LinkLocal,
}

impl Url {
    fn parse(text: &str, schemes: &[&str]) -> Result<Self, String> {
        let text = text.trim();
        let known = || format!("it must begin with {}://", schemes.join("://, "));
        if text.is_empty() {
            return Err("an empty URL".to_owned());
        }
        // The parser drops white space, but clients do not.
        if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(format!("{text:?} holds white space"));
        }
        let (scheme, rest) = text.split_once("://").ok_or_else(|| format!("{text:?} is not a URL: {}", known()))?;
        let scheme = scheme.to_ascii_lowercase();
        if !schemes.contains(&scheme.as_str()) {
            return Err(format!("{scheme}:// does not work here: {}", known()));
        }
        let not_a_url = |error| format!("{text:?} is not a URL: {}", in_words(error));
        // The parser takes what follows the slashes for the host, as browsers do.
        if rest.starts_with(['/', '\\']) {
            return Err(not_a_url(ParseError::EmptyHost));
        }
        let url = ::url::Url::parse(text).map_err(not_a_url)?;
        // Parsed again, because the URL parser fully checks the hosts of browser schemes only.
        let host = Host::parse(url.host_str().unwrap_or_default()).map_err(not_a_url)?;
        match url.port_or_known_default() {
            Some(0) => Err(not_a_url(ParseError::InvalidPort)),
            Some(_) => {
                let is_web = matches!(url.scheme(), "http" | "https");
                let mut components = url.path().split('/');
                let lacks_announce = is_web && !components.any(|component| component.starts_with("announce"));
                Ok(Self { text: text.to_owned(), host, lacks_announce })
            }
            None => Err(format!("{text:?} has no port, which {scheme}:// needs")),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns `true` if it is an HTTP URL without the usual path of trackers.
    pub(crate) fn lacks_announce(&self) -> bool {
        self.lacks_announce
    }

    pub(crate) fn reach(&self) -> Reach {
        let canonical = match &self.host {
            Host::Ipv4(address) => IpAddr::V4(*address),
            Host::Ipv6(address) => address.to_canonical(),
            Host::Domain(name) => {
                let name = name.trim_end_matches('.');
                let is_loopback = name == "localhost" || name.ends_with(".localhost");
                return if is_loopback { Reach::Loopback } else { Reach::Network };
            }
        };
        let is_link_local = match canonical {
            IpAddr::V4(address) => address.is_link_local(),
            IpAddr::V6(address) => address.is_unicast_link_local(),
        };
        match canonical {
            _ if canonical.is_loopback() => Reach::Loopback,
            _ if canonical.is_unspecified() => Reach::Unspecified,
            _ if is_link_local => Reach::LinkLocal,
            _ => Reach::Network,
        }
    }
}

/// The URLs as written into a torrent.
pub(crate) fn texts(urls: &[Url]) -> Vec<String> {
    urls.iter().map(|url| url.text.clone()).collect()
}

fn in_words(error: ParseError) -> &'static str {
    match error {
        ParseError::EmptyHost => "it has no host",
        ParseError::InvalidIpv4Address => "that is not an IPv4 address",
        ParseError::InvalidIpv6Address => "that is not an IPv6 address",
        // An IPv6 address without brackets gives an invalid port or an invalid host.
        ParseError::InvalidPort => "a port is a number from 1 to 65535, and an IPv6 address stands in brackets",
        _ => "no host has such a name, and an IPv6 address stands in brackets",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORT: &str = "a port is a number from 1 to 65535, and an IPv6 address stands in brackets";
    const NAME: &str = "no host has such a name, and an IPv6 address stands in brackets";

    #[test]
    fn announce_urls() {
        for (text, reach) in [
            ("http://192.168.1.10:6969/announce", Reach::Network),
            ("https://tracker.example/announce?key=a", Reach::Network),
            ("udp://10.0.0.1:6969", Reach::Network),
            ("UDP://[fd00::1]:6969/announce", Reach::Network),
            ("wss://tracker.example", Reach::Network),
            ("http://user:secret@10.0.0.1/announce", Reach::Network),
            ("http://127.0.0.1:6969/announce", Reach::Loopback),
            ("http://127.8.9.1/announce", Reach::Loopback),
            ("udp://127.0.0.1:6969", Reach::Loopback),
            ("http://127.1/announce", Reach::Loopback),
            ("http://müller.example/announce", Reach::Network),
            ("http://[::1]:6969/announce", Reach::Loopback),
            ("http://[::ffff:127.0.0.1]/announce", Reach::Loopback),
            ("http://LOCALHOST:6969/announce", Reach::Loopback),
            ("http://tracker.localhost./announce", Reach::Loopback),
            ("http://localhost.example/announce", Reach::Network),
            ("http://0.0.0.0:6969/announce", Reach::Unspecified),
            ("udp://[::]:6969", Reach::Unspecified),
            ("http://169.254.1.2/announce", Reach::LinkLocal),
            ("http://[fe80::1]:6969/announce", Reach::LinkLocal),
        ] {
            let AnnounceTier(urls) = text.parse().unwrap();
            assert_eq!(urls.len(), 1);
            assert_eq!(urls[0].as_str(), text);
            assert_eq!(urls[0].reach(), reach, "{text}");
        }
    }

    #[test]
    fn announce_paths() {
        for (text, lacks) in [
            ("http://a/announce", false),
            ("http://a/announce/key", false),
            ("http://a/key/announce.php?x=/", false),
            ("udp://a:1", false),
            ("udp://a:1/x", false),
            ("wss://a", false),
            ("http://a", true),
            ("https://a/", true),
            ("HTTP://a/scrape", true),
            ("http://a/x?/announce", true),
            ("http://a/#/announce", true),
            ("http://announce/", true),
        ] {
            let AnnounceTier(urls) = text.parse().unwrap();
            assert_eq!(urls[0].lacks_announce(), lacks, "{text}");
        }
    }

    #[test]
    fn tiers() {
        let AnnounceTier(urls) = "http://a/announce,udp://b:1".parse().unwrap();
        let urls: Vec<_> = urls.iter().map(Url::as_str).collect();
        assert_eq!(urls, ["http://a/announce", "udp://b:1"]);
    }

    #[test]
    fn refused() {
        for (text, message) in [
            ("", "an empty URL"),
            ("http://a,,http://b", "an empty URL"),
            (
                "192.168.1.10:6969",
                "\"192.168.1.10:6969\" is not a URL: \
                 it must begin with http://, https://, udp://, ws://, wss://",
            ),
            ("ftp://a", "ftp:// does not work here: it must begin with http://, https://, udp://, ws://, wss://"),
            ("http://a b/", "\"http://a b/\" holds white space"),
            ("udp://a/announce", "\"udp://a/announce\" has no port, which udp:// needs"),
        ] {
            assert_eq!(text.parse::<AnnounceTier>(), Err(message.to_owned()), "{text}");
        }
        for (text, reason) in [
            ("http:///announce", "it has no host"),
            ("udp:///announce", "it has no host"),
            ("http://:80/", "it has no host"),
            ("udp://:80/", "it has no host"),
            ("http://a:0/", PORT),
            ("udp://a:0/", PORT),
            ("http://a:65536/", PORT),
            ("http://a:x/", PORT),
            ("http://fd00::1/", PORT),
            ("http://[fd00::g]/", "that is not an IPv6 address"),
            ("http://[::1", "that is not an IPv6 address"),
            ("http://[::1]x/", "that is not an IPv6 address"),
            ("http://10.0.0.256/", "that is not an IPv4 address"),
            ("udp://10.0.0.256:1/", "that is not an IPv4 address"),
            ("http://a<b/", NAME),
        ] {
            let message = format!("{text:?} is not a URL: {reason}");
            assert_eq!(text.parse::<AnnounceTier>(), Err(message), "{text}");
        }
        assert!("udp://a:1".parse::<WebSeeds>().is_err());
    }

    #[test]
    fn nodes() {
        let node = |host: &str, port| Ok(Node { host: host.to_owned(), port });
        assert_eq!("router.example:6881".parse(), node("router.example", 6881));
        assert_eq!("Müller.example:6881".parse(), node("xn--mller-kva.example", 6881));
        assert_eq!("[fd00::1]:6881".parse(), node("fd00::1", 6881));
        assert_eq!("10.0.0.1:6881".parse(), node("10.0.0.1", 6881));
        let no_port = "\"router.example\" has no port, as in router.example:6881";
        assert_eq!("router.example".parse::<Node>(), Err(no_port.to_owned()));
        for (text, reason) in [
            (":6881", "it has no host"),
            ("a:0", PORT),
            ("[fd00::1]", PORT),
            ("fd00::1", NAME),
            ("[fd00::g]:1", "that is not an IPv6 address"),
        ] {
            let message = format!("{text:?} is not a host with a port: {reason}");
            assert_eq!(text.parse::<Node>(), Err(message), "{text}");
        }
    }
}
