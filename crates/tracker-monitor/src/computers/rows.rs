//! Lists of computers.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::RandomState;
use torrent_library::ContentKey;
use tracker_core::{Instant, PeerId};

use super::{Computers, Look};
use crate::client_name::client;
use crate::lesson::{Copy, CopyStatus, FileRecord};
use crate::{BytesSent, ComputerName, Reachability, ReachabilityReason, Way};

/// A computer and its copy of a file.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct CopyRow {
    /// Its address.
    pub address: IpAddr,
    /// Its name, if it has one.
    pub name: Option<ComputerName>,
    /// `false` if there is a names file and it is not in it, so that it does not count.
    pub counts: bool,
    /// What it does with the file.
    pub status: CopyStatus,
    /// Its completion, from 0 to 1; `None` if it is not known.
    pub completion: Option<f64>,
    /// The age of the completion: a client says it with an announce, of which there may be one in five minutes.
    pub age: Duration,
    /// `true` if all of this is as it is now: its client is seen by the tracker's own peer, or this machine sends it something.
    pub is_live: bool,
    /// The reachability of its client.
    pub reachability: Reachability,
    /// The reason for that, where there is something to say.
    pub reason: Option<ReachabilityReason>,
    /// The port of its client, if it has used one.
    pub port: Option<u16>,
    /// Bytes per second that it downloads, if it is known.
    pub rate: Option<f64>,
    /// The time until it has the file at this rate, if it gets on.
    pub time_left: Option<Duration>,
    /// Its BitTorrent client, if it has used one for the file.
    pub client: Option<String>,
    /// By which way it gets the file over HTTP, if it does: a browser, or else its client uses this machine as a web seed.
    pub way: Option<Way>,
    /// When it first asked for the file; `None` if it has not begun.
    pub came: Option<Instant>,
    /// When it was last heard of.
    pub last_seen: Option<Instant>,
    /// When it had all of it.
    pub finished: Option<Instant>,
}

/// A computer, and what it has of all files.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ComputerRow {
    /// Its address.
    pub address: IpAddr,
    /// Its name, if it has one.
    pub name: Option<ComputerName>,
    /// `false` if there is a names file and it is not in it, so that it does not count.
    pub counts: bool,
    /// When it was first seen in this lesson; `None` if it was not: it is in the names file.
    pub first_seen: Option<Instant>,
    /// When it was last heard of.
    pub last_seen: Option<Instant>,
    /// The BitTorrent client that was seen last.
    pub client: Option<String>,
    /// `true` if it has downloaded in a browser.
    pub has_browser: bool,
    /// The reachability of its client. If it is known of several torrents, one to which they can connect counts.
    pub reachability: Reachability,
    /// The reason for that, where there is something to say.
    pub reason: Option<ReachabilityReason>,
    /// The number of files that it has.
    pub has: u32,
    /// The names of some of them.
    pub has_names: Vec<Arc<str>>,
    /// The number of files that it is downloading, those that are stuck left out.
    pub downloading: u32,
    /// The number of files that it is downloading and gets nothing of.
    pub stuck: u32,
    /// Bytes per second that it downloads of all of them.
    pub rate: f64,
    /// Bytes that it got from this machine in this lesson.
    pub sent: BytesSent,
}

/// A file on the viewer's own computer.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct OwnCopy {
    /// The key of the file.
    pub key: ContentKey,
    /// Its displayable name.
    pub name: Arc<str>,
    /// What the computer does with it.
    pub status: CopyStatus,
    /// Its completion, from 0 to 1; `None` if it is not known.
    pub completion: Option<f64>,
    /// The age of the completion: zero while it is seen; otherwise a client says it with an announce, of which there may be one
    /// in five minutes.
    pub age: Duration,
    /// The time until it is complete at the current rate, if it gets on.
    pub time_left: Option<Duration>,
}

/// Names of files that a row of a computer has, at most.
const MAX_NAMES: usize = 3;

impl Computers {
    /// The computers that count, and others that have asked for the file with this key, each with its copy: those that are stuck
    /// first, then the least complete; those that have it last.
    pub fn of_file(&self, key: ContentKey) -> Vec<CopyRow> {
        let mut rows = self.look(|look| {
            let file = look.file(key);
            let all = look.roster.addresses().chain(file.into_iter().flat_map(|file| {
                file.copies
                    .keys()
                    .copied()
                    .filter(|&address| !look.roster.counts(address) && !look.roster.is_own(address))
            }));
            all.map(|address| row(look, file, address)).collect::<Vec<_>>()
        });
        // Not under the lock: there may be many.
        rows.iter_mut().for_each(|row| row.name = self.name(row.address));
        rows.sort_by(compare);
        rows
    }

    /// The computers that count and do not have the file with this key: the first `limit` by address, and how many there are.
    pub fn missing(&self, key: ContentKey, limit: usize) -> (Vec<Arc<str>>, usize) {
        let missing: Vec<_> = self.look(|look| {
            let copies = look.file(key).map(|file| &file.copies);
            let has_it = |address: &IpAddr| copies.and_then(|copies| copies.get(address)).is_some_and(Copy::has_it);
            look.roster.addresses().filter(|address| !has_it(address)).collect()
        });
        let names = missing.iter().take(limit).map(|&address| self.name_or_address(address)).collect();
        (names, missing.len())
    }

    /// All computers that were seen in this lesson, and those in the names file, by address. It takes a time that grows with the
    /// number of all copies: about 50 ms for a million.
    pub fn all(&self) -> Vec<ComputerRow> {
        let mut rows = self.look(|look| {
            let new = |address| ComputerRow::new(address, look);
            let addresses = look.roster.addresses().chain(look.lesson.computers().keys().copied());
            let others = addresses.filter(|&address| !look.roster.is_own(address));
            let mut rows: HashMap<_, _, RandomState> = others.map(|address| (address, new(address))).collect();
            let mut clients: HashMap<IpAddr, (Instant, PeerId), RandomState> = HashMap::default();
            for file in look.lesson.files() {
                for (address, copy) in &file.copies {
                    let Some(row) = rows.get_mut(address) else { continue };
                    row.add(look, file, copy);
                    if let Some(torrent) = &copy.torrent {
                        let last = clients.entry(*address).or_insert((torrent.last_seen, torrent.peer_id));
                        *last = (*last).max((torrent.last_seen, torrent.peer_id));
                    }
                }
            }
            let with_client = |(address, mut row): (IpAddr, ComputerRow)| {
                row.client = clients.get(&address).map(|(_, peer_id)| client(peer_id));
                row
            };
            rows.into_iter().map(with_client).collect::<Vec<_>>()
        });
        rows.iter_mut().for_each(|row| row.name = self.name(row.address));
        rows.sort_unstable_by_key(|row| row.address);
        rows
    }

    /// The files that the computer at an address has asked for, this machine included: those that it is downloading first.
    pub fn own_copies(&self, address: IpAddr) -> Vec<OwnCopy> {
        let address = address.to_canonical();
        let mut copies = self.look(|look| {
            let of_file = |file: &FileRecord| {
                let copy = file.copies.get(&look.lesson.known_address(address))?;
                let status = copy.status(file.has_seeder, look.round, look.now);
                Some(OwnCopy {
                    completion: copy.completion(file.size),
                    age: copy.age(file.size, look.now),
                    time_left: copy.time_left(file.size, look.round, look.now),
                    ..OwnCopy::new(file.key(), Arc::clone(&file.name), status)
                })
            };
            look.lesson.files().filter_map(of_file).collect::<Vec<_>>()
        });
        copies.sort_by_key(|copy| copy.status.order());
        copies
    }
}

impl OwnCopy {
    /// A file of which nothing more is known.
    pub fn new(key: ContentKey, name: Arc<str>, status: CopyStatus) -> Self {
        Self { key, name, status, completion: None, age: Duration::ZERO, time_left: None }
    }
}

impl CopyStatus {
    /// The order in which people want to read of it.
    const fn order(self) -> u8 {
        match self {
            Self::Stuck(_) => 0,
            Self::Downloading => 1,
            Self::Stopped => 2,
            Self::NotBegun => 3,
            Self::HasSelection => 4,
            Self::HasIt => 5,
        }
    }
}

fn row(look: &Look<'_>, file: Option<&FileRecord>, address: IpAddr) -> CopyRow {
    let of_file = file.and_then(|file| Some((file, file.copies.get(&address)?)));
    let http = |copy: &Copy| {
        let http = copy.http.as_ref()?;
        let is_browser = http.sent.browser > 0 || http.running.browser > 0;
        Some(if is_browser { Way::Browser } else { Way::WebSeed })
    };
    let torrent = of_file.and_then(|(_, copy)| copy.torrent.as_ref());
    let (reachability, reason) = torrent.map(|torrent| torrent.reachability(look.round)).unwrap_or_default();
    CopyRow {
        address,
        name: None,
        counts: look.roster.counts(address),
        status: file.map_or(CopyStatus::NotBegun, |file| file.status(address, look.round, look.now)),
        completion: of_file.map_or(Some(0.0), |(file, copy)| copy.completion(file.size)),
        age: of_file.map_or(Duration::ZERO, |(file, copy)| copy.age(file.size, look.now)),
        is_live: of_file.is_some_and(|(_, copy)| copy.is_live(look.round)),
        reachability,
        reason,
        port: torrent.map(|torrent| torrent.port),
        rate: of_file.and_then(|(_, copy)| copy.rate(look.round)),
        time_left: of_file.and_then(|(file, copy)| copy.time_left(file.size, look.round, look.now)),
        client: torrent.map(|torrent| client(&torrent.peer_id)),
        way: of_file.and_then(|(_, copy)| http(copy)),
        came: of_file.map(|(_, copy)| copy.came),
        last_seen: of_file.map(|(_, copy)| copy.last_seen()),
        finished: of_file.and_then(|(_, copy)| copy.finished),
    }
}

fn compare(a: &CopyRow, b: &CopyRow) -> Ordering {
    let completion = |row: &CopyRow| row.completion.unwrap_or(0.0);
    let group = |row: &CopyRow| match row.status {
        CopyStatus::Stuck(_) => 0,
        CopyStatus::HasIt => 2,
        _ => 1,
    };
    group(a)
        .cmp(&group(b))
        .then_with(|| completion(a).total_cmp(&completion(b)))
        .then_with(|| a.address.cmp(&b.address))
}

impl ComputerRow {
    fn new(address: IpAddr, look: &Look<'_>) -> Self {
        let first_seen = look.lesson.computers().get(&address).map(|record| record.first_seen);
        Self {
            address,
            name: None,
            counts: look.roster.counts(address),
            first_seen,
            last_seen: first_seen,
            client: None,
            has_browser: false,
            reachability: Reachability::Unknown,
            reason: None,
            has: 0,
            has_names: Vec::new(),
            downloading: 0,
            stuck: 0,
            rate: 0.0,
            sent: BytesSent::default(),
        }
    }

    fn add(&mut self, look: &Look<'_>, file: &FileRecord, copy: &Copy) {
        self.last_seen = self.last_seen.max(Some(copy.last_seen()));
        self.has_browser |= copy.http.as_ref().is_some_and(|http| http.sent.browser > 0);
        self.rate += copy.rate(look.round).unwrap_or(0.0);
        self.sent = self.sent.plus(copy.sent_from_here());
        if let Some(torrent) = &copy.torrent {
            self.add_reachability(torrent.reachability(look.round));
        }
        match copy.status(file.has_seeder, look.round, look.now) {
            CopyStatus::HasIt => {
                self.has += 1;
                if self.has_names.len() < MAX_NAMES {
                    self.has_names.push(Arc::clone(&file.name));
                }
            }
            CopyStatus::Downloading => self.downloading += 1,
            CopyStatus::Stuck(_) => self.stuck += 1,
            CopyStatus::HasSelection | CopyStatus::Stopped | CopyStatus::NotBegun => {}
        }
    }

    /// One torrent shows it, and others may show something else. A client that is running and does not have a torrent can be
    /// connected to.
    fn add_reachability(&mut self, of_torrent: (Reachability, Option<ReachabilityReason>)) {
        let (reachability, reason) = match of_torrent {
            (_, Some(ReachabilityReason::NotThisTorrent)) => (Reachability::Yes, None),
            of_torrent => of_torrent,
        };
        let rank = |reachability| match reachability {
            Reachability::Unknown => 0,
            Reachability::No => 1,
            Reachability::Yes => 2,
        };
        let is_better = rank(reachability) > rank(self.reachability);
        if is_better || reachability == self.reachability && self.reason.is_none() {
            (self.reachability, self.reason) = (reachability, reason);
        }
    }
}
