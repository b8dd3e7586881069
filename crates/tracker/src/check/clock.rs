//! The clock.

use std::path::Path;

use jiff::Zoned;

use super::finding::Finding;

/// The name of these findings.
const CHECK: &str = "clock";

/// The first year that is plausible.
const FIRST_YEAR: i16 = 2025;

/// The last year that is plausible.
const LAST_YEAR: i16 = 2100;

/// The file that systemd-timesyncd makes once it has set the clock after the start of the machine.
const SYNCHRONIZED: &str = "/run/systemd/timesync/synchronized";

/// The clock's reading.
#[derive(Debug)]
pub(super) struct Clock {
    now: Zoned,
    /// A time server is known to have set it. Programs other than systemd-timesyncd do not say so to everybody.
    is_synchronized: bool,
}

/// Reads the clock.
pub(super) fn look() -> Clock {
    Clock { now: Zoned::now(), is_synchronized: Path::new(SYNCHRONIZED).exists() }
}

/// A clock that is wrong makes wrong times in the log, on the page and in reports. Swarms do not depend on it.
pub(super) fn judge(clock: &Clock) -> Finding {
    let text = format!("the clock says {}", clock.now.strftime("%Y-%m-%d %H:%M:%S %:z"));
    if !(FIRST_YEAR..=LAST_YEAR).contains(&clock.now.year()) {
        return Finding::warning(
            CHECK,
            format!("{text}, which is implausible"),
            "set it, with systemd by `sudo timedatectl set-ntp true`: times in the log and in reports are wrong until then",
        );
    }
    match clock.is_synchronized {
        true => Finding::good(CHECK, format!("{text}; a time server has set it")),
        false => Finding::good(CHECK, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::finding::Kind;

    #[test]
    fn an_implausible_year_is_a_warning() {
        for (now, is_synchronized, expected, words) in [
            ("2026-05-04T08:00:00[UTC]", true, Kind::Good, "2026-05-04 08:00:00 +00:00; a time server"),
            ("2026-05-04T08:00:00[UTC]", false, Kind::Good, "2026-05-04"),
            ("1970-01-01T00:10:00[UTC]", false, Kind::Warning, "implausible"),
            ("2106-02-07T06:28:15[UTC]", true, Kind::Warning, "implausible"),
        ] {
            let found = judge(&Clock { now: now.parse().unwrap(), is_synchronized });
            assert_eq!(found.kind(), expected, "{now}");
            assert!(found.text().contains(words), "{found:?}");
        }
    }
}
