//! The list of a torrent's peers.

use std::cmp::Ordering;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use tracker_core::{Instant, Peer, ShardsView};
use tracker_host::host_name;

use super::completion::completion;
use super::expectation::{left, next_expected, status};
use super::figures::Figures;
use super::hybrid::SwarmKeys;
use super::records::Records;
use super::seen::reachability;
use super::stuck::{Progress, Seeding};
use super::{Completion, PeerRow, PeerSort, PeerStatus, PeerStuckReason};
use crate::client_name::{client, program};
use crate::{Page, PageQuery, PeerSightings};

/// A peer of the list. There may be hundreds of thousands.
#[derive(Debug)]
pub(super) struct PeerEntry {
    peer: Peer,
    figures: Figures,
    /// Program and version, as it says to the tracker's own peer.
    client: Option<Arc<str>>,
}

/// All peers of a torrent, by their addresses, as they are now.
pub(super) fn all(
    shards: &ShardsView,
    keys: SwarmKeys,
    records: &Mutex<Records>,
    sightings: Option<&dyn PeerSightings>,
    now: Instant,
) -> Vec<PeerEntry> {
    let mut entries = Vec::new();
    let mut seen = Vec::new();
    keys.for_each_peer(shards, |swarm_key, peers| {
        seen.clear();
        if let Some(sightings) = sightings {
            sightings.look(swarm_key, &peers, &mut seen);
        }
        seen.resize(peers.len(), None);
        let records = super::lock(records);
        entries.extend(peers.into_iter().zip(seen.drain(..)).map(|(peer, seen)| PeerEntry {
            figures: records.figures(swarm_key, &peer, seen.as_ref(), now),
            client: seen.and_then(|seen| seen.client),
            peer,
        }));
    });
    // One that changed its place meanwhile may have been seen twice. Those that listen nowhere are told apart by who they are.
    let peer_id = |peer: &Peer| peer.detail.as_ref().filter(|_| !peer.is_listening()).map(|detail| detail.peer_id);
    entries.sort_by_key(|entry| (entry.peer.address, peer_id(&entry.peer)));
    entries.dedup_by_key(|entry| (entry.peer.address, peer_id(&entry.peer)));
    entries
}

/// The part of the list that is asked for, of a torrent of this size. `is_shared` says whether this machine gives the whole
/// content to others.
pub(super) fn page(
    entries: &[PeerEntry],
    query: &PageQuery<PeerSort>,
    now: Instant,
    size: Option<u64>,
    is_shared: bool,
) -> Page<PeerRow> {
    let search = query.search.trim().to_lowercase();
    let has_seeder = is_shared || has_seeder(entries, now);
    let needs_client = query.sort == PeerSort::Client || !search.is_empty();
    let found = entries.iter().map(|entry| Candidate::new(entry, needs_client));
    let found = found.filter(|found| search.is_empty() || found.contains(&search, host_name)).collect();
    query.cut(found, |a, b| compare(a, b, query, now, size)).map(|found| found.entry.row(now, size, has_seeder))
}

/// Returns `true` if a peer that still announces has the whole content, or may have it while others get something.
fn has_seeder(entries: &[PeerEntry], now: Instant) -> bool {
    let is_any = |seeding| entries.iter().any(|entry| Seeding::of(&entry.peer, &entry.figures, now) == Some(seeding));
    let is_any_moving = || entries.iter().any(|entry| entry.is_moving(now));
    is_any(Seeding::Certain) || (is_any(Seeding::Doubtful) && is_any_moving())
}

/// A peer that may be in the part that is asked for.
#[derive(Debug)]
pub(super) struct Candidate<'e> {
    entry: &'e PeerEntry,
    /// Only where it matters.
    client: Option<String>,
}

impl<'e> Candidate<'e> {
    pub(super) fn new(entry: &'e PeerEntry, needs_client: bool) -> Self {
        Self { entry, client: needs_client.then(|| entry.client()).flatten() }
    }

    /// Returns `true` if its row shows this text, which is in lower case, in its address, client or host name.
    pub(super) fn contains(&self, search: &str, host_name: impl Fn(IpAddr) -> Option<Arc<str>>) -> bool {
        let contains = |text: &str| text.to_lowercase().contains(search);
        let address = self.entry.peer.address;
        contains(&address.to_string())
            || self.client.as_deref().is_some_and(contains)
            || host_name(address.ip()).is_some_and(|host| contains(&host))
    }
}

fn compare(
    a: &Candidate<'_>,
    b: &Candidate<'_>,
    query: &PageQuery<PeerSort>,
    now: Instant,
    size: Option<u64>,
) -> Ordering {
    let order = query.order;
    let (client_a, client_b) = (a.client.as_deref(), b.client.as_deref());
    let (a, b) = (a.entry, b.entry);
    let ordering = match query.sort {
        PeerSort::Address => order.apply(a.peer.address.cmp(&b.peer.address)),
        PeerSort::Client => order.apply_to(client_a, client_b, Ord::cmp),
        PeerSort::State => order.apply(a.status(now).cmp(&b.status(now))),
        PeerSort::Completion => {
            order.apply_to(a.completion(size, now), b.completion(size, now), |a, b| a.value.total_cmp(&b.value))
        }
        PeerSort::DownloadRate => order.apply_to(a.download_rate(now), b.download_rate(now), f64::total_cmp),
        PeerSort::UploadRate => order.apply_to(a.upload_rate(now), b.upload_rate(now), f64::total_cmp),
        PeerSort::LastSeen => order.apply_to(a.last_seen(), b.last_seen(), Ord::cmp),
    };
    ordering.then_with(|| a.peer.address.cmp(&b.peer.address))
}

impl PeerEntry {
    fn row(&self, now: Instant, size: Option<u64>, has_seeder: bool) -> PeerRow {
        let detail = self.peer.detail.as_ref();
        let (reachability, reason) = reachability(&self.peer, self.figures.seen.as_ref());
        PeerRow {
            address: self.peer.address,
            host: host_name(self.peer.address.ip()),
            client: self.client(),
            status: self.status(now),
            stuck: PeerStuckReason::of(&self.peer, &self.figures, has_seeder, now),
            completion: self.completion(size, now),
            left: left(&self.peer, size),
            uploaded: detail.map(|detail| detail.uploaded),
            downloaded: detail.map(|detail| detail.downloaded),
            upload_rate: self.upload_rate(now),
            download_rate: self.download_rate(now),
            reachability,
            reason,
            first_seen: detail.map(|detail| detail.first_seen),
            last_seen: self.last_seen(),
            next_expected: detail.map(next_expected),
        }
    }

    /// As it says itself, or else by its peer id.
    fn client(&self) -> Option<String> {
        let seen = self.client.as_deref().map(program).filter(|program| !program.is_empty());
        seen.or_else(|| self.peer.detail.as_ref().map(|detail| client(&detail.peer_id)))
    }

    fn status(&self, now: Instant) -> PeerStatus {
        status(&self.peer, &self.figures, now)
    }

    fn completion(&self, size: Option<u64>, now: Instant) -> Option<Completion> {
        completion(&self.peer, self.figures.seen.as_ref(), size, now)
    }

    fn last_seen(&self) -> Option<Instant> {
        self.peer.detail.as_ref().map(|detail| detail.last_seen)
    }

    fn is_moving(&self, now: Instant) -> bool {
        self.status(now) == PeerStatus::Downloading && self.figures.progress == Progress::Moving
    }

    fn upload_rate(&self, now: Instant) -> Option<f64> {
        self.figures.upload_rate(&self.peer, now)
    }

    fn download_rate(&self, now: Instant) -> Option<f64> {
        self.figures.download_rate(&self.peer, now)
    }
}
