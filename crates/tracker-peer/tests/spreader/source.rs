//! What plays the source in the simulation.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use peer_wire::Block;
use tracker_peer::spreader::{Action, Layout, Spreader};

/// A way to give a file. Leechers are numbers, and so are their connections.
pub(crate) trait Source {
    fn joined(&mut self, now: Duration, leecher: usize);
    fn left(&mut self, now: Duration, leecher: usize);
    fn have(&mut self, now: Duration, leecher: usize, piece: u32);
    fn requested(&mut self, now: Duration, leecher: usize, block: Block);
    fn cancelled(&mut self, now: Duration, leecher: usize, block: Block);
    fn sent(&mut self, now: Duration, leecher: usize, bytes: u32);
    /// Called in each step of the time.
    fn passed(&mut self, now: Duration);
    fn poll_action(&mut self) -> Option<Action<usize>>;
}

impl Source for Spreader<usize> {
    fn joined(&mut self, now: Duration, leecher: usize) {
        self.handle_joined(now, leecher, true, None);
    }

    fn left(&mut self, now: Duration, leecher: usize) {
        self.handle_left(now, leecher);
    }

    fn have(&mut self, now: Duration, leecher: usize, piece: u32) {
        self.handle_have(now, leecher, piece);
    }

    fn requested(&mut self, now: Duration, leecher: usize, block: Block) {
        self.handle_request(now, leecher, block);
    }

    fn cancelled(&mut self, now: Duration, leecher: usize, block: Block) {
        self.handle_cancel(now, leecher, block);
    }

    fn sent(&mut self, now: Duration, leecher: usize, bytes: u32) {
        self.handle_sent(now, leecher, bytes);
    }

    fn passed(&mut self, now: Duration) {
        if self.poll_timeout().is_some_and(|due| due <= now) {
            self.handle_timeout(now);
        }
    }

    fn poll_action(&mut self) -> Option<Action<usize>> {
        self.poll_action()
    }
}

/// A plain seed, as clients are: it has everything, and gives what is asked for. Eight at a time are unchoked, and take turns.
pub(crate) struct PlainSeed {
    layout: Layout,
    leechers: BTreeMap<usize, Guest>,
    /// The longest first.
    choked: VecDeque<usize>,
    unchoked: VecDeque<(Duration, usize)>,
    actions: VecDeque<Action<usize>>,
}

/// A leecher at the plain seed.
#[derive(Default)]
struct Guest {
    pieces: u32,
    waiting: VecDeque<Block>,
    in_flight: u32,
}

const SLOTS: usize = 8;
const TURN: Duration = Duration::from_secs(15);

/// What a socket takes.
const IN_FLIGHT: u32 = 256 * 1024;

impl PlainSeed {
    pub(crate) fn new(layout: Layout) -> Self {
        let (choked, unchoked, actions) = Default::default();
        Self { layout, leechers: BTreeMap::new(), choked, unchoked, actions }
    }

    fn remove_from_slots(&mut self, leecher: usize) {
        self.choked.retain(|&other| other != leecher);
        self.unchoked.retain(|&(_, other)| other != leecher);
    }

    fn serve(&mut self, leecher: usize) {
        let guest = self.leechers.get_mut(&leecher).unwrap();
        while guest.in_flight < IN_FLIGHT
            && let Some(block) = guest.waiting.pop_front()
        {
            guest.in_flight += block.length;
            self.actions.push_back(Action::Serve { connection: leecher, block });
        }
    }
}

impl Source for PlainSeed {
    fn joined(&mut self, now: Duration, leecher: usize) {
        self.actions.extend((0..self.layout.count()).map(|piece| Action::Reveal { connection: leecher, piece }));
        self.leechers.insert(leecher, Guest::default());
        self.choked.push_back(leecher);
        self.passed(now);
    }

    fn left(&mut self, now: Duration, leecher: usize) {
        self.leechers.remove(&leecher);
        self.remove_from_slots(leecher);
        self.passed(now);
    }

    fn have(&mut self, now: Duration, leecher: usize, _: u32) {
        let guest = self.leechers.get_mut(&leecher).unwrap();
        guest.pieces += 1;
        if guest.pieces == self.layout.count() {
            self.remove_from_slots(leecher);
            self.passed(now);
        }
    }

    fn requested(&mut self, _: Duration, leecher: usize, block: Block) {
        if self.unchoked.iter().any(|&(_, other)| other == leecher) {
            self.leechers.get_mut(&leecher).unwrap().waiting.push_back(block);
            self.serve(leecher);
        }
    }

    fn cancelled(&mut self, _: Duration, leecher: usize, block: Block) {
        self.leechers.get_mut(&leecher).unwrap().waiting.retain(|&waiting| waiting != block);
    }

    fn sent(&mut self, _: Duration, leecher: usize, bytes: u32) {
        self.leechers.get_mut(&leecher).unwrap().in_flight -= bytes;
        self.serve(leecher);
    }

    fn passed(&mut self, now: Duration) {
        while self.unchoked.front().is_some_and(|&(since, _)| !self.choked.is_empty() && since + TURN <= now) {
            let (_, leecher) = self.unchoked.pop_front().unwrap();
            self.leechers.get_mut(&leecher).unwrap().waiting.clear();
            self.actions.push_back(Action::Choke { connection: leecher });
            self.choked.push_back(leecher);
        }
        while self.unchoked.len() < SLOTS
            && let Some(leecher) = self.choked.pop_front()
        {
            self.actions.push_back(Action::Unchoke { connection: leecher });
            self.unchoked.push_back((now, leecher));
        }
    }

    fn poll_action(&mut self) -> Option<Action<usize>> {
        self.actions.pop_front()
    }
}
