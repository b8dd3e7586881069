//! Who is stuck, and why.

use tracker_monitor::{Observer, Order, PageQuery, TorrentRow, TorrentSort};

use super::Label;
use super::format::{count, counted, percent};

/// Torrents that are looked at: those with the most leechers. It is told where there are more.
const LOOKED_AT: usize = 1000;

/// Hints that are shown.
const SHOWN: usize = 5;

/// A torrent where somebody is stuck.
pub(super) struct Stuck {
    pub(super) torrent: Label,
    pub(super) hint: Hint,
}

/// What is the matter with a torrent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hint {
    pub(super) what: String,
    /// What can be done about it.
    pub(super) advice: &'static str,
}

/// The torrents that are shown, and how many there are.
pub(super) struct Attention {
    pub(super) stuck: Vec<Stuck>,
    pub(super) total: usize,
    /// Among how many of the torrents, if not among all.
    pub(super) among: Option<String>,
}

pub(super) fn attention(observer: &Observer) -> Attention {
    let rows = observer.torrents(&PageQuery {
        search: String::new(),
        sort: TorrentSort::Leechers,
        order: Order::Descending,
        page: 0,
        page_size: LOOKED_AT,
    });
    let mut stuck: Vec<_> = rows.items.iter().filter_map(|row| Some((row, hint(row)?))).collect();
    // Those that get nothing from anybody before those of whom nothing is heard.
    stuck.sort_by_key(|(row, _)| !lacks_seeder(row));
    let total = stuck.len();
    let stuck = stuck
        .into_iter()
        .take(SHOWN)
        .map(|(row, hint)| Stuck { torrent: Label::new(&row.info_hash, row.name.as_deref()), hint })
        .collect();
    let among = (rows.total > LOOKED_AT).then(|| count(LOOKED_AT as u64));
    Attention { stuck, total, among }
}

pub(super) fn hint(row: &TorrentRow) -> Option<Hint> {
    if lacks_seeder(row) {
        let waiting = waiting(row);
        let wait = if waiting == 1 { "waits" } else { "wait" };
        let have = row.completion.map(|part| format!("; on average they have {}", percent(part))).unwrap_or_default();
        return Some(Hint {
            what: format!("{} {wait}, and nobody has all of it{have}", counted(waiting, "leecher")),
            advice: "Start a client that has the whole content, and let it seed.",
        });
    }
    (row.silent > 0).then(|| Hint {
        what: format!("Nothing is heard of {}", counted(row.silent.into(), "peer")),
        advice: if row.silent == 1 {
            "Its machine may sleep, be off or have lost the network."
        } else {
            "Their machines may sleep, be off or have lost the network."
        },
    })
}

/// Whether somebody wants more of it than anybody has.
pub(super) fn lacks_seeder(row: &TorrentRow) -> bool {
    waiting(row) > 0 && row.counts.seeders == 0
}

/// Partial seeds have all they want: they wait for nobody.
fn waiting(row: &TorrentRow) -> u64 {
    row.counts.leechers.saturating_sub(row.counts.partial_seeds).into()
}

#[cfg(test)]
mod tests {
    use tracker_core::{InfoHash, SwarmCounts};

    use super::*;

    #[test]
    fn those_are_stuck_who_wait_for_a_seeder_or_are_silent() {
        let row = |seeders, leechers, partial_seeds, silent| TorrentRow {
            info_hash: InfoHash::from([1; 20]),
            name: None,
            size: None,
            counts: SwarmCounts { seeders, leechers, partial_seeds, completed: 0 },
            silent,
            completion: Some(0.5),
            download_rate: 0.0,
            last_seen: None,
        };
        let what = |row| hint(&row).map(|hint| hint.what);
        assert_eq!(what(row(0, 0, 0, 0)), None);
        assert_eq!(what(row(1, 5, 0, 0)), None);
        assert_eq!(what(row(0, 2, 2, 0)), None);
        let alone = "1 leecher waits, and nobody has all of it; on average they have 50%";
        assert_eq!(what(row(0, 3, 2, 1)).as_deref(), Some(alone));
        assert_eq!(what(row(1, 5, 0, 2)).as_deref(), Some("Nothing is heard of 2 peers"));
    }
}
