//! URLs and hosts that are written into torrents, checked for what clients stumble over.

use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

const ANNOUNCE_SCHEMES: &[&str] = &["http", "https", "udp", "ws", "wss"];
const WEB_SEED_SCHEMES: &[&str] = &["http", "https", "ftp"];

/// One `-a`: announce URLs of equal rank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AnnounceTier(pub(crate) Vec<Url>);

impl FromStr for AnnounceTier {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let urls = text.split(',').map(|url| Url::parse(url, ANNOUNCE_SCHEMES));
        urls.collect::<Result<_, _>>().map(Self)
    }
}

/// One `-w`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WebSeeds(pub(crate) Vec<Url>);

impl FromStr for WebSeeds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let urls = text.split(',').map(|url| Url::parse(url, WEB_SEED_SCHEMES));
        urls.collect::<Result<_, _>>().map(Self)
    }
}

/// A DHT node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl FromStr for Node {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (host, port) = split_port(text)?;
        let port = port.ok_or_else(|| format!("{text:?} has no port, as in {text}:6881"))?;
        Ok(Self { host: host.trim_start_matches('[').trim_end_matches(']').to_owned(), port })
    }
}

/// A URL with a scheme that makes sense in its place and a host that can exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Url {
    text: String,
    host: String,
}

impl Url {
    fn parse(text: &str, schemes: &[&str]) -> Result<Self, String> {
        let text = text.trim();
        let known = || format!("it must begin with {}://", schemes.join("://, "));
        if text.is_empty() {
            return Err("an empty URL".to_owned());
        }
        if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(format!("{text:?} holds white space"));
        }
        let (scheme, rest) = text.split_once("://").ok_or_else(|| format!("{text:?} is not a URL: {}", known()))?;
        let scheme = scheme.to_ascii_lowercase();
        if !schemes.contains(&scheme.as_str()) {
            return Err(format!("{scheme}:// does not work here: {}", known()));
        }
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let (_, address) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (host, port) = split_port(address)?;
        // The other schemes have a port of their own.
        if scheme == "udp" && port.is_none() {
            return Err(format!("{text:?} has no port, which udp:// needs"));
        }
        Ok(Self { text: text.to_owned(), host: host.to_owned() })
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether only programs on the same machine can reach it.
    pub(crate) fn is_loopback(&self) -> bool {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        let name = host.trim_end_matches('.').to_ascii_lowercase();
        match host.parse::<IpAddr>() {
            Ok(address) => address.to_canonical().is_loopback(),
            Err(_) => name == "localhost" || name.ends_with(".localhost"),
        }
    }
}

/// Cuts `host`, `host:port`, `[v6]` or `[v6]:port`; the host keeps its brackets.
fn split_port(address: &str) -> Result<(&str, Option<u16>), String> {
    let host_end = match address.strip_prefix('[') {
        Some(rest) => {
            let end = rest.find(']').ok_or_else(|| format!("{address:?} lacks its closing bracket"))?;
            if rest[..end].parse::<Ipv6Addr>().is_err() {
                return Err(format!("{:?} is not an IPv6 address", &rest[..end]));
            }
            end + 2
        }
        None => address.find(':').unwrap_or(address.len()),
    };
    let (host, port) = address.split_at(host_end);
    if host.is_empty() {
        return Err(format!("{address:?} has no host"));
    }
    match port.strip_prefix(':') {
        None if port.is_empty() => Ok((host, None)),
        None => Err(format!("{address:?} is not a host with a port")),
        Some("") => Ok((host, None)),
        Some(number) if number.contains(':') => {
            Err(format!("{address:?} is not a host: an IPv6 address stands in brackets"))
        }
        Some(number) => match number.parse() {
            Ok(port @ 1_u16..) => Ok((host, Some(port))),
            _ => Err(format!("{number:?} is not a port, which is a number from 1 to 65535")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn announce_urls() {
        for (text, loopback) in [
            ("http://192.168.1.10:6969/announce", false),
            ("https://tracker.example/announce?key=a", false),
            ("udp://10.0.0.1:6969", false),
            ("UDP://[fd00::1]:6969/announce", false),
            ("wss://tracker.example", false),
            ("http://user:secret@10.0.0.1/announce", false),
            ("http://127.0.0.1:6969/announce", true),
            ("http://127.8.9.1/announce", true),
            ("http://[::1]:6969/announce", true),
            ("http://[::ffff:127.0.0.1]/announce", true),
            ("http://LOCALHOST:6969/announce", true),
            ("http://tracker.localhost./announce", true),
            ("http://localhost.example/announce", false),
        ] {
            let AnnounceTier(urls) = text.parse().unwrap();
            assert_eq!(urls.len(), 1);
            assert_eq!(urls[0].as_str(), text);
            assert_eq!(urls[0].is_loopback(), loopback, "{text}");
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
            ("http:///announce", "\"\" has no host"),
            ("http://:80/", "\":80\" has no host"),
            ("http://a:0/", "\"0\" is not a port, which is a number from 1 to 65535"),
            ("http://a:65536/", "\"65536\" is not a port, which is a number from 1 to 65535"),
            ("http://a:x/", "\"x\" is not a port, which is a number from 1 to 65535"),
            ("http://fd00::1/", "\"fd00::1\" is not a host: an IPv6 address stands in brackets"),
            ("http://[fd00::g]/", "\"fd00::g\" is not an IPv6 address"),
            ("http://[::1", "\"[::1\" lacks its closing bracket"),
            ("http://[::1]x/", "\"[::1]x\" is not a host with a port"),
            ("http://a b/", "\"http://a b/\" holds white space"),
            ("udp://a/announce", "\"udp://a/announce\" has no port, which udp:// needs"),
        ] {
            assert_eq!(text.parse::<AnnounceTier>(), Err(message.to_owned()), "{text}");
        }
        assert!("udp://a:1".parse::<WebSeeds>().is_err());
    }

    #[test]
    fn nodes() {
        let node = |host: &str, port| Ok(Node { host: host.to_owned(), port });
        assert_eq!("router.example:6881".parse(), node("router.example", 6881));
        assert_eq!("[fd00::1]:6881".parse(), node("fd00::1", 6881));
        assert!("router.example".parse::<Node>().is_err());
        assert!(":6881".parse::<Node>().is_err());
        assert!("fd00::1".parse::<Node>().is_err());
    }
}
