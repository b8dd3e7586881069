//! Writing a snapshot.

use std::time::SystemTime;

use tracker_core::SwarmImage;

use crate::error::SnapshotError;
use crate::files::{Files, SystemFiles};
use crate::head::{Head, Kind};
use crate::record;

/// The snapshot.
pub(crate) const SNAPSHOT: &str = "swarms.snapshot";

/// The file that becomes the snapshot. Its name says that it is temporary, also to those who look at the folder.
pub(crate) const TEMPORARY: &str = ".tracker-swarms.snapshot";

/// Peers in one record, at most.
pub(crate) const PEERS: usize = 1000;

/// Bytes that are kept before they are written.
const BUFFER: usize = 256 * 1024;

/// A snapshot that is being written. If it is dropped, the one before stays, and its temporary file is removed.
#[derive(Debug)]
pub struct SnapshotWriter<F: Files = SystemFiles> {
    files: F,
    /// `None` once it is complete and closed.
    file: Option<F::File>,
    /// The first journal that is not in it.
    journal: u64,
    buffer: Vec<u8>,
    records: u64,
}

impl<F: Files> SnapshotWriter<F> {
    pub(crate) fn begin(files: F, journal: u64, now: SystemTime) -> Result<Self, SnapshotError> {
        // One that was not finished may be there.
        _ = files.remove(TEMPORARY);
        let file = files.create(TEMPORARY);
        let file = file.map_err(|source| SnapshotError::Create { file: files.path(TEMPORARY), source })?;
        let buffer = Head { kind: Kind::Snapshot, journal, begun: now }.encode().to_vec();
        Ok(Self { files, file: Some(file), journal, buffer, records: 0 })
    }

    /// Adds a swarm, or a part of one, as it was taken out of the tracker since the snapshot was begun.
    ///
    /// # Errors
    ///
    /// Returns [`SnapshotError::Write`] if it cannot be written. Then the snapshot is to be dropped.
    pub fn add(&mut self, swarm: &SwarmImage) -> Result<(), SnapshotError> {
        let mut rest = &swarm.peers[..];
        loop {
            let (part, after) = rest.split_at(rest.len().min(PEERS));
            record::encode_swarm(&mut self.buffer, swarm, part);
            self.records += 1;
            rest = after;
            if self.buffer.len() >= BUFFER {
                self.flush()?;
            }
            if rest.is_empty() {
                return Ok(());
            }
        }
    }

    fn flush(&mut self) -> Result<(), SnapshotError> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let written = record::flush(file, &mut self.buffer);
        written.map_err(|source| SnapshotError::Write { file: self.files.path(TEMPORARY), source })
    }

    /// Writes the rest of it, and syncs it.
    pub(crate) fn complete(&mut self) -> Result<(), SnapshotError> {
        record::encode_end(&mut self.buffer, self.records);
        self.flush()?;
        let synced = self.file.as_mut().map_or(Ok(()), |file| self.files.sync(file));
        synced.map_err(|source| SnapshotError::Write { file: self.files.path(TEMPORARY), source })
    }

    /// Puts it, when it is complete, in the place of the one before. Returns the first journal that is not in it.
    pub(crate) fn replace(mut self) -> Result<u64, SnapshotError> {
        // Closed, since not every system renames a file that is open.
        self.file = None;
        let renamed = self.files.rename(TEMPORARY, SNAPSHOT);
        if renamed.is_err() {
            _ = self.files.remove(TEMPORARY);
        }
        let replaced = renamed.and_then(|()| self.files.sync_folder());
        replaced.map_err(|source| SnapshotError::Replace { file: self.files.path(SNAPSHOT), source })?;
        Ok(self.journal)
    }
}

impl<F: Files> Drop for SnapshotWriter<F> {
    /// Where the disk is full, half a snapshot takes the room of the journal.
    fn drop(&mut self) {
        if self.file.take().is_some() {
            _ = self.files.remove(TEMPORARY);
        }
    }
}
