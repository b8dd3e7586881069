//! The report of a lesson, and its forms: a text for the terminal, and a table for spreadsheets.

mod table;
mod text;

use torrent_library::{Digest, KnownTorrent};
use tracker_core::InfoHash;
use tracker_monitor::{CopyReport, CopyWay, LessonReport};

use super::Dashboard;

pub(crate) use table::table;
pub(crate) use text::text;

/// The report of a lesson with the digests of its files, as far as they are computed; starts to compute the others. `None` if there
/// is no such lesson, or none any more.
pub(crate) fn report(dashboard: &Dashboard, number: u32) -> Option<LessonReport> {
    let config = dashboard.config();
    let mut report = config.observer.lessons().report(number, dashboard.zero())?;
    for file in &mut report.files {
        let digests = file.key.parse::<InfoHash>().ok().and_then(|info_hash| config.digests.as_ref()?.of(&info_hash));
        file.digests = digests.unwrap_or_default();
    }
    Some(report)
}

/// The only digest of a file that is not a folder, if it is computed.
pub(crate) fn only_digest(digests: &[Digest]) -> Option<&str> {
    match digests {
        [only] => only.sha256.as_deref(),
        _ => None,
    }
}

/// The way by which a computer got its copy, in a few words.
pub(crate) fn way(copy: &CopyReport) -> String {
    let name = |way: &CopyWay| match way {
        CopyWay::BitTorrent => "other computers",
        CopyWay::WebSeed => "this machine, by BitTorrent",
        CopyWay::Browser => "this machine, in a browser",
    };
    match &*copy.ways {
        [] if copy.came_complete => "had it already".to_owned(),
        ways => ways.iter().map(name).collect::<Vec<_>>().join(" and "),
    }
}

/// Files of a folder whose digests a report has, at most.
pub(crate) const MAX_DIGESTS: usize = KnownTorrent::MAX_LISTED_FILES;
