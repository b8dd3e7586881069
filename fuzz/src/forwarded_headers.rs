//! The headers of proxies.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use axum::http::{HeaderMap, HeaderName};

use crate::forwarded::{client_address, is_trusted};
use crate::header_lines::headers;

/// The names that a line of the input may begin with, by its first byte.
const NAMES: [&str; 4] = ["forwarded", "x-forwarded-for", "x-real-ip", "via"];

/// Who is no trusted proxy is believed nothing; a trusted one
/// names at most one client, which is canonical, and never its own loopback as that of the tracker.
pub(crate) fn forwarded(input: &[u8]) {
    let mut lines = HeaderMap::new();
    for (name, value) in headers(input, &NAMES.map(HeaderName::from_static)) {
        lines.append(name, value);
    }
    let trusted = ["10.0.0.0/24", "fd00::/64", "127.0.0.1/32"].map(|network| network.parse().expect("a network"));
    let stranger = IpAddr::from(Ipv4Addr::new(192, 168, 1, 5));
    assert_eq!(client_address(stranger, &lines, &trusted), Ok(stranger));
    for proxy in [[10, 0, 0, 1].into(), Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1).into(), [127, 0, 0, 1].into()] {
        let proxy: IpAddr = proxy;
        let Ok(client) = client_address(proxy, &lines, &trusted) else { continue };
        assert_eq!(client, client.to_canonical());
        assert!(proxy.is_loopback() || !client.is_loopback() || is_trusted(client, &trusted), "{proxy}: {client}");
        if NAMES[..3].iter().all(|name| !lines.contains_key(*name)) {
            assert_eq!(client, proxy);
        }
    }
}
