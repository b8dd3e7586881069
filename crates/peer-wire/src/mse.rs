//! Message Stream Encryption, also known as protocol encryption ([specification]): a handshake before the one of [BEP 3], after
//! which a connection between two peers looks like random bytes.
//!
//! It was made against networks that slow BitTorrent down, and it is obfuscation, not security: those who know the info-hash can
//! read and change everything, RC4 has no integrity check, and nobody proves who they are. Peers speak it because some clients
//! are set to refuse everything else.
//!
//! # The handshake
//!
//! A is the [`Initiator`], which has opened the connection, and B the [`Responder`]. S is the secret that both get from a
//! Diffie-Hellman exchange with a prime of 768 bits; SKEY is the info-hash.
//!
//! | message | direction | content |
//! | --- | --- | --- |
//! | 1 | A → B | public key of A, PadA |
//! | 2 | B → A | public key of B, PadB |
//! | 3 | A → B | HASH("req1", S), HASH("req2", SKEY) xor HASH("req3", S), and encrypted: VC, crypto_provide, length of PadC, PadC, length of IA, IA |
//! | 4 | B → A | encrypted: VC, crypto_select, length of PadD, PadD |
//!
//! PadA and PadB have no length field: the receiver looks for what comes after them, which is the hash with "req1" or the eight
//! zero bytes of VC as they are encrypted. IA is the first payload of A. After message 4 everything is encrypted as before, or
//! nothing is, as crypto_select says.
//!
//! # Use
//!
//! Both machines take bytes by `handle_input` and give bytes by `poll_output`. The caller sends those, and asks
//! `poll_established` for the result after each input. They know no clock: the caller limits the time of a handshake.
//!
//! The BitTorrent handshake comes afterwards, through the [`Ciphers`]; that of the initiator may come in the payload IA. An
//! incoming connection is one of both kinds, which [`detect`] tells apart by its first bytes.
//!
//! ```
//! use peer_wire::mse::{Detected, Initiator, Method, Methods, Responder, detect, obfuscated_hash};
//! use rand::{SeedableRng, rngs::StdRng};
//!
//! let mut rng = StdRng::seed_from_u64(1); // in a program, one that nobody can predict
//! let info_hash = *b"aaaaaaaaaaaaaaaaaaaa";
//!
//! let mut initiator = Initiator::new(info_hash, Methods::Both, &mut rng);
//! let first = initiator.poll_output().expect("message 1");
//! assert_eq!(detect(&first), Detected::Encrypted);
//!
//! let mut responder = Responder::new(Methods::Both, &mut rng);
//! // A program looks into a map with the obfuscated hashes of all its torrents.
//! let find = |hash: &[u8; 20]| (*hash == obfuscated_hash(&info_hash)).then_some(info_hash);
//! responder.handle_input(&first, find)?;
//! initiator.handle_input(&responder.poll_output().expect("message 2"))?;
//! responder.handle_input(&initiator.poll_output().expect("message 3"), find)?;
//! initiator.handle_input(&responder.poll_output().expect("message 4"))?;
//!
//! let mut ours = initiator.poll_established().expect("the initiator is ready");
//! let mut theirs = responder.poll_established().expect("the responder is ready");
//! assert_eq!(theirs.info_hash, info_hash);
//! assert_eq!(theirs.ciphers.method(), Method::Plaintext);
//! let mut bytes = *b"\x13BitTorrent protocol";
//! ours.ciphers.encrypt(&mut bytes);
//! theirs.ciphers.decrypt(&mut bytes);
//! assert_eq!(bytes, *b"\x13BitTorrent protocol");
//! # Ok::<(), peer_wire::mse::HandshakeError>(())
//! ```
//!
//! # Cost and limits
//!
//! An exchange takes each side two modular exponentiations, and the first of the responder is not made before 96 bytes have come.
//! Anybody can make a responder do this work, so limit the rate of incoming connections.
//!
//! A pad has at most [`MAX_PAD`] bytes, and IA at most [`MAX_INITIAL_PAYLOAD`]. So a responder is ready, or has failed, after
//! 1,244 bytes, and an initiator after 1,134. Until then a machine keeps at most 513 bytes of its input, those before the
//! end of PadC and the length of IA.
//!
//! [specification]: https://wiki.vuze.com/w/Message_Stream_Encryption
//! [BEP 3]: https://www.bittorrent.org/beps/bep_0003.html

mod ciphers;
mod initiator;
mod input;
mod key_exchange;
mod responder;

use std::fmt;

use rand::{Rng, RngExt};
use thiserror::Error;

pub use ciphers::Ciphers;
pub use initiator::Initiator;
pub use key_exchange::obfuscated_hash;
pub use responder::Responder;

/// The most bytes that a pad has. The specification says so, and real clients end a connection with longer ones.
pub const MAX_PAD: usize = 512;

/// The most bytes of the payload IA: a BitTorrent handshake. libtorrent, aria2 and rTorrent take no more, so none is longer.
pub const MAX_INITIAL_PAYLOAD: usize = 68;

/// What every BitTorrent handshake begins with: the length of the protocol's name, and the name.
const PLAIN_PREFIX: &[u8; 20] = b"\x13BitTorrent protocol";

/// The verification constant, VC.
const VERIFICATION: [u8; 8] = [0; 8];

/// Tells by its first bytes, of which none may be left out, whether an incoming connection is encrypted.
pub fn detect(first: &[u8]) -> Detected {
    if first.starts_with(PLAIN_PREFIX) {
        Detected::Plain
    } else if PLAIN_PREFIX.starts_with(first) {
        Detected::Undecided
    } else {
        Detected::Encrypted
    }
}

/// The kind of an incoming connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detected {
    /// It begins with a BitTorrent handshake.
    Plain,
    /// It does not begin with a BitTorrent handshake: give all of it to a [`Responder`], which finds out whether it is garbage.
    Encrypted,
    /// More bytes are needed: 20 are always enough.
    Undecided,
}

/// How the payload after a handshake is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// As it is.
    Plaintext,
    /// Encrypted with RC4.
    Rc4,
}

impl Method {
    /// Its bit in the fields `crypto_provide` and `crypto_select`.
    fn bit(self) -> u32 {
        match self {
            Self::Plaintext => 1,
            Self::Rc4 => 2,
        }
    }
}

/// The methods that one side allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Methods {
    /// Only [`Method::Plaintext`]. Clients that require encryption refuse it.
    PlaintextOnly,
    /// Only [`Method::Rc4`].
    Rc4Only,
    /// Either. The responder chooses, and ours takes plaintext, which costs nothing.
    Both,
}

impl Methods {
    /// Their bits in the field `crypto_provide`.
    fn bits(self) -> u32 {
        match self {
            Self::PlaintextOnly => Method::Plaintext.bit(),
            Self::Rc4Only => Method::Rc4.bit(),
            Self::Both => Method::Plaintext.bit() | Method::Rc4.bit(),
        }
    }

    /// The method for a peer with this `crypto_provide`. Bits that have no meaning yet are ignored.
    fn select(self, provided: u32) -> Result<Method, HandshakeError> {
        let common = self.bits() & provided;
        let method = [Method::Plaintext, Method::Rc4].into_iter().find(|method| common & method.bit() != 0);
        method.ok_or(HandshakeError::NoCommonMethod { provided })
    }

    /// The method of a peer's `crypto_select`, which has to be exactly one of these.
    fn selected(self, selected: u32) -> Result<Method, HandshakeError> {
        let method = [Method::Plaintext, Method::Rc4].into_iter().find(|method| selected == method.bit());
        method.filter(|method| self.bits() & method.bit() != 0).ok_or(HandshakeError::InvalidSelection { selected })
    }
}

/// A handshake that is over.
pub struct Established {
    /// The info-hash that both sides have used. The BitTorrent handshake that follows has to have the same one: check it.
    pub info_hash: [u8; 20],
    /// For everything that is sent and received from now on.
    pub ciphers: Ciphers,
    /// What has come after the handshake, decrypted. For a responder this begins with the payload IA, if there is one.
    pub received: Vec<u8>,
}

impl Established {
    /// Adds bytes as they have come.
    fn receive(&mut self, mut bytes: Vec<u8>) {
        self.ciphers.decrypt(&mut bytes);
        self.received.append(&mut bytes);
    }
}

/// Without the bytes, which could be many.
impl fmt::Debug for Established {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Established");
        debug.field("ciphers", &self.ciphers).field("received", &self.received.len()).finish_non_exhaustive()
    }
}

/// Why a handshake has failed. The connection cannot be used any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The public key is below 2, or above p - 2: with 0, 1 and p - 1 everybody would know the secret.
    #[error("the peer's public key is not between 2 and p - 2")]
    InvalidPublicKey,
    /// What follows PadA or PadB does not come in time. This is so if the other side speaks another protocol, and for an
    /// initiator also if it has another info-hash.
    #[error("found no synchronisation mark after the peer's public key")]
    NoSynchronisation,
    /// The responder does not have the torrent.
    #[error("the peer wants a torrent that is not here")]
    UnknownTorrent,
    /// VC is not zero.
    #[error("the peer's verification constant is not zero")]
    WrongVerification,
    /// The responder allows none of the initiator's methods.
    #[error("the peer allows none of our methods, but {provided:#x}")]
    NoCommonMethod {
        /// The field `crypto_provide`.
        provided: u32,
    },
    /// The responder has selected something else than one of the initiator's methods.
    #[error("the peer selected {selected:#x}, which is not one of our methods")]
    InvalidSelection {
        /// The field `crypto_select`.
        selected: u32,
    },
    /// PadC or PadD is longer than [`MAX_PAD`].
    #[error("the peer's pad of {length} bytes is longer than {MAX_PAD}")]
    PadTooLong {
        /// Its length in bytes.
        length: u16,
    },
    /// IA is longer than [`MAX_INITIAL_PAYLOAD`].
    #[error("the peer's initial payload of {length} bytes is longer than {MAX_INITIAL_PAYLOAD}")]
    InitialPayloadTooLong {
        /// Its length in bytes.
        length: u16,
    },
    /// There was an error before, or the result has been taken.
    #[error("the handshake is over")]
    Over,
}

/// A state after a step.
enum Step<S> {
    /// The next one, for which there may be enough input.
    Next(S),
    /// The same one, which waits for more input.
    Wait(S),
}

/// A pad of random bytes and random length, so that the sizes of the first segments say nothing.
fn random_pad(rng: &mut impl Rng) -> Vec<u8> {
    let mut pad = vec![0; rng.random_range(0..=MAX_PAD)];
    rng.fill_bytes(&mut pad);
    pad
}

/// The length of PadC or PadD, if it is allowed.
fn pad_length(field: [u8; 2]) -> Result<usize, HandshakeError> {
    let length = u16::from_be_bytes(field);
    if usize::from(length) > MAX_PAD { Err(HandshakeError::PadTooLong { length }) } else { Ok(length.into()) }
}

#[cfg(test)]
mod tests;
