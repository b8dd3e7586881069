//! Detection of stuck downloads, and the reasons.

use std::time::Duration;

use serde::Serialize;
use tracker_core::{Instant, Memory, Peer, PeerState, SwarmCounts};

use super::Observer;
use super::completion::has_everything;
use super::expectation::{is_overdue, may_lack_metadata};
use super::figures::Figures;

/// Why the downloads of a torrent are stuck.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub enum StuckReason {
    /// No peer has the whole content, apart from those that have stopped announcing, that nobody can connect to, or that may
    /// have a magnet link only.
    NoSeeder {
        /// The number of peers that want more and announce. Those that get something are not among them.
        waiting: u32,
    },
    /// Peers get nothing, although others have the whole content.
    NoProgress {
        /// The number of peers that get nothing.
        peers: u32,
    },
    /// Peers have stopped announcing before they had everything.
    Silent {
        /// The number of peers that want more and whose announce is overdue.
        peers: u32,
    },
}

/// Why the download of a peer is stuck.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub enum PeerStuckReason {
    /// No other peer has the whole content, apart from those that have stopped announcing, and it gets nothing from others.
    NoSeeder,
    /// It got nothing for a minute, although others have the whole content: it is seen, or said so in two announces.
    NoProgress,
    /// It has stopped announcing before it had everything.
    Silent,
    /// A browser takes nothing of what this machine sends it.
    Browser,
}

/// The progress of a peer's download, as it is seen or between its announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Progress {
    /// It cannot be told: it announced once, or twice within a minute, or does not say what it wants; and it has not been seen
    /// for a minute.
    #[default]
    Unknown,
    /// It is seen to have other pieces than a minute ago; or what it wants was different at its last two announces, or the one
    /// before was less than a minute earlier.
    Moving,
    /// It is seen to have the same pieces as a minute ago; or it wanted the same at its last announces, which were a minute or
    /// more apart.
    Stalled,
}

impl Progress {
    /// A peer that gets nothing for as long as this is stalled. The slowest client that was measured, rTorrent, tells what it got
    /// within a few seconds when it is asked for it.
    pub(super) const STALLED_AFTER: Duration = Duration::from_secs(60);
}

/// The state of a peer's download.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PeerDownload {
    Silent,
    Awake(Progress),
    /// The peer says that it has everything, and may have a magnet link only. It may want nothing, or get nothing.
    Unclear,
}

impl PeerDownload {
    /// The download of a peer; `None` if the peer has all it wants, whether it is still there or not.
    pub(super) fn of(peer: &Peer, figures: &Figures, now: Instant) -> Option<Self> {
        let is_silent = is_silent(peer, figures, now);
        match peer.state {
            PeerState::PartialSeed => None,
            _ if has_everything(peer, figures.seen.as_ref()) => None,
            PeerState::Seeder if is_silent => None,
            PeerState::Seeder if is_revealed(peer, figures) => Some(Self::Awake(figures.progress)),
            PeerState::Seeder => Some(Self::Unclear),
            PeerState::Leecher if is_silent => Some(Self::Silent),
            PeerState::Leecher => Some(Self::Awake(figures.progress)),
        }
    }
}

/// Returns `true` if the announce of a peer is overdue, and nobody sees the peer either.
fn is_silent(peer: &Peer, figures: &Figures, now: Instant) -> bool {
    !figures.is_live() && peer.detail.as_ref().is_some_and(|detail| is_overdue(detail, now))
}

/// Returns `true` if a peer that announces that it has everything, but may have a magnet link only, is seen to have less.
fn is_revealed(peer: &Peer, figures: &Figures) -> bool {
    peer.state == PeerState::Seeder
        && may_lack_metadata(peer)
        && figures.seen.is_some_and(|seen| seen.is_live() && !seen.is_complete())
}

impl PeerDownload {
    /// The reason for which it is stuck; `None` if it is not, or cannot be said to be. `has_seeder` says whether somebody who is
    /// there has the whole content: a peer that still announces, or this machine as a web seed.
    pub(crate) fn stuck(self, has_seeder: bool) -> Option<PeerStuckReason> {
        match self {
            Self::Silent => Some(PeerStuckReason::Silent),
            // What it gets, it has from peers that have a part.
            Self::Awake(Progress::Moving) | Self::Unclear => None,
            Self::Awake(_) if !has_seeder => Some(PeerStuckReason::NoSeeder),
            Self::Awake(Progress::Stalled) => Some(PeerStuckReason::NoProgress),
            Self::Awake(Progress::Unknown) => None,
        }
    }
}

impl PeerDownload {
    /// Returns `true` if it cannot be said whether it gets something.
    pub(crate) fn is_unknown(self) -> bool {
        matches!(self, Self::Awake(Progress::Unknown) | Self::Unclear)
    }
}

impl PeerStuckReason {
    /// The reason for which a peer is stuck, if it is: see [`PeerDownload::stuck`].
    pub(super) fn of(peer: &Peer, figures: &Figures, has_seeder: bool, now: Instant) -> Option<Self> {
        PeerDownload::of(peer, figures, now)?.stuck(has_seeder)
    }
}

/// What a seeder is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seeding {
    /// It has the whole content, and others can be given it.
    Certain,
    /// It may have a magnet link only, or nobody can be given it: others get something of it only if it connects to them.
    Doubtful,
    /// It has stopped announcing.
    Silent,
}

impl Seeding {
    /// The use of a peer as a seeder; `None` if it is none.
    pub(super) fn of(peer: &Peer, figures: &Figures, now: Instant) -> Option<Self> {
        let has_everything = has_everything(peer, figures.seen.as_ref());
        let is_seeder = has_everything || peer.state == PeerState::Seeder && !is_revealed(peer, figures);
        is_seeder.then(|| match () {
            () if is_silent(peer, figures, now) => Self::Silent,
            () if has_everything && peer.is_dialable() => Self::Certain,
            () => Self::Doubtful,
        })
    }
}

/// The peers of a torrent by the state of their downloads, as far as they were looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct DownloadTally {
    moving: u32,
    stalled: u32,
    /// Of those that want more.
    silent: u32,
    silent_seeders: u32,
    doubtful_seeders: u32,
    /// Those that announce as seeders and may have a magnet link only, the silent ones included.
    without_metadata: u32,
    /// Those of them that are awake, and of which nothing else is seen.
    unclear: u32,
    /// Those of them that are seen to have less than everything.
    revealed: u32,
    /// Those that announce as leechers and are seen to have everything.
    finished: u32,
}

impl DownloadTally {
    pub(super) fn add(&mut self, peer: &Peer, figures: &Figures, now: Instant) {
        match PeerDownload::of(peer, figures, now) {
            Some(PeerDownload::Silent) => self.silent += 1,
            Some(PeerDownload::Awake(Progress::Stalled)) => self.stalled += 1,
            Some(PeerDownload::Awake(Progress::Moving)) => self.moving += 1,
            Some(PeerDownload::Unclear) => self.unclear += 1,
            Some(PeerDownload::Awake(Progress::Unknown)) | None => {}
        }
        match Seeding::of(peer, figures, now) {
            Some(Seeding::Silent) => self.silent_seeders += 1,
            Some(Seeding::Doubtful) => self.doubtful_seeders += 1,
            Some(Seeding::Certain) | None => {}
        }
        let has_everything = has_everything(peer, figures.seen.as_ref());
        self.without_metadata += u32::from(peer.state == PeerState::Seeder && !has_everything);
        self.revealed += u32::from(is_revealed(peer, figures));
        self.finished += u32::from(peer.state == PeerState::Leecher && has_everything);
    }

    pub(super) fn add_swarm(&mut self, other: Self) {
        self.moving += other.moving;
        self.stalled += other.stalled;
        self.silent += other.silent;
        self.silent_seeders += other.silent_seeders;
        self.doubtful_seeders += other.doubtful_seeders;
        self.without_metadata += other.without_metadata;
        self.unclear += other.unclear;
        self.revealed += other.revealed;
        self.finished += other.finished;
    }

    /// The counts of a torrent with these peers for people to read: seeders that may have a magnet link only are leechers, and
    /// leechers that are seen to have everything are seeders.
    pub(super) fn corrected(self, counts: SwarmCounts) -> SwarmCounts {
        moved(counts, self.without_metadata, self.finished)
    }

    /// The numbers of stuck and undecided downloads of a torrent with these peers. What was not looked at, or not long
    /// enough, is undecided. `is_shared` says whether this machine gives the whole content to others, too.
    pub(super) fn verdict(self, counts: SwarmCounts, is_shared: bool) -> Verdict {
        let counts = moved(counts, self.revealed, self.finished);
        // Partial seeds have all they want: they wait for nobody.
        let waiting = counts.leechers.saturating_sub(counts.partial_seeds);
        let awake = waiting.saturating_sub(self.silent);
        // Where others get something, they may get it from a doubtful one.
        let doubtful = if self.moving == 0 { self.doubtful_seeders } else { 0 };
        let has_seeder = is_shared || counts.seeders > self.silent_seeders + doubtful;
        let unclear = self.unclear.min(counts.seeders);
        Verdict {
            has_seeder,
            waiting: waiting + unclear,
            no_seeder: if has_seeder { 0 } else { awake.saturating_sub(self.moving) },
            no_progress: if has_seeder { self.stalled.min(awake) } else { 0 },
            silent: self.silent,
            undecided: unclear + if has_seeder { awake.saturating_sub(self.stalled + self.moving) } else { 0 },
        }
    }
}

/// The counts of a torrent of which so many seeders are leechers, and so many leechers are seeders. They may have been looked at
/// earlier than they were counted.
fn moved(counts: SwarmCounts, seeders: u32, leechers: u32) -> SwarmCounts {
    let (seeders, leechers) =
        (seeders.min(counts.seeders), leechers.min(counts.leechers.saturating_sub(counts.partial_seeds)));
    SwarmCounts {
        seeders: counts.seeders - seeders + leechers,
        leechers: counts.leechers - leechers + seeders,
        ..counts
    }
}

/// The downloads of a torrent, by what is known of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Verdict {
    /// `true` if somebody who is there has the whole content, as far as can be told.
    pub(super) has_seeder: bool,
    /// All of them.
    pub(super) waiting: u32,
    no_seeder: u32,
    no_progress: u32,
    silent: u32,
    /// Those of which it cannot be said yet.
    pub(super) undecided: u32,
}

impl Verdict {
    /// Returns `true` if somebody waits, and no peer has the whole content, as far as can be told.
    pub(super) fn lacks_seeder(self) -> bool {
        self.no_seeder > 0
    }

    /// The gravest reason for which downloads are stuck; `None` if none is.
    pub(super) fn reason(self) -> Option<StuckReason> {
        match self {
            Self { no_seeder: waiting @ 1.., .. } => Some(StuckReason::NoSeeder { waiting }),
            Self { no_progress: peers @ 1.., .. } => Some(StuckReason::NoProgress { peers }),
            Self { silent: peers @ 1.., .. } => Some(StuckReason::Silent { peers }),
            _ => None,
        }
    }
}

/// The number of torrents whose downloads are stuck, by the gravest reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct StuckCounts {
    /// Torrents of which no peer has the whole content.
    pub no_seeder: u64,
    /// Torrents of which peers get nothing, although others have the whole content.
    pub no_progress: u64,
    /// Torrents of which peers have stopped announcing before they had everything.
    pub silent: u64,
}

/// The number of downloads in progress that are stuck, by reason. A download is one of a torrent by a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct DownloadCounts {
    /// All downloads in progress.
    pub total: u64,
    /// Downloads of what no peer has as a whole.
    pub no_seeder: u64,
    /// Downloads that get nothing, although others have the whole content.
    pub no_progress: u64,
    /// Downloads of peers that have stopped announcing.
    pub silent: u64,
    /// Downloads of which it cannot be said: the peer announced once, or twice within a minute, or the tracker does not keep
    /// what it says.
    pub undecided: u64,
}

impl StuckCounts {
    /// The number of torrents that are stuck for any reason.
    pub fn total(self) -> u64 {
        self.no_seeder + self.no_progress + self.silent
    }

    pub(super) fn add(&mut self, verdict: Verdict) {
        match verdict.reason() {
            Some(StuckReason::NoSeeder { .. }) => self.no_seeder += 1,
            Some(StuckReason::NoProgress { .. }) => self.no_progress += 1,
            Some(StuckReason::Silent { .. }) => self.silent += 1,
            None => {}
        }
    }
}

impl DownloadCounts {
    pub(super) fn add(&mut self, verdict: Verdict) {
        let Verdict { waiting, no_seeder, no_progress, silent, undecided, .. } = verdict;
        self.total += u64::from(waiting);
        self.no_seeder += u64::from(no_seeder);
        self.no_progress += u64::from(no_progress);
        self.silent += u64::from(silent);
        self.undecided += u64::from(undecided);
    }
}

impl Observer {
    /// Returns `true` if the tracker keeps what peers say of their progress, so that it can tell who gets nothing.
    pub fn knows_progress(&self) -> bool {
        self.0.shared.shards.config().memory == Memory::Full
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torrent_has_the_gravest_reason_of_its_downloads() {
        let verdict = |seeders, leechers, partial_seeds, [moving, stalled, silent, silent_seeders]: [u32; 4]| {
            let counts = SwarmCounts { seeders, leechers, partial_seeds, completed: 0 };
            DownloadTally { moving, stalled, silent, silent_seeders, ..DownloadTally::default() }.verdict(counts, false)
        };
        let reason = |seeders, leechers, partial, downloads| verdict(seeders, leechers, partial, downloads).reason();
        assert_eq!(reason(0, 0, 0, [0; 4]), None);
        assert_eq!(reason(1, 5, 0, [5, 0, 0, 0]), None);
        assert_eq!(reason(0, 2, 2, [0; 4]), None, "they have what they want");
        assert_eq!(reason(0, 3, 2, [0; 4]), Some(StuckReason::NoSeeder { waiting: 1 }));
        assert_eq!(reason(0, 3, 0, [0, 2, 0, 0]), Some(StuckReason::NoSeeder { waiting: 3 }));
        assert_eq!(reason(1, 5, 0, [2, 2, 1, 0]), Some(StuckReason::NoProgress { peers: 2 }));
        assert_eq!(reason(2, 5, 0, [0, 2, 0, 2]), Some(StuckReason::NoSeeder { waiting: 5 }), "the seeders are gone");
        assert_eq!(reason(2, 5, 0, [2, 0, 0, 2]), Some(StuckReason::NoSeeder { waiting: 3 }), "two get on");
        assert_eq!(reason(0, 2, 0, [2, 0, 0, 0]), None, "both get on");
        assert_eq!(reason(1, 5, 0, [3, 0, 2, 0]), Some(StuckReason::Silent { peers: 2 }));
        assert_eq!(reason(0, 2, 0, [0, 0, 2, 0]), Some(StuckReason::Silent { peers: 2 }), "nobody waits");
        let counts = SwarmCounts { seeders: 2, leechers: 3, ..SwarmCounts::default() };
        let doubtful = DownloadTally { doubtful_seeders: 1, silent_seeders: 1, stalled: 1, ..DownloadTally::default() };
        assert_eq!(doubtful.verdict(counts, false).reason(), Some(StuckReason::NoSeeder { waiting: 3 }));
        let moving = DownloadTally { moving: 1, ..doubtful }.verdict(counts, false).reason();
        assert_eq!(moving, Some(StuckReason::NoProgress { peers: 1 }), "somebody gets something");
        let shared = doubtful.verdict(counts, true);
        assert_eq!(shared.reason(), Some(StuckReason::NoProgress { peers: 1 }), "this machine has it");
        // What nobody looked at is undecided, and so is what came since.
        assert_eq!(verdict(1, 5, 1, [0; 4]).undecided, 4);
        assert_eq!(verdict(1, 5, 0, [1, 1, 1, 0]).undecided, 2);
        assert_eq!(verdict(1, 2, 0, [2, 2, 0, 0]).undecided, 0, "peers have gone since the look");
    }
}
