//! Looking at folders of very many files, which must not hold up the rest.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::Shared;
use super::item::Key;
use crate::library::LOOKING_PART;

/// The thread that looks at large folders, one after the other, and lists those that are due. It ends when it has looked at all.
#[derive(Debug, Default)]
pub(super) struct LargeFolders {
    /// Returns how long it took.
    looking: Option<JoinHandle<Duration>>,
    /// When it may begin again.
    due: Option<Instant>,
}

impl LargeFolders {
    /// Looks at these folders, unless that is in progress or took place not long ago.
    pub(super) fn look(&mut self, shared: &Arc<Shared>, keys: Vec<Key>) {
        if let Some(looked) = self.looking.take_if(|looking| looking.is_finished()) {
            self.due = Some(Instant::now() + looked.join().unwrap_or_default() * LOOKING_PART);
        }
        let is_early = self.due.is_some_and(|due| Instant::now() < due);
        if keys.is_empty() || self.looking.is_some() || is_early {
            return;
        }
        let shared = Arc::clone(shared);
        let looking = thread::Builder::new()
            .name("large folders".into())
            .spawn(move || keys.iter().map(|key| shared.look_at(key)).sum());
        match looking {
            Ok(looking) => self.looking = Some(looking),
            Err(error) => tracing::warn!(%error, "cannot start the thread that looks at large folders"),
        }
    }
}

impl Shared {
    /// Looks at one folder, and returns how long that took; what is to be listed is listed once, and does not count.
    fn look_at(&self, key: &Key) -> Duration {
        let start = Instant::now();
        let fingerprint = self.fingerprint(key);
        let spent = start.elapsed();
        // If it is gone, the next look at all notices.
        if let Ok(fingerprint) = fingerprint
            && !self.is_closed()
        {
            let mut items = self.items();
            let effects = items.look_at(Instant::now(), key, fingerprint, &self.library.all());
            drop(items);
            self.apply(effects);
            self.save(false);
        }
        spent
    }
}
