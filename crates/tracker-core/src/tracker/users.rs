//! A tracker that is for users.

use super::Tracker;
#[cfg(doc)]
use crate::Memory;
use crate::peer::Identity;
use crate::survey::Victim;
use crate::{
    AddressGroup, AnnounceError, AnnounceRequest, Config, InfoHash, Instant, PeerId, UserId, UserKey, UserRule, Users,
};

impl Tracker {
    /// The user who announces, and what its address counts as, if the tracker is for users. `None`, too, if the address is not served
    /// at all, which is the better reason to refuse it.
    pub(super) fn admit_user(
        &mut self,
        request: &AnnounceRequest,
    ) -> Result<Option<(UserId, AddressGroup)>, AnnounceError> {
        let Config { access, clients, .. } = &self.config;
        let is_served = access.admits(request.remote()) && clients.admits_address(request.remote());
        if self.users.is_none() || !is_served {
            return Ok(None);
        }
        let address = self.newcomer(request);
        let Some(users) = &mut self.users else { return Ok(None) };
        users.admit(self.rules.now, address, request).map(|user| Some((user, address)))
    }

    /// The users, if the tracker is [for users](Config::users).
    pub fn users(&mut self) -> Option<&mut Users> {
        self.users.as_mut()
    }

    /// Makes these the users, each by its key, if the tracker is [for users](Config::users). Clients of those who may not announce any
    /// more, and of those who have another key than before, leave their swarms, unless the tracker is [lean](Memory::Lean): then they
    /// stay until they are due.
    pub fn set_users(&mut self, now: Instant, rules: impl IntoIterator<Item = (UserKey, UserRule)>) {
        let gone = self.users.as_mut().map(|users| users.set_rules(rules)).unwrap_or_default();
        gone.iter().for_each(|(info_hash, peer_id)| self.drop_client(now, info_hash, *peer_id));
    }

    /// Drops all peers of a client in a swarm.
    pub(crate) fn drop_client(&mut self, now: Instant, info_hash: &InfoHash, peer_id: PeerId) {
        let Some(id) = self.swarms.find(&self.rules, info_hash) else { return };
        let swarm = &self.swarms[id];
        let members = (0..swarm.len()).map(|position| Identity::of(&swarm.member_at(position)));
        let peers: Vec<_> = members.filter(|member| member.peer_id == peer_id).collect();
        for peer in peers {
            self.evict(now, &Victim { shard: 0, info_hash: *info_hash, peer: Some(peer) });
        }
    }
}
