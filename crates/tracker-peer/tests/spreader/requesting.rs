//! What a leecher requests.

use std::time::Duration;

use peer_wire::Block;
use rand::seq::IndexedRandom;
use tracker_peer::spreader::MAX_WAITING;

use crate::swarm::{BLOCK, BlockState, Flow, Message, Part, SOURCE, Swarm};

/// What a leecher requests ahead of a peer, as the time in which that comes, and in blocks. As libtorrent does.
const REQUESTED_AHEAD: Duration = Duration::from_secs(3);
const MIN_REQUESTED: usize = 4;
const MAX_REQUESTED: usize = MAX_WAITING;

impl Swarm<'_> {
    /// The leecher requests what it can on this flow.
    pub(crate) fn request(&mut self, flow: usize) {
        if !std::mem::take(&mut self.flows[flow].is_due) || !self.flows[flow].may_request {
            return;
        }
        let ahead = (self.flows[flow].rate * REQUESTED_AHEAD.as_secs_f64() / f64::from(BLOCK)) as usize;
        let ahead = ahead.clamp(MIN_REQUESTED, MAX_REQUESTED);
        while self.flows[flow].requested.len() < ahead {
            let Some(block) = self.pick(flow) else {
                self.update_interest(flow);
                return;
            };
            self.flows[flow].requested.push_back(block);
            self.tell_late(Message::Request(flow, block));
        }
    }

    /// The block that is requested next: of a piece that was begun, or of the rarest one. At the end blocks are requested
    /// twice.
    pub(crate) fn pick(&mut self, flow: usize) -> Option<Block> {
        let Flow { from, to, .. } = self.flows[flow];
        let to = to - 1;
        let count = self.scenario.layout.count();
        let leecher = &self.leechers[to];
        let offered = if from == SOURCE { &leecher.revealed } else { &self.leechers[from - 1].shown };
        let is_offered = |piece: &u32| offered.contains(*piece);
        let begun = leecher.open.iter().copied().find(is_offered);
        let piece = begun.or_else(|| self.rarity.rarest(&mut self.rng, offered, [&leecher.has, &leecher.begun]));
        if let Some(piece) = piece {
            let blocks = self.scenario.layout.length_of(piece).div_ceil(BLOCK) as usize;
            let leecher = &mut self.leechers[to];
            leecher.begun.insert(piece);
            let part = leecher.parts.entry(piece).or_insert_with(|| Part {
                blocks: vec![BlockState::Free; blocks],
                free: blocks,
                got: 0,
            });
            let index = part.blocks.iter().position(|&block| block == BlockState::Free).unwrap();
            part.blocks[index] = BlockState::Requested(flow, None);
            part.free -= 1;
            if part.free == 0 {
                leecher.open.remove(&piece);
            } else {
                leecher.open.insert(piece);
            }
            return Some(self.block(piece, index));
        }
        let is_end = leecher.has.len() as usize + leecher.parts.len() == count as usize && leecher.open.is_empty();
        if !is_end || !self.flows[flow].requested.is_empty() {
            return None;
        }
        let once = |state: &BlockState| matches!(state, BlockState::Requested(other, None) if *other != flow);
        let pieces = leecher.parts.iter().filter(|(piece, _)| is_offered(piece));
        let blocks = pieces.flat_map(|(&piece, part)| {
            part.blocks.iter().enumerate().filter(|(_, state)| once(state)).map(move |(index, _)| (piece, index))
        });
        let blocks: Vec<_> = blocks.collect();
        let &(piece, index) = blocks.choose(&mut self.rng)?;
        let state = &mut self.leechers[to].parts.get_mut(&piece).unwrap().blocks[index];
        let BlockState::Requested(other, None) = *state else { unreachable!() };
        *state = BlockState::Requested(other, Some(flow));
        Some(self.block(piece, index))
    }

    pub(crate) fn block(&self, piece: u32, index: usize) -> Block {
        let begin = index as u32 * BLOCK;
        Block { piece, begin, length: BLOCK.min(self.scenario.layout.length_of(piece) - begin) }
    }

    /// What was requested does not come.
    pub(crate) fn give_back(&mut self, flow: usize) {
        let to = self.flows[flow].to - 1;
        let begun = self.flows[flow].queue.front().copied();
        let requested = std::mem::take(&mut self.flows[flow].requested);
        for block in requested {
            if Some(block) == begun {
                self.flows[flow].requested.push_back(block);
                continue;
            }
            self.free_block(to, flow, block);
        }
        for flow in self.leechers[to].sources.clone() {
            self.flows[flow].is_due = true;
        }
    }

    pub(crate) fn free_block(&mut self, to: usize, flow: usize, block: Block) {
        let Some(part) = self.leechers[to].parts.get_mut(&block.piece) else { return };
        let state = &mut part.blocks[(block.begin / BLOCK) as usize];
        match *state {
            BlockState::Requested(one, other) if one == flow => match other {
                Some(other) => *state = BlockState::Requested(other, None),
                None => {
                    *state = BlockState::Free;
                    part.free += 1;
                    self.leechers[to].open.insert(block.piece);
                }
            },
            BlockState::Requested(one, Some(other)) if other == flow => *state = BlockState::Requested(one, None),
            _ => {}
        }
    }
}
