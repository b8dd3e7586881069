//! Which host a request is for, as its sender knows it.

use std::net::IpAddr;

use axum::extract::Request;
use axum::http::header::HOST;
use axum::http::uri::Authority;

/// The host and port in the URL that the sender of a request used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Host {
    name: Name,
    /// `None` for the usual port of the scheme.
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Name {
    Address(IpAddr),
    /// In lower case.
    Name(String),
}

/// It is said twice, or is none.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadHost;

impl Host {
    /// Of a request. Programs that are no browsers may leave it out.
    pub(super) fn of(request: &Request) -> Result<Option<Self>, BadHost> {
        let mut headers = request.headers().get_all(HOST).iter();
        let header = headers.next().map(|host| host.to_str().map_err(|_| BadHost)).transpose()?;
        if headers.next().is_some() {
            return Err(BadHost);
        }
        // A proxy's request has both, and this one goes before the header (RFC 9112, 3.2.2).
        let host = request.uri().authority().map(Authority::as_str).or(header);
        host.map(|host| Self::parse(host).ok_or(BadHost)).transpose()
    }

    fn parse(text: &str) -> Option<Self> {
        let authority: Authority = text.parse().ok()?;
        if text.contains('@') {
            return None;
        }
        let host = authority.host();
        let literal = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let name = literal.parse().map_or_else(
            |_| Name::Name(host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()),
            |address: IpAddr| Name::Address(address.to_canonical()),
        );
        Some(Self { name, port: authority.port_u16() })
    }

    /// The name, if it is none that this machine has for sure or by `names`.
    ///
    /// A page of another site whose name suddenly resolves to this machine (DNS rebinding) has that name as its origin, and the
    /// browser sends it. An address does not resolve to another one, so that any is right: what this machine does not have may
    /// still lead here, where a router forwards the port.
    pub(super) fn unknown<'a>(&'a self, names: &[String]) -> Option<&'a str> {
        match &self.name {
            Name::Address(_) => None,
            Name::Name(name) if name == "localhost" => None,
            Name::Name(name) => {
                let is_it = |known: &String| known.strip_suffix('.').unwrap_or(known).eq_ignore_ascii_case(name);
                (!names.iter().any(is_it)).then_some(name)
            }
        }
    }

    /// Whether it means the sender's own machine, whatever that is.
    pub(super) fn is_loopback(&self) -> bool {
        match &self.name {
            Name::Address(address) => address.is_loopback(),
            Name::Name(name) => name == "localhost",
        }
    }

    /// Whether pages of this `Origin` come from it. The scheme does not matter: there may be a proxy that speaks TLS.
    pub(super) fn is_origin(&self, origin: &str) -> bool {
        let (scheme, host) = origin.split_once("://").unwrap_or_default();
        let usual = match scheme {
            "http" => 80,
            "https" => 443,
            _ => return false,
        };
        Self::parse(host).is_some_and(|origin| {
            origin.name == self.name && origin.port.unwrap_or(usual) == self.port.unwrap_or(usual)
        })
    }

    /// The port, or that of HTTP.
    pub(super) fn port(&self) -> u16 {
        self.port.unwrap_or(80)
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn host(text: &str) -> Host {
        Host::parse(text).unwrap()
    }

    #[test]
    fn addresses_and_names_of_this_machine_are_known() {
        let names = ["Lab-PC".to_owned(), "lab-pc.local.".to_owned()];
        for text in [
            "192.168.1.5:6970",
            "203.0.113.9",
            "127.0.0.1:6970",
            "[::1]:6970",
            "[fd77::1]",
            "localhost:1",
            "LOCALHOST.",
            "lab-pc:6970",
            "LAB-PC.local",
            "lab-pc.",
        ] {
            assert_eq!(host(text).unknown(&names), None, "{text}");
        }
        for (text, name) in [
            ("evil.example:6970", "evil.example"),
            ("lab-pc.evil.example", "lab-pc.evil.example"),
            ("127.0.0.1.nip.io", "127.0.0.1.nip.io"),
            ("localhost.evil.example", "localhost.evil.example"),
            ("127.1", "127.1"),
            ("2130706433", "2130706433"),
        ] {
            assert_eq!(host(text).unknown(&names), Some(name), "{text}");
        }
        for text in ["", "a b", "me@127.0.0.1", "127.0.0.1@evil.example", "http://127.0.0.1", "::1"] {
            assert_eq!(Host::parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_request_line_goes_before_the_header() {
        let of = |uri: &str, hosts: &[&str]| {
            let request = hosts.iter().fold(Request::builder().uri(uri), |request, host| request.header(HOST, *host));
            Host::of(&request.body(Body::empty()).unwrap())
        };
        assert_eq!(of("/", &[]), Ok(None));
        assert_eq!(of("/", &["127.0.0.1:1"]), Ok(Some(host("127.0.0.1:1"))));
        assert_eq!(of("http://evil.example/", &["127.0.0.1:1"]), Ok(Some(host("evil.example"))));
        assert_eq!(of("/", &["127.0.0.1:1", "127.0.0.1:1"]), Err(BadHost));
        assert_eq!(of("/", &["a b"]), Err(BadHost));
        assert_eq!(of("/", &["gr\u{fc}n"]), Err(BadHost));
    }

    #[test]
    fn the_own_machine_is_loopback() {
        for (text, is_loopback) in [
            ("localhost:6970", true),
            ("127.0.0.1:6970", true),
            ("127.9.9.9", true),
            ("[::1]:6970", true),
            ("[::ffff:127.0.0.1]", true),
            ("192.168.1.5", false),
            ("lab-pc", false),
        ] {
            assert_eq!(host(text).is_loopback(), is_loopback, "{text}");
        }
    }

    #[test]
    fn an_origin_is_a_host_and_a_port() {
        for (text, origin, is_origin) in [
            ("127.0.0.1:6970", "http://127.0.0.1:6970", true),
            ("Lab-PC:6970", "http://lab-pc:6970", true),
            ("[::1]:6970", "http://[::1]:6970", true),
            ("lab.example", "http://lab.example", true),
            ("lab.example", "https://lab.example", true),
            ("lab.example:443", "https://lab.example", true),
            ("lab.example:80", "http://lab.example", true),
            ("lab.example:80", "https://lab.example", false),
            ("127.0.0.1:6970", "http://127.0.0.1:6971", false),
            ("127.0.0.1:6970", "http://127.0.0.1", false),
            ("127.0.0.1:6970", "http://localhost:6970", false),
            ("127.0.0.1:6970", "http://evil.example:6970", false),
            ("127.0.0.1:6970", "http://127.0.0.1:6970.evil.example", false),
            ("127.0.0.1:6970", "ftp://127.0.0.1:6970", false),
            ("127.0.0.1:6970", "null", false),
            ("127.0.0.1:6970", "", false),
            ("127.0.0.1:6970", "127.0.0.1:6970", false),
        ] {
            assert_eq!(host(text).is_origin(origin), is_origin, "{text} {origin}");
        }
    }
}
