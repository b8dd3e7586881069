//! The records of a file.

use std::io::{self, Read, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tracker_core::{PeerImage, SwarmImage};

use crate::swarm_codec;
use crate::wire::Bytes;

/// The most bytes of a record. Those of a snapshot have 1,000 peers at most, of up to 120 bytes each.
pub(crate) const MAX_BYTES: u32 = 1 << 20;

const END: u8 = 0;
const SWARM: u8 = 1;
const DATED: u8 = 2;

/// The bytes before the content: its length and CRC-32.
const PREFIX: usize = 8;

/// A record of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Record {
    /// The end of a snapshot with so many records before.
    End(u64),
    Swarm(SwarmImage),
    /// As it was then.
    Dated(SystemTime, SwarmImage),
}

/// What comes next in a file.
#[derive(Debug)]
pub(crate) enum Next {
    Record(Record),
    /// A record that is damaged, or of another kind than is known.
    Skipped(Skip),
    /// The file ends, or the rest of it cannot be taken apart.
    End,
    /// The system cannot read on.
    Failed(io::Error),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Skip {
    Damaged,
    Unknown,
}

/// Appends a record that `content` writes.
pub(crate) fn encode(bytes: &mut Vec<u8>, kind: u8, content: impl FnOnce(&mut Vec<u8>)) {
    let start = bytes.len();
    bytes.extend_from_slice(&[0; PREFIX]);
    bytes.push(kind);
    content(bytes);
    let content = &bytes[start + PREFIX..];
    let (length, crc) = (content.len() as u32, crc32fast::hash(content));
    bytes[start..start + 4].copy_from_slice(&length.to_le_bytes());
    bytes[start + 4..start + PREFIX].copy_from_slice(&crc.to_le_bytes());
}

pub(crate) fn encode_end(bytes: &mut Vec<u8>, records: u64) {
    encode(bytes, END, |bytes| bytes.extend_from_slice(&records.to_le_bytes()));
}

pub(crate) fn encode_swarm(bytes: &mut Vec<u8>, swarm: &SwarmImage, peers: &[PeerImage]) {
    encode(bytes, SWARM, |bytes| swarm_codec::encode(swarm, peers, bytes));
}

pub(crate) fn encode_dated(bytes: &mut Vec<u8>, at: SystemTime, swarm: &SwarmImage, peers: &[PeerImage]) {
    let seconds = at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    encode(bytes, DATED, |bytes| {
        bytes.extend_from_slice(&seconds.to_le_bytes());
        swarm_codec::encode(swarm, peers, bytes);
    });
}

/// Reads the next record. `content` is a buffer.
pub(crate) fn read(file: &mut impl Read, content: &mut Vec<u8>) -> Next {
    let mut prefix = [0; PREFIX];
    match fill(file, &mut prefix) {
        Ok(0) => return Next::End,
        Ok(PREFIX) => {}
        Ok(_) => return Next::End,
        Err(error) => return Next::Failed(error),
    }
    let [a, b, c, d, crc @ ..] = prefix;
    let (length, crc) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes(crc));
    // Where this is damaged, nobody knows where the next one begins.
    if !(1..=MAX_BYTES).contains(&length) {
        return Next::End;
    }
    content.resize(length as usize, 0);
    match fill(file, content) {
        Ok(read) if read == content.len() => {}
        Ok(_) => return Next::End,
        Err(error) => return Next::Failed(error),
    }
    if crc32fast::hash(content) != crc {
        return Next::Skipped(Skip::Damaged);
    }
    decode(content)
}

fn decode(content: &[u8]) -> Next {
    let Some((&kind, rest)) = content.split_first() else { return Next::Skipped(Skip::Damaged) };
    let mut bytes = Bytes(rest);
    let record = match kind {
        END => bytes.u64().map(Record::End),
        SWARM => swarm_codec::decode(bytes).map(Record::Swarm),
        DATED => decode_dated(bytes),
        _ => return Next::Skipped(Skip::Unknown),
    };
    record.map_or(Next::Skipped(Skip::Damaged), Next::Record)
}

fn decode_dated(mut bytes: Bytes<'_>) -> Option<Record> {
    let at = UNIX_EPOCH.checked_add(Duration::from_secs(bytes.u64()?))?;
    swarm_codec::decode(bytes).map(|swarm| Record::Dated(at, swarm))
}

/// Reads until the buffer is full or the file ends. Returns how much was read.
fn fill(file: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Writes bytes that are kept, and keeps none.
pub(crate) fn flush(file: &mut impl Write, bytes: &mut Vec<u8>) -> io::Result<()> {
    file.write_all(bytes)?;
    bytes.clear();
    Ok(())
}
