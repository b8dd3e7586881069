//! Detection of stuck torrents, and the reasons.

use serde::Serialize;
use tracker_core::SwarmCounts;

use super::Observer;
use crate::{Order, PageQuery, TorrentRow, TorrentSort};

/// Why the downloads of a torrent are stuck.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub enum StuckReason {
    /// No peer has the whole content.
    NoSeeder {
        /// The number of peers that want more.
        waiting: u32,
    },
    /// Peers have stopped announcing.
    Silent {
        /// The number of peers whose announce is overdue.
        peers: u32,
    },
}

impl StuckReason {
    /// The reason for which a torrent with these peers is stuck, the graver one if there are two; `None` if it is not.
    pub(super) fn of(counts: SwarmCounts, silent: u32) -> Option<Self> {
        // Partial seeds have all they want: they wait for nobody.
        let waiting = counts.leechers.saturating_sub(counts.partial_seeds);
        if waiting > 0 && counts.seeders == 0 {
            Some(Self::NoSeeder { waiting })
        } else if silent > 0 {
            Some(Self::Silent { peers: silent })
        } else {
            None
        }
    }
}

/// The number of torrents whose downloads are stuck, by reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct StuckCounts {
    /// Torrents of which no peer has the whole content.
    pub no_seeder: u64,
    /// Torrents of which peers have stopped announcing.
    pub silent: u64,
}

impl StuckCounts {
    /// The number of torrents that are stuck for any reason.
    pub fn total(self) -> u64 {
        self.no_seeder + self.silent
    }

    pub(super) fn add(&mut self, reason: Option<StuckReason>) {
        match reason {
            Some(StuckReason::NoSeeder { .. }) => self.no_seeder += 1,
            Some(StuckReason::Silent { .. }) => self.silent += 1,
            None => {}
        }
    }
}

/// The torrents that are stuck.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct StuckTorrents {
    /// Each with its reason, those without a seeder first.
    pub torrents: Vec<(TorrentRow, StuckReason)>,
    /// `true` if not all torrents were looked at: those with few leechers may be stuck, too.
    pub is_partial: bool,
}

impl Observer {
    /// The number of torrents that [`stuck`](Self::stuck) looks at: those with the most leechers.
    pub const MAX_STUCK_CANDIDATES: usize = PageQuery::<TorrentSort>::MAX_PAGE_SIZE;

    /// The torrents that are stuck, among the [`MAX_STUCK_CANDIDATES`](Self::MAX_STUCK_CANDIDATES) with the most leechers.
    pub fn stuck(&self) -> StuckTorrents {
        let rows = self.torrents(&PageQuery {
            sort: TorrentSort::Leechers,
            order: Order::Descending,
            page_size: Self::MAX_STUCK_CANDIDATES,
            ..PageQuery::default()
        });
        let is_partial = rows.total > rows.items.len();
        let mut torrents: Vec<_> =
            rows.items.into_iter().filter_map(|row| row.stuck.map(|reason| (row, reason))).collect();
        torrents.sort_by_key(|(_, reason)| !matches!(reason, StuckReason::NoSeeder { .. }));
        StuckTorrents { torrents, is_partial }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torrent_is_stuck_without_a_seeder_or_with_silent_peers() {
        let reason = |seeders, leechers, partial_seeds, silent| {
            StuckReason::of(SwarmCounts { seeders, leechers, partial_seeds, completed: 0 }, silent)
        };
        assert_eq!(reason(0, 0, 0, 0), None);
        assert_eq!(reason(1, 5, 0, 0), None);
        assert_eq!(reason(0, 2, 2, 0), None);
        assert_eq!(reason(0, 3, 2, 1), Some(StuckReason::NoSeeder { waiting: 1 }));
        assert_eq!(reason(1, 5, 0, 2), Some(StuckReason::Silent { peers: 2 }));
        assert_eq!(reason(0, 2, 2, 1), Some(StuckReason::Silent { peers: 1 }));
    }
}
