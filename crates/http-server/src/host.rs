//! The host that a request is for.
//!
//! A page of another site whose name suddenly resolves to this machine (DNS rebinding) is, for its browser, of the same origin
//! as this machine's own pages, and may do here what they may. The browser sends that name as the host, so a server that
//! answers only to names that are its own is safe from it.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use hyper::Request;
use hyper::header::HOST;
use hyper::http::uri::Authority;

/// The host and port of the URL that the sender of a request used.
#[derive(Debug, Clone, Copy)]
pub struct Host<'a> {
    name: Name<'a>,
    /// `None` for the default port of the scheme.
    port: Option<u16>,
}

#[derive(Debug, Clone, Copy)]
enum Name<'a> {
    Address(IpAddr),
    /// In any case, without the dot that may end it.
    Dns(&'a str),
}

impl PartialEq for Name<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Address(one), Self::Address(other)) => one == other,
            (Self::Dns(one), Self::Dns(other)) => one.eq_ignore_ascii_case(other),
            _ => false,
        }
    }
}

/// Why a request has no readable host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// There are several `Host` headers.
    #[error("the request has several Host headers")]
    Several,
    /// The text is not a host.
    #[error("the request has a Host header that is neither a name nor an address")]
    Malformed,
}

impl<'a> Host<'a> {
    /// The host of a request; `None` where there is none, which programs other than browsers may leave out.
    ///
    /// # Errors
    ///
    /// Returns [`HostError`] if the host is not readable, or given twice.
    pub fn of<B>(request: &'a Request<B>) -> Result<Option<Self>, HostError> {
        let mut headers = request.headers().get_all(HOST).iter();
        let header = headers.next();
        if headers.next().is_some() {
            return Err(HostError::Several);
        }
        // A proxy's request has both, and this one goes before the header (RFC 9112, 3.2.2).
        match (request.uri().authority().map(Authority::as_str), header) {
            (Some(authority), _) => Self::parse(authority.as_bytes()).map(Some),
            (None, Some(header)) => Self::parse(header.as_bytes()).map(Some),
            (None, None) => Ok(None),
        }
    }

    /// Reads a name or an address, with or without a port. An IPv6 address stands in brackets.
    ///
    /// # Errors
    ///
    /// Returns [`HostError`] if the text is anything else.
    pub fn parse(text: &'a [u8]) -> Result<Self, HostError> {
        str::from_utf8(text).ok().and_then(Self::parse_text).ok_or(HostError::Malformed)
    }

    fn parse_text(text: &'a str) -> Option<Self> {
        let (name, port) = if let Some(bracketed) = text.strip_prefix('[') {
            let (address, port) = bracketed.split_once(']')?;
            // The zone means something to the sender only.
            let address = address.split('%').next().unwrap_or_default();
            (Name::Address(address.parse::<Ipv6Addr>().ok()?.into()), port)
        } else {
            let (name, port) = text.split_at(text.find(':').unwrap_or(text.len()));
            let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            if name.is_empty() || !name.bytes().all(is_of_name) {
                return None;
            }
            (name.parse().map_or_else(|_| Name::Dns(name.strip_suffix('.').unwrap_or(name)), Name::Address), port)
        };
        let name = match name {
            Name::Address(address) => Name::Address(address.to_canonical()),
            Name::Dns(name) => Name::Dns(name),
        };
        let port = match port.strip_prefix(':') {
            None if port.is_empty() => None,
            Some("") => None,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => Some(digits.parse().ok()?),
            _ => return None,
        };
        Some(Self { name, port })
    }

    /// The name, unless it is `localhost` or one of `known`.
    ///
    /// `None` for an address, too: an address does not resolve to another one, so that any is right. One that this machine
    /// does not have may still lead here, where a router forwards the port.
    pub fn unknown_name(&self, known: &[String]) -> Option<&'a str> {
        match self.name {
            Name::Address(_) => None,
            Name::Dns(name) => {
                let is_known = |known: &str| known.strip_suffix('.').unwrap_or(known).eq_ignore_ascii_case(name);
                (!is_known("localhost") && !known.iter().any(|known| is_known(known))).then_some(name)
            }
        }
    }

    /// Returns `true` for a name that only the own network can resolve: a single label, or one that ends in `.local`. No
    /// site of the internet has such a name.
    pub fn is_of_local_network(&self) -> bool {
        match self.name {
            Name::Address(_) => false,
            Name::Dns(name) => {
                let last = name.rsplit('.').next().unwrap_or_default();
                last == name || last.eq_ignore_ascii_case("local")
            }
        }
    }

    /// Returns `true` if it means the sender's own machine.
    pub fn is_loopback(&self) -> bool {
        match self.name {
            Name::Address(address) => address.is_loopback(),
            Name::Dns(name) => name.eq_ignore_ascii_case("localhost"),
        }
    }

    /// Returns `true` if pages of this `Origin` come from here. The scheme does not matter: there may be a proxy that speaks
    /// TLS.
    pub fn is_origin(&self, origin: &str) -> bool {
        let (scheme, host) = origin.split_once("://").unwrap_or_default();
        let default_port = match scheme {
            "http" => 80,
            "https" => 443,
            _ => return false,
        };
        Host::parse_text(host).is_some_and(|origin| {
            origin.name == self.name && origin.port.unwrap_or(default_port) == self.port.unwrap_or(default_port)
        })
    }

    /// The same host with another port, as it is written in a URL.
    pub fn with_port(&self, port: u16) -> String {
        match self.name {
            Name::Address(address) => SocketAddr::new(address, port).to_string(),
            Name::Dns(name) => format!("{name}:{port}"),
        }
    }

    /// The address and port, unless it is a name. `default_port` is that of the scheme.
    pub fn address(&self, default_port: u16) -> Option<SocketAddr> {
        match self.name {
            Name::Address(address) => Some(SocketAddr::new(address, self.port.unwrap_or(default_port))),
            Name::Dns(_) => None,
        }
    }

    /// The port, or that of HTTP.
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(80)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> Host<'_> {
        Host::parse(text.as_bytes()).unwrap()
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
            assert_eq!(host(text).unknown_name(&names), None, "{text}");
        }
        for (text, name) in [
            ("evil.example:6970", "evil.example"),
            ("lab-pc.evil.example", "lab-pc.evil.example"),
            ("127.0.0.1.nip.io", "127.0.0.1.nip.io"),
            ("localhost.evil.example", "localhost.evil.example"),
            ("127.1", "127.1"),
            ("2130706433", "2130706433"),
            ("LAB-PC.evil.example.", "LAB-PC.evil.example"),
        ] {
            assert_eq!(host(text).unknown_name(&names), Some(name), "{text}");
        }
        for text in [
            "",
            "a b",
            "me@127.0.0.1",
            "127.0.0.1@evil.example",
            "http://127.0.0.1",
            "::1",
            "a:b",
            "a:99999",
            "[a]",
            "[::1",
        ] {
            Host::parse(text.as_bytes()).unwrap_err();
        }
    }

    #[test]
    fn the_request_line_goes_before_the_header() {
        let of = |uri: &str, hosts: &[&str]| {
            let request = hosts.iter().fold(Request::builder().uri(uri), |request, host| request.header(HOST, *host));
            let request = request.body(()).unwrap();
            Host::of(&request).map(|host| host.map(|host| format!("{host:?}")))
        };
        let is = |text| Ok(Some(format!("{:?}", host(text))));
        assert_eq!(of("/", &[]), Ok(None));
        assert_eq!(of("/", &["127.0.0.1:1"]), is("127.0.0.1:1"));
        assert_eq!(of("http://evil.example/", &["127.0.0.1:1"]), is("evil.example"));
        assert_eq!(of("/", &["127.0.0.1:1", "127.0.0.1:1"]), Err(HostError::Several));
        assert_eq!(of("/", &["a b"]), Err(HostError::Malformed));
        assert_eq!(of("/", &["gr\u{fc}n"]), Err(HostError::Malformed));
    }

    #[test]
    fn names_of_the_local_network_are_single_labels_and_those_of_mdns() {
        for (text, is_local) in [
            ("lab-pc:6969", true),
            ("LAB_PC", true),
            ("lab-pc.", true),
            ("lab-pc.local", true),
            ("Lab-PC.LOCAL.:6969", true),
            ("a.b.local", true),
            ("lab-pc.localx", false),
            ("local.evil.example", false),
            ("evil.example", false),
            ("127.0.0.1.nip.io", false),
            ("192.168.1.5", false),
        ] {
            assert_eq!(host(text).is_of_local_network(), is_local, "{text}");
        }
    }

    #[test]
    fn a_host_has_other_ports() {
        for (text, with_port) in [
            ("192.168.1.5:6969", "192.168.1.5:6970"),
            ("[fd77::1]", "[fd77::1]:6970"),
            ("lab-pc.local.:6969", "lab-pc.local:6970"),
        ] {
            assert_eq!(host(text).with_port(6970), with_port);
        }
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
