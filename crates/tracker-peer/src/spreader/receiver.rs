//! A peer that pieces are given to.

use std::collections::{BTreeMap, VecDeque};
use std::ops::RangeInclusive;
use std::time::Duration;

use peer_wire::Block;

use super::bits::Bits;
use super::layout::Layout;
use super::meter::Meter;

/// Bytes that are read ahead for a connection, and wait in its socket: as much as a peer takes in a part of a second, but so much at
/// least, and at most.
const IN_FLIGHT_BYTES: RangeInclusive<u64> = 256 * 1024..=2 * 1024 * 1024;
const IN_FLIGHT_PARTS: u64 = 100;

/// The time after which a peer that is held back, and gets nothing from others, is not held back any more, and for how long.
const GAIN_TIMEOUT: Duration = Duration::from_secs(3);
const EXEMPTION: Duration = Duration::from_secs(30);

/// A peer that pieces are given to.
#[derive(Debug)]
pub(super) struct Receiver {
    pub(super) has_fast: bool,
    /// What it has, as it says, and what it was sent whole: some clients are late to say so.
    pub(super) has: Bits,
    /// The number of pieces that it lacks.
    pub(super) lacks: u32,
    /// The pieces that it was told of.
    pub(super) revealed: Bits,
    /// `false` if there is nothing that it lacks and was not told of.
    pub(super) may_be_told: bool,
    /// Pieces that it was told of and is to get from us. Each counts as a copy.
    pub(super) promises: BTreeMap<u32, Promise>,
    /// The bytes of the promised pieces.
    pub(super) promised: u64,
    /// It is held back; a piece was revealed to it so that it goes on wanting something, and is not served yet.
    pub(super) is_kept_waiting: bool,
    pub(super) standing: Standing,
    /// It has said that it wants something, or has requested something. Until then it is not counted on: some clients decide only
    /// once in ten seconds of whom they want something.
    pub(super) has_begun: bool,
    /// What it requested and is not served yet, the oldest first.
    pub(super) waiting: VecDeque<Block>,
    /// What is served and has not left yet, the oldest first.
    in_flight: VecDeque<Block>,
    /// The bytes of those, without what left of the first.
    in_flight_bytes: u32,
    /// What has left of the first.
    first_sent: u32,
    /// When it last requested something or took some bytes, or was told of a piece when there was no promise.
    pub(super) active_at: Duration,
    /// It did not request or take anything for long, and shows no other sign of life.
    pub(super) is_stalled: bool,
    pub(super) meter: Meter,
    /// When it last got a piece, from whomever.
    pub(super) gained_at: Duration,
    /// Until when it is not held back.
    exempt_until: Duration,
}

/// A piece that a peer is to get from us.
#[derive(Debug, Clone, Copy)]
pub(super) struct Promise {
    /// The bytes of it that left.
    pub(super) sent: u32,
    /// When it was made, when a block of it was last requested, or when bytes of it last left.
    pub(super) touched: Duration,
}

/// Whether a peer may request something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is choked, and wants nothing.
    Outside,
    /// It is choked, and waits for a slot.
    Waiting,
    Unchoked,
}

impl Receiver {
    /// A peer that has nothing.
    pub(super) fn new(now: Duration, pieces: u32, has_fast: bool) -> Self {
        Self {
            has_fast,
            has: Bits::new(pieces),
            lacks: pieces,
            revealed: Bits::new(pieces),
            may_be_told: true,
            promises: BTreeMap::new(),
            promised: 0,
            is_kept_waiting: false,
            standing: Standing::Outside,
            has_begun: false,
            waiting: VecDeque::new(),
            in_flight: VecDeque::new(),
            in_flight_bytes: 0,
            first_sent: 0,
            active_at: now,
            is_stalled: false,
            meter: Meter::default(),
            gained_at: now,
            exempt_until: Duration::ZERO,
        }
    }

    /// Returns `true` if it lacks something and may request it.
    pub(super) fn may_take(&self) -> bool {
        self.standing == Standing::Unchoked && self.lacks > 0
    }

    /// Returns `true` if it [may take](Self::may_take) something and is expected to.
    pub(super) fn is_taker(&self) -> bool {
        self.has_begun && self.may_take()
    }

    /// Returns `true` if it may be held back, since others give it something.
    pub(super) fn may_be_held_back(&mut self, now: Duration) -> bool {
        if now >= self.exempt_until && self.gained_at + GAIN_TIMEOUT <= now {
            self.exempt_until = now + EXEMPTION;
        }
        now >= self.exempt_until
    }

    /// The bytes that it has, as if all pieces were of the same length.
    pub(super) fn bytes(&self, layout: Layout) -> u64 {
        u64::from(layout.count() - self.lacks) * u64::from(layout.piece_length())
    }

    pub(super) fn has_in_flight(&self) -> bool {
        !self.in_flight.is_empty()
    }

    /// Returns `true` if it has requested the block and it has not left yet.
    pub(super) fn is_getting(&self, block: Block) -> bool {
        self.waiting.contains(&block) || self.in_flight.contains(&block)
    }

    /// Returns `true` if a block is waiting that may be served now.
    pub(super) fn is_ready(&self, now: Duration) -> bool {
        let in_part = self.meter.per_second(now) / IN_FLIGHT_PARTS;
        let most = in_part.clamp(*IN_FLIGHT_BYTES.start(), *IN_FLIGHT_BYTES.end());
        let has_room = |block: &Block| u64::from(self.in_flight_bytes) + u64::from(block.length) <= most;
        self.waiting.front().is_some_and(has_room)
    }

    /// Moves the block that is served next.
    pub(super) fn serve_next(&mut self) -> Option<Block> {
        let block = self.waiting.pop_front()?;
        self.in_flight.push_back(block);
        self.in_flight_bytes += block.length;
        Some(block)
    }

    /// So many bytes left. Takes the next block of which some did, and their number.
    pub(super) fn take_sent(&mut self, bytes: &mut u32) -> Option<(Block, u32)> {
        let block = *self.in_flight.front()?;
        let part = (*bytes).min(block.length - self.first_sent);
        if part == 0 {
            return None;
        }
        *bytes -= part;
        self.in_flight_bytes -= part;
        self.first_sent += part;
        if self.first_sent == block.length {
            self.in_flight.pop_front();
            self.first_sent = 0;
        }
        Some((block, part))
    }
}
