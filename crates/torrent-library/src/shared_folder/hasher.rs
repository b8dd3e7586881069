//! Hashing what is shared, one item after the other.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Instant;

use metainfo::{CreateError, Created, Plan};
use tracker_core::InfoHash;

use super::items::HashJob;
use super::{PROGRESS_PERIOD, Shared};
use crate::creation::create;
use crate::torrent_job::explain;

/// An item goes before one in progress if it has at most one part in so many of what is left of that.
const SMALLER: u64 = 8;

/// Items in progress that pause for a smaller one, at most.
const MAX_PAUSED: usize = 3;

/// Why no torrent was made.
enum Failure {
    /// It has changed, or is gone.
    Changed,
    /// For another reason.
    Other(String),
}

impl Shared {
    /// Hashes what waits, until everything ends.
    pub(super) fn hash_all(&self) {
        let mut items = self.items();
        while !self.is_closed() {
            match items.next(u64::MAX) {
                Some(job) => {
                    drop(items);
                    self.hash(&job, 0);
                    items = self.items();
                }
                None => items = self.waiting.wait(items).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// Hashes an item and registers its torrent. While it does, smaller ones that come go before. So many others pause for this
    /// one.
    fn hash(&self, job: &HashJob, paused: usize) {
        let start = Instant::now();
        // After a bug the item does not stay in progress.
        let made = catch_unwind(AssertUnwindSafe(|| self.make(job, paused)));
        let bug = |_| Err(Failure::Other("there is a bug in the tracker: its standard error says more".to_owned()));
        let effects = match made.unwrap_or_else(bug) {
            Ok(()) => return,
            Err(_) if self.is_closed() => return,
            Err(Failure::Changed) => self.items().changed(job.content.id(), Instant::now()),
            Err(Failure::Other(error)) => self.items().failed(job, &error, Instant::now(), start.elapsed()),
        };
        self.apply(effects);
    }

    fn make(&self, job: &HashJob, paused: usize) -> Result<(), Failure> {
        let explain = |error| match error {
            CreateError::Cancelled
            | CreateError::Vanished { .. }
            | CreateError::LengthChanged { .. }
            | CreateError::Modified { .. } => Failure::Changed,
            error => Failure::Other(explain(error, &self.share)),
        };
        let create = create(&self.share, &job.key.path).map_err(|_| Failure::Changed)?;
        let plan = create.private(self.private).plan().map_err(explain)?;
        if !is_of(&plan, job) {
            return Err(Failure::Changed);
        }
        let (mut looked, mut is_told) = (Instant::now(), false);
        let created = plan.hash(&job.cancel, |progress| {
            job.progress.set(progress.hashed);
            if looked.elapsed() < PROGRESS_PERIOD {
                return;
            }
            // The threads that hash wait meanwhile, since nobody takes what they have done.
            while paused < MAX_PAUSED && !self.is_closed() {
                let Some(smaller) = self.items().next((progress.total - progress.hashed) / SMALLER) else { break };
                self.hash(&smaller, paused + 1);
            }
            looked = Instant::now();
            // What is over at once is not worth it.
            if !mem::replace(&mut is_told, true) {
                self.notify();
            }
        });
        let torrent = created.map_err(explain)?;
        let is_unchanged = self.fingerprint(&job.key).is_ok_and(|now| now == job.fingerprint);
        if !is_unchanged || job.cancel.load(Ordering::Relaxed) {
            return Err(Failure::Changed);
        }
        self.register(job, &torrent)
    }

    fn register(&self, job: &HashJob, torrent: &Created) -> Result<(), Failure> {
        let was_there = self.library.get(&InfoHash::new(*torrent.info_hash().as_bytes())).is_some();
        let known = self.library.register(torrent.as_bytes()).map_err(|error| Failure::Other(error.to_string()))?;
        let swarms: Vec<_> = known.swarm_keys().collect();
        let mut items = self.items();
        let (wanted, effects) = items.made(job, known.info_hash, was_there);
        if wanted {
            self.contents.hashed(job.content.id(), &swarms);
        }
        drop(items);
        self.apply(effects);
        // If the program is killed, the torrent is not to stay when its content is gone.
        self.save(false);
        Ok(())
    }
}

/// Returns `true` if a plan has the files that were listed.
fn is_of(plan: &Plan, job: &HashJob) -> bool {
    let planned = plan.files().iter().map(|file| file.length);
    planned.eq(job.content.files().iter().map(crate::ContentFile::size))
}
