//! URLs and hosts to write into torrents, checked for mistakes that break clients.

use std::collections::HashSet;
use std::net::IpAddr;
use std::str::FromStr;

use ::url::{Host, ParseError};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

const ANNOUNCE_SCHEMES: &[&str] = &["http", "https", "udp", "ws", "wss"];
const WEB_SEED_SCHEMES: &[&str] = &["http", "https", "ftp"];

/// ASCII characters that no part of a URL after the host may hold.
/// See [RFC 3986](https://www.rfc-editor.org/rfc/rfc3986#section-2).
const NOT_IN_URLS: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'[')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// Characters that the name and password before the host may not hold.
const NOT_IN_USERS: &AsciiSet = &NOT_IN_URLS.add(b'@');

/// The value of one `-a`: a tier of announce URLs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AnnounceTier(pub(crate) Vec<Url>);

impl FromStr for AnnounceTier {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Url::parse_list(text, ANNOUNCE_SCHEMES).map(Self)
    }
}

/// The value of one `-w`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WebSeeds(pub(crate) Vec<Url>);

impl FromStr for WebSeeds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Url::parse_list(text, WEB_SEED_SCHEMES).map(Self)
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

/// A URL with an allowed scheme and a valid host, as clients can use it.
///
/// It is written into the torrent as given, because clients and trackers differ in how they normalise URLs. But the scheme is
/// in lower case, the host in ASCII, and what else is no part of a URL percent-encoded, since clients drop the URL otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Url {
    text: String,
    /// The URL as browsers normalise it, without a default port: equal for URLs that lead to the same place.
    normalised: String,
    host: Host,
    path: AnnouncePath,
}

/// How the path of a URL looks for that of a tracker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AnnouncePath {
    /// As usual, or of a protocol in which it does not matter.
    Usual,
    /// A component of it is empty, as in `//announce`.
    EmptyComponent,
    /// What looks like a port stands behind it, as in `/announce:6969`.
    Port,
    /// It is of HTTP, and has no component like `announce` or `announce.php`.
    Unusual,
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
    /// URLs separated by commas.
    fn parse_list(text: &str, schemes: &[&str]) -> Result<Vec<Self>, String> {
        let urls = text.split(',').enumerate().map(|(index, part)| {
            let parsed = Self::parse(part, schemes);
            // What follows a comma and is no URL is more likely the rest of the one before.
            let is_rest = index > 0 && !part.trim().is_empty() && !part.contains("://");
            let has_port = || part.contains(':') && Self::with_scheme(part.trim(), schemes).is_some();
            match parsed {
                Err(error) if is_rest && !has_port() => Err(format!("{error}; write a comma in a URL as %2C")),
                parsed => parsed,
            }
        });
        urls.collect()
    }

    /// The URL that is meant by one without a scheme: one with a port, or of an IP address or a host with a dot and a path.
    fn with_scheme(text: &str, schemes: &[&str]) -> Option<Self> {
        let (authority, tail) = split_authority(text);
        let is_likely = match authority.rsplit_once(':') {
            Some((_, port)) => !port.is_empty(),
            None => authority.parse::<IpAddr>().is_ok() || (authority.contains('.') && !tail.is_empty()),
        };
        Self::parse(&format!("{}://{text}", schemes[0]), schemes).ok().filter(|_| is_likely)
    }

    fn parse(text: &str, schemes: &[&str]) -> Result<Self, String> {
        let text = text.trim();
        let known = || format!("it must begin with {}://", schemes.join("://, "));
        if text.is_empty() {
            return Err("an empty URL".to_owned());
        }
        // The parser drops tabs and newlines, but clients do not.
        let holds_white_space = || Err(format!("{text:?} holds white space"));
        if text.contains(char::is_control) {
            return holds_white_space();
        }
        // Some parsers take it for a slash, others for part of the host.
        if text.contains('\\') {
            return Err(format!("{text:?} holds a backslash, where a URL has slashes"));
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            let meant = Self::with_scheme(text, schemes).map(|url| format!(", as in {}", url.as_str()));
            return Err(format!("{text:?} is not a URL: {}{}", known(), meant.unwrap_or_default()));
        };
        let scheme = scheme.to_ascii_lowercase();
        if !schemes.contains(&scheme.as_str()) {
            return Err(format!("{scheme}:// does not work here: {}", known()));
        }
        // Behind the host a space is encoded.
        if split_authority(rest).0.contains(char::is_whitespace) {
            return holds_white_space();
        }
        let not_a_url = |error| format!("{text:?} is not a URL: {}", in_words(error));
        // The parser takes what follows the slashes for the host, as browsers do.
        if rest.starts_with('/') {
            return Err(not_a_url(ParseError::EmptyHost));
        }
        let url = ::url::Url::parse(text).map_err(not_a_url)?;
        // Parsed again, because the URL parser fully checks the hosts of browser schemes only.
        let host = Host::parse(url.host_str().unwrap_or_default()).map_err(not_a_url)?;
        match url.port_or_known_default() {
            Some(0) => Err(not_a_url(ParseError::InvalidPort)),
            Some(port) => {
                let text = written(&scheme, rest, &host, port);
                let normalised = ::url::Url::parse(&text).map_err(not_a_url)?.into();
                Ok(Self { text, normalised, host, path: AnnouncePath::of(&url) })
            }
            None => Err(format!("{text:?} has no port, which {scheme}:// needs")),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn announce_path(&self) -> AnnouncePath {
        self.path
    }

    /// The host, if libtorrent drops its URLs: it takes no characters but ASCII letters, digits, `-` and `.` in a name.
    pub(crate) fn unusual_host(&self) -> Option<&str> {
        let Host::Domain(name) = &self.host else { return None };
        let is_usual = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
        (!name.bytes().all(is_usual)).then_some(name)
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

impl AnnouncePath {
    fn of(url: &::url::Url) -> Self {
        let path = url.path();
        let ends_in_port = |component: &str| {
            let port = component.rsplit_once(':').map(|(_, port)| port);
            port.is_some_and(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
        };
        let is_announce = |component: &str| component == "announce" || component.starts_with("announce.");
        if path.contains("//") {
            Self::EmptyComponent
        } else if path.split('/').any(ends_in_port) {
            Self::Port
        } else if matches!(url.scheme(), "http" | "https") && !path.split('/').any(is_announce) {
            Self::Unusual
        } else {
            Self::Usual
        }
    }
}

/// The URL of these parts; `rest` is what follows the slashes as it was given. The port stands only where it was given.
fn written(scheme: &str, rest: &str, host: &Host, port: u16) -> String {
    let (authority, tail) = split_authority(rest);
    let (user, address) = match authority.rsplit_once('@') {
        Some((user, address)) => (encoded(user, NOT_IN_USERS) + "@", address),
        None => (String::new(), authority),
    };
    // No colon of an IPv6 address is followed by digits only, up to the end: there is its bracket.
    let has_port = address.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let port = if has_port { format!(":{port}") } else { String::new() };
    format!("{scheme}://{user}{host}{port}{}", encoded(tail, NOT_IN_URLS))
}

/// The host with what is around it, and what follows: path, query and fragment. `rest` is what follows the slashes of a URL.
fn split_authority(rest: &str) -> (&str, &str) {
    rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()))
}

/// The text percent-encoded. A percent sign stays if it stands for a character that is encoded already.
fn encoded(text: &str, set: &'static AsciiSet) -> String {
    let mut parts = text.split('%');
    let mut encoded: String = utf8_percent_encode(parts.next().unwrap_or_default(), set).collect();
    for part in parts {
        let digits = part.as_bytes().get(..2);
        encoded += if digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) { "%" } else { "%25" };
        encoded.extend(utf8_percent_encode(part, set));
    }
    encoded
}

/// The URLs as written into a torrent. Those that are `known` are left out, and the others become known.
pub(crate) fn texts<'u>(urls: &'u [Url], known: &mut HashSet<&'u str>) -> Vec<String> {
    urls.iter().filter(|url| known.insert(&url.normalised)).map(|url| url.text.clone()).collect()
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
            ("udp://[fd00::1]:6969/announce", Reach::Network),
            ("wss://tracker.example", Reach::Network),
            ("http://user:secret@10.0.0.1/announce", Reach::Network),
            ("http://127.0.0.1:6969/announce", Reach::Loopback),
            ("http://127.8.9.1/announce", Reach::Loopback),
            ("udp://127.0.0.1:6969", Reach::Loopback),
            ("http://[::1]:6969/announce", Reach::Loopback),
            ("http://[::ffff:7f00:1]/announce", Reach::Loopback),
            ("http://localhost:6969/announce", Reach::Loopback),
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
    fn urls_are_written_as_clients_can_use_them() {
        for (text, written) in [
            ("HTTP://10.0.0.1:6969/Announce", "http://10.0.0.1:6969/Announce"),
            ("UDP://Tracker.Example:6969", "udp://tracker.example:6969"),
            ("http://müller.example/announce", "http://xn--mller-kva.example/announce"),
            ("udp://MÜLLER.example:6969/announce", "udp://xn--mller-kva.example:6969/announce"),
            ("http://ｔracker。example/announce", "http://tracker.example/announce"),
            ("http://m%C3%BCller.example/announce", "http://xn--mller-kva.example/announce"),
            ("http://127.1:6969/announce", "http://127.0.0.1:6969/announce"),
            ("http://[FD00:0:0::1]:06969/announce", "http://[fd00::1]:6969/announce"),
            ("http://[::ffff:127.0.0.1]/announce", "http://[::ffff:7f00:1]/announce"),
            ("http://a/kurs/übung/announce?key=ä|\"<b>", "http://a/kurs/%C3%BCbung/announce?key=%C3%A4%7C%22%3Cb%3E"),
            ("http://a/announce?key=100%25&x=%zz", "http://a/announce?key=100%25&x=%25zz"),
            ("http://a/100%/announce", "http://a/100%25/announce"),
            ("http://a/announce?x=%", "http://a/announce?x=%25"),
            ("http://a/announce?x=%2", "http://a/announce?x=%252"),
            ("http://a/announce/%é", "http://a/announce/%25%C3%A9"),
            ("http://a/my tracker/announce", "http://a/my%20tracker/announce"),
            (" http://a/announce?key=a  b ", "http://a/announce?key=a%20%20b"),
            ("udp://a:1/my tracker", "udp://a:1/my%20tracker"),
            ("http://a/x\u{a0}y/announce", "http://a/x%C2%A0y/announce"),
            ("http://a/x[1]/announce?y[]=1", "http://a/x%5B1%5D/announce?y%5B%5D=1"),
            ("http://user:p@ss@host/announce", "http://user:p%40ss@host/announce"),
            ("http://a@b:1%@[fd00::1]:80/announce", "http://a%40b:1%25@[fd00::1]:80/announce"),
            ("http://a/@/announce", "http://a/@/announce"),
            ("http://Jürgen:1@a/announce", "http://J%C3%BCrgen:1@a/announce"),
            // As given, though a browser would write it otherwise.
            ("http://a:80", "http://a:80"),
            ("http://a?key", "http://a?key"),
            ("http://a/x/../announce", "http://a/x/../announce"),
        ] {
            let AnnounceTier(urls) = text.parse().unwrap();
            assert_eq!(urls[0].as_str(), written, "{text}");
            let AnnounceTier(again) = written.parse().unwrap();
            assert_eq!(again[0].as_str(), written);
        }
    }

    #[test]
    fn urls_that_lead_to_the_same_place_are_written_once() {
        for (list, written) in [
            ("http://a/announce,http://A:80/announce", &["http://a/announce"][..]),
            ("http://a:80/announce,http://a/announce", &["http://a:80/announce"]),
            ("https://a:443/announce,https://a/announce", &["https://a:443/announce"]),
            ("wss://a,wss://a:443,ws://a:80,ws://a/", &["wss://a", "ws://a:80"]),
            ("http://a,http://a/", &["http://a"]),
            ("https://a:80/announce,https://a/announce", &["https://a:80/announce", "https://a/announce"]),
            ("udp://a:80,udp://a:81,http://a:81", &["udp://a:80", "udp://a:81", "http://a:81"]),
        ] {
            let AnnounceTier(urls) = list.parse().unwrap();
            assert_eq!(texts(&urls, &mut HashSet::new()), written);
        }
    }

    #[test]
    fn hosts_that_clients_drop() {
        for (text, host) in [
            ("http://LAB_PC:6969/announce", Some("lab_pc")),
            ("udp://lab~pc:6969", Some("lab~pc")),
            ("http://lab-pc.example:6969/announce", None),
            ("http://müller.example/announce", None),
            ("http://[fd00::1]/announce", None),
            ("http://10.0.0.1/announce", None),
        ] {
            let AnnounceTier(urls) = text.parse().unwrap();
            assert_eq!(urls[0].unusual_host(), host, "{text}");
        }
    }

    #[test]
    fn announce_paths() {
        use AnnouncePath::{EmptyComponent, Port, Unusual, Usual};
        for (text, path) in [
            ("http://a/announce", Usual),
            ("http://a/announce/key", Usual),
            ("http://a/announce/", Usual),
            ("http://a/key/announce.php?x=/", Usual),
            ("http://a/announce?x=//:1", Usual),
            ("udp://a:1", Usual),
            ("udp://a:1/x", Usual),
            ("wss://a", Usual),
            ("http://a", Unusual),
            ("https://a/", Unusual),
            ("HTTP://a/scrape", Unusual),
            ("http://a/x?/announce", Unusual),
            ("http://a/#/announce", Unusual),
            ("http://announce/", Unusual),
            ("http://a/Announce", Unusual),
            ("http://a/announcement", Unusual),
            ("http://a//announce", EmptyComponent),
            ("http://a/key//announce", EmptyComponent),
            ("http://a/announce//", EmptyComponent),
            ("udp://a:1//announce", EmptyComponent),
            ("http://a/announce:6969", Port),
            ("http://a/announce:6969/", Port),
            ("wss://a/:6969", Port),
        ] {
            let AnnounceTier(urls) = text.parse().unwrap();
            assert_eq!(urls[0].announce_path(), path, "{text}");
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
            ("tracker", "\"tracker\" is not a URL: it must begin with http://, https://, udp://, ws://, wss://"),
            ("ftp://a", "ftp:// does not work here: it must begin with http://, https://, udp://, ws://, wss://"),
            ("http://a b/", "\"http://a b/\" holds white space"),
            ("http://a b@c/", "\"http://a b@c/\" holds white space"),
            ("http://a /", "\"http://a /\" holds white space"),
            ("http://a\u{a0}b/", "\"http://a\\u{a0}b/\" holds white space"),
            ("http://a/x\ty", "\"http://a/x\\ty\" holds white space"),
            ("http://a/x\ny", "\"http://a/x\\ny\" holds white space"),
            ("http://a\\b", "\"http://a\\\\b\" holds a backslash, where a URL has slashes"),
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
    fn an_error_has_the_whole_url() {
        for (text, meant) in [
            ("a:6969/announce", Some("http://a:6969/announce")),
            ("192.168.1.5:6969/announce", Some("http://192.168.1.5:6969/announce")),
            ("[fd00::1]:6969", Some("http://[fd00::1]:6969")),
            ("192.168.1.5", Some("http://192.168.1.5")),
            ("Tracker.example/announce", Some("http://tracker.example/announce")),
            ("http://b/,a:6969/announce", Some("http://a:6969/announce")),
            ("//a:6969/announce", None),
            ("http:/a/announce", None),
            ("lecture.mp4", None),
            ("a:x", None),
        ] {
            let error = text.parse::<AnnounceTier>().unwrap_err();
            let end = format!("ws://, wss://{}", meant.map(|url| format!(", as in {url}")).unwrap_or_default());
            assert!(error.ends_with(&end), "{error}");
        }
    }

    #[test]
    fn an_error_names_what_is_written_for_a_comma() {
        for (text, is_rest) in [
            ("http://h/a, b.txt", true),
            ("http://h/a,b/c.txt", true),
            ("http://h/a,b.d/c.txt", true),
            ("http://h/a,b: c", true),
            ("http://h/%2C,a:6969/b", false),
            ("b.txt", false),
            ("http://h/a,,http://b", false),
            ("http://h/a,gopher://b", false),
        ] {
            let error = text.parse::<WebSeeds>().unwrap_err();
            assert_eq!(error.ends_with("; write a comma in a URL as %2C"), is_rest, "{error}");
        }
        assert_eq!("http://h/a%2Cb".parse::<WebSeeds>().unwrap().0[0].as_str(), "http://h/a%2Cb");
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
