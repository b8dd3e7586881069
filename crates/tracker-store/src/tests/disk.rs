//! A disk in memory that loses what was not synced, and fails at times.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::ops::Range;
use std::path::PathBuf;
use std::rc::Rc;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::Files;

/// What fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// The power, from this operation on: it has no effect, and neither has any after it.
    Crash,
    /// The disk is full. Some of the bytes are written.
    Full,
    /// An error of the device. Of what was written since the last sync, some is lost, also if a later sync succeeds: until a crash it
    /// is read as it was written. Names cannot be changed.
    Sync,
}

/// The files of a disk. All clones are one.
#[derive(Debug, Clone)]
pub(super) struct Disk(Rc<RefCell<State>>);

#[derive(Debug)]
struct State {
    /// By their numbers.
    contents: Vec<Content>,
    names: BTreeMap<String, usize>,
    /// What a crash leaves of the names: as they were when the folder was synced last.
    synced_names: BTreeMap<String, usize>,
    /// What was done to the names since then.
    changes: Vec<Change>,
    operations: u32,
    failure: Option<(u32, Failure)>,
    is_dead: bool,
    refuses_to_open: bool,
    fails_next_write: bool,
    rng: StdRng,
}

#[derive(Debug, Default, Clone)]
struct Content {
    bytes: Vec<u8>,
    synced: Vec<u8>,
    /// What a sync that failed has lost.
    lost: Vec<Range<usize>>,
}

impl Content {
    /// What a sync that succeeds leaves.
    fn durable(&self) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        self.lost.iter().for_each(|lost| bytes[lost.clone()].fill(0));
        bytes
    }
}

#[derive(Debug, Clone)]
enum Change {
    Create(String, usize),
    Rename(String, String),
    Remove(String),
}

#[derive(Debug)]
pub(super) struct OpenFile {
    disk: Disk,
    content: usize,
    at: usize,
}

impl Disk {
    pub(super) fn new(seed: u64) -> Self {
        Self(Rc::new(RefCell::new(State {
            contents: Vec::new(),
            names: BTreeMap::new(),
            synced_names: BTreeMap::new(),
            changes: Vec::new(),
            operations: 0,
            failure: None,
            is_dead: false,
            refuses_to_open: false,
            fails_next_write: false,
            rng: StdRng::seed_from_u64(seed),
        })))
    }

    /// Fails in this way so many operations from now.
    pub(super) fn fail_after(&self, operations: u32, failure: Failure) {
        let mut state = self.0.borrow_mut();
        state.failure = Some((state.operations + operations, failure));
    }

    /// Lets nobody read a file from now on, or does so again.
    pub(super) fn refuse_to_open(&self, refuses: bool) {
        self.0.borrow_mut().refuses_to_open = refuses;
    }

    /// Is full when something is written next.
    pub(super) fn fail_next_write(&self) {
        self.0.borrow_mut().fails_next_write = true;
    }

    /// What is there after the power has failed: names up to some change since the last sync, and of each file what was synced and
    /// some or none of the rest, which may be torn.
    pub(super) fn after_crash(&self, seed: u64) -> Self {
        let disk = Self::new(seed);
        let mut state = self.0.borrow_mut();
        let state = &mut *state;
        let mut names = state.synced_names.clone();
        let kept = state.rng.random_range(0..=state.changes.len());
        state.changes[..kept].iter().for_each(|change| change.apply(&mut names));
        let contents = state.contents.iter().map(|content| {
            let (bytes, synced) = (content.durable(), &content.synced);
            // Files are only appended to.
            let length = state.rng.random_range(synced.len()..=bytes.len().max(synced.len()));
            let mut left = bytes[..length].to_vec();
            if length > synced.len() && state.rng.random() {
                let torn = state.rng.random_range(synced.len()..length);
                left[torn..].fill(0);
            }
            Content { synced: left.clone(), bytes: left, lost: Vec::new() }
        });
        let contents = contents.collect();
        let mut new = disk.0.borrow_mut();
        (new.contents, new.names, new.synced_names) = (contents, names.clone(), names);
        drop(new);
        disk
    }

    pub(super) fn bytes_of(&self, name: &str) -> Option<Vec<u8>> {
        let state = self.0.borrow();
        state.names.get(name).map(|&content| state.contents[content].bytes.clone())
    }

    /// Makes a file of these bytes, or replaces it.
    pub(super) fn put(&self, name: &str, bytes: &[u8]) {
        let mut state = self.0.borrow_mut();
        let content = state.contents.len();
        state.contents.push(Content { bytes: bytes.to_vec(), synced: bytes.to_vec(), lost: Vec::new() });
        state.names.insert(name.to_owned(), content);
        state.synced_names.insert(name.to_owned(), content);
    }
}

impl Change {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Create(name, content) => _ = names.insert(name.clone(), *content),
            Self::Rename(from, to) => {
                if let Some(content) = names.remove(from) {
                    names.insert(to.clone(), content);
                }
            }
            Self::Remove(name) => _ = names.remove(name),
        }
    }
}

impl State {
    /// Counts an operation, and says how it fails.
    fn operate(&mut self) -> io::Result<Option<Failure>> {
        let failure = self.failure.filter(|&(at, _)| at == self.operations).map(|(_, failure)| failure);
        self.operations += 1;
        self.is_dead |= failure == Some(Failure::Crash);
        if self.is_dead { Err(io::Error::other("the power has failed")) } else { Ok(failure) }
    }

    fn operate_on_names(&mut self) -> io::Result<()> {
        match self.operate()? {
            Some(Failure::Sync) => Err(io::Error::other("the disk has failed")),
            _ => Ok(()),
        }
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.names);
        self.changes.push(change);
    }
}

impl Files for Disk {
    type File = OpenFile;

    fn names(&self) -> io::Result<Vec<String>> {
        let mut state = self.0.borrow_mut();
        state.operate()?;
        Ok(state.names.keys().cloned().collect())
    }

    fn open(&self, name: &str) -> io::Result<OpenFile> {
        let mut state = self.0.borrow_mut();
        state.operate()?;
        if state.refuses_to_open {
            return Err(ErrorKind::PermissionDenied.into());
        }
        let content = *state.names.get(name).ok_or(ErrorKind::NotFound)?;
        Ok(OpenFile { disk: self.clone(), content, at: 0 })
    }

    fn create(&self, name: &str) -> io::Result<OpenFile> {
        let mut state = self.0.borrow_mut();
        let failure = state.operate()?;
        if state.names.contains_key(name) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        if failure == Some(Failure::Full) {
            return Err(ErrorKind::StorageFull.into());
        }
        let content = state.contents.len();
        state.contents.push(Content::default());
        state.change(Change::Create(name.to_owned(), content));
        Ok(OpenFile { disk: self.clone(), content, at: 0 })
    }

    fn sync(&self, file: &mut OpenFile) -> io::Result<()> {
        let mut state = self.0.borrow_mut();
        let failure = state.operate()?;
        let state = &mut *state;
        let content = &mut state.contents[file.content];
        if failure == Some(Failure::Sync) {
            let length = state.rng.random_range(content.synced.len()..=content.bytes.len());
            content.synced = content.durable()[..length].to_vec();
            content.lost.push(length..content.bytes.len());
            return Err(io::Error::other("the disk has failed"));
        }
        content.synced = content.durable();
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.0.borrow_mut();
        state.operate_on_names()?;
        if !state.names.contains_key(from) {
            return Err(ErrorKind::NotFound.into());
        }
        state.change(Change::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.0.borrow_mut();
        state.operate_on_names()?;
        if !state.names.contains_key(name) {
            return Err(ErrorKind::NotFound.into());
        }
        state.change(Change::Remove(name.to_owned()));
        Ok(())
    }

    fn sync_folder(&self) -> io::Result<()> {
        let mut state = self.0.borrow_mut();
        if state.operate()? == Some(Failure::Sync) {
            return Err(io::Error::other("the disk has failed"));
        }
        state.synced_names = state.names.clone();
        state.changes.clear();
        Ok(())
    }

    fn path(&self, name: &str) -> PathBuf {
        name.into()
    }
}

impl Read for OpenFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.disk.0.borrow_mut();
        state.operate()?;
        let rest = &state.contents[self.content].bytes[self.at..];
        // Never all at once.
        let length = rest.len().min(buffer.len()).min(7000);
        buffer[..length].copy_from_slice(&rest[..length]);
        self.at += length;
        Ok(length)
    }
}

impl Write for OpenFile {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let mut state = self.disk.0.borrow_mut();
        let is_full = state.operate()? == Some(Failure::Full) || std::mem::take(&mut state.fails_next_write);
        let state = &mut *state;
        if is_full {
            let length = state.rng.random_range(0..=buffer.len());
            state.contents[self.content].bytes.extend_from_slice(&buffer[..length]);
            return Err(ErrorKind::StorageFull.into());
        }
        let length = buffer.len().min(state.rng.random_range(1..5000));
        state.contents[self.content].bytes.extend_from_slice(&buffer[..length]);
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
