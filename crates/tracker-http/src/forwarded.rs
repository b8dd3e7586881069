//! Whom a proxy speaks for.
//!
//! A reverse proxy is the TCP peer of every request; the client's address stands in `Forwarded`
//! ([RFC 7239](https://www.rfc-editor.org/rfc/rfc7239)) or in the older `X-Forwarded-For`. Anybody can write these, so
//! they count only as far as trusted proxies vouch for them:
//!
//! - The TCP peer must be a trusted proxy, else the headers are not looked at.
//! - The hops are read from the right, where the nearest proxy wrote. Trusted proxies are skipped; the first hop that is
//!   none is the client. When all are trusted, the leftmost is the client.
//! - A header that cannot be read up to that hop (an obfuscated or `unknown` hop, a name, a missing address) is not
//!   believed at all: the TCP peer stands.
//! - A proxy writes one of the two headers and passes the other on as the client sent it. When both are there and name
//!   different clients, there is no telling which is forged: the TCP peer stands.

use std::net::{IpAddr, SocketAddr};

use axum::http::header::FORWARDED;
use axum::http::{HeaderMap, HeaderName};
use ipnet::IpNet;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address of the client that sent a request with these headers over a connection from `peer`.
pub(crate) fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    if !is_trusted(peer, trusted) {
        return peer;
    }
    let forwarded = client_in(headers, &FORWARDED, for_parameter, trusted);
    let x_forwarded_for = client_in(headers, &X_FORWARDED_FOR, |hop| Some(hop), trusted);
    match (forwarded, x_forwarded_for) {
        (Named::Client(one), Named::Client(other)) if one == other => one,
        (Named::Client(client), Named::Nobody) | (Named::Nobody, Named::Client(client)) => client,
        _ => peer,
    }
}

/// Whether `address` belongs to one of the networks.
pub(crate) fn is_trusted(address: IpAddr, trusted: &[IpNet]) -> bool {
    let address = address.to_canonical();
    trusted.iter().any(|network| network.contains(&address))
}

/// What one kind of header says.
enum Named {
    /// It is not there.
    Nobody,
    Client(IpAddr),
    Unreadable,
}

fn client_in(
    headers: &HeaderMap,
    header: &HeaderName,
    node: impl Fn(&str) -> Option<&str>,
    trusted: &[IpNet],
) -> Named {
    let mut leftmost = Named::Nobody;
    // Several lines are one list, in the order of the lines.
    for line in headers.get_all(header).iter().rev() {
        let Ok(line) = line.to_str() else { return Named::Unreadable };
        for hop in line.rsplit(',') {
            let Some(address) = node(hop.trim()).and_then(parse_node) else { return Named::Unreadable };
            if !is_trusted(address, trusted) {
                return Named::Client(address);
            }
            leftmost = Named::Client(address);
        }
    }
    leftmost
}

/// The value of `for=` in one element of `Forwarded`: `for="[2001:db8::1]:47011";proto=https`.
fn for_parameter(element: &str) -> Option<&str> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        if !name.trim().eq_ignore_ascii_case("for") {
            return None;
        }
        let value = value.trim();
        Some(value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value))
    })
}

/// An address with or without brackets, with or without a port.
fn parse_node(node: &str) -> Option<IpAddr> {
    let bracketed = || node.strip_prefix('[')?.strip_suffix(']')?.parse::<IpAddr>().ok().filter(IpAddr::is_ipv6);
    let address = node
        .parse::<IpAddr>()
        .ok()
        .or_else(|| node.parse::<SocketAddr>().ok().map(|address| address.ip()))
        .or_else(bracketed)?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    const PROXY: &str = "10.0.0.1";

    fn client(peer: &str, headers: &[(&'static str, &'static [u8])]) -> String {
        let headers = headers
            .iter()
            .map(|&(name, value)| (HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap()))
            .collect();
        let trusted = ["10.0.0.0/24", "fd00::/64"].map(|network| network.parse().unwrap());
        client_address(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn nobody_but_a_trusted_proxy_is_believed() {
        for peer in ["192.168.1.5", "10.0.1.1", "::1", "2001:db8::1"] {
            let headers: &[(_, &[u8])] = &[("x-forwarded-for", b"1.2.3.4"), ("forwarded", b"for=1.2.3.4")];
            assert_eq!(client(peer, headers), peer);
        }
        assert_eq!(client("::ffff:10.0.0.1", &[("x-forwarded-for", b"1.2.3.4")]), "1.2.3.4");
        assert_eq!(client(PROXY, &[]), PROXY);
    }

    #[test]
    fn the_client_is_the_rightmost_hop_that_is_no_proxy() {
        for (value, expected) in [
            (&b"1.2.3.4"[..], "1.2.3.4"),
            (b"9.9.9.9, 1.2.3.4", "1.2.3.4"),
            (b"9.9.9.9,1.2.3.4 , 10.0.0.7", "1.2.3.4"),
            (b"unknown, 1.2.3.4", "1.2.3.4"),
            (b"10.0.0.9, 10.0.0.7", "10.0.0.9"),
            (b"1.2.3.4:5678", "1.2.3.4"),
            (b"2001:db8::9", "2001:db8::9"),
            (b"[2001:db8::9]", "2001:db8::9"),
            (b"[2001:db8::9]:443, fd00::2", "2001:db8::9"),
            (b"::ffff:1.2.3.4", "1.2.3.4"),
        ] {
            assert_eq!(client(PROXY, &[("x-forwarded-for", value)]), expected, "{}", value.escape_ascii());
        }
        let lines: &[(_, &[u8])] =
            &[("x-forwarded-for", b"9.9.9.9"), ("x-forwarded-for", b"1.2.3.4"), ("x-forwarded-for", b"10.0.0.3")];
        let mut headers = HeaderMap::new();
        for &(name, value) in lines {
            headers.append(name, HeaderValue::from_bytes(value).unwrap());
        }
        let trusted = ["10.0.0.0/24".parse().unwrap()];
        assert_eq!(client_address(PROXY.parse().unwrap(), &headers, &trusted).to_string(), "1.2.3.4");
    }

    #[test]
    fn forwarded_is_read_as_rfc_7239_writes_it() {
        for (value, expected) in [
            (&b"for=192.0.2.60;proto=http;by=203.0.113.43"[..], "192.0.2.60"),
            (b"For=\"[2001:db8:cafe::17]:4711\"", "2001:db8:cafe::17"),
            (b"proto=http; FOR = 192.0.2.60", "192.0.2.60"),
            (b"for=192.0.2.43, for=198.51.100.17", "198.51.100.17"),
            (b"for=192.0.2.43, for=10.0.0.5;by=10.0.0.1", "192.0.2.43"),
            (b"for=\"192.0.2.43:1234\"", "192.0.2.43"),
        ] {
            assert_eq!(client(PROXY, &[("forwarded", value)]), expected, "{}", value.escape_ascii());
        }
    }

    #[test]
    fn what_cannot_be_read_is_not_believed() {
        for value in [
            &b""[..],
            b"unknown",
            b"1.2.3.4, unknown",
            b"1.2.3.4, ",
            b"1.2.3.4.5",
            b"tracker.example",
            b"[1.2.3.4]",
            b"[2001:db8::9",
            b"1.2.3.4:99999",
            b"1.2.3.4\xff",
        ] {
            assert_eq!(client(PROXY, &[("x-forwarded-for", value)]), PROXY, "{}", value.escape_ascii());
        }
        for value in [&b"for=_hidden"[..], b"for=unknown", b"by=1.2.3.4", b"for", b"for=\"1.2.3.4", b"1.2.3.4"] {
            assert_eq!(client(PROXY, &[("forwarded", value)]), PROXY, "{}", value.escape_ascii());
        }
    }

    #[test]
    fn two_headers_must_agree() {
        let agree: &[(_, &[u8])] = &[("x-forwarded-for", b"1.2.3.4"), ("forwarded", b"for=1.2.3.4")];
        assert_eq!(client(PROXY, agree), "1.2.3.4");
        let differ: &[(_, &[u8])] = &[("x-forwarded-for", b"1.2.3.4"), ("forwarded", b"for=9.9.9.9")];
        assert_eq!(client(PROXY, differ), PROXY);
        let unreadable: &[(_, &[u8])] = &[("x-forwarded-for", b"1.2.3.4"), ("forwarded", b"for=_x")];
        assert_eq!(client(PROXY, unreadable), PROXY);
    }
}
