//! Torrents and clients that are not served any more.

use std::sync::Arc;

use super::Tracker;
#[cfg(doc)]
use crate::Memory;
use crate::peer::Identity;
use crate::survey::Victim;
use crate::swarms::SwarmId;
use crate::{ClientPolicy, Config, TorrentPolicy, Verdict};

/// The peers that are compared with a rule about clients in the time of one step of a batch, or the rules with a peer.
const LOOKS_PER_STEP: usize = 16;

impl Tracker {
    /// Serves other torrents from now on. Swarms that are not served any more are dropped with their peers.
    ///
    /// One call looks at [`Config::expire_batch`] swarms, and [`expire`](Self::expire) at the others: until then they are there,
    /// but nobody can announce in them.
    pub fn set_torrents(&mut self, torrents: impl Into<Arc<TorrentPolicy>>) {
        self.config.torrents = torrents.into();
        self.unchecked = Some(0);
        self.drop_batch_of_unserved();
    }

    /// Serves other clients from now on. Peers whose clients are not served any more leave their swarms. A [lean](Memory::Lean) tracker
    /// knows them by their addresses only: those with a peer id that is denied stay until they are due.
    ///
    /// One call looks at [`Config::expire_batch`] swarms, or fewer if these have many peers, and [`expire`](Self::expire) at the others:
    /// until then their peers are handed out, but cannot announce.
    pub fn set_clients(&mut self, clients: impl Into<Arc<ClientPolicy>>) {
        self.config.clients = clients.into();
        self.unchecked = Some(0);
        self.drop_batch_of_unserved();
    }

    /// Returns `true` if not all swarms were checked since other torrents or clients are served.
    pub(crate) fn has_unchecked(&self) -> bool {
        self.unchecked.is_some()
    }

    /// Looks at a batch of the swarms that were not checked since other torrents or clients are served. Returns `true` if there are no more.
    pub(crate) fn drop_batch_of_unserved(&mut self) -> bool {
        let mut budget = self.config.expire_batch;
        self.drop_unserved(&mut budget)
    }

    /// Drops swarms and peers that are not served any more. Looks at `budget` swarms at most, and takes those it looks at from it.
    /// Returns `true` if there are no more.
    pub(super) fn drop_unserved(&mut self, budget: &mut usize) -> bool {
        while let Some(place) = self.unchecked {
            let Some(id) = self.swarms.id_at(place) else {
                self.unchecked = None;
                break;
            };
            if *budget == 0 {
                return false;
            }
            // A free place costs a step, too. One that is filled again later has a swarm that is served.
            *budget -= 1;
            if id.is_none_or(|id| self.drop_unserved_of(id, budget)) {
                self.unchecked = Some(place + 1);
            }
        }
        true
    }

    /// Drops a swarm that is not served any more, or those of its peers whose clients are not. Takes from `budget` what that costs.
    /// Returns `false` if there are more of them than one batch may have.
    ///
    /// A swarm is looked through at once, so that no peer changes its place meanwhile: some milliseconds for 100,000 peers and a few
    /// rules.
    fn drop_unserved_of(&mut self, id: SwarmId, budget: &mut usize) -> bool {
        let (swarm, Config { clients, torrents, expire_batch, .. }) = (&self.swarms[id], &self.config);
        let info_hash = swarm.info_hash;
        if torrents.verdict(&info_hash) != Verdict::Served {
            self.drop_swarm(id);
            return true;
        }
        if clients.is_empty() {
            return true;
        }
        let (count, most) = (swarm.len(), *expire_batch);
        let members = (0..count).map(|position| swarm.member_at(position));
        let denied = members.filter(|member| !clients.admits_member(member)).map(|member| Identity::of(&member));
        let denied: Vec<_> = denied.take(most + 1).collect();
        let clients = Arc::clone(clients);
        for &peer in denied.iter().take(most) {
            self.evict(self.rules.now, &Victim { shard: 0, info_hash, peer: Some(peer) });
        }
        let cost = count * (1 + clients.len() / LOOKS_PER_STEP);
        *budget = budget.saturating_sub(cost.div_ceil(LOOKS_PER_STEP) + denied.len());
        denied.len() <= most
    }
}
