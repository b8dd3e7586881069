//! A file or folder of a lesson, and its copies.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use foldhash::fast::RandomState;
use torrent_library::{ContentId, ContentKey, displayable};
use tracker_core::{InfoHash, Instant};

use super::aliases::ClientAddresses;
use super::copy::Copy;
use super::series::{CompletionPoint, Plot};
use super::{ComputerRecord, CopyStatus};
use crate::{BytesSent, FileProgress};

/// A file or folder that somebody has asked for.
#[derive(Debug)]
pub(crate) struct FileRecord {
    /// Its displayable name.
    pub(crate) name: Arc<str>,
    /// In bytes, if it is known.
    pub(crate) size: Option<u64>,
    pub(crate) info_hash: Option<InfoHash>,
    pub(crate) content: Option<ContentId>,
    /// By the address of the computer.
    pub(crate) copies: HashMap<IpAddr, Copy, RandomState>,
    pub(super) clients: ClientAddresses,
    /// `true` if somebody who is there has all of it and can give it to others, as far as can be told, or it was not looked at
    /// yet.
    pub(crate) has_seeder: bool,
    pub(crate) plot: Plot<CompletionPoint>,
    /// Bytes that the tracker's own peer has sent of it since the last tick.
    pub(super) uploaded_since_tick: u64,
    /// Bytes per second that it sent between the last two ticks.
    pub(crate) upload_rate: f64,
    /// How far it had come when its lesson ended, if the program was restarted since.
    pub(super) progress_at_end: Option<FileProgress>,
}

/// The computers that are counted: "27 of 30".
#[derive(Debug, Clone, std::marker::Copy)]
pub(crate) struct Roster<'r> {
    /// Those of the names file, if there is one.
    listed: Option<&'r BTreeMap<IpAddr, Arc<str>>>,
    /// Those that were seen.
    seen: &'r BTreeMap<IpAddr, ComputerRecord>,
    /// The addresses of this machine, which does not count, each once.
    own: &'r [IpAddr],
    len: u32,
}

impl<'r> Roster<'r> {
    /// Those in the names file, or else those that were seen, without this machine.
    pub(crate) fn new(
        listed: Option<&'r BTreeMap<IpAddr, Arc<str>>>,
        seen: &'r BTreeMap<IpAddr, ComputerRecord>,
        own: &'r [IpAddr],
    ) -> Self {
        let len = match listed {
            Some(listed) => without_own(listed, own),
            None => without_own(seen, own),
        };
        Self { listed, seen, own, len: u32::try_from(len).unwrap_or(u32::MAX) }
    }

    /// This roster with another number of computers, where it is known.
    pub(crate) fn with_len(self, len: Option<u32>) -> Self {
        Self { len: len.unwrap_or(self.len), ..self }
    }

    /// Returns `true` for an address of this machine.
    pub(crate) fn is_own(self, address: IpAddr) -> bool {
        address.is_loopback() || self.own.contains(&address)
    }

    /// Returns `true` if the computer at this address counts.
    pub(crate) fn counts(self, address: IpAddr) -> bool {
        !self.is_own(address) && self.listed.is_none_or(|listed| listed.contains_key(&address))
    }

    /// The computers that count, by address.
    pub(crate) fn addresses(self) -> impl Iterator<Item = IpAddr> + use<'r> {
        let seen = self.seen.keys().filter(move |_| self.listed.is_none());
        let listed = self.listed.into_iter().flat_map(BTreeMap::keys);
        listed.chain(seen).copied().filter(move |address| !self.is_own(*address))
    }

    /// The number of computers that count.
    pub(crate) fn len(self) -> u32 {
        self.len
    }
}

/// The number of addresses that are not this machine's. Many ask for it, so it does not look at all.
fn without_own<V>(addresses: &BTreeMap<IpAddr, V>, own: &[IpAddr]) -> usize {
    let loopback = IpAddr::from([127, 0, 0, 0])..=IpAddr::from([127, 255, 255, 255]);
    let is_there = |address: &IpAddr| addresses.contains_key(address);
    let own = own.iter().filter(|address| !address.is_loopback() && is_there(address)).count();
    let loopback = addresses.range(loopback).count() + usize::from(is_there(&Ipv6Addr::LOCALHOST.into()));
    addresses.len() - own - loopback
}

impl FileRecord {
    pub(crate) fn new(name: Arc<str>, size: Option<u64>, now: Instant) -> Self {
        Self {
            name,
            size,
            info_hash: None,
            content: None,
            copies: HashMap::default(),
            clients: ClientAddresses::default(),
            has_seeder: true,
            plot: Plot::new(Plot::<CompletionPoint>::MAX_OF_FILE, now),
            uploaded_since_tick: 0,
            upload_rate: 0.0,
            progress_at_end: None,
        }
    }

    /// The same file without copies.
    pub(crate) fn fresh(&self, now: Instant) -> Self {
        Self {
            info_hash: self.info_hash,
            content: self.content,
            has_seeder: self.has_seeder,
            ..Self::new(Arc::clone(&self.name), self.size, now)
        }
    }

    /// The key under which it is found: its torrent's, if it has one.
    pub(crate) fn key(&self) -> ContentKey {
        match (self.info_hash, self.content) {
            (Some(info_hash), _) => ContentKey::Swarm(info_hash),
            (None, Some(id)) => ContentKey::Id(id),
            (None, None) => unreachable!("a record is made for one or the other"),
        }
    }

    pub(crate) fn is_known(&self) -> bool {
        self.size.is_some()
    }

    /// Its name and size are known from now on. Returns `true` if they were not before.
    pub(super) fn know(&mut self, name: &str, size: u64) -> bool {
        let is_news = !self.is_known();
        if is_news {
            (self.name, self.size) = (displayable(name).into(), Some(size));
        }
        is_news
    }

    /// Takes in another record of the same file. Returns the number of copies that were in both.
    pub(super) fn merge(&mut self, other: Self, max_ranges: usize) -> usize {
        self.content = self.content.or(other.content);
        self.uploaded_since_tick += other.uploaded_since_tick;
        let mut double = 0;
        for (address, copy) in other.copies {
            match self.copies.get_mut(&address) {
                Some(own) => {
                    own.merge(copy, max_ranges);
                    double += 1;
                }
                None => _ = self.copies.insert(address, copy),
            }
        }
        double
    }

    /// What a computer does with it.
    pub(crate) fn status(&self, address: IpAddr, round: Option<u32>, now: Instant) -> CopyStatus {
        self.copies.get(&address).map_or(CopyStatus::NotBegun, |copy| copy.status(self.has_seeder, round, now))
    }

    /// Who has it, of the computers that count.
    pub(crate) fn progress(&self, roster: Roster<'_>, round: Option<u32>, now: Instant) -> FileProgress {
        if let Some(progress) = self.progress_at_end {
            return progress;
        }
        let mut progress = FileProgress { of: roster.len(), ..FileProgress::default() };
        let (mut sum, mut unknown) = (0.0, 0);
        for (address, copy) in &self.copies {
            let is_source = copy.torrent.as_ref().is_some_and(|torrent| torrent.is_source(round));
            if !roster.is_own(*address) && is_source {
                progress.sources += 1;
            }
            if !roster.is_own(*address) {
                progress.rate += copy.rate(round).unwrap_or(0.0);
            }
            if !roster.counts(*address) {
                continue;
            }
            match copy.status(self.has_seeder, round, now) {
                CopyStatus::HasIt => {
                    progress.has += 1;
                    continue;
                }
                CopyStatus::Downloading => progress.downloading += 1,
                CopyStatus::Stuck(_) => progress.stuck += 1,
                CopyStatus::HasSelection | CopyStatus::Stopped | CopyStatus::NotBegun => {}
            }
            match copy.completion(self.size) {
                Some(completion) => sum += completion,
                None => unknown += 1,
            }
            progress.time_left = progress.time_left.max(copy.time_left(self.size, round, now));
        }
        progress.missing = progress.of.saturating_sub(progress.has);
        let others = progress.missing.saturating_sub(unknown);
        progress.average_of_others = (others > 0).then(|| sum / f64::from(others));
        progress
    }

    /// Bytes that this machine has sent to others.
    pub(crate) fn sent(&self, roster: Roster<'_>) -> BytesSent {
        let others = self.copies.iter().filter(|(address, _)| !roster.is_own(**address));
        others.fold(BytesSent::default(), |sum, (_, copy)| sum.plus(copy.sent_from_here()))
    }

    /// So many seconds have passed since the last tick. Returns the rate at which the tracker's own peer sent, in bytes per
    /// second.
    pub(super) fn tick(&mut self, secs: f64) -> f64 {
        self.upload_rate = std::mem::take(&mut self.uploaded_since_tick) as f64 / secs;
        self.upload_rate
    }

    /// Takes a sample for the plot, if it is time.
    pub(crate) fn sample(&mut self, roster: Roster<'_>, round: Option<u32>, now: Instant) {
        if !self.plot.is_due(now) {
            return;
        }
        let FileProgress { has, of, average_of_others, .. } = self.progress(roster, round, now);
        let others = f64::from(of.saturating_sub(has)) * average_of_others.unwrap_or(0.0);
        let completion = if of == 0 { 0.0 } else { (f64::from(has) + others) / f64::from(of) };
        let secs = self.plot.secs(now);
        self.plot.push(now, CompletionPoint { secs, has, of, completion });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_roster_is_as_long_as_the_list_of_its_computers() {
        let at = |text: &str| text.parse::<IpAddr>().unwrap();
        let own = [at("10.0.0.1"), at("127.0.0.1"), at("fd77::1"), at("10.9.9.9")];
        let all = ["10.0.0.1", "10.0.0.2", "127.0.0.1", "127.255.0.3", "128.0.0.1", "::1", "fd77::1", "fd77::2"];
        let seen = all.map(|text| (at(text), ComputerRecord { first_seen: Instant::ZERO }));
        let listed = all.map(|text| (at(text), Arc::from(text)));
        for some in 0..=all.len() {
            let (seen, listed) = (seen[..some].iter().copied().collect(), listed[some..].iter().cloned().collect());
            for listed in [None, Some(&listed)] {
                let roster = Roster::new(listed, &seen, &own);
                assert_eq!(roster.len() as usize, roster.addresses().count(), "{some} {listed:?}");
            }
        }
    }
}
