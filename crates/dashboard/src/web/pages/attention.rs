//! Who is stuck, and why.

use crate::{Observer, Order, PageQuery, TorrentRow, TorrentSort};

use super::Label;
use super::format::{counted, percent};

/// Torrents that are looked at: those with the most leechers.
const LOOKED_AT: usize = 1000;

/// Hints that are shown.
const SHOWN: usize = 5;

/// A torrent where somebody is stuck.
pub(super) struct Hint {
    pub(super) torrent: Label,
    /// What is the matter.
    pub(super) what: String,
}

/// The hints that are shown, and how many there are.
pub(super) struct Attention {
    pub(super) hints: Vec<Hint>,
    pub(super) total: usize,
    /// What to do.
    pub(super) advice: &'static str,
}

/// What to do where nobody has all of a torrent.
pub(super) const ADVICE: &str = "Start a client that has the whole content, and let it seed.";

pub(super) fn attention(observer: &Observer) -> Attention {
    let rows = observer.torrents(&PageQuery {
        search: String::new(),
        sort: TorrentSort::Leechers,
        order: Order::Descending,
        page: 0,
        page_size: LOOKED_AT,
    });
    let stuck: Vec<_> = rows.items.iter().filter_map(|row| Some((row, hint(row)?))).collect();
    let total = stuck.len();
    let hints = stuck
        .into_iter()
        .take(SHOWN)
        .map(|(row, what)| Hint { torrent: Label::new(&row.info_hash, row.name.as_deref()), what })
        .collect();
    Attention { hints, total, advice: ADVICE }
}

/// What is the matter with a torrent.
pub(super) fn hint(row: &TorrentRow) -> Option<String> {
    // Partial seeds have all they want: they wait for nobody.
    let waiting = u64::from(row.counts.leechers.saturating_sub(row.counts.partial_seeds));
    if waiting > 0 && row.counts.seeders == 0 {
        let wait = if waiting == 1 { "waits" } else { "wait" };
        let have = row.completion.map(|part| format!("; they have {} on average", percent(part))).unwrap_or_default();
        return Some(format!("{} {wait}, and nobody has all of it{have}", counted(waiting, "leecher")));
    }
    None
}

#[cfg(test)]
mod tests {
    use tracker_core::{InfoHash, SwarmCounts};

    use super::*;

    #[test]
    fn leechers_without_a_seeder_are_stuck_and_partial_seeds_are_not() {
        let row = |seeders, leechers, partial_seeds| TorrentRow {
            info_hash: InfoHash::from([1; 20]),
            name: None,
            size: None,
            counts: SwarmCounts { seeders, leechers, partial_seeds, completed: 0 },
            completion: Some(0.5),
            download_rate: 0.0,
            last_seen: None,
        };
        assert!(hint(&row(0, 0, 0)).is_none());
        assert!(hint(&row(1, 5, 0)).is_none());
        assert!(hint(&row(0, 2, 2)).is_none());
        let what = hint(&row(0, 3, 2)).unwrap();
        assert_eq!(what, "1 leecher waits, and nobody has all of it; they have 50% on average");
    }
}
