//! Formatting of untrusted text, dates and numbers for a terminal.

use std::fmt::Write;
use std::path::Path;

use jiff::Timestamp;
use metainfo::is_invisible;

/// The text in one line, with control and invisible characters escaped.
pub(crate) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            _ if is_invisible(character) => line.extend(character.escape_unicode()),
            _ if character.is_control() => line.extend(character.escape_default()),
            _ => line.push(character),
        }
    }
    line
}

/// A path as an argument to copy into a shell: in quotes if it needs them, and never taken for an option.
pub(crate) fn argument(path: &Path) -> String {
    let text = undashed(path);
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+,:=@%".contains(c) || (cfg!(windows) && c == '\\');
    if text.chars().all(is_plain) { text } else { quoted(&text) }
}

/// A text in quotes for a shell.
pub(crate) fn quoted(text: &str) -> String {
    // Windows has no names with a quotation mark.
    if cfg!(windows) { format!("\"{text}\"") } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// A path in one line that no program takes for an option.
pub(crate) fn undashed(path: &Path) -> String {
    let text = one_line(&path.to_string_lossy());
    if text.starts_with('-') { format!("./{text}") } else { text }
}

/// Seconds since 1970 as a date and time in UTC; as a plain number if out of range.
pub(crate) fn utc(seconds: u64) -> String {
    match i64::try_from(seconds).map(Timestamp::from_second) {
        Ok(Ok(time)) => time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
        _ => format!("{seconds} seconds after 1970"),
    }
}

/// A size with a suitable unit, followed by the exact number of bytes.
pub(crate) fn size(bytes: u64) -> String {
    match bytes {
        1 => return "1 byte".to_owned(),
        0..1024 => return format!("{bytes} bytes"),
        _ => {}
    }
    format!("{} ({bytes} bytes)", indicatif::BinaryBytes(bytes))
}

/// A number with its noun in the singular or plural.
pub(crate) fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// Ascending numbers, with runs shortened: `1, 4-7, 9`.
pub(crate) fn ranges(numbers: &[u32]) -> String {
    let mut text = String::new();
    for run in numbers.chunk_by(|left, right| left + 1 == *right) {
        let separator = if text.is_empty() { "" } else { ", " };
        let result = match run {
            [one] => write!(text, "{separator}{one}"),
            [first, .., last] => write!(text, "{separator}{first}-{last}"),
            [] => Ok(()),
        };
        result.expect("a string takes all that is written");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_text() {
        assert_eq!(one_line("Grüße 文"), "Grüße 文");
        assert_eq!(one_line("a\nb\x1b[2J\u{202e}"), "a\\nb\\u{1b}[2J\\u{202e}");
    }

    #[cfg(unix)]
    #[test]
    fn arguments_are_safe_to_copy() {
        for (path, argument) in [
            ("lecture.mp4", "lecture.mp4"),
            ("week 1/a.torrent", "'week 1/a.torrent'"),
            ("-rf.torrent", "./-rf.torrent"),
            ("-", "./-"),
            ("--help me", "'./--help me'"),
            ("it's", r"'it'\''s'"),
            ("$(reboot)", "'$(reboot)'"),
            ("~root", "'~root'"),
            ("a\n\u{202e}b", r"'a\n\u{202e}b'"),
            ("Größe.mp4", "Größe.mp4"),
        ] {
            assert_eq!(super::argument(Path::new(path)), argument);
        }
    }

    #[test]
    fn dates() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (1_709_251_199, "2024-02-29 23:59:59 UTC"),
            (4_107_542_400, "2100-03-01 00:00:00 UTC"),
            (253_402_207_200, "9999-12-30 22:00:00 UTC"),
            (253_402_300_800, "253402300800 seconds after 1970"),
            (u64::MAX, "18446744073709551615 seconds after 1970"),
        ] {
            assert_eq!(utc(seconds), text);
        }
    }

    #[test]
    fn number_runs() {
        assert_eq!(ranges(&[]), "");
        assert_eq!(ranges(&[3]), "3");
        assert_eq!(ranges(&[1, 4, 5, 6, 7, 9, 10]), "1, 4-7, 9-10");
    }
}
