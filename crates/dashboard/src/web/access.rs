//! Who may look, and who may change things.

/// The secret of those who may change things.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// A new one, of 128 random bits.
    pub(crate) fn draw() -> Self {
        Self(format!("{:032x}", rand::random::<u128>()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token")
    }
}
