//! The header of version 2 of the PROXY protocol.
//!
//! A proxy that passes on bytes, without reading the HTTP in them, sends it before everything else, with the addresses of the
//! connection that it was asked by ([specification](https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt)). Anybody can
//! write one, so it is read only where a trusted proxy may have sent it. Version 1, which is text, is not read.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The first bytes of a header.
pub(crate) const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// Bytes before the addresses: signature, version and command, family and transport, and the length of the rest.
const FIXED_LEN: usize = 16;

/// Bytes of a header. Addresses end it after 52 bytes at most. What may follow are fields that the tracker does not need: a host
/// name of up to 255 bytes, an id of up to 128, and what is known of a client's certificate. The format would allow 64 KiB.
pub(crate) const MAX_PROXY_HEADER_BYTES: usize = 4 << 10;

/// A header of version 2 of the [PROXY protocol](https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProxyHeader {
    /// The client's address, and the address that it connected to. `None` where the proxy connects for itself, as for a health
    /// check, or does not know them: the addresses of its own connection count then.
    pub addresses: Option<(SocketAddr, SocketAddr)>,
    /// Bytes of the header. What follows is the client's.
    pub len: usize,
}

/// Why there is no header to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyHeaderError {
    /// The bytes do not begin as a header does.
    #[error("there is no header of the PROXY protocol")]
    Missing,
    /// It is of another version than 2.
    #[error("the header of the PROXY protocol has version {version}: let the proxy send version 2")]
    Version {
        /// The version.
        version: u8,
    },
    /// The command is neither LOCAL nor PROXY.
    #[error("the header of the PROXY protocol has the unknown command {command}")]
    Command {
        /// The command.
        command: u8,
    },
    /// The client's connection to the proxy is not TCP over IPv4 or IPv6.
    #[error(
        "the header of the PROXY protocol is for connections of the kind {family:#04x}: let the proxy pass on TCP over IPv4 or IPv6"
    )]
    Family {
        /// Address family and transport, as they are in the header.
        family: u8,
    },
    /// It ends before its addresses do.
    #[error("the header of the PROXY protocol has {len} bytes, too few for its addresses")]
    TooShort {
        /// Bytes of the header.
        len: usize,
    },
    /// It has more bytes than are read.
    #[error(
        "the header of the PROXY protocol has {len} bytes, more than {MAX_PROXY_HEADER_BYTES}: let the proxy send fewer fields"
    )]
    TooLong {
        /// Bytes of the header.
        len: usize,
    },
}

impl ProxyHeader {
    /// Reads the header at the beginning of `bytes`, which may have up to 4 KiB; `None` if more bytes are needed.
    ///
    /// # Errors
    ///
    /// Returns [`ProxyHeaderError`] if the bytes are not the beginning of a header, or of one that is not for TCP over IPv4 or IPv6.
    pub fn parse(bytes: &[u8]) -> Result<Option<Self>, ProxyHeaderError> {
        let common = bytes.len().min(SIGNATURE.len());
        if bytes[..common] != SIGNATURE[..common] {
            return Err(ProxyHeaderError::Missing);
        }
        let Some((fixed, rest)) = bytes.split_first_chunk::<FIXED_LEN>() else { return Ok(None) };
        let (version, command, family) = (fixed[12] >> 4, fixed[12] & 0xf, fixed[13]);
        let rest_len = usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
        let len = FIXED_LEN + rest_len;
        if version != 2 {
            return Err(ProxyHeaderError::Version { version });
        }
        if len > MAX_PROXY_HEADER_BYTES {
            return Err(ProxyHeaderError::TooLong { len });
        }
        let Some(rest) = rest.get(..rest_len) else { return Ok(None) };
        let too_short = ProxyHeaderError::TooShort { len };
        let addresses = match (command, family) {
            // What a proxy says of itself is not looked at, nor what it does not know.
            (0, _) | (1, 0x00) => None,
            (1, 0x11) => Some(v4_addresses(rest).ok_or(too_short)?),
            (1, 0x21) => Some(v6_addresses(rest).ok_or(too_short)?),
            (1, _) => return Err(ProxyHeaderError::Family { family }),
            _ => return Err(ProxyHeaderError::Command { command }),
        };
        Ok(Some(Self { addresses, len }))
    }

    /// The client, if the proxy at this address connects for one. Its IP address is canonical.
    ///
    /// Loopback is the machine of the proxy, and stands for the proxy's own address, unless that is loopback as well.
    pub fn client(&self, proxy: IpAddr) -> Option<SocketAddr> {
        let (mut client, _) = self.addresses?;
        let (ip, proxy) = (client.ip().to_canonical(), proxy.to_canonical());
        client.set_ip(if ip.is_loopback() && !proxy.is_loopback() { proxy } else { ip });
        Some(client)
    }
}

/// Source and destination, then their ports.
fn v4_addresses(bytes: &[u8]) -> Option<(SocketAddr, SocketAddr)> {
    let (source, rest) = bytes.split_first_chunk::<4>()?;
    let (destination, rest) = rest.split_first_chunk::<4>()?;
    with_ports(Ipv4Addr::from(*source).into(), Ipv4Addr::from(*destination).into(), rest)
}

fn v6_addresses(bytes: &[u8]) -> Option<(SocketAddr, SocketAddr)> {
    let (source, rest) = bytes.split_first_chunk::<16>()?;
    let (destination, rest) = rest.split_first_chunk::<16>()?;
    with_ports(Ipv6Addr::from(*source).into(), Ipv6Addr::from(*destination).into(), rest)
}

fn with_ports(source: IpAddr, destination: IpAddr, ports: &[u8]) -> Option<(SocketAddr, SocketAddr)> {
    let ports = ports.first_chunk::<4>()?;
    let port = |at: usize| u16::from_be_bytes([ports[at], ports[at + 1]]);
    Some((SocketAddr::new(source, port(0)), SocketAddr::new(destination, port(2))))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::proxy_header_invariants::proxy_header;

    fn header(begin: [u8; 2], rest: &[u8]) -> Vec<u8> {
        let len = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &begin, &len, rest].concat()
    }

    const V4: &[u8] = &[10, 0, 0, 9, 10, 0, 0, 1, 0x1f, 0x90, 0x1b, 0x39];
    const V6: &[u8] = b"\xfd\x77\0\0\0\0\0\0\0\0\0\0\0\0\0\x09\xfd\x77\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x1f\x90\x1b\x39";

    #[test]
    fn addresses_are_those_of_the_header() {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let v4 = Some((at("10.0.0.9:8080"), at("10.0.0.1:6969")));
        let v6 = Some((at("[fd77::9]:8080"), at("[fd77::1]:6969")));
        // A field of type NOOP, with two bytes.
        let field = [0x04, 0, 2, 0, 0];
        for (begin, rest, addresses) in [
            ([0x21, 0x11], V4.to_vec(), v4),
            ([0x21, 0x11], [V4, &field].concat(), v4),
            ([0x21, 0x21], V6.to_vec(), v6),
            ([0x21, 0x21], [V6, &field].concat(), v6),
            // LOCAL, and what is not known.
            ([0x20, 0x00], vec![], None),
            ([0x20, 0x11], V4.to_vec(), None),
            ([0x20, 0x31], vec![], None),
            ([0x21, 0x00], vec![], None),
            ([0x21, 0x00], field.to_vec(), None),
        ] {
            let header = header(begin, &rest);
            let expected = ProxyHeader { addresses, len: header.len() };
            assert_eq!(ProxyHeader::parse(&header), Ok(Some(expected)));
            assert_eq!(ProxyHeader::parse(&[&header, &b"GET / HTTP/1.1"[..]].concat()), Ok(Some(expected)));
            for len in 0..header.len() {
                assert_eq!(ProxyHeader::parse(&header[..len]), Ok(None), "{len} bytes");
            }
        }
    }

    #[test]
    fn what_is_no_header_is_named() {
        let long = MAX_PROXY_HEADER_BYTES - FIXED_LEN;
        for (bytes, error) in [
            (b"GET / HTTP/1.1\r\n\r\n".to_vec(), ProxyHeaderError::Missing),
            (b"\r\n\r\nGET / HTTP/1.1\r\n\r\n".to_vec(), ProxyHeaderError::Missing),
            (b"PROXY TCP4 10.0.0.9 10.0.0.1 8080 6969\r\n".to_vec(), ProxyHeaderError::Missing),
            (b"\x16\x03\x01".to_vec(), ProxyHeaderError::Missing),
            (header([0x11, 0x11], V4), ProxyHeaderError::Version { version: 1 }),
            (header([0x22, 0x11], V4), ProxyHeaderError::Command { command: 2 }),
            (header([0x21, 0x12], V4), ProxyHeaderError::Family { family: 0x12 }),
            (header([0x21, 0x31], &[0; 216]), ProxyHeaderError::Family { family: 0x31 }),
            (header([0x21, 0x11], &V4[1..]), ProxyHeaderError::TooShort { len: 27 }),
            (header([0x21, 0x21], &V6[1..]), ProxyHeaderError::TooShort { len: 51 }),
            // Without waiting for all of it.
            (header([0x21, 0x11], &vec![0; long + 1])[..FIXED_LEN].to_vec(), ProxyHeaderError::TooLong { len: 4097 }),
        ] {
            assert_eq!(ProxyHeader::parse(&bytes), Err(error), "{}", bytes.escape_ascii());
        }
        assert!(ProxyHeader::parse(&header([0x21, 0x11], &vec![0; long])).unwrap().is_some());
    }

    #[test]
    fn loopback_is_the_machine_of_the_proxy() {
        for (source, proxy, client) in [
            ("10.0.0.9:1", "10.0.0.2", "10.0.0.9:1"),
            ("127.0.0.1:1", "10.0.0.2", "10.0.0.2:1"),
            ("[::1]:1", "::ffff:10.0.0.2", "10.0.0.2:1"),
            ("[::ffff:127.0.0.1]:1", "10.0.0.2", "10.0.0.2:1"),
            ("[::ffff:10.0.0.9]:1", "127.0.0.1", "10.0.0.9:1"),
            ("127.0.0.1:1", "::1", "127.0.0.1:1"),
        ] {
            let addresses = Some((source.parse().unwrap(), "10.0.0.1:6969".parse().unwrap()));
            let header = ProxyHeader { addresses, len: 28 };
            assert_eq!(header.client(proxy.parse().unwrap()), Some(client.parse().unwrap()), "{source} {proxy}");
        }
        let own = ProxyHeader { addresses: None, len: 16 };
        assert_eq!(own.client(Ipv4Addr::LOCALHOST.into()), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..80), cut in 0..=16_usize) {
            proxy_header(&bytes);
            let fixed = header([0x21, 0x11], &bytes);
            proxy_header(&[&fixed[..cut], &bytes].concat());
            proxy_header(&fixed);
        }
    }
}
