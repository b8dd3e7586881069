//! The names of journals, and reading one.

use std::collections::HashMap;
use std::io::BufReader;
use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use tracker_core::{InfoHash, PeerImage, SwarmImage};

use crate::files::Files;
use crate::head::{Head, HeadError, Kind};
use crate::record::{self, Next, Record, Skip};

const PREFIX: &str = "journal.";

/// What is wrong with a file.
#[derive(Debug)]
pub(crate) enum Fault {
    /// So many records are damaged, or the file is no such file at all, or it is cut where it should not be.
    Damaged { records: u64 },
    /// A newer program wrote it.
    Newer(u16),
    /// The system cannot read it, or not to its end.
    Unreadable(std::io::Error),
}

/// The name of a journal.
pub(crate) fn name(number: u64) -> String {
    format!("{PREFIX}{number}")
}

/// The number of the journal with this name.
pub(crate) fn number(name: &str) -> Option<u64> {
    let number = name.strip_prefix(PREFIX)?.parse().ok()?;
    // Not `journal.007`.
    (self::name(number) == name).then_some(number)
}

/// What journals have of swarms: the latest of each peer, and the largest number of each torrent.
#[derive(Debug, Default)]
pub(crate) struct Swarms {
    completed: HashMap<InfoHash, u32>,
    peers: HashMap<(InfoHash, SocketAddr), (SystemTime, PeerImage)>,
}

impl Swarms {
    fn take(&mut self, at: SystemTime, swarm: SwarmImage) {
        let completed = self.completed.entry(swarm.info_hash).or_default();
        *completed = swarm.completed.max(*completed);
        for peer in swarm.peers {
            self.peers.insert((swarm.info_hash, peer.address), (at, peer));
        }
    }

    /// A swarm for each peer, and one for each torrent of which only the number is known.
    pub(crate) fn into_images(self) -> Vec<(SystemTime, SwarmImage)> {
        let Self { mut completed, peers } = self;
        let numbers = completed.clone();
        let mut images = Vec::with_capacity(peers.len());
        for ((info_hash, _), (at, peer)) in peers {
            completed.remove(&info_hash);
            images.push((at, SwarmImage { info_hash, completed: numbers[&info_hash], peers: vec![peer] }));
        }
        let without_peers = |(info_hash, completed)| (UNIX_EPOCH, SwarmImage { info_hash, completed, peers: vec![] });
        images.extend(completed.into_iter().map(without_peers));
        images
    }
}

/// Reads a journal. A torn end is what a crash leaves.
pub(crate) fn read<F: Files>(files: &F, name: &str, swarms: &mut Swarms) -> Result<(), Fault> {
    let mut file = BufReader::new(files.open(name).map_err(Fault::Unreadable)?);
    match Head::read(Kind::Journal, &mut file) {
        Ok(_) => {}
        Err(HeadError::Cut) => return Ok(()),
        Err(error) => return Err(error.into()),
    }
    // What is damaged at the end was never synced, and so not acknowledged.
    let (mut content, mut damaged, mut damaged_at_end) = (Vec::new(), 0, 0);
    loop {
        match record::read(&mut file, &mut content) {
            Next::Record(record) => {
                damaged += std::mem::take(&mut damaged_at_end);
                if let Record::Dated(at, swarm) = record {
                    swarms.take(at, swarm);
                }
            }
            Next::Skipped(Skip::Unknown) => damaged += std::mem::take(&mut damaged_at_end),
            Next::Skipped(Skip::Damaged) => damaged_at_end += 1,
            Next::End if damaged > 0 => return Err(Fault::Damaged { records: damaged }),
            Next::End => return Ok(()),
            Next::Failed(error) => return Err(Fault::Unreadable(error)),
        }
    }
}

impl From<HeadError> for Fault {
    fn from(error: HeadError) -> Self {
        match error {
            HeadError::Newer(version) => Self::Newer(version),
            HeadError::Cut | HeadError::Damaged => Self::Damaged { records: 0 },
            HeadError::Io(error) => Self::Unreadable(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_numbers() {
        for number in [0, 7, u64::MAX] {
            assert_eq!(self::number(&name(number)), Some(number));
        }
        for name in
            ["journal", "journal.", "journal.07", "journal.+7", "journal.7.damaged", "journal.18446744073709551616"]
        {
            assert_eq!(number(name), None, "{name}");
        }
    }
}
