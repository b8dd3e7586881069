//! Any order of commands is legal, and nothing is served that was not requested.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::time::Duration;

use peer_wire::Block;
use proptest::collection::vec;
use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tracker_peer::spreader::{Action, Layout, MAX_WAITING, Spreader};

const PIECES: u32 = 70;
const PIECE_LENGTH: u32 = 40_000;

/// With 70 pieces, the last of 1,000 bytes.
fn layout() -> Layout {
    Layout::new(u64::from(PIECES - 1) * u64::from(PIECE_LENGTH) + 1000, PIECE_LENGTH).unwrap()
}

#[derive(Debug, Clone)]
enum Command {
    Join {
        fast: bool,
        bitfield: Option<Vec<u8>>,
    },
    Leave,
    Bitfield(Vec<u8>),
    Have(u32),
    Interested(bool),
    /// One of those that it was told of, as they say, or anything.
    Request {
        any: bool,
        piece: u32,
        begin: u32,
        length: u32,
    },
    /// What it requested lately, or anything.
    Cancel(usize),
    Sent(u32),
    End,
    Slots(usize),
    /// In milliseconds.
    Wait(u64),
    GoBack,
}

fn command() -> impl Strategy<Value = Command> {
    let bitfield = || prop_oneof![Just(vec![0xff; 9]), vec(any::<u8>(), 0..12)];
    let piece = || prop_oneof![9 => 0..PIECES, 1 => any::<u32>()];
    let length = prop_oneof![8 => Just(16_384), 1 => 0..50_000u32, 1 => any::<u32>()];
    let begin = prop_oneof![8 => (0..3u32).prop_map(|block| block * 16_384), 1 => any::<u32>()];
    prop_oneof![
        4 => (any::<bool>(), proptest::option::of(bitfield())).prop_map(|(fast, bitfield)| Command::Join { fast, bitfield }),
        1 => Just(Command::Leave),
        1 => bitfield().prop_map(Command::Bitfield),
        5 => piece().prop_map(Command::Have),
        2 => any::<bool>().prop_map(Command::Interested),
        20 => (prop::bool::weighted(0.1), piece(), begin, length)
            .prop_map(|(any, piece, begin, length)| Command::Request { any, piece, begin, length }),
        2 => (0..40usize).prop_map(Command::Cancel),
        15 => (0..60_000u32).prop_map(Command::Sent),
        1 => prop::bool::weighted(0.2).prop_map(|ends| if ends { Command::End } else { Command::Wait(0) }),
        1 => (0..4usize).prop_map(Command::Slots),
        5 => (0..8000u64).prop_map(Command::Wait),
        1 => Just(Command::GoBack),
    ]
}

/// What is known of a connection by its commands and actions.
#[derive(Default)]
struct Peer {
    fast: bool,
    is_unchoked: bool,
    revealed: Vec<u32>,
    /// Not served, rejected or cancelled yet.
    requested: Vec<Block>,
    unsent: u32,
}

#[derive(Default)]
struct Model {
    peers: BTreeMap<u8, Peer>,
    is_over: bool,
    slots: usize,
}

impl Model {
    fn act(&mut self, action: Action<u8>) {
        match action {
            Action::Reveal { connection, piece } => {
                let peer = self.peers.get_mut(&connection).expect("it is connected");
                assert!(piece < PIECES && !peer.revealed.contains(&piece) && peer.is_unchoked);
                assert!(!self.is_over);
                peer.revealed.push(piece);
            }
            Action::Unchoke { connection } => {
                let peer = self.peers.get_mut(&connection).expect("it is connected");
                assert!(!std::mem::replace(&mut peer.is_unchoked, true) && !self.is_over);
            }
            Action::Choke { connection } => {
                let peer = self.peers.get_mut(&connection).expect("it is connected");
                assert!(std::mem::replace(&mut peer.is_unchoked, false));
                if !peer.fast {
                    peer.requested.clear();
                }
            }
            Action::Serve { connection, block } => {
                let peer = self.peers.get_mut(&connection).expect("it is connected");
                let index = peer.requested.iter().position(|&other| other == block).expect("it was requested");
                peer.requested.remove(index);
                assert!(peer.revealed.contains(&block.piece) && !self.is_over);
                assert!(block.length > 0 && layout().has(block));
                peer.unsent += block.length;
                assert!(peer.unsent <= 256 * 1024, "it is sent too much ahead");
            }
            Action::Reject { connection, block } => {
                let peer = self.peers.get_mut(&connection).expect("it is connected");
                assert!(peer.fast);
                let index = peer.requested.iter().position(|&other| other == block).expect("it was requested");
                peer.requested.remove(index);
            }
            _ => panic!("{action:?}"),
        }
    }

    fn check(&self) {
        let unchoked = self.peers.values().filter(|peer| peer.is_unchoked).count();
        assert!(self.slots == 0 || unchoked <= self.slots, "{unchoked} of {}", self.slots);
        for peer in self.peers.values().filter(|peer| peer.fast) {
            assert!(peer.requested.len() <= MAX_WAITING, "what is not kept is rejected");
        }
    }
}

struct World {
    spreader: Spreader<u8>,
    model: Model,
    now: Duration,
}

impl World {
    fn new(seed: u64) -> Self {
        let spreader = Spreader::new(layout(), &mut StdRng::seed_from_u64(seed));
        Self { spreader, model: Model::default(), now: Duration::ZERO }
    }

    fn carry_out(&mut self, connection: u8, command: Command) {
        let Self { spreader, model, now } = self;
        let peer = model.peers.get_mut(&connection);
        match command {
            Command::Join { fast, bitfield } => {
                model.peers.entry(connection).or_insert_with(|| Peer { fast, ..Peer::default() });
                spreader.handle_joined(*now, connection, fast, bitfield.as_deref());
            }
            Command::Leave => {
                model.peers.remove(&connection);
                spreader.handle_left(*now, connection);
            }
            Command::Bitfield(bitfield) => spreader.handle_bitfield(*now, connection, &bitfield),
            Command::Have(piece) => spreader.handle_have(*now, connection, piece),
            Command::Interested(is_interested) => spreader.handle_interested(*now, connection, is_interested),
            Command::Request { any, mut piece, begin, length } => {
                if let Some(peer) = peer {
                    if !any && !peer.revealed.is_empty() {
                        piece = peer.revealed[piece as usize % peer.revealed.len()];
                    }
                    let block = Block { piece, begin, length };
                    if !peer.requested.contains(&block) {
                        peer.requested.push(block);
                    }
                    spreader.handle_request(*now, connection, block);
                } else {
                    spreader.handle_request(*now, connection, Block { piece, begin, length });
                }
            }
            Command::Cancel(index) => {
                let requested = peer.as_ref().and_then(|peer| peer.requested.iter().rev().nth(index).copied());
                let block = requested.unwrap_or(Block { piece: 0, begin: 0, length: 16_384 });
                if let Some(peer) = peer.filter(|peer| !peer.fast) {
                    peer.requested.retain(|&other| other != block);
                }
                spreader.handle_cancel(*now, connection, block);
            }
            Command::Sent(bytes) => {
                if let Some(peer) = peer {
                    peer.unsent -= bytes.min(peer.unsent);
                }
                spreader.handle_sent(*now, connection, bytes);
            }
            Command::End => {
                spreader.handle_ended(*now);
                // What was to be done before.
                while let Some(action) = spreader.poll_action() {
                    model.act(action);
                }
                model.is_over = true;
            }
            Command::Slots(slots) => {
                model.slots = slots;
                spreader.set_slots(*now, NonZeroUsize::new(slots));
            }
            Command::Wait(milliseconds) => {
                *now += Duration::from_millis(milliseconds);
                spreader.handle_timeout(*now);
                assert!(spreader.poll_timeout().is_none_or(|due| due > *now), "nothing is due twice");
            }
            Command::GoBack => *now = now.saturating_sub(Duration::from_secs(3)),
        }
        while let Some(action) = self.spreader.poll_action() {
            self.model.act(action);
        }
        self.model.check();
    }
}

proptest! {
    #[test]
    fn nothing_is_served_that_was_not_requested(
        seed in any::<u64>(),
        commands in vec((0..5u8, command()), 0..400),
    ) {
        let mut world = World::new(seed);
        for (connection, command) in commands {
            world.carry_out(connection, command);
        }
    }
}
