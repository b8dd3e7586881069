//! The report of a lesson, and its forms: a text for the terminal, and a table for spreadsheets.

mod table;
mod text;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use torrent_library::{Digest, KnownTorrent};
use tracker_core::InfoHash;
use tracker_monitor::{AnswerReport, BytesSent, CopyReport, CopyWay, FigureSource, FileReport, LessonReport};

use super::Dashboard;
use super::format::{bytes, counted, decimal, elapsed};

pub(crate) use table::table;
pub(crate) use text::text;

/// The report that was made last: all who look at the page see the same one.
#[derive(Debug, Default)]
pub(super) struct ReportCache(Mutex<Option<(Instant, Arc<LessonReport>)>>);

impl ReportCache {
    /// The time after which the report of the current lesson is made again: pages ask every four seconds.
    const MAX_AGE: Duration = Duration::from_secs(3);

    /// The time after which the report of a lesson that has ended is made again: only a digest may have been computed since.
    const MAX_AGE_OF_ENDED: Duration = Duration::from_secs(30);

    /// The report of a lesson, which the first who asks makes while others wait.
    pub(crate) fn get(&self, number: u32, make: impl FnOnce() -> Option<LessonReport>) -> Option<Arc<LessonReport>> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_fresh = |(made, report): &&(Instant, Arc<LessonReport>)| {
            let max_age = if report.ended.is_some() { Self::MAX_AGE_OF_ENDED } else { Self::MAX_AGE };
            report.number == number && made.elapsed() < max_age
        };
        match last.as_ref().filter(is_fresh) {
            Some((_, report)) => Some(Arc::clone(report)),
            None => Some(Arc::clone(&last.insert((Instant::now(), Arc::new(make()?))).1)),
        }
    }
}

/// The report of a lesson with the digests of its files, as far as they are computed; starts to compute the others. `None` if
/// there is no such lesson, or none any more.
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

/// The time until a computer got something: at most that if only its client's reports tell of it.
pub(crate) fn setup_text(copy: &CopyReport) -> Option<String> {
    let text = elapsed(copy.setup_secs?);
    Some(match copy.setup_source {
        Some(FigureSource::Announced) => format!("at most {text}"),
        Some(FigureSource::Seen) | None => text,
    })
}

/// The way by which a computer got its copy, in a few words: `other computers and this machine, by BitTorrent`.
pub(crate) fn way(copy: &CopyReport) -> String {
    ways(copy, |_| None)
}

/// The same with how much came by each way.
pub(crate) fn way_with_bytes(copy: &CopyReport) -> String {
    ways(copy, |way| match way {
        CopyWay::BitTorrent => copy.from_others,
        CopyWay::Peer => Some(copy.sent.peer),
        CopyWay::WebSeed => Some(copy.sent.web_seed),
        CopyWay::Browser => Some(copy.sent.browser),
    })
}

fn ways(copy: &CopyReport, amount: impl Fn(&CopyWay) -> Option<u64>) -> String {
    let describe = |way: &CopyWay| {
        let name = match way {
            CopyWay::BitTorrent => "other computers",
            CopyWay::Peer => "this machine, by BitTorrent",
            CopyWay::WebSeed => "this machine, by BitTorrent over HTTP",
            CopyWay::Browser => "this machine, in a browser",
        };
        match amount(way) {
            Some(amount) => format!("{name} ({})", bytes(amount as f64)),
            None => name.to_owned(),
        }
    };
    match &*copy.ways {
        [] if copy.came_complete => "had it already".to_owned(),
        ways => ways.iter().map(describe).collect::<Vec<_>>().join(" and "),
    }
}

/// What this machine has sent of a file, and how: `1.1 copies: 1.2 GB by BitTorrent (TCP), 30 MB to browsers`. `None` if nothing.
pub(crate) fn sent_text(file: &FileReport) -> Option<String> {
    let copies = file.copies_sent.filter(|&copies| copies > 0.0)?;
    let BytesSent { peer, web_seed, browser } = file.sent;
    let ways = [(peer, "by BitTorrent (TCP)"), (web_seed, "to BitTorrent clients over HTTP"), (browser, "to browsers")];
    let used = ways.iter().filter(|(amount, _)| *amount > 0);
    let used: Vec<_> = used.map(|(amount, way)| format!("{} {way}", bytes(*amount as f64))).collect();
    Some(format!("{} copies: {}", decimal(copies), used.join(", ")))
}

/// How long the tracker took to answer BitTorrent clients, as a sentence without its stop.
pub(crate) fn answer_times(answers: &AnswerReport) -> String {
    let time = |millis: f64| match millis {
        ..1.0 => format!("{:.0} µs", millis * 1000.0),
        ..10.0 => format!("{millis:.1} ms"),
        _ => format!("{millis:.0} ms"),
    };
    let requests = counted(answers.requests, "request");
    let (half, most) = (time(answers.median_ms), time(answers.p99_ms));
    format!(
        "The tracker answered {requests} of BitTorrent clients, half of them within {half} and 99 of 100 within {most}"
    )
}

/// The time that one copy takes over this machine's link, and how long all took in comparison, if it is known.
pub(crate) fn compared_with_link(file: &FileReport) -> Option<String> {
    /// With a copy that takes fewer seconds, one second more or less changes the multiple too much.
    const COMPARABLE: f64 = 0.5;
    let link_secs = file.link_secs?;
    let time = match link_secs {
        ..0.001 => "under 1 ms".to_owned(),
        0.001..1.0 => format!("{} ms", decimal(link_secs * 1000.0)),
        _ => format!("{} s", decimal(link_secs)),
    };
    let compared = match (file.multiple, file.multiple_at_most) {
        (Some(multiple), _) => format!("; this took {} times that", decimal(multiple)),
        (None, Some(most)) if link_secs >= COMPARABLE => format!("; this took at most {} times that", decimal(most)),
        (None, Some(_)) => "; this was too fast to be compared by a clock with whole seconds".to_owned(),
        (None, None) => String::new(),
    };
    Some(format!("one copy takes {time} over this machine’s link{compared}"))
}

/// Files of a folder whose digests a report has, at most.
pub(crate) const MAX_DIGESTS: usize = KnownTorrent::MAX_LISTED_FILES;
