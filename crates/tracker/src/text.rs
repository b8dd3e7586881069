//! Values as all texts for the operator have them.

use std::fmt::Display;

/// The values, separated by commas.
pub(crate) fn list(values: impl IntoIterator<Item = impl Display>) -> String {
    values.into_iter().map(|value| value.to_string()).collect::<Vec<_>>().join(", ")
}

/// Bytes with a unit: `1.5 MiB`.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    let Some(power) = bytes.checked_ilog2().map(|log| log / 10).filter(|power| *power > 0) else {
        return format!("{bytes} bytes");
    };
    let place = (power as usize).min(UNITS.len());
    format!("{:.1} {}", bytes as f64 / 1024_f64.powi(place as i32), UNITS[place - 1])
}

/// The value as one word of a command line: plain, or in the quotes that every shell knows, or, where they are not enough, in those
/// of shells of Unix.
pub(crate) fn in_shell(value: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte);
    if !value.is_empty() && value.bytes().all(is_plain) {
        value.to_owned()
    } else if !value.contains(['"', '$', '`', '\\', '!', '%']) {
        format!("\"{value}\"")
    } else {
        format!("'{}'", value.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_their_unit() {
        for (bytes, text) in
            [(0, "0 bytes"), (1023, "1023 bytes"), (1536, "1.5 KiB"), (5 << 30, "5.0 GiB"), (1 << 60, "1024.0 PiB")]
        {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn values_are_one_word() {
        for (value, expected) in [
            ("/srv/a-b_c.d", "/srv/a-b_c.d"),
            ("", "\"\""),
            ("/srv/a b", "\"/srv/a b\""),
            ("a'b", "\"a'b\""),
            ("[::]:6969,10.0.0.1:7", "\"[::]:6969,10.0.0.1:7\""),
            ("$a 'b'", r"'$a '\''b'\'''"),
        ] {
            assert_eq!(in_shell(value), expected);
        }
    }
}
