//! What a store has of a tracker that ended.

use std::fmt;
use std::io::{self, BufReader};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use tracker_core::SwarmImage;

use crate::files::{Files, SystemFiles};
use crate::head::{Head, Kind};
use crate::journal::Fault;
use crate::record::{self, Next, Record, Skip};
use crate::snapshot::SNAPSHOT;

/// What a store has of a tracker that ended.
#[derive(Debug)]
pub struct Recovered<F: Files = SystemFiles> {
    pub(crate) snapshot: Option<Snapshot<F>>,
    /// What was appended after the snapshot was begun.
    pub(crate) appended: Vec<(SystemTime, SwarmImage)>,
    pub(crate) problems: Vec<Problem>,
}

/// A snapshot that is read.
#[derive(Debug)]
pub(crate) struct Snapshot<F: Files> {
    pub(crate) head: Head,
    file: BufReader<F::File>,
    content: Vec<u8>,
}

/// What could not be recovered.
#[derive(Debug)]
#[non_exhaustive]
pub enum Problem {
    /// A file is damaged. What is whole of it is used.
    Damaged {
        /// The file.
        file: PathBuf,
        /// The number of records that are damaged; 0 if the file is cut, or is no such file.
        records: u64,
        /// The name under which it is kept, from the next snapshot on at the latest.
        kept: PathBuf,
    },
    /// A newer program wrote a file. It is not used.
    Newer {
        /// The file.
        file: PathBuf,
        /// Its version.
        version: u16,
        /// The name under which it is kept, from the next snapshot on at the latest.
        kept: PathBuf,
    },
    /// A file cannot be read, or not to its end.
    Unreadable {
        /// The file.
        file: PathBuf,
        /// The error of the system.
        source: io::Error,
        /// The name under which it is kept from the next snapshot on.
        kept: PathBuf,
    },
}

impl<F: Files> Recovered<F> {
    /// The next swarm, or part of one, and the time since it was as it is in there, zero if the clock was set back; `None` after the
    /// last. What is damaged is left out.
    ///
    /// What was appended comes first. Of a peer that comes more than once, the first is the latest: take them in in this order.
    pub fn next_image(&mut self, now: SystemTime) -> Option<(SwarmImage, Duration)> {
        let (at, swarm) = match self.appended.pop() {
            Some(appended) => appended,
            None => {
                let snapshot = self.snapshot.as_mut()?;
                (snapshot.head.begun, snapshot.next_image()?)
            }
        };
        Some((swarm, now.duration_since(at).unwrap_or_default()))
    }

    /// What could not be recovered.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl<F: Files> Snapshot<F> {
    pub(crate) fn open(files: &F) -> Result<Self, Fault> {
        let mut file = BufReader::with_capacity(256 * 1024, files.open(SNAPSHOT).map_err(Fault::Unreadable)?);
        let head = Head::read(Kind::Snapshot, &mut file)?;
        Ok(Self { head, file, content: Vec::new() })
    }

    fn next_image(&mut self) -> Option<SwarmImage> {
        loop {
            match record::read(&mut self.file, &mut self.content) {
                Next::Record(Record::Swarm(swarm)) => return Some(swarm),
                Next::Record(Record::Dated(..)) | Next::Skipped(_) => {}
                Next::Record(Record::End(_)) | Next::End | Next::Failed(_) => return None,
            }
        }
    }

    /// Reads all of it, to find out what is wrong with it.
    pub(crate) fn check(mut self) -> Result<(), Fault> {
        let (mut records, mut damaged) = (0, 0);
        loop {
            match record::read(&mut self.file, &mut self.content) {
                Next::Record(Record::End(count)) if count == records && damaged == 0 => return Ok(()),
                Next::Record(Record::End(_)) | Next::End => return Err(Fault::Damaged { records: damaged }),
                Next::Record(_) | Next::Skipped(Skip::Unknown) => records += 1,
                Next::Skipped(Skip::Damaged) => (records, damaged) = (records + 1, damaged + 1),
                Next::Failed(error) => return Err(Fault::Unreadable(error)),
            }
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged { file, records: 0, kept } => {
                let (file, kept) = (file.display(), kept.display());
                write!(f, "{file} is damaged; what is whole of it is used; it is kept as {kept}")
            }
            Self::Damaged { file, records, kept } => {
                let (file, kept) = (file.display(), kept.display());
                write!(f, "{file} is damaged in {records} places; the rest of it is used; it is kept as {kept}")
            }
            Self::Newer { file, version, kept } => {
                let (file, kept) = (file.display(), kept.display());
                write!(
                    f,
                    "{file} was written by a newer tracker (version {version}) and is not used; it is kept as {kept}"
                )
            }
            Self::Unreadable { file, source, kept } => {
                let (file, kept) = (file.display(), kept.display());
                write!(f, "{file} cannot be read, or not to its end: {source}; the next snapshot renames it to {kept}")
            }
        }
    }
}
