//! Requests on the wire.

use std::net::Ipv4Addr;

use tracker_core::{InfoHash, PeerId, UserKey};
use tracker_host::user_key;

use crate::wire::{ANNOUNCE, CONNECT, SCRAPE};

/// Most info-hashes of a scrape; BEP 15 says "about 74", which is what fits an Ethernet frame. More are not answered.
/// A [`Config::max_scrape_hashes`](tracker_core::Config::max_scrape_hashes) below this refuses scrapes that clients may send.
pub const MAX_SCRAPE_HASHES: usize = 74;

/// Bytes of the longest request that has a meaning, a scrape of [`MAX_SCRAPE_HASHES`]; what follows them may be lost.
pub const MAX_REQUEST_BYTES: usize = HEAD_BYTES + 20 * MAX_SCRAPE_HASHES;

/// The connection id of a connect request.
const PROTOCOL_ID: u64 = 0x417_2710_1980;

const HEAD_BYTES: usize = 16;

/// A request, as it stands in a datagram ([BEP 15](https://www.bittorrent.org/beps/bep_0015.html)).
///
/// ```
/// use tracker_udp::{Action, Request};
///
/// let datagram = b"\0\0\x04\x17\x27\x10\x19\x80\0\0\0\0\0\0\0\x07";
/// let request = Request::parse(datagram).expect("a connect request");
/// assert_eq!((request.action, request.transaction_id), (Action::Connect, 7));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request<'a> {
    /// Proves that the client gets what is sent to its address; 0x41727101980 in a connect request.
    pub connection_id: u64,
    /// Chosen by the client, which knows the answer by it.
    pub transaction_id: u32,
    /// The request itself.
    pub action: Action<'a>,
}

/// One of the three requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action<'a> {
    /// Asks for a connection id.
    Connect,
    /// Announces, and asks for peers.
    Announce(Announce<'a>),
    /// Asks for the counts of these info-hashes, at most [`MAX_SCRAPE_HASHES`].
    Scrape(&'a [[u8; 20]]),
}

/// An announce, as it stands in a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announce<'a> {
    /// The swarm.
    pub info_hash: InfoHash,
    /// The client's name for itself.
    pub peer_id: PeerId,
    /// Bytes downloaded since `started`.
    pub downloaded: u64,
    /// Bytes the client still wants.
    pub left: u64,
    /// Bytes uploaded since `started`.
    pub uploaded: u64,
    /// 0 none, 1 completed, 2 started, 3 stopped; 4 paused, as libtorrent numbers it.
    pub event: u32,
    /// The address the client claims to have; 0.0.0.0 when none.
    pub ip: Ipv4Addr,
    /// A number that is the same for all addresses of the client.
    pub key: u32,
    /// The number of peers that the client wants; negative when it does not say.
    pub num_want: i32,
    /// The port that the client listens on.
    pub port: u16,
    /// The options that follow ([BEP 41](https://www.bittorrent.org/beps/bep_0041.html)).
    pub options: &'a [u8],
}

impl<'a> Request<'a> {
    /// Reads a datagram. `None` when it is none of the three requests or too short for the one that it claims to be; what
    /// follows a request is passed over.
    pub fn parse(datagram: &'a [u8]) -> Option<Self> {
        let mut fields = Fields(datagram);
        let connection_id = fields.number().map(u64::from_be_bytes)?;
        let action = fields.number().map(u32::from_be_bytes)?;
        let transaction_id = fields.number().map(u32::from_be_bytes)?;
        let action = match action {
            CONNECT if connection_id == PROTOCOL_ID => Action::Connect,
            ANNOUNCE => Action::Announce(Announce::parse(fields)?),
            SCRAPE => {
                let (info_hashes, _) = fields.0.as_chunks();
                Action::Scrape(&info_hashes[..info_hashes.len().min(MAX_SCRAPE_HASHES)])
            }
            _ => return None,
        };
        Some(Self { connection_id, transaction_id, action })
    }

    /// Appends the datagram, as a client sends it.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let action = match self.action {
            Action::Connect => CONNECT,
            Action::Announce(_) => ANNOUNCE,
            Action::Scrape(_) => SCRAPE,
        };
        out.extend(self.connection_id.to_be_bytes());
        out.extend(action.to_be_bytes());
        out.extend(self.transaction_id.to_be_bytes());
        match self.action {
            Action::Connect => {}
            Action::Announce(announce) => announce.encode(out),
            Action::Scrape(info_hashes) => out.extend(info_hashes.as_flattened()),
        }
    }

    /// Asks for a connection id.
    pub const fn connect(transaction_id: u32) -> Self {
        Self { connection_id: PROTOCOL_ID, transaction_id, action: Action::Connect }
    }
}

impl<'a> Announce<'a> {
    fn parse(mut fields: Fields<'a>) -> Option<Self> {
        Some(Self {
            info_hash: InfoHash::new(fields.number()?),
            peer_id: PeerId::new(fields.number()?),
            downloaded: fields.number().map(u64::from_be_bytes)?,
            left: fields.number().map(u64::from_be_bytes)?,
            uploaded: fields.number().map(u64::from_be_bytes)?,
            event: fields.number().map(u32::from_be_bytes)?,
            ip: fields.number().map(Ipv4Addr::from_octets)?,
            key: fields.number().map(u32::from_be_bytes)?,
            num_want: fields.number().map(i32::from_be_bytes)?,
            port: fields.number().map(u16::from_be_bytes)?,
            options: fields.0,
        })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.info_hash.as_bytes());
        out.extend(self.peer_id.as_bytes());
        out.extend(self.downloaded.to_be_bytes());
        out.extend(self.left.to_be_bytes());
        out.extend(self.uploaded.to_be_bytes());
        out.extend(self.event.to_be_bytes());
        out.extend(self.ip.octets());
        out.extend(self.key.to_be_bytes());
        out.extend(self.num_want.to_be_bytes());
        out.extend(self.port.to_be_bytes());
        out.extend(self.options);
    }

    /// The key of a user in the [path](Self::url_data) of the tracker's URL, as in `/announce/KEY`.
    pub fn user_key(&self) -> Option<UserKey> {
        let url_data = self.url_data();
        let path = url_data.split(|&byte| byte == b'?').next()?;
        user_key(path)
    }

    /// The path and query of the tracker's URL, where the client sends them: the data of all `URLData` options, one after
    /// the other. What follows a malformed option is passed over.
    pub fn url_data(&self) -> Vec<u8> {
        const END: u8 = 0;
        const NOP: u8 = 1;
        const URL_DATA: u8 = 2;
        let mut url_data = Vec::new();
        let mut options = self.options;
        loop {
            options = match options {
                [] | [END, ..] => return url_data,
                [NOP, rest @ ..] => rest,
                [kind, length, rest @ ..] if usize::from(*length) <= rest.len() => {
                    let (data, rest) = rest.split_at((*length).into());
                    if *kind == URL_DATA {
                        url_data.extend(data);
                    }
                    rest
                }
                _ => return url_data,
            };
        }
    }
}

/// The fields that are left to read.
#[derive(Clone, Copy)]
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    /// The next bytes, as many as are wanted.
    fn number<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*number)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sample::announce;

    const ANNOUNCE_BYTES: &[u8] = b"\x01\x02\x03\x04\x05\x06\x07\x08\
        \0\0\0\x01\
        \xde\xad\xbe\xef\
        aaaaaaaaaaaaaaaaaaaa\
        -LT2110-y1Cq1XLu0!h)\
        \0\0\0\0\0\0\0\x11\
        \0\0\0\0\x03\x20\0\0\
        \0\0\0\0\0\0\0\x22\
        \0\0\0\x02\
        \0\0\0\0\
        \xe0\xb5\x5a\xb7\
        \0\0\0\xc8\
        \x1a\xe1\
        \x02\x0f/announce?key=1";

    fn encode(request: &Request<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        request.encode(&mut out);
        out
    }

    #[test]
    fn requests_are_written_as_they_are_read() {
        let id = 0x0102_0304_0506_0708;
        let cases: &[(&[u8], Request<'_>)] = &[
            (b"\0\0\x04\x17\x27\x10\x19\x80\0\0\0\0\0\0\0\x07", Request::connect(7)),
            (
                ANNOUNCE_BYTES,
                Request { connection_id: id, transaction_id: 0xDEAD_BEEF, action: Action::Announce(announce()) },
            ),
            (
                b"\x01\x02\x03\x04\x05\x06\x07\x08\0\0\0\x02\xff\xff\xff\xffaaaaaaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbbbbb",
                Request {
                    connection_id: id,
                    transaction_id: u32::MAX,
                    action: Action::Scrape(&[[b'a'; 20], [b'b'; 20]]),
                },
            ),
            (
                b"\x01\x02\x03\x04\x05\x06\x07\x08\0\0\0\x02\0\0\0\0",
                Request { connection_id: id, transaction_id: 0, action: Action::Scrape(&[]) },
            ),
        ];
        for (bytes, request) in cases {
            assert_eq!(Request::parse(bytes).as_ref(), Some(request));
            assert_eq!(encode(request).escape_ascii().to_string(), bytes.escape_ascii().to_string());
        }
    }

    #[test]
    fn short_and_unknown_datagrams_are_no_requests() {
        let connect = encode(&Request::connect(7));
        for length in 0..16 {
            assert_eq!(Request::parse(&connect[..length]), None, "{length}");
            assert_eq!(Request::parse(&ANNOUNCE_BYTES[..length]), None, "{length}");
        }
        for length in 16..98 {
            assert_eq!(Request::parse(&ANNOUNCE_BYTES[..length]), None, "{length}");
        }
        assert!(Request::parse(&ANNOUNCE_BYTES[..98]).is_some());
        for action in [CONNECT, 3, 4, u32::MAX] {
            let mut other = ANNOUNCE_BYTES.to_vec();
            other[8..12].copy_from_slice(&action.to_be_bytes());
            assert_eq!(Request::parse(&other), None, "{action}");
        }
    }

    #[test]
    fn bytes_after_a_request_are_ignored() {
        let long = |mut bytes: Vec<u8>| {
            bytes.extend([7; 13]);
            bytes
        };
        let connect = long(encode(&Request::connect(7)));
        assert_eq!(Request::parse(&connect), Some(Request::connect(7)));

        let hashes = [[b'a'; 20]; MAX_SCRAPE_HASHES + 3];
        let scrape = Request { connection_id: 1, transaction_id: 2, action: Action::Scrape(&hashes) };
        let bytes = long(encode(&scrape));
        let answered = Action::Scrape(&hashes[..MAX_SCRAPE_HASHES]);
        assert_eq!(Request::parse(&bytes), Some(Request { action: answered, ..scrape }));
        assert_eq!(Request::parse(&bytes[..MAX_REQUEST_BYTES]), Some(Request { action: answered, ..scrape }));
    }

    #[test]
    fn the_url_is_put_together_from_its_options() {
        let long = [b"\x02\xff".as_slice(), &[b'x'; 255], b"\x02\x03end"].concat();
        let cases: &[(&[u8], &[u8])] = &[
            (b"", b""),
            (b"\x00", b""),
            (b"\x01\x01\x01", b""),
            (b"\x02\x09/announce", b"/announce"),
            (b"\x02\x00", b""),
            (b"\x01\x02\x04/ann\x01\x02\x05ounce\x00\x02\x01x", b"/announce"),
            // An option that is not known has a length as well.
            (b"\x09\x03abc\x02\x02/a", b"/a"),
            // Too short for what they say.
            (b"\x02", b""),
            (b"\x02\x02/a\x02\x05/abc", b"/a"),
            (b"\x02\x02/a\x02", b"/a"),
            (&long, &[[b'x'; 255].as_slice(), b"end"].concat()),
        ];
        for (options, expected) in cases {
            let announce = Announce { options, ..announce() };
            assert_eq!(announce.url_data().escape_ascii().to_string(), expected.escape_ascii().to_string());
        }
    }

    #[test]
    fn the_key_of_a_user_is_in_the_path() {
        let of = |options| Announce { options, ..announce() }.user_key().map(|key| key.to_string());
        let key = "00112233445566778899aabbccddeeff";
        for options in [
            &b"\x02\x2a/announce/00112233445566778899aabbccddeeff"[..],
            // In two options, with more behind it.
            b"\x02\x0b/announce/0\x02\x25\x30112233445566778899aabbccddeeff?a=b/c\x00",
        ] {
            assert_eq!(of(options).as_deref(), Some(key), "{}", options.escape_ascii());
        }
        for options in [&b""[..], b"\x02\x09/announce", b"\x02\x0b/announce/0", b"\x02\x0c/announce?/0/"] {
            assert_eq!(of(options), None, "{}", options.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn any_request_is_read_as_it_was_written(
            connection_id: u64,
            transaction_id: u32,
            numbers: ([u8; 20], [u8; 20], u64, u64, u64),
            more: (u32, u32, u32, i32, u16),
            options in proptest::collection::vec(any::<u8>(), 0..300),
            hashes in proptest::collection::vec(any::<[u8; 20]>(), 0..MAX_SCRAPE_HASHES),
        ) {
            let (info_hash, peer_id, downloaded, left, uploaded) = numbers;
            let (event, ip, key, num_want, port) = more;
            let announce = Announce {
                info_hash: info_hash.into(),
                peer_id: peer_id.into(),
                downloaded, left, uploaded, event,
                ip: ip.into(),
                key, num_want, port,
                options: &options,
            };
            for action in [Action::Announce(announce), Action::Scrape(&hashes)] {
                let request = Request { connection_id, transaction_id, action };
                let bytes = encode(&request);
                prop_assert_eq!(Request::parse(&bytes), Some(request));
            }
        }
    }
}
