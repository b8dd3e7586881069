//! The head of a file.

use std::io::{self, Read};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::wire::Bytes;

/// The version of files that are written, and the latest that is read. One that is older is to be read here, too: each has a
/// function of its own that makes records of the current version of its records.
const VERSION: u16 = 1;

const LEN: usize = 30;

/// The kind of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Snapshot,
    Journal,
}

/// What stands at the beginning of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) kind: Kind,
    /// Of a snapshot: the first journal that is not in it. Of a journal: its own number.
    pub(crate) journal: u64,
    /// When a snapshot was begun; 1970 in a journal.
    pub(crate) begun: SystemTime,
}

/// What cannot be read.
#[derive(Debug)]
pub(crate) enum HeadError {
    /// A newer program wrote it.
    Newer(u16),
    /// The file ends before, or has zeros at the end of its head: it was never written whole.
    Cut,
    /// It is no such file, or it is damaged.
    Damaged,
    /// The system cannot read it.
    Io(io::Error),
}

impl Kind {
    const fn magic(self) -> &'static [u8; 8] {
        match self {
            Self::Snapshot => b"LTSWARMS",
            Self::Journal => b"LTJOURNL",
        }
    }
}

impl Head {
    pub(crate) fn encode(self) -> [u8; LEN] {
        let mut bytes = [0; LEN];
        let seconds = self.begun.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        bytes[..8].copy_from_slice(self.kind.magic());
        bytes[8..10].copy_from_slice(&VERSION.to_le_bytes());
        bytes[10..18].copy_from_slice(&self.journal.to_le_bytes());
        bytes[18..26].copy_from_slice(&seconds.to_le_bytes());
        let crc = crc32fast::hash(&bytes[..26]);
        bytes[26..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    pub(crate) fn read(kind: Kind, file: &mut impl Read) -> Result<Self, HeadError> {
        let mut bytes = [0; LEN];
        file.read_exact(&mut bytes).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => HeadError::Cut,
            _ => HeadError::Io(error),
        })?;
        Self::decode(kind, &bytes)
    }

    fn decode(kind: Kind, bytes: &[u8; LEN]) -> Result<Self, HeadError> {
        let mut rest = Bytes(bytes);
        let mut parts = || Some((rest.array::<8>()?, rest.u16()?, rest.u64()?, rest.u64()?, rest.u32()?));
        let (magic, version, journal, seconds, crc) = parts().ok_or(HeadError::Damaged)?;
        if crc == 0 {
            return Err(HeadError::Cut);
        }
        if magic != *kind.magic() {
            return Err(HeadError::Damaged);
        }
        // A newer version may have another head.
        if version > VERSION {
            return Err(HeadError::Newer(version));
        }
        let begun = UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
        match begun {
            Some(begun) if crc == crc32fast::hash(&bytes[..26]) && version == VERSION => {
                Ok(Self { kind, journal, begun })
            }
            _ => Err(HeadError::Damaged),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_as_it_was_written_and_not_if_it_is_damaged_or_newer() {
        let head = Head { kind: Kind::Snapshot, journal: 7, begun: UNIX_EPOCH + Duration::from_secs(1_764_300_000) };
        let bytes = head.encode();
        assert_eq!(Head::read(Kind::Snapshot, &mut &bytes[..]).unwrap(), head);
        assert!(matches!(Head::read(Kind::Journal, &mut &bytes[..]), Err(HeadError::Damaged)));
        assert!(matches!(Head::read(Kind::Snapshot, &mut &bytes[..LEN - 1]), Err(HeadError::Cut)));
        for at in 0..LEN {
            let mut bytes = bytes;
            bytes[at] ^= 0x40;
            match Head::read(Kind::Snapshot, &mut &bytes[..]) {
                Err(HeadError::Newer(version)) => assert!((8..10).contains(&at) && version > VERSION),
                Err(HeadError::Damaged) => {}
                other => panic!("{at}: {other:?}"),
            }
        }
    }
}
