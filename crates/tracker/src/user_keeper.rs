//! Tells the tracker who its users are, and keeps in the data folder what they have done.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime};

use dashboard::Accounts;
use serde::{Deserialize, Serialize};
use tracker_core::{Shards, UserId, UserTotals, Users};
use tracker_host::{Clock, HealthReport, LogThrottle, WallClock, unix_seconds};
use tracker_monitor::ParseSavedError;

#[cfg(doc)]
use crate::Builder;
use crate::json_file::JsonFile;
use crate::keeper_thread::{Finish, KeeperThread, cause, chain};
use crate::kept_path::USERS;

/// How often it is looked whether the accounts have changed.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// How often it is saved what users have done, if they have done anything.
const SAVE_INTERVAL: Duration = Duration::from_secs(10);

/// The version of the file's format.
const VERSION: u32 = 1;

/// One line in that time says that nothing can be written.
static FAILURES: LogThrottle = LogThrottle::new(Duration::from_secs(600));

/// What the [users](Builder::users) have done, as it is kept in the data folder.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SavedUsers {
    version: u32,
    /// By their numbers.
    users: BTreeMap<u32, SavedUser>,
}

/// What one user has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct SavedUser {
    /// Bytes uploaded, as the clients of the user say.
    pub uploaded: u64,
    /// Bytes downloaded, as they say.
    pub downloaded: u64,
    /// The time of the last announce, in Unix seconds.
    pub last_seen: Option<u64>,
}

impl SavedUsers {
    /// Reads what is kept in a data folder. It is at most ten seconds old. What cannot be read is taken for nothing.
    pub fn read(folder: &Path) -> Self {
        Self::open(folder).1
    }

    /// What is known of a user.
    pub fn of(&self, user: UserId) -> SavedUser {
        self.users.get(&user.0).copied().unwrap_or_default()
    }

    fn open(folder: &Path) -> (JsonFile, Self) {
        JsonFile::read(folder.join(USERS), "what users have done is counted anew", Self::parse)
    }

    fn parse(json: &[u8]) -> Result<Self, ParseSavedError> {
        #[derive(Deserialize)]
        struct Head {
            version: u32,
        }

        let Head { version } = serde_json::from_slice(json)?;
        if version > VERSION {
            return Err(ParseSavedError::Newer { version, supported: VERSION });
        }
        Ok(serde_json::from_slice(json)?)
    }

    fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).expect("maps of numbers can be written as JSON")
    }
}

/// The state of the thread.
struct Keeper {
    accounts: Accounts,
    /// The state of the accounts that the tracker knows.
    known: u64,
    shards: Arc<Shards>,
    clock: Clock,
    wall: WallClock,
    file: JsonFile,
    saved: SavedUsers,
    due: Instant,
    has_failed: bool,
    health: HealthReport,
}

/// Takes in what users have done before, and tells the tracker from now on who they are, within half a second of each change.
pub(crate) fn start(
    folder: &Path,
    accounts: Accounts,
    shards: &Arc<Shards>,
    clock: Clock,
    health: HealthReport,
) -> io::Result<KeeperThread> {
    let (file, saved) = SavedUsers::open(folder);
    let mut keeper = Keeper {
        accounts,
        known: 0,
        shards: Arc::clone(shards),
        wall: WallClock::new(clock.now(), SystemTime::now()),
        clock,
        file,
        saved,
        due: Instant::now() + SAVE_INTERVAL,
        has_failed: false,
        health,
    };
    keeper.follow();
    // From now on the folder is one of a tracker for users.
    keeper.save();
    KeeperThread::spawn("user-keeper", move |ended| keeper.run(ended))
}

impl Keeper {
    fn run(mut self, ended: &Receiver<Finish>) {
        loop {
            match ended.recv_timeout(LOOK_INTERVAL) {
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
                Ok(Finish) => return self.save(),
            }
            self.accounts.refresh();
            self.follow();
            if Instant::now() >= self.due {
                self.save();
                self.due = Instant::now() + SAVE_INTERVAL;
            }
        }
    }

    /// Tells the tracker who its users are, if that has changed, and what those have done whom it did not know.
    fn follow(&mut self) {
        if self.accounts.changes() == self.known {
            return;
        }
        if let Err(error) = self.accounts.give_keys() {
            tracing::warn!(error = %chain(&error), "cannot give keys to users: {}", chain(&error));
        }
        self.known = self.accounts.changes();
        let now = self.clock.now();
        self.shards.set_users(now, self.accounts.rules());
        let zero = self.wall.zero(now, SystemTime::now());
        let instant = |unix| {
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(unix);
            let since = at.duration_since(zero).unwrap_or_default().as_secs();
            tracker_core::Instant::from_secs(u32::try_from(since).unwrap_or(u32::MAX)).min(now)
        };
        let users: Vec<_> = self.users().collect();
        self.shards.with_users(|known| {
            for user in users {
                let SavedUser { uploaded, downloaded, last_seen } = self.saved.of(user);
                if known.totals(now, user) == UserTotals::default() {
                    known.restore(user, uploaded, downloaded, last_seen.map(instant));
                }
            }
        });
    }

    fn users(&self) -> impl Iterator<Item = UserId> {
        self.accounts.rules().into_iter().map(|(_, rule)| rule.user)
    }

    fn save(&mut self) {
        let now = self.clock.now();
        let zero = self.wall.zero(now, SystemTime::now());
        let saved = |known: &mut Users, user: UserId| {
            let totals = known.totals(now, user);
            let unix = |at: tracker_core::Instant| unix_seconds(zero + at.since(tracker_core::Instant::ZERO));
            SavedUser {
                uploaded: totals.uploaded,
                downloaded: totals.downloaded,
                last_seen: totals.last_seen.map(unix),
            }
        };
        let one = |user: UserId| Some((user.0, self.shards.with_users(|known| saved(known, user))?));
        // What is known of others stays: their accounts may be back, as when an older file took the place of theirs.
        let mut users = SavedUsers { version: VERSION, ..self.saved.clone() };
        users.users.extend(self.users().filter_map(one));
        if users == self.saved {
            return;
        }
        match self.file.write(&users.to_json()) {
            Ok(()) => {
                self.health.clear();
                self.saved = users;
                if std::mem::take(&mut self.has_failed) {
                    tracing::info!("what users have done is kept again");
                }
            }
            Err(error) => {
                self.has_failed = true;
                self.health.failed(format!("what users have done cannot be written to the disk: {}", cause(&error)));
                if FAILURES.allows().is_some() {
                    tracing::warn!(
                        error = %chain(&error),
                        "cannot keep what users have done for the next start; the tracker serves on, and tries again"
                    );
                }
            }
        }
    }
}
