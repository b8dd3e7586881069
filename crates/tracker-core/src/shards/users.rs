//! Shards of a tracker that is for users. All have the same ones, since these announce in all of them.

use super::{Shards, lock};
use crate::{AddressGroup, AnnounceError, AnnounceRequest, Instant, UserId, UserKey, UserRule, Users};
#[cfg(doc)]
use crate::{Config, Tracker};

impl Shards {
    /// The user who announces, and what its address counts as, if the tracker is for users.
    pub(super) fn admit_user(
        &self,
        now: Instant,
        request: &AnnounceRequest,
    ) -> Result<Option<(UserId, AddressGroup)>, AnnounceError> {
        // The address comes first.
        let Some(users) = self.users.as_ref().filter(|_| self.admits(request.remote())) else { return Ok(None) };
        let (address, is_new_network) = self.change(self.shard_of(&request.info_hash), |tracker, _| {
            let is_new_network = tracker.learn_network(now, request.local());
            (tracker.newcomer(request), is_new_network)
        });
        if is_new_network {
            self.learn_network(now, request.local());
        }
        lock(users).admit(now, address, request).map(|user| Some((user, address)))
    }

    /// Takes note of an announce that was taken in. If its user has been switched off meanwhile, it leaves again.
    pub(super) fn record_user(&self, now: Instant, user: UserId, address: AddressGroup, request: &AnnounceRequest) {
        let is_gone = self.with_users(|users| {
            let is_there = users.find(request.user_key.as_ref()) == Some(user);
            if is_there {
                users.record(now, user, address, request);
            }
            !is_there
        });
        if is_gone == Some(true) {
            let shard = self.shard_of(&request.info_hash);
            self.change(shard, |tracker, _| tracker.drop_client(now, &request.info_hash, request.peer_id));
        }
    }

    /// See [`Tracker::set_users`].
    pub fn set_users(&self, now: Instant, rules: impl IntoIterator<Item = (UserKey, UserRule)>) {
        let now = self.latest(now);
        for (info_hash, peer_id) in self.with_users(|users| users.set_rules(rules)).unwrap_or_default() {
            self.change(self.shard_of(&info_hash), |tracker, _| tracker.drop_client(now, &info_hash, peer_id));
        }
    }

    /// Looks at the users, if the tracker is [for users](Config::users). Announces wait meanwhile.
    ///
    /// Of announces that come at the same time, on several threads, each may be admitted as the last one within a
    /// [limit](crate::UserRule::max_addresses).
    pub fn with_users<T>(&self, look: impl FnOnce(&mut Users) -> T) -> Option<T> {
        self.users.as_ref().map(|users| look(&mut lock(users)))
    }
}
