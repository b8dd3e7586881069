//! The file that remembers which torrents were made of what, so that a restart does not read everything again, and what is not to
//! be seeded.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tracker_core::InfoHash;

use super::item::{Key, Made};
use super::items::Items;
use crate::library::LOOKING_PART;
use crate::replace_file::replace_file;

/// The version of the format.
const VERSION: u32 = 1;

/// Bytes of the file that are read, at most: 20,000 items with paths of 3 KiB.
const MAX_LEN: u64 = 64 << 20;

/// The state file. Without a path nothing is saved.
#[derive(Debug)]
pub(super) struct StateFile {
    path: Option<PathBuf>,
    /// The share folder, to which the paths are relative.
    share: String,
    /// When it may be written again.
    due: Instant,
    /// `true` if it was logged that it cannot be written.
    failed: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct Saved {
    version: u32,
    share: String,
    items: Vec<SavedItem>,
    /// The keys of the swarms that the operator has stopped, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    stopped: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct SavedItem {
    path: String,
    /// The fingerprint of the content of which the torrent was made.
    state: String,
    info_hash: String,
    /// `true` if the operator had it made.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    by_hand: bool,
    /// `true` if the torrent goes with its content.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    ours: bool,
    /// `true` if the operator removed the torrent.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    removed: bool,
    /// `true` if the content was found damaged.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    damaged: bool,
}

/// Why the state file cannot be used.
#[derive(Debug, thiserror::Error)]
enum LoadError {
    #[error(transparent)]
    Read(#[from] io::Error),
    #[error("it has more than {MAX_LEN} bytes")]
    TooLarge,
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error("its version is {0}, and this program knows {VERSION}")]
    Version(u32),
    #[error("{0:?} is neither a fingerprint nor an info-hash")]
    Value(String),
}

impl StateFile {
    pub(super) fn new(path: Option<PathBuf>, share: &Path) -> Self {
        Self { path, share: share.to_string_lossy().into_owned(), due: Instant::now(), failed: false }
    }

    /// The items and the stopped swarms as they were saved. A file that cannot be used is ignored with a warning: everything is
    /// hashed again.
    pub(super) fn load(&self) -> (Items, Vec<InfoHash>) {
        let Some(path) = &self.path else { return Default::default() };
        match self.read(path) {
            Ok(saved) => saved,
            Err(LoadError::Read(error)) if error.kind() == io::ErrorKind::NotFound => Default::default(),
            Err(error) => {
                tracing::warn!(
                    "cannot use {:?}, which remembers the torrents of the share folder: {error}; they are made again, and what was \
                     stopped is given again",
                    path.file_name().unwrap_or_default()
                );
                Default::default()
            }
        }
    }

    fn read(&self, path: &Path) -> Result<(Items, Vec<InfoHash>), LoadError> {
        if fs::metadata(path)?.len() > MAX_LEN {
            return Err(LoadError::TooLarge);
        }
        let saved: Saved = serde_json::from_slice(&fs::read(path)?)?;
        if saved.version != VERSION {
            return Err(LoadError::Version(saved.version));
        }
        let (mut items, mut ours, mut of_other_folder) = (HashMap::new(), HashSet::new(), Vec::new());
        let is_here = saved.share == self.share;
        for item in saved.items {
            let info_hash = info_hash(&item.info_hash)?;
            let fingerprint = item.state.parse().map_err(|_| LoadError::Value(item.state.clone()))?;
            if item.ours {
                ours.insert(info_hash);
                of_other_folder.extend((!is_here).then_some(info_hash));
            }
            if is_here {
                let key = Key { path: item.path.into(), by_hand: item.by_hand.then_some(info_hash) };
                items.insert(key, Made { fingerprint, info_hash, removed: item.removed, damaged: item.damaged });
            }
        }
        let stopped = saved.stopped.iter().map(|stopped| info_hash(stopped)).collect::<Result<_, _>>()?;
        Ok((Items::restore(items, ours, of_other_folder), stopped))
    }

    /// Returns `true` if it is to be written now. Not too often, so that many changes do not keep the disk busy; at the end
    /// always.
    pub(super) fn is_due(&self, is_end: bool) -> bool {
        self.path.is_some() && (is_end || Instant::now() >= self.due)
    }

    /// The bytes to [`write`](Self::write).
    pub(super) fn encode(&self, items: &Items, stopped: &[InfoHash]) -> Vec<u8> {
        let mut saved: Vec<_> = items
            .to_save()
            .map(|(key, made, ours)| SavedItem {
                path: key.path.as_ref().to_owned(),
                state: made.fingerprint.to_string(),
                info_hash: made.info_hash.to_string(),
                by_hand: key.by_hand.is_some(),
                ours,
                removed: made.removed,
                damaged: made.damaged,
            })
            .collect();
        saved.sort_by(|one, other| (&one.path, one.by_hand).cmp(&(&other.path, other.by_hand)));
        let stopped = stopped.iter().map(InfoHash::to_string).collect();
        let saved = Saved { version: VERSION, share: self.share.clone(), items: saved, stopped };
        serde_json::to_vec(&saved).expect("texts, numbers and lists are JSON")
    }

    /// Writes it, atomically.
    pub(super) fn write(&mut self, bytes: &[u8]) {
        let Some(path) = &self.path else { return };
        let start = Instant::now();
        let written = replace_file(path, bytes);
        self.due = Instant::now() + start.elapsed().max(Duration::from_millis(10)) * LOOKING_PART;
        match written {
            Ok(()) => self.failed = false,
            Err(error) => {
                if !self.failed {
                    tracing::warn!(
                        "cannot write {:?}, which remembers the torrents of the share folder: {error}; after a restart they are \
                         made again, and what was stopped is given again",
                        path.file_name().unwrap_or_default()
                    );
                }
                self.failed = true;
            }
        }
    }
}

fn info_hash(text: &str) -> Result<InfoHash, LoadError> {
    text.parse().map_err(|_| LoadError::Value(text.to_owned()))
}
