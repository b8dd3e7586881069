//! Decides what the tracker's own peer gives next.
//!
//! One source has a file, and many want it at once. What the source's link sends twice is what the last one waits for: so it
//! gives each piece once before it gives any twice, and leaves the rest to those who have got something. Clients that are shown
//! everything do not ask for that, since each asks for what is rare as far as it knows. So the [`Spreader`] tells each peer of
//! few pieces at a time.

mod action;
mod balance;
mod bits;
mod copies;
mod layout;
mod meter;
mod receiver;
mod revealing;
mod slots;
mod window;

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroUsize;
use std::time::Duration;

use peer_wire::Block;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use self::balance::Balance;
use self::copies::Copies;
use self::receiver::{Promise, Receiver, Standing};
use self::slots::Slots;
pub use action::Action;
pub use layout::{Layout, LayoutError, MAX_BLOCK_BYTES, MAX_PIECES};

/// Peers that are given a torrent at a time: more than the service has connections to in a swarm, so that one that takes the place of
/// another is not too early.
pub const MAX_RECEIVERS: usize = 250;

/// Requests of a peer that wait. Tell clients by `reqq` in the extended handshake
/// ([BEP 10](https://www.bittorrent.org/beps/bep_0010.html)).
pub const MAX_WAITING: usize = 128;

/// The time after which a peer that neither requests nor takes anything is not counted on.
const STALL: Duration = Duration::from_secs(5);

/// The same for a peer that has not asked for anything since it was connected.
const START_STALL: Duration = Duration::from_secs(1);

/// The time after which a peer is not counted on for a piece of which nothing was requested and nothing left.
const PROMISE: Duration = Duration::from_secs(20);

/// The time between two looks at peers that may have stalled.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Decides what one torrent's peers are told of, who is unchoked, and which block is served next.
///
/// `C` names a connection; it is the caller's, and is not used again for another one. The spreader does no I/O and reads no
/// clock. Methods that take `now` take the time since any fixed moment, the same for all. Time that goes back counts as
/// standing still. There are two kinds of method:
///
/// - Inputs change the state: `set_*`, `handle_*`. Any order of them is legal. What is reported of a connection that is not
///   known is ignored, and so is a piece that does not exist.
/// - Outputs say what to do: [`poll_action`](Self::poll_action) after each input until there is none, and
///   [`poll_timeout`](Self::poll_timeout) after that.
///
/// # What is given to whom
///
/// A peer is told of the least available piece that it lacks, at random among equals. A piece is as available as there are
/// connected peers that have it or were told of it lately. So each is given once before any is given twice; one that was given
/// to a peer that leaves or stalls is available less, and is given next; and at the end those are given that are rarest.
///
/// A peer is told of some pieces ahead, of 1 MiB: of less if it is slow, of more if it is very fast, and always of two pieces at
/// least. Until it has asked for something, only 128 KiB are revealed to it: some clients take 10 s for that. Nothing waits
/// until a piece was seen at somebody else's, as super-seeding by the book does
/// ([BEP 16](https://www.bittorrent.org/beps/bep_0016.html)): then the link would be idle at times. Of pieces that nobody has, a
/// peer is told of no more than its share, so that all peers get the last of them at the same time. Of pieces that somebody has,
/// all peers together are told of as much as one alone would be: they can also get these from each other, but do not while they
/// wait for them from here. So a single peer is served as fast as by any seed, also one that comes late.
///
/// A peer that is ahead of the one furthest behind by more than 2 MiB, or what all get in 0.4 s if that is more, is told of nothing
/// until that has caught up: it is served by others, and the one behind by none. If the link is then not as full as before, those
/// behind are slow, and nobody is held back for 5 s, or up to 60 s if that happens again and again. One that gets nothing from others
/// for 3 s meanwhile, since it cannot reach them for example, is not held back for 30 s. To a peer that is held back and has
/// everything that was revealed to it one more piece is revealed, which it must wait for: rTorrent requests nothing for 10 to 30 s of
/// a peer that had nothing for it, and Transmission for up to 10 s.
///
/// Requests are served in the order in which they came. Everybody is unchoked who lacks something, so that the link is full if it
/// can be, or as many as [`set_slots`](Self::set_slots) says. What was not revealed to a peer is not served: requests for it are
/// rejected, or ignored if the peer has not the fast extension. Nothing is `allowed fast`
/// ([BEP 6](https://www.bittorrent.org/beps/bep_0006.html)), since hardly anybody is choked.
///
/// # Limits
///
/// 250 peers; of each 128 waiting requests, at most 256 KiB that are served and have not left, or what it takes in 10 ms if that
/// is more, up to 2 MiB, and 1,024 pieces that it was told of and has not got. Memory: a little more than 3 bytes for each
/// piece, 2 bits for each piece and peer, and up to 64 KiB for each peer: 42 MB at most with 400,000 pieces and 250 peers. A
/// command takes time in proportion to a 64th of the number of pieces, at most, and to the pieces that come or go with it; and
/// for each peer if one leaves.
#[derive(Debug)]
pub struct Spreader<C> {
    now: Duration,
    layout: Layout,
    rng: StdRng,
    copies: Copies,
    receivers: BTreeMap<C, Receiver>,
    /// Receivers that are unchoked, lack something, and have begun to ask for it.
    takers: u64,
    slots: Slots<C>,
    balance: Balance,
    /// Nothing is given any more.
    is_over: bool,
    /// The next look at peers that may have stalled, or whose turn in a slot may be over.
    look_at: Option<Duration>,
    actions: VecDeque<Action<C>>,
}

impl<C: Copy + Ord> Spreader<C> {
    /// A spreader of the torrent with this layout, without peers. The random generator is used here only.
    pub fn new(layout: Layout, rng: &mut impl Rng) -> Self {
        Self {
            now: Duration::ZERO,
            layout,
            rng: StdRng::from_rng(rng),
            copies: Copies::new(layout.count()),
            receivers: BTreeMap::new(),
            takers: 0,
            slots: Slots::new(),
            balance: Balance::new(),
            is_over: false,
            look_at: None,
            actions: VecDeque::new(),
        }
    }

    /// A peer connected. When there are [`MAX_RECEIVERS`] it is ignored.
    ///
    /// `has_fast` is `true` if both sides have the fast extension. `bitfield` is what the peer has as far as it is known; all
    /// bits are set if it said "all". If it is `None`, the peer has nothing until it [says otherwise](Self::handle_bitfield).
    pub fn handle_joined(&mut self, now: Duration, connection: C, has_fast: bool, bitfield: Option<&[u8]>) {
        self.advance(now);
        if self.receivers.len() >= MAX_RECEIVERS || self.receivers.contains_key(&connection) {
            return;
        }
        self.receivers.insert(connection, Receiver::new(self.now, self.layout.count(), has_fast));
        self.learn(connection, bitfield.unwrap_or_default());
        self.settle(connection);
    }

    /// The connection was closed.
    pub fn handle_left(&mut self, now: Duration, connection: C) {
        self.advance(now);
        let Some(receiver) = self.receivers.remove(&connection) else { return };
        self.takers -= u64::from(receiver.is_taker());
        receiver.has.iter().chain(receiver.promises.keys().copied()).for_each(|piece| self.copies.remove(piece));
        self.slots.remove(connection);
        self.turn_slots();
        self.reveal_to_all();
    }

    /// The peer has these pieces, and those of which it told before. May be told at any time, and more than once.
    pub fn handle_bitfield(&mut self, now: Duration, connection: C, bitfield: &[u8]) {
        self.advance(now);
        self.learn(connection, bitfield);
        self.settle(connection);
    }

    /// The peer has this piece.
    pub fn handle_have(&mut self, now: Duration, connection: C, piece: u32) {
        self.advance(now);
        self.gain(connection, piece);
        self.settle(connection);
    }

    /// The peer wants something of this side, or nothing more. Peers are unchoked without that: what is revealed to them is
    /// what makes them interested.
    pub fn handle_interested(&mut self, now: Duration, connection: C, is_interested: bool) {
        self.advance(now);
        if is_interested {
            self.begin(connection);
        }
        let Some(receiver) = self.receivers.get_mut(&connection) else { return };
        if is_interested {
            receiver.is_stalled = false;
            // Also one that was sent everything: something of it may have been damaged.
            self.wait_for_slot(connection);
            self.turn_slots();
            self.reveal(connection);
        } else {
            // One that has got everything that it was told of says so, too, and waits to be told of more.
            receiver.is_stalled = !receiver.promises.is_empty();
            self.break_promises(connection, |_, _| true);
            self.reveal_to_all();
        }
    }

    /// The peer requested a block. It may be anything.
    pub fn handle_request(&mut self, now: Duration, connection: C, block: Block) {
        self.advance(now);
        let Some(receiver) = self.receivers.get_mut(&connection) else { return };
        if receiver.is_getting(block) {
            return;
        }
        let is_served = receiver.standing == Standing::Unchoked
            && self.layout.has(block)
            && receiver.revealed.contains(block.piece)
            && receiver.waiting.len() < MAX_WAITING;
        if !is_served {
            if receiver.has_fast {
                self.actions.push_back(Action::Reject { connection, block });
            }
            return;
        }
        receiver.waiting.push_back(block);
        receiver.active_at = self.now;
        receiver.is_stalled = false;
        if let Some(promise) = receiver.promises.get_mut(&block.piece) {
            promise.touched = self.now;
        }
        self.begin(connection);
        self.reveal(connection);
        self.serve(connection);
    }

    /// The peer does not want a block any more. What is served already is sent.
    pub fn handle_cancel(&mut self, now: Duration, connection: C, block: Block) {
        self.advance(now);
        if self.receivers.contains_key(&connection) {
            self.drop_waiting(connection, |&waiting| waiting == block);
        }
    }

    /// So many bytes of blocks that are to be [served](Action::Serve) left; 0 if they wait for a rate limit, so that the peer is not
    /// taken to stall. Bytes that were not to be served do not count.
    pub fn handle_sent(&mut self, now: Duration, connection: C, bytes: u32) {
        self.advance(now);
        let Some(receiver) = self.receivers.get_mut(&connection) else { return };
        receiver.active_at = self.now;
        receiver.is_stalled = false;
        let mut left = bytes;
        let mut whole = Vec::new();
        while let Some((block, part)) = receiver.take_sent(&mut left) {
            if let Some(promise) = receiver.promises.get_mut(&block.piece) {
                promise.touched = self.now;
                promise.sent = promise.sent.saturating_add(part);
                if promise.sent >= self.layout.length_of(block.piece) {
                    whole.push(block.piece);
                }
            }
        }
        receiver.meter.add(self.now, bytes - left);
        self.balance.add(self.now, bytes - left);
        for piece in whole {
            self.gain(connection, piece);
        }
        self.settle(connection);
        self.serve(connection);
    }

    /// Nothing can be given any more. All requests that wait are dropped, and all peers are choked. What is served already is the
    /// caller's. No other peer is to be reported after that.
    pub fn handle_ended(&mut self, now: Duration) {
        self.advance(now);
        self.is_over = true;
        for connection in self.connections() {
            if self.receivers[&connection].standing == Standing::Unchoked {
                self.choke(connection);
            }
            self.slots.remove(connection);
            self.receiver(connection).standing = Standing::Outside;
        }
    }

    /// Unchokes no more peers at a time than this. Then those who lack something take turns of at least 10 s. By default there
    /// is no limit.
    pub fn set_slots(&mut self, now: Duration, limit: Option<NonZeroUsize>) {
        self.advance(now);
        self.slots.set_limit(limit);
        self.turn_slots();
    }

    /// The time that [`poll_timeout`](Self::poll_timeout) named has come, or any other.
    pub fn handle_timeout(&mut self, now: Duration) {
        self.advance(now);
        if self.look_at.is_some_and(|at| at <= self.now) {
            self.look_at = None;
            for connection in self.connections() {
                self.look_at_promises(connection);
            }
            self.turn_slots();
            self.reveal_to_all();
        }
    }

    /// The next thing to do.
    #[must_use]
    pub fn poll_action(&mut self) -> Option<Action<C>> {
        self.actions.pop_front()
    }

    /// The time at which to call [`handle_timeout`](Self::handle_timeout); `None` if nothing is due at any time.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.look_at
    }

    fn advance(&mut self, now: Duration) {
        self.now = self.now.max(now);
    }

    fn connections(&self) -> Vec<C> {
        self.receivers.keys().copied().collect()
    }

    fn receiver(&mut self, connection: C) -> &mut Receiver {
        self.receivers.get_mut(&connection).expect("the caller has looked whether it is connected")
    }

    /// The peer has asked for something.
    fn begin(&mut self, connection: C) {
        let Some(receiver) = self.receivers.get_mut(&connection) else { return };
        let was_taker = receiver.is_taker();
        receiver.has_begun = true;
        if receiver.is_taker() && !was_taker {
            self.takers += 1;
            self.balance.look_soon();
        }
    }

    fn learn(&mut self, connection: C, bitfield: &[u8]) {
        let Some(receiver) = self.receivers.get(&connection) else { return };
        for piece in receiver.has.new_in(bitfield) {
            self.gain(connection, piece);
        }
    }

    /// The peer has one piece more.
    fn gain(&mut self, connection: C, piece: u32) {
        let Some(receiver) = self.receivers.get_mut(&connection) else { return };
        receiver.is_stalled = false;
        if piece >= self.layout.count() || !receiver.has.insert(piece) {
            return;
        }
        let was_taker = receiver.is_taker();
        receiver.lacks -= 1;
        receiver.gained_at = self.now;
        self.takers -= u64::from(was_taker && !receiver.is_taker());
        // A promise was counted as a copy already.
        if receiver.promises.remove(&piece).is_some() {
            receiver.promised -= u64::from(self.layout.length_of(piece));
        } else {
            self.copies.add(piece);
        }
    }

    /// Does what follows if a peer has more than before, or more has left.
    fn settle(&mut self, connection: C) {
        let Some(receiver) = self.receivers.get(&connection) else { return };
        if receiver.lacks > 0 {
            self.wait_for_slot(connection);
        }
        self.turn_slots();
        self.reveal(connection);
    }

    fn wait_for_slot(&mut self, connection: C) {
        if self.is_over {
            return;
        }
        let receiver = self.receiver(connection);
        if receiver.standing == Standing::Outside {
            receiver.standing = Standing::Waiting;
            self.slots.insert(connection);
        }
    }

    fn turn_slots(&mut self) {
        loop {
            let Self { slots, receivers, .. } = self;
            if let Some(connection) = slots.choke_next(self.now, |connection| receivers[&connection].lacks == 0) {
                self.choke(connection);
            } else if let Some(connection) = slots.unchoke_next(self.now) {
                self.unchoke(connection);
            } else {
                break;
            }
        }
        if self.slots.has_waiting() {
            self.look_soon();
        }
    }

    fn choke(&mut self, connection: C) {
        let receiver = self.receiver(connection);
        let was_taker = receiver.is_taker();
        receiver.standing = if receiver.lacks == 0 { Standing::Outside } else { Standing::Waiting };
        receiver.is_kept_waiting = false;
        self.takers -= u64::from(was_taker);
        self.actions.push_back(Action::Choke { connection });
        self.drop_waiting(connection, |_| true);
        self.break_promises(connection, |_, _| true);
    }

    fn unchoke(&mut self, connection: C) {
        let receiver = self.receiver(connection);
        receiver.standing = Standing::Unchoked;
        let is_taker = receiver.is_taker();
        self.takers += u64::from(is_taker);
        self.balance.look_soon();
        self.actions.push_back(Action::Unchoke { connection });
        self.reveal(connection);
    }

    /// Does not count any more on a peer that stalled, nor on one for a piece that it does not seem to want.
    fn look_at_promises(&mut self, connection: C) {
        let now = self.now;
        let receiver = self.receiver(connection);
        if receiver.is_kept_waiting {
            // It is this side that lets the peer wait.
            receiver.active_at = now;
        }
        let is_expected = receiver.has_in_flight() || !receiver.promises.is_empty();
        let stall = if receiver.has_begun { STALL } else { START_STALL };
        receiver.is_stalled |= is_expected && receiver.active_at + stall <= now;
        let is_stalled = receiver.is_stalled;
        self.break_promises(connection, |_, promise| is_stalled || promise.touched + PROMISE <= now);
    }

    fn look_soon(&mut self) {
        self.look_at.get_or_insert(self.now + LOOK_INTERVAL);
    }

    fn break_promises(&mut self, connection: C, is_broken: impl Fn(u32, &Promise) -> bool) {
        let Self { receivers, copies, layout, .. } = self;
        let Some(receiver) = receivers.get_mut(&connection) else { return };
        let promised = &mut receiver.promised;
        receiver.promises.retain(|&piece, promise| {
            let is_broken = is_broken(piece, promise);
            if is_broken {
                copies.remove(piece);
                *promised -= u64::from(layout.length_of(piece));
            }
            !is_broken
        });
    }

    /// Drops requests that wait.
    fn drop_waiting(&mut self, connection: C, is_dropped: impl Fn(&Block) -> bool) {
        let Self { receivers, actions, .. } = self;
        let Some(receiver) = receivers.get_mut(&connection) else { return };
        let has_fast = receiver.has_fast;
        receiver.waiting.retain(|&block| {
            let is_dropped = is_dropped(&block);
            if is_dropped && has_fast {
                actions.push_back(Action::Reject { connection, block });
            }
            !is_dropped
        });
        self.serve(connection);
    }

    /// Serves a peer what it waits for, as far as it may be read ahead.
    fn serve(&mut self, connection: C) {
        let Some(receiver) = self.receivers.get_mut(&connection) else { return };
        while !receiver.is_kept_waiting
            && receiver.is_ready(self.now)
            && let Some(block) = receiver.serve_next()
        {
            self.actions.push_back(Action::Serve { connection, block });
        }
    }
}
