//! Passwords and their hashes.

use std::sync::OnceLock;

use argon2::Argon2;
use argon2::password_hash::phc;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use rand::RngExt;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The characters of passwords: none looks like another.
const CHARACTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// The length of a password without its hyphens, in characters of five bits.
const LENGTH: usize = 16;

/// The characters between two hyphens.
const GROUP: usize = 4;

/// The maximum length of a password that is tried, in bytes.
const MAX_LENGTH: usize = 1024;

/// A new password of 80 random bits, such as `k7mp-x2qd-9r4h-wn3t`.
pub(super) fn draw() -> String {
    let mut rng = rand::rng();
    let mut password = String::new();
    for place in 0..LENGTH {
        if place > 0 && place % GROUP == 0 {
            password.push('-');
        }
        password.push(char::from(CHARACTERS[rng.random_range(0..CHARACTERS.len())]));
    }
    password
}

/// The hash of a password, as a [PHC string](https://github.com/P-H-C/phc-string-format).
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct PasswordHash(String);

impl PasswordHash {
    /// Hashes a password with a new salt. `None` if the system has no random numbers.
    pub(super) fn new(password: &str) -> Option<Self> {
        let hash: phc::PasswordHash = Argon2::default().hash_password(plain(password).as_bytes()).ok()?;
        Some(Self(hash.to_string()))
    }

    /// The hash of a password that nobody knows: trying one for an account that does not exist takes as long as for another.
    pub(super) fn of_nobody() -> &'static Self {
        static NOBODY: OnceLock<PasswordHash> = OnceLock::new();
        NOBODY.get_or_init(|| Self::new(&draw()).unwrap_or_else(|| Self(String::new())))
    }

    /// Returns `true` if it is the hash of this password.
    pub(super) fn is_of(&self, password: &str) -> bool {
        let hash = phc::PasswordHash::new(&self.0);
        let is_right = |hash| Argon2::default().verify_password(plain(password).as_bytes(), &hash).is_ok();
        password.len() <= MAX_LENGTH && hash.is_ok_and(is_right)
    }

    /// A text that changes with the password and its salt, and tells nothing about them.
    pub(super) fn fingerprint(&self) -> String {
        let digest = Sha256::digest(&self.0);
        digest[..16].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// A password as it is hashed: hyphens and spaces are there for the eye.
fn plain(password: &str) -> String {
    password.chars().filter(|letter| !letter.is_whitespace() && *letter != '-').collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_long_and_readable() {
        let password = draw();
        let groups: Vec<_> = password.split('-').collect();
        assert_eq!(groups.len(), LENGTH / GROUP);
        assert!(groups.iter().all(|group| group.len() == GROUP && group.bytes().all(|c| CHARACTERS.contains(&c))));
        assert_ne!(password, draw());
    }

    #[test]
    fn a_hash_is_of_one_password() {
        let hash = PasswordHash::new("abcd-efgh").unwrap();
        assert!(["abcd-efgh", "abcdefgh", " abcd efgh\n"].iter().all(|typed| hash.is_of(typed)));
        assert!(["abcd-efgi", "", "ABCD-EFGH", &"x".repeat(1 << 20)].iter().all(|typed| !hash.is_of(typed)));
        let other = PasswordHash::new("abcd-efgh").unwrap();
        assert_ne!((&hash.0, hash.fingerprint()), (&other.0, other.fingerprint()));
        assert!(!PasswordHash("$argon2id$nonsense".into()).is_of(""));
    }
}
