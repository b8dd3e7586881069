//! The client behind a proxy.
//!
//! A reverse proxy is the TCP peer of every request; the client's address stands in `Forwarded`
//! ([RFC 7239](https://www.rfc-editor.org/rfc/rfc7239)), in the older `X-Forwarded-For`, or in `X-Real-IP`. Anybody can write
//! these, so they count only as far as trusted proxies vouch for them:
//!
//! - The TCP peer must be a trusted proxy, else the headers are not looked at.
//! - The hops are read from the right, where the nearest proxy wrote. Trusted proxies are skipped; the first hop that is
//!   none is the client. When all are trusted, the leftmost is the client.
//! - A loopback hop is on the machine of the proxy that wrote it down, and stands for that proxy's own address, unless
//!   that is loopback as well.
//! - `X-Real-IP`, which has one address, is read only where neither of these is there.
//! - Without any of the three headers the TCP peer itself is the client, since clients may run on the proxy's machine, too.
//! - A header that cannot be read up to the client (an obfuscated or `unknown` hop, a name, a missing address) is an
//!   error. Were the TCP peer taken instead, anybody could get the proxy's rights by adding such a header.
//! - A proxy writes one of `Forwarded` and `X-Forwarded-For` and passes the other on as the client sent it. When both are there
//!   and name different clients, there is no telling which is forged: an error, too.

use std::net::{IpAddr, SocketAddr};

use axum::http::header::FORWARDED;
use axum::http::{HeaderMap, HeaderName};
use ipnet::IpNet;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// Why a trusted proxy is not believed. The texts are fit for the user of a client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ForwardedError {
    /// A header does not say where the request came from.
    #[error("the tracker's proxy sent a header {header} without the address of the client")]
    Unreadable { header: HeaderName },
    /// The two headers name different clients.
    #[error("the tracker's proxy sent the headers {FORWARDED} and {X_FORWARDED_FOR} with different clients")]
    Conflict,
}

/// The address of the client that sent a request with these headers over a connection from `peer`. Both are canonical: `peer`
/// because it is that of a [`Connection`](http_server::Connection), and hops because [`parse_node`] makes them so.
pub(crate) fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> Result<IpAddr, ForwardedError> {
    if !is_trusted(peer, trusted) {
        return Ok(peer);
    }
    let forwarded = client_in(peer, headers, FORWARDED, for_parameter, trusted)?;
    let x_forwarded_for = client_in(peer, headers, X_FORWARDED_FOR, |hop| Some(hop), trusted)?;
    match (forwarded, x_forwarded_for) {
        (Some(one), Some(other)) if one != other => Err(ForwardedError::Conflict),
        (None, None) => Ok(real_ip(peer, headers)?.unwrap_or(peer)),
        (forwarded, x_forwarded_for) => Ok(forwarded.or(x_forwarded_for).unwrap_or(peer)),
    }
}

/// The client that `X-Real-IP` names, if it is there. It has no list of hops, so that two lines of it name no client.
fn real_ip(peer: IpAddr, headers: &HeaderMap) -> Result<Option<IpAddr>, ForwardedError> {
    let mut lines = headers.get_all(X_REAL_IP).iter();
    let (line, another) = (lines.next(), lines.next());
    let Some(line) = line else { return Ok(None) };
    let address = line.to_str().ok().filter(|_| another.is_none()).and_then(|node| parse_node(node.trim()));
    let address = address.ok_or(ForwardedError::Unreadable { header: X_REAL_IP })?;
    Ok(Some(at_writer(address, peer)))
}

/// The address of a hop: loopback stands for the machine of the proxy that wrote it.
fn at_writer(hop: IpAddr, writer: IpAddr) -> IpAddr {
    if hop.is_loopback() && !writer.is_loopback() { writer } else { hop }
}

/// Returns `true` if a request has one of the headers that proxies add.
pub(crate) fn speaks_for_others(headers: &HeaderMap) -> bool {
    [X_FORWARDED_FOR, FORWARDED, X_REAL_IP].iter().any(|header| headers.contains_key(header))
}

/// Returns `true` if `address`, which is canonical, belongs to one of the networks.
pub(crate) fn is_trusted(address: IpAddr, trusted: &[IpNet]) -> bool {
    trusted.iter().any(|network| network.contains(&address))
}

/// The client that one kind of header names, if it is there.
fn client_in(
    peer: IpAddr,
    headers: &HeaderMap,
    header: HeaderName,
    node: impl Fn(&str) -> Option<&str>,
    trusted: &[IpNet],
) -> Result<Option<IpAddr>, ForwardedError> {
    let unreadable = || ForwardedError::Unreadable { header: header.clone() };
    let mut writer = peer;
    let mut leftmost = None;
    // Several lines are one list, in the order of the lines.
    for line in headers.get_all(&header).iter().rev() {
        for hop in line.to_str().map_err(|_| unreadable())?.rsplit(',') {
            let address = node(hop.trim()).and_then(parse_node).ok_or_else(unreadable)?;
            let address = at_writer(address, writer);
            if !is_trusted(address, trusted) {
                return Ok(Some(address));
            }
            writer = address;
            leftmost = Some(address);
        }
    }
    Ok(leftmost)
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
    use http_server::Connection;

    use super::*;

    const PROXY: &str = "10.0.0.1";

    fn try_client(peer: &str, headers: &[(&'static str, &'static [u8])]) -> Result<String, ForwardedError> {
        let mut lines = HeaderMap::new();
        for &(name, value) in headers {
            lines.append(name, HeaderValue::from_bytes(value).unwrap());
        }
        let trusted = ["10.0.0.0/24", "fd00::/64", "127.0.0.1/32"].map(|network| network.parse().unwrap());
        let local = SocketAddr::from(([10, 0, 0, 2], 6969));
        let connection = Connection::new(SocketAddr::new(peer.parse().unwrap(), 50000), local);
        client_address(connection.remote().ip(), &lines, &trusted).map(|client| client.to_string())
    }

    fn client(peer: &str, headers: &[(&'static str, &'static [u8])]) -> String {
        try_client(peer, headers).unwrap()
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        for peer in ["192.168.1.5", "10.0.1.1", "::1", "2001:db8::1"] {
            let headers: &[(_, &[u8])] = &[("x-forwarded-for", b"1.2.3.4"), ("forwarded", b"for=1.2.3.4")];
            assert_eq!(client(peer, headers), peer);
        }
        assert_eq!(client("::ffff:10.0.0.1", &[("x-forwarded-for", b"1.2.3.4")]), "1.2.3.4");
    }

    #[test]
    fn without_a_header_the_request_is_of_the_proxys_machine() {
        for proxy in [PROXY, "127.0.0.1", "fd00::1"] {
            assert_eq!(client(proxy, &[]), proxy);
        }
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
        assert_eq!(client(PROXY, lines), "1.2.3.4");
    }

    #[test]
    fn a_loopback_hop_is_the_machine_of_the_proxy_that_saw_it() {
        for (peer, value, expected) in [
            (PROXY, &b"127.0.0.1"[..], PROXY),
            ("::ffff:10.0.0.1", b"127.0.0.1", PROXY),
            (PROXY, b"::1", PROXY),
            (PROXY, b"127.4.5.6:80", PROXY),
            (PROXY, b"9.9.9.9, 127.0.0.1, 1.2.3.4", "1.2.3.4"),
            (PROXY, b"127.0.0.1, 10.0.0.7", "10.0.0.7"),
            (PROXY, b"1.2.3.4, 127.0.0.1", "1.2.3.4"),
            (PROXY, b"1.2.3.4, 127.0.0.1, 10.0.0.7", "1.2.3.4"),
            ("127.0.0.1", b"127.0.0.1", "127.0.0.1"),
            ("127.0.0.1", b"::1", "::1"),
            ("127.0.0.1", b"127.0.0.1, 10.0.0.7", "10.0.0.7"),
        ] {
            assert_eq!(client(peer, &[("x-forwarded-for", value)]), expected, "{peer}: {}", value.escape_ascii());
        }
        assert_eq!(client(PROXY, &[("forwarded", b"for=\"[::1]:80\"")]), PROXY);
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
    fn unreadable_headers_are_errors() {
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
            let error = ForwardedError::Unreadable { header: X_FORWARDED_FOR };
            assert_eq!(try_client(PROXY, &[("x-forwarded-for", value)]), Err(error), "{}", value.escape_ascii());
        }
        for value in [&b"for=_hidden"[..], b"for=unknown", b"by=1.2.3.4", b"for", b"for=\"1.2.3.4", b"1.2.3.4"] {
            let error = ForwardedError::Unreadable { header: FORWARDED };
            assert_eq!(try_client(PROXY, &[("forwarded", value)]), Err(error), "{}", value.escape_ascii());
        }
    }

    #[test]
    fn x_real_ip_counts_where_no_other_header_is() {
        for (peer, value, expected) in [
            (PROXY, &b"1.2.3.4"[..], "1.2.3.4"),
            (PROXY, b" [2001:db8::9]:443", "2001:db8::9"),
            (PROXY, b"::ffff:1.2.3.4", "1.2.3.4"),
            // Another proxy, whose machine a client may run on.
            (PROXY, b"10.0.0.7", "10.0.0.7"),
            (PROXY, b"127.0.0.1", PROXY),
            ("127.0.0.1", b"::1", "::1"),
            ("192.168.1.5", b"1.2.3.4", "192.168.1.5"),
        ] {
            assert_eq!(client(peer, &[("x-real-ip", value)]), expected, "{peer}: {}", value.escape_ascii());
        }
        for value in [&b""[..], b"unknown", b"1.2.3.4, 5.6.7.8", b"1.2.3.4\xff"] {
            let error = ForwardedError::Unreadable { header: X_REAL_IP };
            assert_eq!(try_client(PROXY, &[("x-real-ip", value)]), Err(error), "{}", value.escape_ascii());
        }
        let twice: &[(_, &[u8])] = &[("x-real-ip", b"1.2.3.4"), ("x-real-ip", b"1.2.3.4")];
        assert_eq!(try_client(PROXY, twice), Err(ForwardedError::Unreadable { header: X_REAL_IP }));
        // A client has sent it, and the proxy passed it on beside its own.
        for header in [("x-forwarded-for", &b"1.2.3.4"[..]), ("forwarded", b"for=1.2.3.4")] {
            assert_eq!(client(PROXY, &[("x-real-ip", b"9.9.9.9"), header]), "1.2.3.4");
            assert_eq!(client(PROXY, &[("x-real-ip", b"unknown"), header]), "1.2.3.4");
        }
    }

    #[test]
    fn two_headers_must_agree() {
        let agree: &[(_, &[u8])] = &[("x-forwarded-for", b"1.2.3.4"), ("forwarded", b"for=1.2.3.4")];
        assert_eq!(client(PROXY, agree), "1.2.3.4");
        let differ: &[(_, &[u8])] = &[("x-forwarded-for", b"1.2.3.4"), ("forwarded", b"for=9.9.9.9")];
        assert_eq!(try_client(PROXY, differ), Err(ForwardedError::Conflict));
        let unreadable: &[(_, &[u8])] = &[("x-forwarded-for", b"1.2.3.4"), ("forwarded", b"for=_x")];
        assert_eq!(try_client(PROXY, unreadable), Err(ForwardedError::Unreadable { header: FORWARDED }));
        let all_trusted: &[(_, &[u8])] = &[("x-forwarded-for", b"1.2.3.4"), ("forwarded", b"for=10.0.0.9")];
        assert_eq!(try_client(PROXY, all_trusted), Err(ForwardedError::Conflict));
    }
}
