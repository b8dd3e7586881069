//! Events that were not polled yet.

use std::collections::VecDeque;

use super::received_pex::ReceivedPex;
use crate::{Block, Event, Handshake, Progress};

/// The most requests of the peer that wait at this side (`reqq`): 2 MiB of blocks, which is more than a LAN has on its way.
pub const MAX_REQUESTS: usize = 128;

/// A place for one event of each kind, which a later one of the kind replaces, so that a flood of messages takes no memory.
#[derive(Debug, Default)]
pub(super) struct PendingEvents {
    pub(super) handshake: Option<Handshake>,
    pub(super) client: Option<String>,
    pub(super) metadata_offered: bool,
    pub(super) progress: Option<Progress>,
    pub(super) pex: ReceivedPex,
    pub(super) interested: Option<bool>,
    /// Requests and cancels, in their order.
    requests: VecDeque<Asked>,
    /// The info dictionary, or that it did not come.
    pub(super) metadata: Option<Event>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Request(Block),
    Cancel(Block),
}

impl From<Asked> for Event {
    fn from(asked: Asked) -> Self {
        match asked {
            Asked::Request(block) => Self::Request(block),
            Asked::Cancel(block) => Self::Cancel(block),
        }
    }
}

impl PendingEvents {
    pub(super) fn poll(&mut self) -> Option<Event> {
        None.or_else(|| self.handshake.take().map(Event::Handshake))
            .or_else(|| self.client.take().map(Event::Client))
            .or_else(|| std::mem::take(&mut self.metadata_offered).then_some(Event::MetadataOffered))
            .or_else(|| self.progress.take().map(Event::Progress))
            .or_else(|| self.pex.take().map(Event::Pex))
            .or_else(|| self.interested.take().map(Event::Interested))
            .or_else(|| self.requests.pop_front().map(Event::from))
            .or_else(|| self.metadata.take())
    }

    /// Adds a request. `false` if there are too many.
    pub(super) fn request(&mut self, block: Block) -> bool {
        let has_room = self.requests.len() < MAX_REQUESTS;
        if has_room {
            self.requests.push_back(Asked::Request(block));
        }
        has_room
    }

    /// Takes the first request out that was not polled, and the cancels before it.
    pub(super) fn take_request(&mut self) -> Option<Block> {
        loop {
            if let Asked::Request(block) = self.requests.pop_front()? {
                return Some(block);
            }
        }
    }

    /// Takes a request back. `true` if it was not polled yet, so that nobody will answer it.
    pub(super) fn cancel(&mut self, block: Block) -> bool {
        let waiting = self.requests.iter().position(|asked| *asked == Asked::Request(block));
        match waiting {
            Some(index) => {
                self.requests.remove(index);
            }
            None if self.requests.len() < MAX_REQUESTS => self.requests.push_back(Asked::Cancel(block)),
            None => {}
        }
        waiting.is_some()
    }

    /// The bytes of memory that it has allocated.
    pub(super) fn allocated(&self) -> usize {
        let metadata = match &self.metadata {
            Some(Event::Metadata(metadata)) => metadata.capacity(),
            _ => 0,
        };
        let client = self.client.as_ref().map_or(0, String::capacity);
        client + self.pex.allocated() + self.requests.capacity() * size_of::<Asked>() + metadata
    }
}
