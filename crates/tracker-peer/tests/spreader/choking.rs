//! Whom a leecher unchokes.

use std::time::Duration;

use rand::seq::{IndexedRandom, SliceRandom};

use crate::swarm::{Flow, Message, SOURCE, Swarm};

/// The time after which a leecher decides anew whom to unchoke, and the rounds of that which the one at random stays.
pub(crate) const RECHOKE: Duration = Duration::from_secs(10);
const OPTIMISTIC_ROUNDS: u32 = 3;

impl Swarm<'_> {
    /// Unchokes those who give most, and one at random.
    pub(crate) fn rechoke(&mut self, number: usize) {
        if !self.leechers[number].is_there {
            return;
        }
        let mut candidates: Vec<_> = self.leechers[number].receivers.clone();
        candidates.retain(|&flow| self.flows[flow].is_open && self.flows[flow].is_interested);
        candidates.shuffle(&mut self.rng);
        let is_complete = self.leechers[number].completed.is_some();
        let given = |flow: &usize| self.flows[*flow].back.map_or(0.0, |back| self.flows[back].received);
        if !is_complete {
            candidates.sort_by(|a, b| given(b).total_cmp(&given(a)));
        }
        let mut unchoked: Vec<_> = candidates.iter().take(self.scenario.clients.regular_slots()).copied().collect();
        let rest: Vec<_> = candidates.iter().skip(self.scenario.clients.regular_slots()).copied().collect();
        let leecher = &mut self.leechers[number];
        let keeps =
            leecher.optimistic.filter(|flow| rest.contains(flow) && !leecher.round.is_multiple_of(OPTIMISTIC_ROUNDS));
        leecher.round += 1;
        leecher.optimistic = keeps.or_else(|| rest.choose(&mut self.rng).copied());
        unchoked.extend(leecher.optimistic);
        for flow in self.leechers[number].receivers.clone() {
            if self.flows[flow].is_open {
                self.set_unchoked(flow, unchoked.contains(&flow));
            }
        }
        for flow in self.leechers[number].sources.clone() {
            self.flows[flow].received = 0.0;
        }
        self.tell(self.now + RECHOKE, Message::Rechoke(number));
    }

    /// Gives slots that are free to those who are interested.
    pub(crate) fn unchoke_free(&mut self, number: usize) {
        let receivers = &self.leechers[number].receivers;
        let used = receivers.iter().filter(|&&flow| self.flows[flow].is_unchoked).count();
        if used > self.scenario.clients.regular_slots() {
            return;
        }
        let waits = |flow: &usize| {
            let Flow { is_open, is_interested, is_unchoked, .. } = self.flows[*flow];
            is_open && is_interested && !is_unchoked
        };
        let waiting: Vec<_> = receivers.iter().copied().filter(waits).collect();
        for &flow in waiting.sample(&mut self.rng, self.scenario.clients.regular_slots() + 1 - used).collect::<Vec<_>>()
        {
            self.set_unchoked(flow, true);
        }
    }

    pub(crate) fn set_unchoked(&mut self, flow: usize, is_unchoked: bool) {
        let entry = &mut self.flows[flow];
        if std::mem::replace(&mut entry.is_unchoked, is_unchoked) == is_unchoked {
            return;
        }
        if is_unchoked {
            self.tell_late(Message::Unchoke(flow));
        } else {
            // What has begun to leave goes on.
            entry.queue.truncate(1);
            entry.left_later = 0.0;
            self.tell_late(Message::Choke(flow));
        }
    }

    /// A leecher that wants nothing more of another one says so, and makes room for others.
    pub(crate) fn update_interest(&mut self, flow: usize) {
        let Flow { from, to, is_interested, .. } = self.flows[flow];
        if from == SOURCE || !is_interested || !self.flows[flow].requested.is_empty() {
            return;
        }
        if !self.leechers[to - 1].has.lacks_some_of(&self.leechers[from - 1].shown) {
            self.flows[flow].is_interested = false;
            self.set_unchoked(flow, false);
            self.unchoke_free(from - 1);
        }
    }
}
