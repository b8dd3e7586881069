//! What the tracker's own peer gives.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};

use foldhash::fast::RandomState;
use torrent_library::{ContentKey, KnownTorrent};
use tracker_core::InfoHash;

use super::{Computers, State};
use crate::client_name::client;
use crate::{ComputerName, SeedingState, SeenSeeding};

/// What the tracker's own peer has given of a torrent since the program started.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TorrentSeeding {
    /// Whether it gives it, and why not.
    pub state: SeedingState,
    /// The BitTorrent client on this machine that the torrent is left to, if it is and the client is known.
    pub local_client: Option<String>,
    /// Bytes that it has sent.
    pub bytes: u64,
    /// The same in copies, if the size of the torrent is known and is not zero.
    pub copies: Option<f64>,
    /// Bytes per second that it sends now.
    pub rate: f64,
    /// The computers that got something, those that got most first.
    pub to: Vec<SentTo>,
}

/// A computer to which the tracker's own peer has sent something.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SentTo {
    /// The computer's address.
    pub address: IpAddr,
    /// The computer's name, if it has one.
    pub name: Option<ComputerName>,
    /// Bytes that it got.
    pub bytes: u64,
}

/// What the tracker's own peer has sent in all, as it said last, by the keys of swarms. The difference to what it says next goes
/// into the current lesson. It has no more entries than the own peer keeps itself.
#[derive(Debug, Default)]
pub(super) struct Uploads {
    by_swarm: HashMap<InfoHash, SwarmUploads, RandomState>,
    /// In bytes.
    total: u64,
}

#[derive(Debug, Default)]
struct SwarmUploads {
    bytes: u64,
    to: HashMap<SocketAddr, u64, RandomState>,
}

impl Uploads {
    /// Takes in what was sent of a torrent so far. Returns the bytes that each peer has got since the last time.
    fn take(&mut self, swarm_key: InfoHash, seen: &SeenSeeding) -> Vec<(IpAddr, u64)> {
        if seen.bytes == 0 {
            self.by_swarm.remove(&swarm_key);
            return Vec::new();
        }
        let before = self.by_swarm.entry(swarm_key).or_default();
        self.total += since(before.bytes, seen.bytes);
        let new = seen.to.iter().map(|(address, bytes)| {
            let before = before.to.get(address).copied().unwrap_or_default();
            (address.ip().to_canonical(), since(before, *bytes))
        });
        let new = new.filter(|(_, bytes)| *bytes > 0).collect();
        *before = SwarmUploads { bytes: seen.bytes, to: seen.to.iter().copied().collect() };
        new
    }
}

/// The bytes since a count. One that is lower than before was forgotten, and has begun anew.
fn since(before: u64, now: u64) -> u64 {
    if now < before { now } else { now - before }
}

impl Computers {
    /// What the tracker's own peer gives of a torrent; `None` if there is no such peer.
    pub fn seeding(&self, swarm_key: &InfoHash) -> Option<TorrentSeeding> {
        let sightings = self.sightings()?;
        let known = self.0.library.get(swarm_key);
        let keys = known.as_deref().map_or_else(|| vec![*swarm_key], |known| known.swarm_keys().collect());
        let first = keys.first().map_or(*swarm_key, |key| *key);
        let (mut state, mut bytes) = (SeedingState::default(), 0);
        let mut by_address: HashMap<IpAddr, u64, RandomState> = HashMap::default();
        for key in &keys {
            let seen = sightings.seeding(key);
            if *key == first {
                state = seen.state;
            }
            bytes += seen.bytes;
            let current = self.state();
            for (address, bytes) in seen.to {
                let address = current.lesson.known_address(address.ip().to_canonical());
                *by_address.entry(address).or_default() += bytes;
            }
        }
        let (rate, local_client) = self.look(|look| {
            let file = look.file(ContentKey::Swarm(first));
            let local = file.into_iter().flat_map(|file| &file.copies).find_map(|(address, copy)| {
                let torrent = copy.torrent.as_ref().filter(|torrent| torrent.is_here(look.round))?;
                look.roster.is_own(*address).then(|| client(&torrent.peer_id))
            });
            (file.map_or(0.0, |file| file.upload_rate), local)
        });
        let to = by_address.into_iter().map(|(address, bytes)| SentTo { address, name: self.name(address), bytes });
        let mut to: Vec<_> = to.collect();
        to.sort_unstable_by_key(|to| (std::cmp::Reverse(to.bytes), to.address));
        Some(TorrentSeeding {
            state,
            local_client: local_client.filter(|_| state == SeedingState::LocalClient),
            bytes,
            copies: known.filter(|known| known.size > 0).map(|known| bytes as f64 / known.size as f64),
            rate,
            to,
        })
    }

    /// Whether the tracker's own peer gives a torrent, and why not; `None` if there is no such peer.
    pub fn seeding_state(&self, info_hash: &InfoHash) -> Option<SeedingState> {
        self.sightings().map(|sightings| sightings.seeding_state(info_hash))
    }

    /// The number of torrents that the tracker's own peer gives; `None` if there is no such peer. It takes a time that grows with
    /// the number of known torrents.
    pub fn seeded_torrents(&self) -> Option<usize> {
        let sightings = self.sightings()?;
        let known = self.0.library.all();
        let shared = known.values().map(|torrent| torrent.info_hash).filter(|info_hash| self.is_shared(info_hash));
        Some(shared.filter(|info_hash| sightings.seeding_state(info_hash) == SeedingState::Seeding).count())
    }

    /// Bytes that the tracker's own peer has sent since the program began, as of the last tick.
    pub(crate) fn uploaded(&self) -> u64 {
        self.state().uploads.total
    }

    /// Takes into the current lesson what the tracker's own peer has sent since the last time.
    pub(super) fn take_uploads(&self) {
        let Some(sightings) = self.sightings() else { return };
        let asked_for: Vec<_> = self.state().lesson.files().filter_map(|file| file.info_hash).collect();
        let shared = asked_for.iter().filter(|info_hash| self.0.contents.get(ContentKey::Swarm(**info_hash)).is_some());
        let known = shared.filter_map(|info_hash| self.0.library.get(info_hash));
        let mut keys: HashSet<_, RandomState> = known.flat_map(|known| known.swarm_keys()).collect();
        // What was sent just before a file was taken out counts, too.
        keys.extend(self.state().uploads.by_swarm.keys());
        let seen = keys.into_iter().map(|key| (key, self.0.library.get(&key), sightings.seeding(&key)));
        let seen: Vec<_> = seen.collect();
        let state = &mut *self.state();
        let now = self.now(state);
        let State { lesson, uploads, .. } = state;
        for (key, known, seen) in seen {
            let sent = uploads.take(key, &seen);
            if sent.is_empty() {
                continue;
            }
            let known: Option<&KnownTorrent> = known.as_deref();
            let number = match known {
                Some(known) => lesson.file_of_swarm(&known.info_hash, Some(known), now),
                None => lesson.find(ContentKey::Swarm(key)),
            };
            let Some(number) = number else { continue };
            sent.into_iter().for_each(|(address, bytes)| lesson.uploaded(number, address, bytes, now));
        }
    }
}
