//! Torrents and clients that are not served any more.

use std::sync::Arc;

use super::Tracker;
use crate::peer::Identity;
use crate::survey::Victim;
use crate::swarms::SwarmId;
use crate::{ClientPolicy, TorrentPolicy, Verdict};
#[cfg(doc)]
use crate::{Config, Memory};

/// The peers that are compared with a rule about clients in the time of one step of a batch, or the rules with a peer.
const LOOKS_PER_STEP: usize = 16;

impl Tracker {
    /// Serves other torrents from now on. Swarms that are not served any more are dropped with their peers.
    ///
    /// One call looks at [`Config::expire_batch`] swarms, and [`expire`](Self::expire) at the others: until then they are there,
    /// but nobody can announce in them.
    pub fn set_torrents(&mut self, torrents: impl Into<Arc<TorrentPolicy>>) {
        self.config.torrents = torrents.into();
        self.check_anew();
        self.drop_batch_of_unserved();
    }

    /// Serves other clients from now on. Peers whose clients are not served any more leave their swarms. A [lean](Memory::Lean) tracker
    /// knows them by their addresses only: those with a peer id that is denied stay until they are due.
    ///
    /// One call looks at [`Config::expire_batch`] swarms, or fewer if these have many peers, and [`expire`](Self::expire) at the others,
    /// and at the rest of a large one: until then their peers are handed out, but cannot announce.
    pub fn set_clients(&mut self, clients: impl Into<Arc<ClientPolicy>>) {
        self.config.clients = clients.into();
        self.check_anew();
        self.drop_batch_of_unserved();
    }

    /// Begins with the first swarm, and with the last peer of the one that was come to.
    fn check_anew(&mut self) {
        let at = self.unchecked.replace(0).and_then(|place| self.swarms.id_at(place)).flatten();
        if let Some(id) = at {
            self.swarms[id].forget_check();
        }
    }

    /// Returns `true` if not all swarms were checked since other torrents or clients are served.
    pub(crate) fn has_unchecked(&self) -> bool {
        self.unchecked.is_some()
    }

    /// Looks at a batch of the swarms that were not checked since other torrents or clients are served. Returns `true` if there are no
    /// more.
    pub(crate) fn drop_batch_of_unserved(&mut self) -> bool {
        let mut budget = self.config.expire_batch;
        self.drop_unserved(&mut budget)
    }

    /// Drops swarms and peers that are not served any more. Looks at `budget` swarms at most, and takes what that costs from it.
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
            let is_checked = match id {
                Some(id) => self.drop_unserved_of(id, budget),
                // A free place costs a step, too. One that is filled again later has a swarm that is served.
                None => {
                    *budget -= 1;
                    true
                }
            };
            if is_checked {
                self.unchecked = Some(place + 1);
            }
        }
        true
    }

    /// Drops a swarm that is not served any more, or those of its peers whose clients are not. Takes from `budget` what that costs, at
    /// least one step. Returns `false` if the budget was used up before all its peers were looked at.
    fn drop_unserved_of(&mut self, id: SwarmId, budget: &mut usize) -> bool {
        let clients = Arc::clone(&self.config.clients);
        let info_hash = self.swarms[id].info_hash;
        let is_served = self.config.torrents.verdict(&info_hash) == Verdict::Served;
        if !is_served || clients.is_empty() {
            *budget -= 1;
            if !is_served {
                self.drop_swarm(id);
            }
            return true;
        }
        let per_peer = 1 + clients.len() / LOOKS_PER_STEP;
        let all = budget.saturating_mul(LOOKS_PER_STEP);
        let (mut left, mut denied) = (all, Vec::new());
        let is_checked = self.swarms[id].check(&mut left, |member| {
            if clients.admits_member(member) {
                return per_peer;
            }
            denied.push(Identity::of(member));
            per_peer + LOOKS_PER_STEP
        });
        *budget = budget.saturating_sub((all - left).div_ceil(LOOKS_PER_STEP).max(1));
        for peer in denied {
            self.evict(self.rules.now, &Victim { shard: 0, info_hash, peer: Some(peer) });
        }
        is_checked
    }
}
