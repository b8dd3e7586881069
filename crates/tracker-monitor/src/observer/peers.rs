//! The list of a torrent's peers.

use std::cmp::Ordering;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use tracker_core::{Instant, Peer, ShardsView};
use tracker_host::host_name;

use super::expectation::{completion, left, next_expected, status};
use super::hybrid::SwarmKeys;
use super::records::{Figures, Records};
use super::stuck::{Progress, Seeding};
use super::{PeerRow, PeerSort, PeerStatus, PeerStuckReason};
use crate::client_name::client;
use crate::{Page, PageQuery};

/// A peer of the list. There may be hundreds of thousands.
#[derive(Debug)]
pub(super) struct PeerEntry {
    peer: Peer,
    figures: Figures,
}

/// All peers of a torrent, by their addresses.
pub(super) fn all(shards: &ShardsView, keys: SwarmKeys, records: &Mutex<Records>) -> Vec<PeerEntry> {
    let mut entries = Vec::new();
    keys.for_each_peer(shards, |swarm_key, peers| {
        let records = super::lock(records);
        entries.extend(peers.into_iter().map(|peer| PeerEntry { figures: records.figures(swarm_key, &peer), peer }));
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
    let is_any = |seeding| entries.iter().any(|entry| Seeding::of(&entry.peer, now) == Some(seeding));
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
        PeerSort::State => order.apply(status(&a.peer, now).cmp(&status(&b.peer, now))),
        PeerSort::Completion => order.apply_to(completion(&a.peer, size), completion(&b.peer, size), f64::total_cmp),
        PeerSort::DownloadRate => order.apply_to(a.download_rate(now), b.download_rate(now), f64::total_cmp),
        PeerSort::UploadRate => order.apply_to(a.upload_rate(now), b.upload_rate(now), f64::total_cmp),
        PeerSort::LastSeen => order.apply_to(a.last_seen(), b.last_seen(), Ord::cmp),
    };
    ordering.then_with(|| a.peer.address.cmp(&b.peer.address))
}

impl PeerEntry {
    fn row(&self, now: Instant, size: Option<u64>, has_seeder: bool) -> PeerRow {
        let detail = self.peer.detail.as_ref();
        PeerRow {
            address: self.peer.address,
            host: host_name(self.peer.address.ip()),
            client: self.client(),
            status: status(&self.peer, now),
            stuck: self.stuck(has_seeder, now),
            completion: completion(&self.peer, size),
            left: left(&self.peer, size),
            uploaded: detail.map(|detail| detail.uploaded),
            downloaded: detail.map(|detail| detail.downloaded),
            upload_rate: self.upload_rate(now),
            download_rate: self.download_rate(now),
            first_seen: detail.map(|detail| detail.first_seen),
            last_seen: self.last_seen(),
            next_expected: detail.map(next_expected),
        }
    }

    fn client(&self) -> Option<String> {
        self.peer.detail.as_ref().map(|detail| client(&detail.peer_id))
    }

    fn last_seen(&self) -> Option<Instant> {
        self.peer.detail.as_ref().map(|detail| detail.last_seen)
    }

    fn is_moving(&self, now: Instant) -> bool {
        status(&self.peer, now) == PeerStatus::Downloading && self.figures.progress == Progress::Moving
    }

    fn stuck(&self, has_seeder: bool, now: Instant) -> Option<PeerStuckReason> {
        PeerStuckReason::of(&self.peer, self.figures.progress, has_seeder, now)
    }

    fn upload_rate(&self, now: Instant) -> Option<f64> {
        self.figures.rates?.current_upload(self.peer.detail.as_ref()?, now)
    }

    fn download_rate(&self, now: Instant) -> Option<f64> {
        self.figures.rates?.current_download(self.peer.state, self.peer.detail.as_ref()?, now)
    }
}
