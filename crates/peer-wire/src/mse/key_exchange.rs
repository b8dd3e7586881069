//! The Diffie-Hellman exchange, and what is derived from its secret.

use crypto_bigint::modular::{FixedMontyForm, FixedMontyParams};
use crypto_bigint::{Odd, U192, U768};
use rc4::{KeyInit, Rc4, StreamCipher};
use sha1::{Digest, Sha1};

use super::HandshakeError;

/// Bytes of a public key, and of the secret.
pub(super) const KEY_LENGTH: usize = 96;

/// Bytes of a private key: the specification recommends 160 bits, and says that more make nothing more secure.
pub(super) const PRIVATE_KEY_LENGTH: usize = 20;

/// The prime p. The generator is 2.
const PRIME: FixedMontyParams<{ U768::LIMBS }> = FixedMontyParams::new_vartime(Odd::<U768>::from_be_hex(
    "ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74\
     020bbea63b139b22514a08798e3404ddef9519b3cd3a431b302b0a6df25f1437\
     4fe1356d6d51c245e485b576625e7ec6f44c42e9a63a36210000000000090563",
));

/// Bytes of the keystream that nobody uses: the first ones of RC4 tell something about its key.
const DROPPED: usize = 1024;

/// The hash of an info-hash that a responder finds its torrents by: HASH("req2", SKEY).
///
/// Who has many torrents computes it once for each, and keeps a map to the info-hashes.
pub fn obfuscated_hash(info_hash: &[u8; 20]) -> [u8; 20] {
    hash(b"req2", &[info_hash])
}

/// The private half of a key. The time that it is computed with does not depend on its value.
pub(super) struct PrivateKey(U192);

impl PrivateKey {
    pub(super) fn new(bytes: [u8; PRIVATE_KEY_LENGTH]) -> Self {
        let mut padded = [0; U192::BYTES];
        padded[U192::BYTES - PRIVATE_KEY_LENGTH..].copy_from_slice(&bytes);
        Self(U192::from_be_slice(&padded))
    }

    /// The public half. Costs an exponentiation.
    pub(super) fn public_key(&self) -> [u8; KEY_LENGTH] {
        self.raise(&U768::from_u8(2))
    }

    /// The secret that is shared with the owner of this public key. Costs an exponentiation.
    pub(super) fn shared_secret(&self, public_key: &[u8; KEY_LENGTH]) -> Result<SharedSecret, HandshakeError> {
        let public_key = U768::from_be_slice(public_key);
        let largest = PRIME.modulus().wrapping_sub(&U768::from_u8(2));
        if public_key < U768::from_u8(2) || public_key > largest {
            return Err(HandshakeError::InvalidPublicKey);
        }
        Ok(SharedSecret(self.raise(&public_key)))
    }

    fn raise(&self, base: &U768) -> [u8; KEY_LENGTH] {
        let bits = 8 * PRIVATE_KEY_LENGTH as u32;
        let power = FixedMontyForm::new(base, &PRIME).pow_bounded_exp(&self.0, bits).retrieve();
        let mut bytes = [0; KEY_LENGTH];
        bytes.copy_from_slice(power.to_be_bytes().as_ref());
        bytes
    }
}

/// The secret S.
pub(super) struct SharedSecret(pub(super) [u8; KEY_LENGTH]);

impl SharedSecret {
    /// The mark that ends PadA: HASH("req1", S).
    pub(super) fn mark(&self) -> [u8; 20] {
        hash(b"req1", &[&self.0])
    }

    /// Hides an [`obfuscated_hash`] from those who know the torrents of the world, or shows it again: xor HASH("req3", S).
    pub(super) fn mask(&self, mut obfuscated_hash: [u8; 20]) -> [u8; 20] {
        for (byte, mask) in obfuscated_hash.iter_mut().zip(hash(b"req3", &[&self.0])) {
            *byte ^= mask;
        }
        obfuscated_hash
    }

    /// The cipher for what the initiator sends.
    pub(super) fn initiator_cipher(&self, info_hash: &[u8; 20]) -> Rc4 {
        cipher(hash(b"keyA", &[&self.0, info_hash]))
    }

    /// The cipher for what the responder sends.
    pub(super) fn responder_cipher(&self, info_hash: &[u8; 20]) -> Rc4 {
        cipher(hash(b"keyB", &[&self.0, info_hash]))
    }
}

fn hash(label: &[u8; 4], parts: &[&[u8]]) -> [u8; 20] {
    let mut hasher = Sha1::new_with_prefix(label);
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

fn cipher(key: [u8; 20]) -> Rc4 {
    let mut cipher = Rc4::new_from_slice(&key).expect("RC4 takes keys of 1 to 256 bytes");
    cipher.apply_keystream(&mut [0; DROPPED]);
    cipher
}
