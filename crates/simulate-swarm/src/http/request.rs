//! The requests of BEP 3 and 48, in the words of libtorrent.

use std::io::Write;

use crate::ask::Announce;
use crate::persona;
use crate::target::Protocol;

/// The text that all requests to one tracker share.
#[derive(Debug)]
pub(crate) struct RequestText {
    announce: String,
    scrape: String,
    headers: String,
}

impl RequestText {
    /// Prepares the text. `None` if the tracker does not speak HTTP.
    pub(crate) fn new(protocol: &Protocol, keeps_connections: bool) -> Option<Self> {
        let Protocol::Http { host, announce, scrape } = protocol else { return None };
        let connection = if keeps_connections { "" } else { "Connection: close\r\n" };
        let version = env!("CARGO_PKG_VERSION");
        Some(Self {
            announce: format!("GET {announce}"),
            scrape: format!("GET {}", scrape.as_deref().unwrap_or_default()),
            headers: format!(
                " HTTP/1.1\r\nHost: {host}\r\nUser-Agent: simulate-swarm/{version}\r\nAccept-Encoding: gzip\r\n\
                 {connection}\r\n"
            ),
        })
    }

    /// Replaces the content of `out` with an announce.
    pub(crate) fn announce(
        &self,
        out: &mut Vec<u8>,
        info_hash: &[u8; 20],
        (number, port): (u32, u16),
        announce: &Announce,
    ) {
        out.clear();
        out.extend_from_slice(self.announce.as_bytes());
        info_hash_parameter(out, info_hash);
        out.extend_from_slice(b"&peer_id=");
        out.extend_from_slice(&persona::peer_id(number));
        let (uploaded, downloaded) = (persona::uploaded(number), persona::downloaded(number));
        let (left, key) = (persona::left(number, announce.is_seed), persona::key(number));
        write(
            out,
            format_args!(
                "&port={port}&uploaded={uploaded}&downloaded={downloaded}&left={left}&corrupt=0&key={key:08X}"
            ),
        );
        if let Some(event) = announce.event.name() {
            out.extend_from_slice(b"&event=");
            out.extend_from_slice(event.as_bytes());
        }
        let numwant = announce.numwant;
        write(out, format_args!("&numwant={numwant}&compact=1&no_peer_id=1&supportcrypto=1&redundant=0"));
        out.extend_from_slice(self.headers.as_bytes());
    }

    /// Replaces the content of `out` with a scrape.
    pub(crate) fn scrape<'a>(&self, out: &mut Vec<u8>, info_hashes: impl Iterator<Item = &'a [u8; 20]>) {
        out.clear();
        out.extend_from_slice(self.scrape.as_bytes());
        for (index, info_hash) in info_hashes.enumerate() {
            if index > 0 {
                out.push(b'&');
            }
            info_hash_parameter(out, info_hash);
        }
        out.extend_from_slice(self.headers.as_bytes());
    }
}

fn write(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a Vec takes everything");
}

fn info_hash_parameter(out: &mut Vec<u8>, info_hash: &[u8; 20]) {
    out.extend_from_slice(b"info_hash=");
    for &byte in info_hash {
        if byte.is_ascii_alphanumeric() || b"-_.!~*()".contains(&byte) {
            out.push(byte);
        } else {
            let digit = |nibble: u8| b"0123456789abcdef"[usize::from(nibble)];
            out.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ask::Event;
    use crate::population::Snapshot;

    fn text(keeps_connections: bool) -> RequestText {
        let protocol = Protocol::Http {
            host: "t:1".to_owned(),
            announce: "/announce?".to_owned(),
            scrape: Some("/scrape?k=1&".to_owned()),
        };
        RequestText::new(&protocol, keeps_connections).unwrap()
    }

    #[test]
    fn an_announce_reads_as_one_of_libtorrent() {
        let request = Announce {
            place: 0,
            torrent: 0,
            event: Event::Started,
            is_seed: true,
            was_sure: false,
            numwant: 50,
            snapshot: Snapshot::default(),
        };
        let mut out = b"old".to_vec();
        text(false).announce(&mut out, b"abc\x00\xff-_.!~*()%&+ /:=", (1, 6881), &request);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            format!(
                "GET /announce?info_hash=abc%00%ff-_.!~*()%25%26%2b%20%2f%3a%3d&peer_id=-SS0100-9e3779b97f4a&port=6881\
                 &uploaded=16384&downloaded=16384&left=0&corrupt=0&key=9E3779B1&event=started&numwant=50&compact=1\
                 &no_peer_id=1&supportcrypto=1&redundant=0 HTTP/1.1\r\nHost: t:1\r\nUser-Agent: simulate-swarm/{}\r\n\
                 Accept-Encoding: gzip\r\nConnection: close\r\n\r\n",
                env!("CARGO_PKG_VERSION")
            )
        );
    }

    #[test]
    fn a_scrape_repeats_its_parameter() {
        let mut out = Vec::new();
        text(true).scrape(&mut out, [[b'a'; 20], [b'b'; 20]].iter());
        let out = String::from_utf8(out).unwrap();
        let line = "GET /scrape?k=1&info_hash=aaaaaaaaaaaaaaaaaaaa&info_hash=bbbbbbbbbbbbbbbbbbbb HTTP/1.1\r\n";
        assert!(out.starts_with(line) && !out.contains("Connection"), "{out}");
    }
}
