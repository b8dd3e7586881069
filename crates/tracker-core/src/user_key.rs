//! The key of a user.

use std::fmt;
use std::str::FromStr;

/// The key of a user, as it stands at the end of an announce URL: 128 random bits, written as 32 hexadecimal digits.
///
/// Who knows the key announces as the user. It is never shown by `Debug`; [`Display`](fmt::Display) writes it.
///
/// ```
/// use tracker_core::UserKey;
///
/// let key: UserKey = "00112233445566778899AABBCCDDEEFF".parse().unwrap();
/// assert_eq!(key.to_string(), "00112233445566778899aabbccddeeff");
/// assert!("0011".parse::<UserKey>().is_err());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserKey([u8; 16]);

/// A text is not the key of a user: that has 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the key of a user has 32 hexadecimal digits")]
pub struct ParseUserKeyError;

impl UserKey {
    /// The length of a key that is written, in bytes.
    pub const TEXT_LEN: usize = 32;

    /// The key with these bytes, which should be random.
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Reads a key out of the bytes of a URL. Allocates nothing.
    ///
    /// # Errors
    ///
    /// Returns [`ParseUserKeyError`] if it is anything but 32 hexadecimal digits, in either case.
    pub fn parse(text: &[u8]) -> Result<Self, ParseUserKeyError> {
        let digits: &[u8; Self::TEXT_LEN] = text.try_into().map_err(|_| ParseUserKeyError)?;
        let mut bytes = [0; 16];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let digit = |digit: u8| char::from(digit).to_digit(16).ok_or(ParseUserKeyError);
            // Two digits of four bits fit.
            *byte = (digit(pair[0])? << 4 | digit(pair[1])?) as u8;
        }
        Ok(Self(bytes))
    }
}

impl FromStr for UserKey {
    type Err = ParseUserKeyError;

    fn from_str(text: &str) -> Result<Self, ParseUserKeyError> {
        Self::parse(text.as_bytes())
    }
}

impl fmt::Display for UserKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for UserKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_is_written_and_shown_by_nobody() {
        let key = UserKey::new(*b"\x00\x01\x7f\x80\xff0123456789a");
        assert_eq!(key.to_string().parse(), Ok(key));
        assert_eq!(UserKey::parse(key.to_string().to_uppercase().as_bytes()), Ok(key));
        assert_eq!(format!("{key:?}"), "UserKey");
        let long = "0".repeat(33);
        for text in
            ["", "0", &long[..31], &long, "0000000000000000000000000000000g", "+000000000000000000000000000000+"]
        {
            assert_eq!(text.parse::<UserKey>(), Err(ParseUserKeyError), "{text}");
        }
    }
}
