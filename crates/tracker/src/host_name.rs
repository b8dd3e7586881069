//! A name of this machine, as it is written in settings.

use std::fmt;
use std::str::FromStr;

/// One value of `--host-name`: a name without scheme, port or path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HostName(pub(crate) String);

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A text that is not a host name.
#[derive(Debug, thiserror::Error)]
#[error("write a name such as lab-pc or tracker.example.org, without http:// and without a port")]
pub(crate) struct ParseHostNameError;

impl FromStr for HostName {
    type Err = ParseHostNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // Browsers send names in other alphabets as ASCII (punycode).
        let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if text.is_empty() || !text.bytes().all(is_of_name) {
            return Err(ParseHostNameError);
        }
        Ok(Self(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_names_only() {
        for text in ["lab-pc", "tracker.example.org", "xn--grn-ioa.example", "my_pc.local."] {
            assert_eq!(text.parse::<HostName>().unwrap().to_string(), text);
        }
        for text in ["", "http://lab-pc", "lab-pc:6970", "lab-pc/", "gr\u{fc}n.example", "*", "a b", "[::1]"] {
            assert!(text.parse::<HostName>().is_err(), "{text}");
        }
    }
}
