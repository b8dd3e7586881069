//! The report as a text for the terminal.

use std::fmt::{self, Write};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tracker_monitor::{CopyCheck, CopyReport, FileReport, LessonReport};

use super::{MAX_DIGESTS, answer_times, compared_with_link, sent_text, setup_text, way_with_bytes};
use crate::web::format::{bits, bytes, counted, duration, elapsed, percent, rate};

/// The report as a text, with times in the zone of the tracker's machine.
pub(crate) fn text(report: &LessonReport) -> String {
    in_zone(report, &TimeZone::system())
}

fn in_zone(report: &LessonReport, zone: &TimeZone) -> String {
    let mut text = String::new();
    write(&mut text, report, zone).expect("a string takes all");
    text
}

fn write(text: &mut String, report: &LessonReport, zone: &TimeZone) -> fmt::Result {
    let time = |unix: u64, format: &str| {
        let timestamp = unix.try_into().ok().and_then(|unix| Timestamp::from_second(unix).ok());
        timestamp.map(|timestamp| timestamp.to_zoned(zone.clone()).strftime(format).to_string()).unwrap_or_default()
    };
    let started = time(report.started, "%-d %b %Y, %H:%M");
    let ended = report.ended.map_or_else(|| "now".to_owned(), |ended| time(ended, "%H:%M"));
    writeln!(text, "Lesson {}: {started} to {ended} ({})", report.number, duration(report.secs))?;
    writeln!(text, "{}", counted(report.computers.into(), "computer"))?;
    if let Some(answers) = &report.answers {
        writeln!(text, "{}.", answer_times(answers))?;
    }
    match report.link_speed {
        Some(speed) => writeln!(text, "This machine's link has {}.", bits(speed))?,
        None => writeln!(text, "The speed of this machine's link is not known, so that nothing is compared with it.")?,
    }
    if !report.is_complete {
        writeln!(text, "There were more computers or files than this report has.")?;
    }
    if report.files.is_empty() {
        writeln!(text, "\nNobody has asked for a file yet.")?;
    }
    for file in &report.files {
        write_file(text, file, time)?;
    }
    Ok(())
}

fn write_file(text: &mut String, file: &FileReport, time: impl Fn(u64, &str) -> String) -> fmt::Result {
    let size = file.size.map(|size| format!(", {}", bytes(size as f64))).unwrap_or_default();
    writeln!(text, "\n{}{size}", file.name)?;
    writeln!(text, "  {} of {} have it", file.progress.has, file.progress.of)?;
    if let Some(spread) = file.spread_secs {
        writeln!(text, "  {} from the first request to the last complete copy", elapsed(spread))?;
    }
    if let Some(compared) = compared_with_link(file) {
        writeln!(text, "  {compared}")?;
    }
    if let Some(sent) = sent_text(file) {
        writeln!(text, "  this machine sent {sent}")?;
    }
    for digest in file.digests.iter().take(MAX_DIGESTS) {
        let Some(sha256) = &digest.sha256 else { continue };
        writeln!(
            text,
            "  SHA-256 {sha256}{}",
            if file.digests.len() > 1 { format!("  {}", digest.path) } else { String::new() }
        )?;
    }
    if file.copies.is_empty() {
        return Ok(());
    }
    let heading = ["computer", "came", "set-up", "took", "mean", "peak", "complete", "from", "checked by"];
    let rows = file.copies.iter().map(|copy| cells(copy, &time));
    write_table(text, heading, &rows.collect::<Vec<_>>())
}

fn cells(copy: &CopyReport, time: &impl Fn(u64, &str) -> String) -> [String; 9] {
    let secs = |secs: Option<u64>| secs.map_or_else(|| "–".to_owned(), elapsed);
    let figure = |figure: Option<f64>| figure.map_or_else(|| "–".to_owned(), rate);
    let client = copy.client.as_ref().map(|client| format!(" ({client})")).unwrap_or_default();
    [
        copy.name.as_ref().map_or_else(|| copy.address.to_string(), ToString::to_string),
        time(copy.came, "%H:%M:%S"),
        setup_text(copy).unwrap_or_else(|| "–".to_owned()),
        secs(copy.took_secs),
        figure(copy.mean_rate),
        figure(copy.peak_rate),
        copy.completion.map_or_else(|| "unknown".to_owned(), percent),
        format!("{}{client}", way_with_bytes(copy)).trim_start().to_owned(),
        match copy.check {
            CopyCheck::Pieces => "its client, piece by piece",
            CopyCheck::Digest => "nobody: compare the SHA-256",
            CopyCheck::Incomplete => "–",
        }
        .to_owned(),
    ]
}

fn write_table<const N: usize>(text: &mut String, heading: [&str; N], rows: &[[String; N]]) -> fmt::Result {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([heading[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let heading = heading.map(ToOwned::to_owned);
    for row in [&heading].into_iter().chain(rows) {
        let mut line = String::from("  ");
        for (cell, width) in row.iter().zip(widths) {
            write!(line, "{cell:width$}  ")?;
        }
        writeln!(text, "{}", line.trim_end())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_cells() {
        let mut text = String::new();
        let rows = [["lab-07".to_owned(), "–".to_owned()], ["Übung".to_owned(), "12 s".to_owned()]];
        write_table(&mut text, ["computer", "took"], &rows).unwrap();
        assert_eq!(text, "  computer  took\n  lab-07    –\n  Übung     12 s\n");
    }
}
