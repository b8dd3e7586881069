//! Which pieces a peer is shown, and when.

use super::receiver::Promise;
use super::window::{self, Window};
use super::{Action, Spreader};

impl<C: Copy + Ord> Spreader<C> {
    pub(super) fn reveal_to_all(&mut self) {
        for connection in self.connections() {
            self.reveal(connection);
        }
    }

    /// Reveals to a peer as many pieces as it may get now, and to others, too, if they were held back until now.
    pub(super) fn reveal(&mut self, connection: C) {
        if self.look_at_balance() {
            self.connections().into_iter().for_each(|other| self.reveal_to(other));
        } else {
            self.reveal_to(connection);
        }
    }

    /// Looks who is ahead of the others, if it is time. Returns `true` if nobody is held back any more.
    fn look_at_balance(&mut self) -> bool {
        if !self.balance.is_due(self.now) {
            return false;
        }
        let layout = self.layout;
        let takers = self.receivers.values().filter(|receiver| receiver.is_taker() && !receiver.is_stalled);
        self.balance.look(self.now, takers.map(|receiver| receiver.bytes(layout)))
    }

    /// Reveals to one peer what it may get, unless it is held back.
    fn reveal_to(&mut self, connection: C) {
        let Some(receiver) = self.receivers.get_mut(&connection) else { return };
        if self.balance.is_ahead(receiver.bytes(self.layout)) && receiver.may_be_held_back(self.now) {
            if receiver.is_taker() {
                self.keep_waiting(connection);
                self.look_soon();
            }
            return;
        }
        let was_kept_waiting = std::mem::take(&mut receiver.is_kept_waiting);
        while let Some(piece) = self.next_to_reveal(connection) {
            self.promise(connection, piece);
        }
        let receiver = &self.receivers[&connection];
        if !receiver.promises.is_empty() || receiver.has_in_flight() {
            self.look_soon();
        }
        if was_kept_waiting {
            self.serve(connection);
        }
    }

    /// The next piece to reveal to a peer, if it may get one now.
    fn next_to_reveal(&mut self, connection: C) -> Option<u32> {
        let receiver = self.receivers.get_mut(&connection)?;
        if !receiver.may_take() || !receiver.may_be_told || receiver.is_stalled {
            return None;
        }
        let pool = u64::from(self.copies.without()) * u64::from(self.layout.piece_length());
        let window = if receiver.has_begun {
            let rate = receiver.meter.per_second(self.now);
            Window::new(rate, pool, self.takers, self.balance.within().clamp(1, self.takers))
        } else {
            Window::FIRST
        };
        let (count, promised) = (receiver.promises.len(), receiver.promised);
        let has_room = |length: u64, window: u64| window::has_room(window, count, promised + length);
        // Before the search: nearly always there is no room.
        if !has_room(1, if pool > 0 { window.first_copies } else { window.later_copies }) {
            return None;
        }
        let Some(piece) = self.copies.rarest(&mut self.rng, [&receiver.has, &receiver.revealed]) else {
            receiver.may_be_told = false;
            return None;
        };
        let length = u64::from(self.layout.length_of(piece));
        let is_first = self.copies.of(piece) == 0;
        has_room(length, if is_first { window.first_copies } else { window.later_copies }).then_some(piece)
    }

    /// Lets one that is held back go on wanting something: reveals a piece that it is not served yet. One that others have, too, since
    /// nobody else is given it meanwhile.
    fn keep_waiting(&mut self, connection: C) {
        let Some(receiver) = self.receivers.get_mut(&connection) else { return };
        if !receiver.promises.is_empty() || receiver.is_stalled {
            return;
        }
        let Some(piece) = self.copies.commonest([&receiver.has, &receiver.revealed]) else { return };
        receiver.is_kept_waiting = true;
        self.promise(connection, piece);
    }

    /// Reveals a piece that a peer is to get from here.
    fn promise(&mut self, connection: C, piece: u32) {
        let (now, length) = (self.now, u64::from(self.layout.length_of(piece)));
        let receiver = self.receiver(connection);
        if receiver.promises.is_empty() {
            receiver.active_at = now;
        }
        receiver.promises.insert(piece, Promise { sent: 0, touched: now });
        receiver.promised += length;
        receiver.revealed.insert(piece);
        self.copies.add(piece);
        self.actions.push_back(Action::Reveal { connection, piece });
    }
}
