//! The files of a tracker, from one start to the next.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use tracker_core::SwarmImage;

use crate::error::{AppendError, OpenError, SnapshotError};
use crate::files::{Files, SystemFiles};
use crate::head::{Head, Kind};
use crate::journal::{self, Fault};
use crate::record;
use crate::recovered::{Problem, Recovered, Snapshot};
use crate::snapshot::{PEERS, SNAPSHOT, SnapshotWriter, TEMPORARY};

/// The files of a tracker in one folder. Only one may use a folder at a time: the caller has a lock for it.
///
/// What an operation has acknowledged outlives a crash and a power failure, as far as the file system keeps what was synced.
#[derive(Debug)]
pub struct Store<F: Files = SystemFiles> {
    files: F,
    /// The number of the journal that is begun next.
    next_journal: u64,
    /// The journal that is appended to, and its name.
    journal: Option<(F::File, String)>,
    buffer: Vec<u8>,
    /// Files that were not read whole and are not kept elsewhere: by their names, the names that they get before a snapshot takes
    /// their place.
    unread: BTreeMap<String, String>,
}

impl Store {
    /// Opens the store in this folder, which exists, and recovers what is in it.
    ///
    /// What is damaged, newer or unreadable is kept under another name, with `.damaged`, `.newer` or `.unreadable` at its end, and is
    /// among the [problems](Recovered::problems). What cannot be read keeps its name until the next snapshot, since the next start may
    /// be able to read it.
    ///
    /// # Errors
    ///
    /// Returns [`OpenError`] if the folder cannot be read.
    pub fn open(folder: impl Into<PathBuf>) -> Result<(Self, Recovered), OpenError> {
        Self::open_in(SystemFiles::new(folder))
    }
}

impl<F: Files> Store<F> {
    /// Does what [`open`](Store::open) does, with these files.
    ///
    /// # Errors
    ///
    /// Returns [`OpenError`] if the names of the files cannot be read.
    pub fn open_in(files: F) -> Result<(Self, Recovered<F>), OpenError> {
        let names = files.names().map_err(|source| OpenError::List { folder: files.path(""), source })?;
        let (mut problems, mut unread) = (Vec::new(), BTreeMap::new());
        if names.iter().any(|name| name == TEMPORARY) {
            // It is in nobody's way if it stays.
            _ = files.remove(TEMPORARY);
        }
        let has_snapshot = names.iter().any(|name| name == SNAPSHOT);
        let snapshot = if has_snapshot { recover_snapshot(&files, &mut problems, &mut unread) } else { None };
        // Those before are in the snapshot.
        let first = snapshot.as_ref().map_or(0, |snapshot| snapshot.head.journal);
        let mut numbers: Vec<_> = names.iter().filter_map(|name| journal::number(name)).collect();
        numbers.sort_unstable();
        let mut swarms = journal::Swarms::default();
        for name in numbers.iter().filter(|&&number| number >= first).map(|&number| journal::name(number)) {
            if let Err(fault) = journal::read(&files, &name, &mut swarms) {
                problems.push(problem(&files, &name, fault, &mut unread));
            }
        }
        // One that exists is never appended to: its end may be torn.
        let next_journal = numbers.last().map_or(0, |last| last.saturating_add(1)).max(first);
        let store = Self { files, next_journal, journal: None, buffer: Vec::new(), unread };
        Ok((store, Recovered { snapshot, appended: swarms.into_images(), problems }))
    }

    /// Appends swarms, each with the peers that matter, as they are at this time. When this returns, they outlive a crash.
    ///
    /// # Errors
    ///
    /// Returns [`AppendError`] if they may not. Then append them again later: that begins another journal.
    pub fn append(&mut self, now: SystemTime, swarms: &[SwarmImage]) -> Result<(), AppendError> {
        if swarms.is_empty() {
            return Ok(());
        }
        self.buffer.clear();
        let (mut file, name, is_new) = match self.journal.take() {
            Some((file, name)) => (file, name, false),
            None => {
                let (file, name) = self.begin_journal()?;
                (file, name, true)
            }
        };
        for swarm in swarms {
            // Also without peers.
            for peers in swarm.peers.chunks(PEERS).chain(swarm.peers.is_empty().then_some(&[][..])) {
                record::encode_dated(&mut self.buffer, now, swarm, peers);
            }
        }
        let written = file.write_all(&self.buffer).and_then(|()| self.files.sync(&mut file));
        let written = written.and_then(|()| if is_new { self.files.sync_folder() } else { Ok(()) });
        if let Err(source) = written {
            // Nobody knows what a failed one has at its end. A new one has nothing that was acknowledged, and where the disk is full
            // there would be one more with each try.
            if is_new {
                _ = self.files.remove(&name);
            }
            return Err(AppendError::Write { journal: self.files.path(&name), source });
        }
        self.journal = Some((file, name));
        Ok(())
    }

    /// Makes a journal, whose head is written together with its first records.
    fn begin_journal(&mut self) -> Result<(F::File, String), AppendError> {
        let (number, name) = (self.next_journal, journal::name(self.next_journal));
        // Also when it cannot be made: half of it may be there.
        self.next_journal = self.next_journal.saturating_add(1);
        let file = self.files.create(&name);
        let file = file.map_err(|source| AppendError::Begin { journal: self.files.path(&name), source })?;
        self.buffer.extend_from_slice(&Head { kind: Kind::Journal, journal: number, begun: UNIX_EPOCH }.encode());
        Ok((file, name))
    }

    /// Begins a snapshot. What is added to it must have been taken out of the tracker after this; what is appended from now
    /// on is in another journal, so that it may be in the snapshot or not. There is one at a time: finish or drop the one before first.
    ///
    /// # Errors
    ///
    /// Returns [`SnapshotError::Create`] if the temporary file cannot be made.
    pub fn begin_snapshot(&mut self, now: SystemTime) -> Result<SnapshotWriter<F>, SnapshotError> {
        self.journal = None;
        SnapshotWriter::begin(self.files.clone(), self.next_journal, now)
    }

    /// Puts a snapshot in the place of the one before, and removes the journals that are in it. When this returns, it outlives a
    /// crash.
    ///
    /// # Errors
    ///
    /// Returns [`SnapshotError`] if it cannot be written. Then the one before is there, or this one.
    pub fn finish_snapshot(&mut self, mut snapshot: SnapshotWriter<F>) -> Result<(), SnapshotError> {
        snapshot.complete()?;
        // Before the snapshot says that it has them: after a crash nobody would look at them again.
        while let Some((name, aside)) = self.unread.first_key_value() {
            // What is whole of a damaged one is used until a snapshot has its place, also if the next start comes before that.
            let kept =
                if aside.ends_with(DAMAGED) { copy(&self.files, name, aside) } else { self.files.rename(name, aside) };
            match kept {
                Err(source) if source.kind() != ErrorKind::NotFound => {
                    return Err(SnapshotError::KeepAside { file: self.files.path(name), source });
                }
                // Each once: what has the name next is a snapshot of ours.
                _ => self.unread.pop_first(),
            };
        }
        let first = snapshot.replace()?;
        // What stays is passed over at the next start.
        let names = self.files.names().unwrap_or_default();
        for name in names.iter().filter(|name| journal::number(name).is_some_and(|number| number < first)) {
            _ = self.files.remove(name);
        }
        Ok(())
    }
}

/// The end of the name of the copy of a damaged file.
const DAMAGED: &str = "damaged";

/// Looks at the whole snapshot, and opens it again to read what is whole.
fn recover_snapshot<F: Files>(
    files: &F,
    problems: &mut Vec<Problem>,
    unread: &mut BTreeMap<String, String>,
) -> Option<Snapshot<F>> {
    match Snapshot::open(files).and_then(Snapshot::check) {
        Ok(()) => {}
        Err(fault) => problems.push(problem(files, SNAPSHOT, fault, unread)),
    }
    Snapshot::open(files).ok()
}

/// Keeps a faulty file aside, now or before a snapshot takes its place, and says what is wrong with it.
fn problem<F: Files>(files: &F, name: &str, fault: Fault, unread: &mut BTreeMap<String, String>) -> Problem {
    let end = match fault {
        Fault::Damaged { .. } => DAMAGED,
        Fault::Newer(_) => "newer",
        Fault::Unreadable(_) => "unreadable",
    };
    let aside = format!("{name}.{end}");
    let (file, kept) = (files.path(name), files.path(&aside));
    let is_kept = match fault {
        // What is whole of it is used, also at the next start.
        Fault::Damaged { .. } => copy(files, name, &aside).is_ok(),
        Fault::Newer(_) => files.rename(name, &aside).is_ok(),
        Fault::Unreadable(_) => false,
    };
    if !is_kept {
        unread.insert(name.to_owned(), aside);
    }
    match fault {
        Fault::Damaged { records } => Problem::Damaged { file, records, kept },
        Fault::Newer(version) => Problem::Newer { file, version, kept },
        Fault::Unreadable(source) => Problem::Unreadable { file, source, kept },
    }
}

fn copy<F: Files>(files: &F, from: &str, to: &str) -> io::Result<()> {
    match files.remove(to) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut source = files.open(from)?;
    let mut target = files.create(to)?;
    let copied = io::copy(&mut source, &mut target).and_then(|_| files.sync(&mut target));
    if copied.is_err() {
        // Half a copy is of no use, and takes room where the disk is full.
        drop(target);
        _ = files.remove(to);
    }
    copied
}
