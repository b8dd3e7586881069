//! Numbers, sizes and times as people read them.
//!
//! `assets/format.js` says the same in the browser, for what changes between two renderings: change both.

use std::fmt::{self, Display, Formatter};
use std::time::SystemTime;

use askama::filters::HtmlSafe;
use jiff::Timestamp;
use tracker_host::unix_seconds;

/// Unix seconds, as moments are compared.
pub(crate) fn unix(at: SystemTime) -> i64 {
    i64::try_from(unix_seconds(at)).unwrap_or(i64::MAX)
}

/// A number with its thousands set apart: `12,345`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number and its noun, which takes an `s` for all but one: `1 seeder`, `2 seeders`.
pub(crate) fn counted(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(number), if number == 1 { "" } else { "s" })
}

/// How many computers have a file: `27 of 30 have it`.
pub(crate) fn have_it(has: u32, of: u32) -> String {
    format!("{} of {} have it", count(has.into()), count(of.into()))
}

/// A number of entries of a folder: `1 file or folder`, `48 files and folders`.
pub(crate) fn entries(number: u64) -> String {
    match number {
        1 => "1 file or folder".to_owned(),
        number => format!("{} files and folders", count(number)),
    }
}

/// The size of a file, or that of a folder with the number of its files: `212 MB, 48 files`.
pub(crate) fn size_text(size: u64, files: Option<usize>) -> String {
    let size = bytes(size as f64);
    files.map_or_else(|| size.clone(), |files| format!("{size}, {}", counted(files as u64, "file")))
}

/// A measured number with three digits, or all of those before the point: `0.25`, `12.3`, `1,234`.
pub(crate) fn decimal(number: f64) -> String {
    // Not finite is nothing to show; beyond a quadrillion is nothing measured.
    let number = if number.is_finite() { number.clamp(0.0, 1e15) } else { 0.0 };
    if number >= 99.95 {
        count(number.round() as u64)
    } else {
        let text = if number >= 9.995 { format!("{number:.1}") } else { format!("{number:.2}") };
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

/// Bytes in decimal units: `50 MB`.
pub(crate) fn bytes(bytes: f64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes.is_nan() || bytes < 999.5 {
        return format!("{} B", bytes.max(0.0).round() as u64);
    }
    let mut value = bytes / 1000.0;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{} {}", decimal(value), UNITS[unit])
}

/// Bytes per second: `11.2 MB/s`.
pub(crate) fn rate(bytes_per_second: f64) -> String {
    format!("{}/s", bytes(bytes_per_second))
}

/// `191 pieces of 256 KiB`, as every client tells it.
pub(crate) fn pieces(piece_length: u32, total: u64) -> String {
    let number = total.div_ceil(u64::from(piece_length.max(1)));
    let size = if piece_length >= 1 << 20 && piece_length.is_multiple_of(1 << 20) {
        format!("{} MiB", piece_length >> 20)
    } else if piece_length.is_multiple_of(1 << 10) {
        format!("{} KiB", piece_length >> 10)
    } else {
        format!("{} B", count(piece_length.into()))
    };
    format!("{} of {size}", counted(number, "piece"))
}

/// Bits per second in decimal units: `1 Gbit/s`.
pub(crate) fn bits(bits_per_second: u64) -> String {
    match bits_per_second {
        1_000_000_000.. => format!("{} Gbit/s", decimal(bits_per_second as f64 / 1e9)),
        _ => format!("{} Mbit/s", decimal(bits_per_second as f64 / 1e6)),
    }
}

/// A part of a whole as percents, rounded down, so that only what is complete says so: `99.9%`.
pub(crate) fn percent(part: f64) -> String {
    let tenths = (part.clamp(0.0, 1.0) * 1000.0).floor() as u32;
    match tenths % 10 {
        0 => format!("{}%", tenths / 10),
        // A peer at 42.7% is at 42% for all who look; near the ends the difference matters.
        _ if (10..990).contains(&tenths) => format!("{}%", tenths / 10),
        rest => format!("{}.{rest}%", tenths / 10),
    }
}

/// A length of time in its one or two largest units: `42 s`, `2 h 5 min`.
pub(crate) fn duration(secs: u64) -> String {
    let (minutes, hours, days) = (secs / 60, secs / 3600, secs / 86_400);
    let two = |first: u64, name: &str, second: u64, other: &str| match second {
        0 => format!("{first} {name}"),
        _ => format!("{first} {name} {second} {other}"),
    };
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{secs} s"),
        (0, 0, _) => format!("{minutes} min"),
        (0, _, _) => two(hours, "h", minutes % 60, "min"),
        (1, _, _) => two(1, "day", hours % 24, "h"),
        _ => two(days, "days", hours % 24, "h"),
    }
}

/// A length of time that was measured in whole seconds, to the second below an hour: `1 min 59 s`.
pub(crate) fn elapsed(secs: u64) -> String {
    match (secs / 60, secs % 60) {
        (0, 0) => "under 1 s".to_owned(),
        (minutes @ 1..60, rest @ 1..) => format!("{minutes} min {rest} s"),
        _ => duration(secs),
    }
}

/// A moment, written as a `<time>` that the scripts turn into the viewer's zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Unix seconds.
    pub(crate) at: i64,
    /// The moment of the rendering.
    pub(crate) now: i64,
    pub(crate) style: MomentStyle,
}

/// The style in which a [`Moment`] is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MomentStyle {
    /// `3 min ago`.
    Ago,
    /// `14:03:22 UTC`, with the day if it is another.
    Clock,
    /// `2 h 5 min`: how long it is ago.
    Elapsed,
    /// `12 June 2025`.
    Day,
}

impl Moment {
    pub(crate) fn text(self) -> String {
        let past = u64::try_from(self.now.saturating_sub(self.at)).unwrap_or(0);
        match self.style {
            MomentStyle::Ago if past < 3 => "just now".to_owned(),
            MomentStyle::Ago => format!("{} ago", duration(past)),
            MomentStyle::Elapsed => duration(past),
            MomentStyle::Day => strftime(self.at, "%-d %B %Y"),
            MomentStyle::Clock if self.at.div_euclid(86_400) == self.now.div_euclid(86_400) => {
                strftime(self.at, "%H:%M:%S UTC")
            }
            MomentStyle::Clock => strftime(self.at, "%-d %b %Y, %H:%M:%S UTC"),
        }
    }
}

/// A moment in UTC; nothing for one that is beyond the calendar.
pub(crate) fn strftime(unix: i64, format: &str) -> String {
    Timestamp::from_second(unix).map(|timestamp| timestamp.strftime(format).to_string()).unwrap_or_default()
}

impl Display for Moment {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let style = match self.style {
            MomentStyle::Ago => "ago",
            MomentStyle::Clock => "clock",
            MomentStyle::Elapsed => "elapsed",
            MomentStyle::Day => "day",
        };
        let datetime = strftime(self.at, "%Y-%m-%dT%H:%M:%SZ");
        write!(f, "<time datetime=\"{datetime}\" data-time=\"{style}\">{}</time>", self.text())
    }
}

impl HtmlSafe for Moment {}

/// A bar of how much is there, from 0 to 1, with the number beside it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Bar(pub(crate) Option<f64>);

impl Display for Bar {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Some(part) = self.0 else {
            return f.write_str("<span class=\"unknown\">unknown</span>");
        };
        let meter = Meter(part);
        write!(f, "<span class=\"bar-cell\">{meter}<span class=\"bar-text\">{}</span></span>", percent(meter.part()))
    }
}

impl HtmlSafe for Bar {}

/// A bar of how much is there, from 0 to 1, beside a text that says it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Meter(pub(crate) f64);

impl Meter {
    fn part(self) -> f64 {
        if self.0.is_nan() { 0.0 } else { self.0.clamp(0.0, 1.0) }
    }
}

impl Display for Meter {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let part = self.part();
        let class = if part >= 1.0 { "bar is-full" } else { "bar" };
        // Its width is an attribute, since the Content-Security-Policy forbids styles in the page.
        write!(
            f,
            "<svg class=\"{class}\" viewBox=\"0 0 1000 10\" preserveAspectRatio=\"none\" aria-hidden=\"true\">\
             <rect width=\"{:.0}\" height=\"10\"/></svg>",
            part * 1000.0
        )
    }
}

impl HtmlSafe for Meter {}

/// A message with a capital first letter, as sentences have it on a page.
pub(crate) fn capitalized(message: &str) -> String {
    let mut letters = message.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    first + letters.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_have_a_speed() {
        for (speed, text) in [
            (1_000_000_000, "1 Gbit/s"),
            (2_500_000_000, "2.5 Gbit/s"),
            (100_000_000, "100 Mbit/s"),
            (8000, "0.01 Mbit/s"),
        ] {
            assert_eq!(bits(speed), text);
        }
    }

    #[test]
    fn counts() {
        let cases = [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")];
        for (number, text) in cases {
            assert_eq!(count(number), text);
        }
        assert_eq!(count(u64::MAX), "18,446,744,073,709,551,615");
        assert_eq!(counted(1, "seeder"), "1 seeder");
        assert_eq!(counted(0, "seeder"), "0 seeders");
    }

    #[test]
    fn decimals() {
        let cases = [
            (0.0, "0"),
            (0.25, "0.25"),
            (9.999, "10"),
            (12.34, "12.3"),
            (99.96, "100"),
            (1234.0, "1,234"),
            (f64::NAN, "0"),
            (f64::INFINITY, "0"),
            (-1.0, "0"),
        ];
        for (number, text) in cases {
            assert_eq!(decimal(number), text, "{number}");
        }
    }

    #[test]
    fn sizes() {
        let cases = [
            (0.0, "0 B"),
            (999.4, "999 B"),
            (999.5, "1 kB"),
            (50e6, "50 MB"),
            (11.23e6, "11.2 MB"),
            (999.6e6, "1 GB"),
            (u64::MAX as f64, "18.4 EB"),
            (f64::NAN, "0 B"),
            (f64::INFINITY, "0 EB"),
        ];
        for (number, text) in cases {
            assert_eq!(bytes(number), text, "{number}");
        }
        assert_eq!(rate(1.5e6), "1.5 MB/s");
    }

    #[test]
    fn pieces_are_shown_in_binary_units() {
        assert_eq!(pieces(262_144, 50_000_000), "191 pieces of 256 KiB");
        assert_eq!(pieces(1 << 20, 1), "1 piece of 1 MiB");
        assert_eq!(pieces(1000, 0), "0 pieces of 1,000 B");
    }

    #[test]
    fn percents_never_round_up_to_all() {
        let cases = [
            (0.0, "0%"),
            (0.004, "0.4%"),
            (0.427, "42%"),
            (0.9999, "99.9%"),
            (1.0, "100%"),
            (7.0, "100%"),
            (f64::NAN, "0%"),
        ];
        for (part, text) in cases {
            assert_eq!(percent(part), text, "{part}");
        }
    }

    #[test]
    fn measured_times_are_exact_below_an_hour() {
        for (secs, text) in
            [(0, "under 1 s"), (1, "1 s"), (60, "1 min"), (119, "1 min 59 s"), (3599, "59 min 59 s"), (3601, "1 h")]
        {
            assert_eq!(elapsed(secs), text);
        }
    }

    #[test]
    fn durations() {
        let cases = [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (3600, "1 h"),
            (7500, "2 h 5 min"),
            (86_400, "1 day"),
            (93_600, "1 day 2 h"),
            (200_000, "2 days 7 h"),
        ];
        for (secs, text) in cases {
            assert_eq!(duration(secs), text);
        }
    }

    #[test]
    fn moments() {
        let text = |at, style| Moment { at, now: 1_763_992_800, style }.text();
        let now = 1_763_992_800;
        assert_eq!(text(now - 1, MomentStyle::Ago), "just now");
        assert_eq!(text(now + 100, MomentStyle::Ago), "just now");
        assert_eq!(text(now - 200, MomentStyle::Ago), "3 min ago");
        assert_eq!(text(now, MomentStyle::Clock), "14:00:00 UTC");
        assert_eq!(text(now - 86_400, MomentStyle::Clock), "23 Nov 2025, 14:00:00 UTC");
        assert_eq!(text(i64::MIN, MomentStyle::Clock), "");
        let html = Moment { at: now, now, style: MomentStyle::Clock }.to_string();
        assert_eq!(html, "<time datetime=\"2025-11-24T14:00:00Z\" data-time=\"clock\">14:00:00 UTC</time>");
    }

    #[test]
    fn bars() {
        assert!(Bar(Some(0.5)).to_string().contains("width=\"500\""));
        assert!(Bar(Some(f64::NAN)).to_string().contains("width=\"0\""));
        assert!(Bar(Some(1.0)).to_string().contains("is-full"));
        assert!(Bar(None).to_string().contains("unknown"));
    }
}
