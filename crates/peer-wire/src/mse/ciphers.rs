//! The ciphers of a connection.

use std::fmt;

use rc4::{Rc4, StreamCipher};

use super::Method;

/// The ciphers of a connection, one for each direction. They stand between the socket and the peer protocol.
///
/// Every byte has to pass exactly once, and in its order.
pub struct Ciphers {
    rc4: Option<Box<Rc4Pair>>,
}

/// What is sent and what is received have each a cipher of their own.
pub(super) struct Rc4Pair {
    pub(super) outgoing: Rc4,
    pub(super) incoming: Rc4,
}

impl Ciphers {
    /// Ciphers that change nothing, also for a connection without this encryption.
    pub const fn plaintext() -> Self {
        Self { rc4: None }
    }

    /// The ciphers of a handshake that goes on with this method.
    pub(super) fn new(method: Method, rc4: Box<Rc4Pair>) -> Self {
        match method {
            Method::Plaintext => Self::plaintext(),
            Method::Rc4 => Self { rc4: Some(rc4) },
        }
    }

    /// The method that was agreed on.
    pub fn method(&self) -> Method {
        if self.rc4.is_some() { Method::Rc4 } else { Method::Plaintext }
    }

    /// Encrypts bytes that are sent next, in place.
    pub fn encrypt(&mut self, bytes: &mut [u8]) {
        if let Some(rc4) = &mut self.rc4 {
            rc4.outgoing.apply_keystream(bytes);
        }
    }

    /// Decrypts bytes that were received next, in place.
    pub fn decrypt(&mut self, bytes: &mut [u8]) {
        if let Some(rc4) = &mut self.rc4 {
            rc4.incoming.apply_keystream(bytes);
        }
    }
}

/// The keys stay out of logs.
impl fmt::Debug for Ciphers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Ciphers").field(&self.method()).finish()
    }
}
