//! The list of torrents.

use std::cmp::Ordering;
use std::sync::{Arc, Mutex};

use torrent_library::{KnownTorrent, KnownTorrents};
use tracker_core::{InfoHash, ShardsView, SwarmCounts, Walk};

use super::hybrid::SwarmKeys;
use super::records::Records;
use super::stuck::Verdict;
use super::sums::Sums;
use super::sweep::STRIDE;
use super::{TorrentRow, TorrentSort};
use crate::{Page, PageQuery, SeenTorrent};

/// A torrent of the list. There may be a million.
#[derive(Debug)]
pub(super) struct TorrentEntry {
    info_hash: InfoHash,
    known: Option<Arc<KnownTorrent>>,
    /// What a peer told of it, if it is not known.
    named: Option<SeenTorrent>,
    /// As announced.
    counts: SwarmCounts,
    sums: Sums,
    /// `true` if this machine gives the whole content to others.
    is_shared: bool,
}

impl TorrentEntry {
    pub(super) fn new(
        keys: SwarmKeys,
        known: Option<Arc<KnownTorrent>>,
        counts: SwarmCounts,
        records: &Records,
        is_shared: bool,
    ) -> Self {
        let mut sums = records.sums(&keys.first);
        if let Some(second) = &keys.second {
            sums.add_swarm(records.sums(second));
        }
        let named = if known.is_none() { records.named(&keys.first) } else { None };
        Self { info_hash: keys.first, known, named, counts, sums, is_shared }
    }

    pub(super) fn row(&self) -> TorrentRow {
        TorrentRow {
            info_hash: self.info_hash,
            name: self.shared_name().cloned(),
            size: self.size(),
            file_count: self.file_count(),
            counts: self.counts_to_read(),
            silent: self.sums.silent,
            completion: self.completion(),
            download_rate: self.sums.download_rate,
            last_seen: self.sums.last_seen,
            stuck: self.verdict().reason(),
        }
    }

    fn counts_to_read(&self) -> SwarmCounts {
        self.sums.downloads.corrected(self.counts)
    }

    /// The state of its downloads.
    pub(super) fn verdict(&self) -> Verdict {
        self.sums.downloads.verdict(self.counts, self.is_shared)
    }

    /// Returns `true` if one of its info-hashes, that of v2 included, begins with these digits.
    fn has_hash_beginning_with(&self, digits: &[u8]) -> bool {
        let v2 = self.known.as_ref().and_then(|known| known.metainfo.info_hashes().v2);
        begins_with(self.info_hash.as_bytes(), digits) || v2.is_some_and(|hash| begins_with(hash.as_bytes(), digits))
    }

    fn name(&self) -> Option<&str> {
        self.shared_name().map(|name| &**name)
    }

    fn shared_name(&self) -> Option<&Arc<str>> {
        self.known.as_ref().map(|known| &known.name).or_else(|| Some(&self.named.as_ref()?.name))
    }

    fn size(&self) -> Option<u64> {
        self.known.as_ref().map(|known| known.size).or_else(|| Some(self.named.as_ref()?.size))
    }

    fn file_count(&self) -> Option<usize> {
        self.known.as_ref().map(|known| known.file_count()).or_else(|| Some(self.named.as_ref()?.files))
    }

    fn completion(&self) -> Option<f64> {
        let Sums { completion, telling, .. } = self.sums;
        (self.size().is_some() && telling > 0).then(|| completion / f64::from(telling))
    }
}

/// Those that are known, and those that have a swarm.
pub(super) fn all(
    shards: &ShardsView,
    known: &KnownTorrents,
    records: &Mutex<Records>,
    is_shared: impl Fn(&InfoHash) -> bool,
) -> Vec<TorrentEntry> {
    let mut entries = Vec::with_capacity(known.len());
    let mut walk = Walk::by_swarm();
    let mut stretch: Vec<(SwarmKeys, SwarmCounts)> = Vec::new();
    let mut add = |stretch: &mut Vec<(SwarmKeys, SwarmCounts)>| {
        let records = super::lock(records);
        entries.extend(stretch.drain(..).map(|(keys, counts)| {
            let known = known.get(&keys.first).cloned();
            let is_shared = known.is_some() && is_shared(&keys.first);
            TorrentEntry::new(keys, known, counts, &records, is_shared)
        }));
    };
    for torrent in known.values() {
        let keys = SwarmKeys::new(torrent.info_hash, Some(torrent));
        stretch.push((keys, keys.counts(shards).unwrap_or_default()));
        if stretch.len() == STRIDE {
            add(&mut stretch);
        }
    }
    add(&mut stretch);
    let mut is_more = true;
    while is_more {
        is_more = shards.walk(&mut walk, STRIDE, |slice| {
            if known.get(&slice.info_hash).is_none() {
                stretch.push((SwarmKeys::new(slice.info_hash, None), slice.swarm.counts()));
            }
        });
        add(&mut stretch);
    }
    entries
}

/// The part of the list that is asked for.
pub(super) fn page(entries: &[TorrentEntry], query: &PageQuery<TorrentSort>) -> Page<TorrentRow> {
    page_of(entries.iter(), query)
}

/// The part of the list of torrents without a name that is asked for.
pub(super) fn page_of_unnamed(entries: &[TorrentEntry], query: &PageQuery<TorrentSort>) -> Page<TorrentRow> {
    page_of(entries.iter().filter(|entry| entry.known.is_none()), query)
}

fn page_of<'e>(entries: impl Iterator<Item = &'e TorrentEntry>, query: &PageQuery<TorrentSort>) -> Page<TorrentRow> {
    let mut search = Search::new(&query.search);
    let found = entries.filter(|entry| search.finds(entry)).collect();
    query.cut(found, |a, b| compare(a, b, query)).map(TorrentEntry::row)
}

fn compare(a: &TorrentEntry, b: &TorrentEntry, query: &PageQuery<TorrentSort>) -> Ordering {
    let order = query.order;
    let by_name = || order.apply_to(a.name(), b.name(), |a, b| in_lower_case(a).cmp(in_lower_case(b)));
    let ordering = match query.sort {
        TorrentSort::Name => by_name(),
        TorrentSort::Size => order.apply_to(a.size(), b.size(), Ord::cmp),
        TorrentSort::Seeders => order.apply(a.counts_to_read().seeders.cmp(&b.counts_to_read().seeders)),
        TorrentSort::Leechers => order.apply(a.counts_to_read().leechers.cmp(&b.counts_to_read().leechers)),
        TorrentSort::Completed => order.apply(a.counts.completed.cmp(&b.counts.completed)),
        TorrentSort::Completion => order.apply_to(a.completion(), b.completion(), f64::total_cmp),
        TorrentSort::DownloadRate => {
            let peers = |entry: &TorrentEntry| entry.counts.seeders + entry.counts.leechers;
            order.apply(a.sums.download_rate.total_cmp(&b.sums.download_rate).then(peers(a).cmp(&peers(b))))
        }
    };
    ordering.then_with(|| a.info_hash.cmp(&b.info_hash))
}

/// A search term: a part of a name, or the beginning of an info-hash.
#[derive(Debug)]
struct Search {
    part: String,
    /// The digits of the part, if it has no other characters.
    digits: Option<Vec<u8>>,
    /// The name that is looked through, in lower case: one place for all of them.
    name: String,
}

impl Search {
    fn new(text: &str) -> Self {
        let part: String = in_lower_case(text.trim()).collect();
        let digit = |character: char| character.to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let digits = part.chars().map(digit).collect::<Option<Vec<u8>>>();
        Self { part, digits, name: String::new() }
    }

    fn finds(&mut self, entry: &TorrentEntry) -> bool {
        self.part.is_empty()
            || self.digits.as_ref().is_some_and(|digits| entry.has_hash_beginning_with(digits))
            || entry.name().is_some_and(|name| self.is_part_of(name))
    }

    fn is_part_of(&mut self, name: &str) -> bool {
        self.name.clear();
        if name.is_ascii() {
            self.name.push_str(name);
            self.name.make_ascii_lowercase();
        } else {
            self.name.extend(in_lower_case(name));
        }
        self.name.contains(&self.part)
    }
}

fn begins_with(hash: &[u8], digits: &[u8]) -> bool {
    let digits_of = hash.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    digits.len() <= 2 * hash.len() && digits_of.zip(digits).all(|(a, &b)| a == b)
}

fn in_lower_case(text: &str) -> impl Iterator<Item = char> {
    text.chars().flat_map(char::to_lowercase)
}
