//! A secret that a browser or a program has to show.

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// A secret that a browser or a program has to show: that of those who may change things, that of a session, or that of those who
/// know the code.
#[derive(Clone)]
pub(crate) struct Token(String);

impl Token {
    /// A new one, of 128 random bits.
    pub(crate) fn draw() -> Self {
        Self(format!("{:032x}", rand::random::<u128>()))
    }

    /// The SHA-256 of a text, as one.
    pub(super) fn of(text: &str) -> Self {
        Self(Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// One that was kept; `None` if it is too short to be one.
    pub(super) fn kept(text: String) -> Option<Self> {
        (text.len() >= 32).then_some(Self(text))
    }

    /// An empty one, which opens nothing.
    pub(super) fn none() -> Self {
        Self(String::new())
    }

    /// Returns `true` if the text is the token, in a time that does not depend on how much of it is right.
    pub(super) fn is(&self, text: &str) -> bool {
        self.0.as_bytes().ct_eq(text.as_bytes()).into()
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_token_is_it() {
        let token = Token::draw();
        assert_eq!(token.as_str().len(), 32);
        assert!(token.is(token.as_str()));
        for other in ["", &token.as_str()[1..], &token.as_str().to_uppercase().replace(char::is_numeric, "A")] {
            assert!(!token.is(other), "{other}");
        }
        assert_ne!(token.as_str(), Token::draw().as_str());
        assert!(!format!("{token:?}").contains(token.as_str()));
    }
}
