//! The packets of BEP 15.

use crate::ask::Announce;
use crate::persona;

/// The length of the longest request: a scrape of 74 torrents.
pub(crate) const LONGEST_REQUEST: usize = 16 + 74 * 20;
/// Length of the answer to a connect.
pub(crate) const CONNECT_ANSWER: usize = 16;
/// The length of the answer to an announce, without peers.
pub(crate) const ANNOUNCE_ANSWER: usize = 20;
/// Length of what each answer and error begins with: action and transaction id.
pub(crate) const HEAD: usize = 8;

const PROTOCOL: u64 = 0x0417_2710_1980;

/// The action of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Connect = 0,
    Announce = 1,
    Scrape = 2,
    Error = 3,
}

/// A writer that appends to a buffer of [`LONGEST_REQUEST`] bytes.
#[derive(Debug)]
struct Writer<'a> {
    out: &'a mut [u8],
    length: usize,
}

impl Writer<'_> {
    fn put(mut self, bytes: &[u8]) -> Self {
        self.out[self.length..self.length + bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len();
        self
    }

    fn head(self, connection: u64, action: Action, transaction: u32) -> Self {
        self.put(&connection.to_be_bytes()).put(&(action as u32).to_be_bytes()).put(&transaction.to_be_bytes())
    }
}

/// Writes a connect request, and returns its length.
pub(crate) fn connect(out: &mut [u8], transaction: u32) -> usize {
    Writer { out, length: 0 }.head(PROTOCOL, Action::Connect, transaction).length
}

/// Writes an announce, and returns its length.
pub(crate) fn announce(
    out: &mut [u8],
    (connection, transaction): (u64, u32),
    info_hash: &[u8; 20],
    (number, port): (u32, u16),
    announce: &Announce,
) -> usize {
    Writer { out, length: 0 }
        .head(connection, Action::Announce, transaction)
        .put(info_hash)
        .put(&persona::peer_id(number))
        .put(&persona::downloaded(number).to_be_bytes())
        .put(&persona::left(number, announce.is_seed).to_be_bytes())
        .put(&persona::uploaded(number).to_be_bytes())
        .put(&(announce.event as u32).to_be_bytes())
        // No address: the tracker takes the packet's source.
        .put(&[0; 4])
        .put(&persona::key(number).to_be_bytes())
        .put(&announce.numwant.to_be_bytes())
        .put(&port.to_be_bytes())
        .length
}

/// Writes a scrape of at most 74 torrents, and returns its length.
pub(crate) fn scrape<'a>(
    out: &mut [u8],
    (connection, transaction): (u64, u32),
    info_hashes: impl Iterator<Item = &'a [u8; 20]>,
) -> usize {
    let writer = Writer { out, length: 0 }.head(connection, Action::Scrape, transaction);
    info_hashes.fold(writer, |writer, info_hash| writer.put(info_hash)).length
}

/// The big-endian number at an offset of a packet that is long enough.
pub(crate) fn u32_at(packet: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(packet[at..at + 4].try_into().expect("4 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ask::Event;
    use crate::population::Snapshot;

    #[test]
    fn packets_are_as_in_bep_15() {
        let mut out = [0; LONGEST_REQUEST];
        assert_eq!(connect(&mut out, 0x0102_0304), 16);
        assert_eq!(out[..16], *b"\x00\x00\x04\x17\x27\x10\x19\x80\0\0\0\0\x01\x02\x03\x04");

        let request = Announce {
            place: 0,
            torrent: 0,
            event: Event::Started,
            is_seed: true,
            was_sure: false,
            numwant: 50,
            snapshot: Snapshot::default(),
        };
        assert_eq!(announce(&mut out, (7, 8), b"abcdefghijklmnopqrst", (9, 0x1ae1), &request), 98);
        assert_eq!(out[..36], *b"\0\0\0\0\0\0\0\x07\0\0\0\x01\0\0\0\x08abcdefghijklmnopqrst");
        assert_eq!(out[36..56], persona::peer_id(9));
        assert_eq!(out[56..64], persona::downloaded(9).to_be_bytes());
        assert_eq!(out[64..72], [0; 8]);
        assert_eq!(out[72..80], persona::uploaded(9).to_be_bytes());
        assert_eq!(out[80..88], [0, 0, 0, 2, 0, 0, 0, 0]);
        assert_eq!(out[88..92], persona::key(9).to_be_bytes());
        assert_eq!(out[92..98], [0, 0, 0, 50, 0x1a, 0xe1]);

        assert_eq!(scrape(&mut out, (7, 8), [[b'x'; 20]; 74].iter()), LONGEST_REQUEST);
        assert_eq!(out[..17], *b"\0\0\0\0\0\0\0\x07\0\0\0\x02\0\0\0\x08x");
    }
}
