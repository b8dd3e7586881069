//! SHA-1 of many messages side by side.
//!
//! The pieces of a torrent are hashed independently. Within one message each round of SHA-1 waits for the one before; with
//! several, a CPU does more in the same time. A vector unit hashes 8 or 16 messages of the same length at once, one in each
//! of its lanes, and SHA instructions begin those of other messages while they wait. Which [`Path`] is fastest depends on
//! the CPU, so it is measured at the first use ([`Engine::fastest`]).
//!
//! ```
//! let messages: [&[u8]; 3] = [b"abc", b"abd", b"abe"];
//! let mut digests = [[0; 20]; 3];
//! sha1_lanes::hash_all(&messages, &mut digests);
//! assert_eq!(digests[0][..4], [0xa9, 0x99, 0x3e, 0x36]);
//! ```
//!
//! - [`hash_all`] takes messages that are in memory. All have the same length: the last piece of a torrent, which is
//!   shorter, is hashed by a call of its own.
//! - A [`Hasher`] takes the messages part by part, so that sixteen whole pieces need not be in memory.
//! - An [`Engine`] hashes by the fastest path or by a given one, and says how many messages are best hashed together.
//!
//! A single message is best hashed by the `sha1` crate itself, and this crate does so.
//!
//! # Platforms
//!
//! All paths but one exist only on x86 and x86-64. On other architectures everything is hashed by the `sha1` crate.
//!
//! # What it does not do
//!
//! SHA-1 is not collision-resistant: use it only where a format such as that of BitTorrent v1 requires it.

mod engine;
mod hasher;
mod path;
#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
mod vector;

pub use engine::{Engine, UnavailablePathError};
pub use hasher::Hasher;
pub use path::{MAX_LANES, ParsePathError, Path};

/// A SHA-1 digest.
pub type Digest = [u8; 20];

/// The unit that SHA-1 hashes.
type Block = [u8; 64];

/// The five words between two blocks.
type State = [u32; 5];

/// Hashes any number of messages, all of the same length, by the fastest path of this CPU: [`Engine::hash_all`] of
/// [`Engine::fastest`].
///
/// # Panics
///
/// If the messages have different lengths, or `digests` is not as long as `messages`.
pub fn hash_all(messages: &[&[u8]], digests: &mut [Digest]) {
    Engine::fastest().hash_all(messages, digests);
}
