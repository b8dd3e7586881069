//! The report as a table for spreadsheets.

use jiff::Timestamp;
use serde::Serialize;
use tracker_monitor::{CopyCheck, CopyReport, FigureSource, FileReport, LessonReport};

use super::{only_digest, way};
use crate::web::api::harmless;

/// A line of the table: a copy of a file on a computer.
#[derive(Debug, Default, Serialize)]
struct Line {
    lesson: u32,
    file: String,
    key: String,
    size: Option<u64>,
    sha256: Option<String>,
    copies_sent: Option<f64>,
    computer: String,
    address: String,
    came: Option<String>,
    setup_secs: Option<u64>,
    setup_source: Option<FigureSource>,
    finished: Option<String>,
    took_secs: Option<u64>,
    mean_bytes_per_second: Option<f64>,
    peak_bytes_per_second: Option<f64>,
    completion: Option<f64>,
    way: String,
    from_own_peer_bytes: u64,
    from_web_seed_bytes: u64,
    from_browser_bytes: u64,
    from_others_bytes: Option<u64>,
    client: Option<String>,
    check: Option<CopyCheck>,
}

/// The report as CSV: a line with the names of the columns, and a line for each copy of a file on a computer.
pub(crate) fn table(report: &LessonReport) -> Vec<u8> {
    let mut table = csv::WriterBuilder::new().has_headers(true).from_writer(Vec::new());
    let lines = report.files.iter().flat_map(|file| file.copies.iter().map(move |copy| (file, copy)));
    let mut is_empty = true;
    for (file, copy) in lines {
        table.serialize(Line::new(report.number, file, copy)).expect("memory takes it, and a copy is one line");
        is_empty = false;
    }
    let mut table = if is_empty {
        // The writer tells the names of the columns only together with a first line.
        table.serialize(Line::default()).expect("memory takes it, and a copy is one line");
        let mut names = table.into_inner().expect("memory takes it");
        names.truncate(names.iter().position(|&byte| byte == b'\n').map_or(0, |newline| newline + 1));
        return names;
    } else {
        table
    };
    table.flush().expect("memory takes it");
    table.into_inner().expect("memory takes it")
}

impl Line {
    fn new(lesson: u32, file: &FileReport, copy: &CopyReport) -> Self {
        let time = |unix: u64| Some(Timestamp::from_second(unix.try_into().ok()?).ok()?.to_string());
        Self {
            lesson,
            file: harmless(file.name.to_string()),
            key: file.key.clone(),
            size: file.size,
            sha256: only_digest(&file.digests).map(ToOwned::to_owned),
            copies_sent: file.copies_sent,
            computer: copy.name.as_ref().map(|name| harmless(name.to_string())).unwrap_or_default(),
            address: copy.address.to_string(),
            came: time(copy.came),
            setup_secs: copy.setup_secs,
            setup_source: copy.setup_source,
            finished: copy.finished.and_then(time),
            took_secs: copy.took_secs,
            mean_bytes_per_second: copy.mean_rate,
            peak_bytes_per_second: copy.peak_rate,
            completion: copy.completion,
            way: way(copy),
            from_own_peer_bytes: copy.sent.peer,
            from_web_seed_bytes: copy.sent.web_seed,
            from_browser_bytes: copy.sent.browser,
            from_others_bytes: copy.from_others,
            client: copy.client.clone().map(harmless),
            check: Some(copy.check),
        }
    }
}
