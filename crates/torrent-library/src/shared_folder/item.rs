//! A file or folder that is followed.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tracker_core::InfoHash;

use super::ItemState;
use super::items::Effects;
use super::names::PassedOverReason;
use super::progress::HashProgress;
use super::scan::Fingerprint;
use crate::{Content, ContentFile, ContentId, KnownTorrent, KnownTorrents, OPERATOR_LOG};

/// How long names, sizes and times must stand until something is shared that came, or changed, while the program ran: a copy in
/// progress stops for seconds at times.
pub(super) const SETTLE: Duration = Duration::from_secs(5);

/// What could not be read, or made a torrent of, is tried again after this time, since its reason may not show in its state.
pub(super) const RETRY: Duration = Duration::from_secs(60);

/// Hashing that failed is tried again after so many times the time that it took.
pub(super) const RETRY_FACTOR: u32 = 10;

/// What an item is known by: its path, and for one that was made by hand also its torrent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    /// Relative to the share folder, with `/` between names; a name alone if it was not made by hand.
    pub(super) path: Arc<str>,
    pub(super) by_hand: Option<InfoHash>,
}

/// What a look at an item has found.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sight<'l> {
    pub(super) now: Instant,
    pub(super) fingerprint: Fingerprint,
    /// `true` at the first look at all: what is there then is there from the start.
    pub(super) is_first: bool,
    pub(super) library: &'l KnownTorrents,
}

/// A file or folder that is followed, and what has become of it.
#[derive(Debug)]
pub(super) struct Item {
    /// The fingerprint at the last look; `None` if it counts as changed in any case.
    pub(super) seen: Option<Fingerprint>,
    /// When it was first seen.
    pub(super) since: Instant,
    /// Registered since it was listed. While it settles it is that of an earlier state, whose files are there as far as they have
    /// not changed.
    pub(super) content: Option<Arc<Content>>,
    pub(super) stage: Stage,
    /// The torrent that was made last: of the present state in [`Stage::Made`], else of an earlier one.
    pub(super) made: Option<Made>,
    /// The torrent that it was before.
    pub(super) replaced: Option<InfoHash>,
}

/// A torrent, and the state of which it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Made {
    pub(super) fingerprint: Fingerprint,
    pub(super) info_hash: InfoHash,
    /// `true` if the operator has removed it from the library.
    pub(super) removed: bool,
    /// `true` if the content was found not to be the torrent's, although its fingerprint is the same.
    pub(super) damaged: bool,
}

/// What has become of an item.
#[derive(Debug)]
pub(super) enum Stage {
    Settling,
    PassedOver { reason: PassedOverReason, retry: Instant },
    Waiting,
    Hashing { progress: HashProgress, cancel: Arc<AtomicBool> },
    Made,
    Failed { error: Arc<str>, retry: Option<Instant> },
    Removed,
}

impl Key {
    pub(super) fn of_name(name: &str) -> Self {
        Self { path: name.into(), by_hand: None }
    }
}

impl Item {
    /// What others see of its state; `None` if it is passed over. What is [made](Stage::Made) is shared unless `same_as` another.
    pub(super) fn state(&self, same_as: impl FnOnce(InfoHash) -> Option<Arc<str>>) -> Option<ItemState> {
        Some(match &self.stage {
            Stage::PassedOver { .. } => return None,
            Stage::Settling => ItemState::Settling,
            Stage::Waiting => ItemState::Waiting,
            Stage::Hashing { progress, .. } => ItemState::Hashing(progress.clone()),
            Stage::Made => {
                let info_hash = self.info_hash()?;
                same_as(info_hash).map_or(ItemState::Shared { info_hash }, |name| ItemState::SameAs { name })
            }
            Stage::Failed { error, .. } => ItemState::Failed { error: Arc::clone(error) },
            Stage::Removed => ItemState::Removed,
        })
    }

    /// The info-hash of the torrent of an earlier state.
    pub(super) fn replaces(&self) -> Option<InfoHash> {
        if matches!(self.stage, Stage::Made) { self.replaced } else { self.info_hash() }
    }

    /// The info-hash of the torrent that was made last.
    pub(super) fn info_hash(&self) -> Option<InfoHash> {
        self.made.map(|made| made.info_hash)
    }

    /// Returns `true` if this is its content.
    pub(super) fn has(&self, id: ContentId) -> bool {
        self.content.as_ref().is_some_and(|content| content.id() == id)
    }

    pub(super) fn is_passed_over(&self) -> bool {
        matches!(self.stage, Stage::PassedOver { .. })
    }

    /// When hashing that failed after this time is tried again.
    pub(super) fn retry_after(now: Instant, took: Duration) -> Option<Instant> {
        now.checked_add(RETRY.max(took.saturating_mul(RETRY_FACTOR)))
    }

    pub(super) fn new(fingerprint: Fingerprint, since: Instant) -> Self {
        Self { seen: Some(fingerprint), since, content: None, stage: Stage::Settling, made: None, replaced: None }
    }

    /// Takes in a look at it.
    pub(super) fn look(&mut self, key: &Key, sight: Sight<'_>, effects: &mut Effects) {
        let Sight { now, fingerprint, is_first, library } = sight;
        if self.seen != Some(fingerprint) {
            self.change(now, key, Some(fingerprint), effects);
            return;
        }
        let has_torrent = || self.made.is_some_and(|made| library.get(&made.info_hash).is_some());
        match &self.stage {
            Stage::Settling if is_first || now.saturating_duration_since(self.since) >= SETTLE => {
                effects.list.push((key.clone(), fingerprint));
            }
            Stage::PassedOver { retry, .. } if now >= *retry => effects.list.push((key.clone(), fingerprint)),
            Stage::Made if !has_torrent() => {
                self.made.iter_mut().for_each(|made| made.removed = true);
                effects.withdraw.extend(self.content.take().map(|content| content.id()));
                (self.stage, effects.changed) = (Stage::Removed, true);
            }
            // It was registered again.
            Stage::Removed if has_torrent() => {
                (self.stage, effects.changed) = (Stage::Settling, true);
                effects.list.push((key.clone(), fingerprint));
            }
            Stage::Failed { retry: Some(retry), .. } if now >= *retry => {
                (self.stage, effects.changed) = (Stage::Waiting, true);
                effects.waiting.push(key.clone());
            }
            _ => {}
        }
    }

    /// It is not what it was any more. Its content stays until it is listed again.
    pub(super) fn change(&mut self, now: Instant, key: &Key, fingerprint: Option<Fingerprint>, effects: &mut Effects) {
        self.stop();
        (self.seen, self.since) = (fingerprint, now);
        if !matches!(mem::replace(&mut self.stage, Stage::Settling), Stage::Settling) {
            effects.changed = true;
            if self.content.is_some() {
                tracing::info!(target: OPERATOR_LOG, path = &*key.path, "{} has changed since it was shared", key.path);
            }
        }
    }

    pub(super) fn stop(&self) {
        if let Stage::Hashing { cancel, .. } = &self.stage {
            cancel.store(true, Ordering::Relaxed);
        }
    }
}

impl Stage {
    pub(super) fn changed_by_hand() -> Self {
        let error = "it has changed since its torrent was made; make a torrent of it again";
        Self::Failed { error: error.into(), retry: None }
    }
}

/// Returns `true` if a torrent has as many files as a content, of the same sizes.
pub(super) fn is_of(content: &Content, torrent: &KnownTorrent) -> bool {
    let info = torrent.metainfo.info();
    let is_folder = !info.is_single_file();
    let files = content.files().iter();
    let sizes_fit = || info.content_files().map(|file| file.length).eq(files.map(ContentFile::size));
    is_folder == content.is_folder() && torrent.size == content.size() && sizes_fit()
}
