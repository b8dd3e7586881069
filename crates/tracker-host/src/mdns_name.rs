//! A name that the machine takes on its LAN.

use std::fmt::{self, Display};
use std::str::FromStr;

/// The maximum length of a label of a domain name ([RFC 1035](https://www.rfc-editor.org/rfc/rfc1035)).
const MAX_LABEL: usize = 63;

/// The maximum length of a name that is asked for: a conflict adds up to three bytes, as in `tracker-10`.
const MAX_LENGTH: usize = MAX_LABEL - 3;

/// A name in `.local` ([RFC 6762](https://www.rfc-editor.org/rfc/rfc6762)), without that domain: letters, digits and hyphens, 60 at
/// most, without a hyphen at the beginning or the end. It is kept in lower case, since names have no case.
///
/// ```
/// use tracker_host::MdnsName;
///
/// let name: MdnsName = "Tracker".parse()?;
/// assert_eq!(name.to_string(), "tracker");
/// assert_eq!(name.in_local(), "tracker.local");
/// assert!("tracker.local".parse::<MdnsName>().is_err());
/// # Ok::<(), tracker_host::ParseMdnsNameError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MdnsName(String);

impl MdnsName {
    /// The name with this label, which may be longer than one that is asked for.
    pub(crate) fn of_label(label: &str) -> Option<Self> {
        let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let is_name = (1..=MAX_LABEL).contains(&label.len())
            && label.bytes().all(is_of_name)
            && !label.starts_with('-')
            && !label.ends_with('-')
            // It would be every machine's own.
            && !label.eq_ignore_ascii_case("localhost");
        is_name.then(|| Self(label.to_ascii_lowercase()))
    }

    /// The name with its domain, such as `tracker.local`.
    pub fn in_local(&self) -> String {
        format!("{self}.local")
    }
}

impl Display for MdnsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that is no such name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("write a name such as tracker, without .local: at most 60 letters (a to z), digits and hyphens between them")]
pub struct ParseMdnsNameError;

impl FromStr for MdnsName {
    type Err = ParseMdnsNameError;

    fn from_str(text: &str) -> Result<Self, ParseMdnsNameError> {
        Self::of_label(text).filter(|_| text.len() <= MAX_LENGTH).ok_or(ParseMdnsNameError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_label() {
        for (text, name) in [("tracker", "tracker"), ("Lab-2", "lab-2"), ("7", "7"), (&"a".repeat(60), &"a".repeat(60))]
        {
            assert_eq!(text.parse::<MdnsName>().unwrap().in_local(), format!("{name}.local"));
        }
        for text in [
            "",
            "tracker.local",
            "a b",
            "-a",
            "a-",
            "gr\u{fc}n",
            "a_b",
            "http://a",
            "localhost",
            "a:80",
            &"a".repeat(61),
        ] {
            assert!(text.parse::<MdnsName>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_longest_name_has_room_for_a_number() {
        let label = format!("{}-10", "a".repeat(MAX_LENGTH));
        assert_eq!(MdnsName::of_label(&label).unwrap().to_string(), label);
        assert_eq!(MdnsName::of_label(&format!("{label}0")), None);
    }
}
