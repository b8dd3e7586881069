//! The code that viewers need.

use std::fmt::{self, Display};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The lengths that a code may have.
const LENGTHS: std::ops::RangeInclusive<usize> = 4..=32;

/// A code that viewers need: 4 to 32 letters and digits, so that it can be said aloud and stand in a URL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct AccessCode(pub(crate) String);

/// A text that is no code.
#[derive(Debug, thiserror::Error)]
#[error("a code has 4 to 32 letters (a to z) and digits, such as 4711")]
pub(crate) struct ParseAccessCodeError;

impl FromStr for AccessCode {
    type Err = ParseAccessCodeError;

    fn from_str(text: &str) -> Result<Self, ParseAccessCodeError> {
        let is_code = LENGTHS.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if is_code { Ok(Self(text.to_owned())) } else { Err(ParseAccessCodeError) }
    }
}

impl TryFrom<String> for AccessCode {
    type Error = ParseAccessCodeError;

    fn try_from(text: String) -> Result<Self, ParseAccessCodeError> {
        text.parse()
    }
}

impl From<AccessCode> for String {
    fn from(code: AccessCode) -> Self {
        code.0
    }
}

impl Display for AccessCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_can_stand_in_a_url() {
        for code in ["4711", "Sommer2026", &"a".repeat(32)] {
            assert_eq!(code.parse::<AccessCode>().unwrap().to_string(), code);
        }
        for text in ["", "123", "12 34", "47-11", "ä123", "a&b=c", &"a".repeat(33)] {
            assert!(text.parse::<AccessCode>().is_err(), "{text:?}");
        }
    }
}
