//! The simulation of a swarm.
//!
//! Each machine has a link, whose two directions flows share by max-min fairness, and messages take their time. Leechers do
//! what clients do: they take what they began first, and then what is rarest; pass on whole pieces only; request ahead, and
//! twice at the end; unchoke those who give them most, and one at random; and make room at once when somebody wants nothing
//! more. What is not simulated: congestion control, the heads of packets, hash checks, and clients that tell late of what they
//! have.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use peer_wire::Block;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use tracker_peer::spreader::Action;

use crate::choking::RECHOKE;
use crate::links::{Demand, Links};
use crate::pieces::PieceSet;
use crate::rarity::Rarity;
use crate::scenario::{Machine, Scenario};
use crate::source::Source;

/// Time passes in steps.
const STEP: Duration = Duration::from_millis(10);

pub(crate) const BLOCK: u32 = 16 * 1024;

/// The source's node. Those of the leechers follow.
pub(crate) const SOURCE: usize = 0;

/// Peers that the source is connected to at most.
const SOURCE_CONNECTIONS: usize = 200;

/// One direction of a connection.
#[derive(Debug)]
pub(crate) struct Flow {
    pub(crate) from: usize,
    pub(crate) to: usize,
    /// The flow back. The source has none.
    pub(crate) back: Option<usize>,
    pub(crate) is_open: bool,
    /// As `from` sees it.
    pub(crate) is_unchoked: bool,
    pub(crate) is_interested: bool,
    /// As `to` sees it.
    pub(crate) may_request: bool,
    /// What `to` requested and has not got, also what is under way to `from`.
    pub(crate) requested: VecDeque<Block>,
    /// What `from` has to send, and what is left of the first.
    pub(crate) queue: VecDeque<Block>,
    pub(crate) left: f64,
    /// The bytes of the others.
    pub(crate) left_later: f64,
    pub(crate) is_sending: bool,
    /// There may be something to request.
    pub(crate) is_due: bool,
    /// Bytes that came in this round of choking, and per second of late.
    pub(crate) received: f64,
    pub(crate) rate: f64,
}

#[derive(Debug)]
pub(crate) struct Leecher {
    pub(crate) machine: Machine,
    /// Whom it is connected to while both are there.
    pub(crate) neighbours: BTreeSet<usize>,
    pub(crate) is_there: bool,
    pub(crate) completed: Option<Duration>,
    pub(crate) has: PieceSet,
    /// What it told others that it has.
    pub(crate) shown: PieceSet,
    /// Pieces of which something was requested.
    pub(crate) begun: PieceSet,
    pub(crate) parts: BTreeMap<u32, Part>,
    /// Those with blocks that are not requested.
    pub(crate) open: BTreeSet<u32>,
    /// What the source revealed to it.
    pub(crate) revealed: PieceSet,
    /// Flows to it, and from it.
    pub(crate) sources: Vec<usize>,
    pub(crate) receivers: Vec<usize>,
    pub(crate) round: u32,
    pub(crate) optimistic: Option<usize>,
}

/// A piece that is being fetched.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) blocks: Vec<BlockState>,
    pub(crate) free: usize,
    pub(crate) got: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BlockState {
    Free,
    /// By this flow, and maybe another.
    Requested(usize, Option<usize>),
    Got,
}

#[derive(Debug)]
pub(crate) enum Message {
    Join(usize),
    Leave(usize),
    Rechoke(usize),
    /// Arrives at all at once.
    Have(usize, u32),
    /// From the source.
    Reveal(usize, u32),
    Unchoke(usize),
    Choke(usize),
    Request(usize, Block),
    Reject(usize, Block),
    Cancel(usize, Block),
}

pub(crate) struct Swarm<'a> {
    pub(crate) scenario: &'a Scenario,
    pub(crate) source: &'a mut dyn Source,
    pub(crate) rng: StdRng,
    pub(crate) now: Duration,
    pub(crate) step: u64,
    pub(crate) links: Links,
    pub(crate) flows: Vec<Flow>,
    pub(crate) leechers: Vec<Leecher>,
    pub(crate) rarity: Rarity,
    /// The flow from the source to each leecher that it is connected to.
    pub(crate) from_source: BTreeMap<usize, usize>,
    pub(crate) messages: BTreeMap<u64, Vec<Message>>,
    pub(crate) sending: Vec<usize>,
    pub(crate) sent: f64,
    pub(crate) first_copies: PieceSet,
    pub(crate) sent_of: Vec<u32>,
    pub(crate) once: Option<Duration>,
}

impl<'a> Swarm<'a> {
    pub(crate) fn new(scenario: &'a Scenario, source: &'a mut dyn Source) -> Self {
        let count = scenario.layout.count();
        let step = STEP.as_secs_f64();
        let machines = scenario.leechers.iter().map(|machine| (machine.up * step, machine.down * step));
        let leecher = |&machine: &Machine| Leecher {
            machine,
            neighbours: BTreeSet::new(),
            is_there: false,
            completed: None,
            has: PieceSet::new(count),
            shown: PieceSet::new(count),
            begun: PieceSet::new(count),
            parts: BTreeMap::new(),
            open: BTreeSet::new(),
            revealed: PieceSet::new(count),
            sources: Vec::new(),
            receivers: Vec::new(),
            round: 0,
            optimistic: None,
        };
        let mut swarm = Self {
            scenario,
            source,
            rng: StdRng::seed_from_u64(scenario.seed),
            now: Duration::ZERO,
            step: 0,
            links: Links::new(std::iter::once((scenario.source * step, 0.0)).chain(machines)),
            flows: Vec::new(),
            leechers: scenario.leechers.iter().map(leecher).collect(),
            rarity: Rarity::new(count),
            from_source: BTreeMap::new(),
            messages: BTreeMap::new(),
            sending: Vec::new(),
            sent: 0.0,
            first_copies: PieceSet::new(count),
            sent_of: vec![0; count as usize],
            once: None,
        };
        swarm.introduce();
        for (number, machine) in scenario.leechers.iter().enumerate() {
            swarm.tell(machine.joins, Message::Join(number));
            if let Some(leaves) = machine.leaves {
                swarm.tell(leaves, Message::Leave(number));
            }
        }
        swarm
    }

    /// Each leecher knows some others, and is known to about as many.
    fn introduce(&mut self) {
        let count = self.leechers.len();
        let all: Vec<_> = (0..count).collect();
        let known = if count > self.scenario.neighbours { self.scenario.neighbours / 2 } else { count };
        for one in 0..count {
            for &other in all.sample(&mut self.rng, known).filter(|&&other| other != one) {
                self.leechers[one].neighbours.insert(other);
                self.leechers[other].neighbours.insert(one);
            }
        }
    }

    pub(crate) fn is_busy(&self) -> bool {
        self.leechers
            .iter()
            .any(|leecher| leecher.completed.is_none() && leecher.machine.leaves.is_none_or(|leaves| leaves > self.now))
    }

    pub(crate) fn stuck(&self) -> Vec<(usize, u32)> {
        let stuck = self.leechers.iter().enumerate().filter(|(_, leecher)| leecher.completed.is_none());
        stuck.map(|(number, leecher)| (number, leecher.has.len())).collect()
    }

    pub(crate) fn tell(&mut self, at: Duration, message: Message) {
        let step = at.div_duration_f64(STEP).ceil() as u64;
        self.messages.entry(step.max(self.step + 1)).or_default().push(message);
    }

    pub(crate) fn tell_late(&mut self, message: Message) {
        self.tell(self.now + self.scenario.latency, message);
    }

    pub(crate) fn pass(&mut self) {
        self.step += 1;
        self.now = STEP * self.step as u32;
        for message in self.messages.remove(&self.step).unwrap_or_default() {
            self.handle(message);
        }
        self.source.passed(self.now);
        self.carry_out();
        for flow in 0..self.flows.len() {
            self.request(flow);
        }
        self.send();
        self.carry_out();
    }

    fn handle(&mut self, message: Message) {
        match message {
            Message::Join(leecher) => self.join(leecher),
            Message::Leave(leecher) => self.leave(leecher),
            Message::Rechoke(leecher) => self.rechoke(leecher),
            Message::Have(leecher, piece) => self.have(leecher, piece),
            Message::Reveal(leecher, piece) => {
                self.leechers[leecher].revealed.insert(piece);
                if let Some(&flow) = self.from_source.get(&leecher) {
                    self.flows[flow].is_due = true;
                }
            }
            Message::Unchoke(flow) => {
                self.flows[flow].may_request = true;
                self.flows[flow].is_due = true;
            }
            Message::Choke(flow) => {
                self.flows[flow].may_request = false;
                self.give_back(flow);
            }
            Message::Request(flow, block) => {
                let Flow { from, to, is_open, is_unchoked, .. } = self.flows[flow];
                if is_open && from == SOURCE {
                    self.source.requested(self.now, to - 1, block);
                } else if is_open && is_unchoked {
                    self.enqueue(flow, block);
                }
            }
            Message::Reject(flow, block) => {
                let requested = &mut self.flows[flow].requested;
                if let Some(index) = requested.iter().position(|&other| other == block) {
                    requested.remove(index);
                    self.free_block(self.flows[flow].to - 1, flow, block);
                    self.flows[flow].is_due = true;
                }
            }
            Message::Cancel(flow, block) => {
                let Flow { from, to, is_open, .. } = self.flows[flow];
                if is_open && from == SOURCE {
                    self.source.cancelled(self.now, to - 1, block);
                } else if let Some(index) = self.flows[flow].queue.iter().skip(1).position(|&other| other == block) {
                    self.flows[flow].queue.remove(index + 1);
                    self.flows[flow].left_later -= f64::from(block.length);
                }
            }
        }
    }

    fn enqueue(&mut self, flow: usize, block: Block) {
        let entry = &mut self.flows[flow];
        if entry.queue.is_empty() {
            entry.left = block.length.into();
            if !std::mem::replace(&mut entry.is_sending, true) {
                self.sending.push(flow);
            }
        } else {
            entry.left_later += f64::from(block.length);
        }
        entry.queue.push_back(block);
    }

    fn carry_out(&mut self) {
        while let Some(action) = self.source.poll_action() {
            match action {
                Action::Reveal { connection, piece } => self.tell_late(Message::Reveal(connection, piece)),
                Action::Unchoke { connection } => {
                    let flow = self.from_source[&connection];
                    self.flows[flow].is_unchoked = true;
                    self.tell_late(Message::Unchoke(flow));
                }
                Action::Choke { connection } => {
                    let flow = self.from_source[&connection];
                    self.flows[flow].is_unchoked = false;
                    self.tell_late(Message::Choke(flow));
                }
                Action::Serve { connection, block } => {
                    let flow = self.from_source[&connection];
                    self.enqueue(flow, block);
                }
                Action::Reject { connection, block } => {
                    let flow = self.from_source[&connection];
                    self.tell_late(Message::Reject(flow, block));
                }
                _ => unreachable!("{action:?}"),
            }
        }
    }

    fn join(&mut self, number: usize) {
        self.leechers[number].is_there = true;
        for other in self.leechers[number].neighbours.clone() {
            if !self.leechers[other].is_there {
                continue;
            }
            let there = self.connect(other + 1, number + 1);
            let back = self.connect(number + 1, other + 1);
            self.flows[there].back = Some(back);
            self.flows[back].back = Some(there);
            self.flows[there].is_interested = self.leechers[other].shown.len() > 0;
            self.unchoke_free(other);
        }
        if self.from_source.len() < SOURCE_CONNECTIONS {
            let flow = self.connect(SOURCE, number + 1);
            self.from_source.insert(number, flow);
            self.source.joined(self.now, number);
        }
        let first = self.now + RECHOKE.mul_f64(self.rng.random());
        self.tell(first, Message::Rechoke(number));
    }

    fn connect(&mut self, from: usize, to: usize) -> usize {
        let flow = self.flows.len();
        self.flows.push(Flow {
            from,
            to,
            back: None,
            is_open: true,
            is_unchoked: false,
            is_interested: false,
            may_request: false,
            requested: VecDeque::new(),
            queue: VecDeque::new(),
            left: 0.0,
            left_later: 0.0,
            is_sending: false,
            is_due: false,
            received: 0.0,
            rate: 0.0,
        });
        self.leechers[to - 1].sources.push(flow);
        if from != SOURCE {
            self.leechers[from - 1].receivers.push(flow);
        }
        flow
    }

    fn leave(&mut self, number: usize) {
        let leecher = &mut self.leechers[number];
        leecher.is_there = false;
        let flows = leecher.sources.iter().chain(&leecher.receivers).copied().collect::<Vec<_>>();
        for piece in self.leechers[number].shown.iter().collect::<Vec<_>>() {
            self.rarity.remove(piece);
        }
        for flow in flows {
            self.flows[flow].is_open = false;
            self.flows[flow].may_request = false;
            self.flows[flow].is_interested = false;
            self.flows[flow].queue.clear();
            self.flows[flow].left_later = 0.0;
            self.give_back(flow);
            let from = self.flows[flow].from;
            if std::mem::take(&mut self.flows[flow].is_unchoked) && from != SOURCE && from != number + 1 {
                self.unchoke_free(from - 1);
            }
        }
        if self.from_source.remove(&number).is_some() {
            self.source.left(self.now, number);
        }
    }

    fn have(&mut self, number: usize, piece: u32) {
        let leecher = &mut self.leechers[number];
        if !leecher.is_there {
            return;
        }
        leecher.shown.insert(piece);
        self.rarity.add(piece);
        for flow in self.leechers[number].receivers.clone() {
            let to = &self.leechers[self.flows[flow].to - 1];
            if !to.has.contains(piece) {
                self.flows[flow].is_due = true;
                self.flows[flow].is_interested = true;
            }
        }
        self.unchoke_free(number);
        if self.from_source.contains_key(&number) {
            self.source.have(self.now, number, piece);
        }
    }

    fn send(&mut self) {
        let flows = &mut self.flows;
        self.sending.retain(|&flow| {
            flows[flow].is_sending = !flows[flow].queue.is_empty();
            flows[flow].is_sending
        });
        let demands = self.sending.iter().map(|&flow| {
            let Flow { from, to, left, left_later, .. } = self.flows[flow];
            Demand { from, to, bytes: left + left_later, granted: 0.0 }
        });
        let mut demands: Vec<_> = demands.collect();
        self.links.share(&mut demands);
        for (index, demand) in demands.iter().enumerate() {
            self.advance_flow(self.sending[index], demand.granted);
        }
    }

    fn advance_flow(&mut self, flow: usize, granted: f64) {
        let weight = STEP.as_secs_f64();
        let entry = &mut self.flows[flow];
        let Flow { from, to, .. } = *entry;
        entry.received += granted;
        entry.rate += (granted / weight - entry.rate) * weight;
        let mut bytes = granted;
        let mut got = Vec::new();
        // Rounding leaves a little.
        while bytes + 1e-6 >= entry.left
            && let Some(block) = entry.queue.pop_front()
        {
            bytes -= entry.left;
            got.push(block);
            entry.left = entry.queue.front().map_or(0.0, |block| block.length.into());
            entry.left_later -= entry.left;
        }
        entry.left -= bytes.max(0.0);
        if from == SOURCE {
            self.sent += granted;
        }
        for block in got {
            if from == SOURCE {
                self.count(block);
                self.source.sent(self.now, to - 1, block.length);
            }
            self.receive(flow, block);
        }
    }

    fn count(&mut self, block: Block) {
        let sent = &mut self.sent_of[block.piece as usize];
        *sent += block.length;
        if *sent >= self.scenario.layout.length_of(block.piece) {
            self.first_copies.insert(block.piece);
            if self.first_copies.len() == self.scenario.layout.count() && self.once.is_none() {
                self.once = Some(self.now);
            }
        }
    }

    fn receive(&mut self, flow: usize, block: Block) {
        let to = self.flows[flow].to - 1;
        self.flows[flow].requested.retain(|&requested| requested != block);
        self.flows[flow].is_due = true;
        let Some(part) = self.leechers[to].parts.get_mut(&block.piece) else {
            return;
        };
        let state = &mut part.blocks[(block.begin / BLOCK) as usize];
        let before = std::mem::replace(state, BlockState::Got);
        match before {
            BlockState::Got => return,
            BlockState::Free => {
                part.free -= 1;
                if part.free == 0 {
                    self.leechers[to].open.remove(&block.piece);
                }
            }
            BlockState::Requested(one, other) => {
                for late in [Some(one), other].into_iter().flatten().filter(|&late| late != flow) {
                    self.flows[late].requested.retain(|&requested| requested != block);
                    self.flows[late].is_due = true;
                    self.tell_late(Message::Cancel(late, block));
                }
            }
        }
        let part = self.leechers[to].parts.get_mut(&block.piece).unwrap();
        part.got += 1;
        if part.got < part.blocks.len() {
            return;
        }
        let leecher = &mut self.leechers[to];
        leecher.parts.remove(&block.piece);
        leecher.has.insert(block.piece);
        if leecher.has.len() == self.scenario.layout.count() {
            leecher.completed = Some(self.now);
        }
        self.tell_late(Message::Have(to, block.piece));
    }
}
