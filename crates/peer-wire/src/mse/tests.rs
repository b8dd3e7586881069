//! Literal conversations, computed by a program of its own with other implementations of all parts; and peers whose messages
//! are put together by hand, with every length that a pad can have.

use rand::SeedableRng;
use rand::rngs::StdRng;
use rc4::{Rc4, StreamCipher};

use super::key_exchange::{KEY_LENGTH, PrivateKey};
use super::*;

const INFO_HASH: [u8; 20] = *b"\xa0\xa1\xa2\xa3\xa4\xa5\xa6\xa7\xa8\xa9\xaa\xab\xac\xad\xae\xaf\xb0\xb1\xb2\xb3";

const HANDSHAKE: &[u8; 68] = b"\x13BitTorrent protocol\0\0\0\0\0\x10\0\x04\
    \xa0\xa1\xa2\xa3\xa4\xa5\xa6\xa7\xa8\xa9\xaa\xab\xac\xad\xae\xaf\xb0\xb1\xb2\xb3-XX0001-abcdefghijkl";

const PRIVATE_A: [u8; 20] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20];

const PUBLIC_A: &str = "96e112dab29e8c5272accb9b17b26887ce54a144a4e3b697c7d159b7a817e556\
    b0918db2b4c658e02a87f7e5fb14b18a553e084cbf3dad2d30f16596ccb982d4\
    06258c61b30c5c1dae2ddc60bdbd48d79896312aad63238c39e1a633821eb693";

const PRIVATE_B: [u8; 20] = *b"\xf0\xef\xee\xed\xec\xeb\xea\xe9\xe8\xe7\xe6\xe5\xe4\xe3\xe2\xe1\xe0\xdf\xde\xdd";

const PUBLIC_B: &str = "bb3af18641bc0a0f49e0f735768790948250d8e1b0916c2808b2708adc6a06da\
    dd7a1ed8e0bd130bfcb01b5088e1e874c1582dc5e68e3ce661f8adca75e9823b\
    0b185ba9fca103cccc9767368416e0f597244c14fddc8565371e5e9b3e27181a";

/// Message 3 with an empty IA, as ours.
const REQUEST: &str = "0bc133717d81457a93199b8d6f041fa3d98836a2\
    39d15db0d74a8243a65ff80ff7b80151ecf39f1f\
    1c9bdf6464f4fe2336222eca199de39f";

/// Message 3 with a handshake in IA.
const REQUEST_WITH_PAYLOAD: &str = "0bc133717d81457a93199b8d6f041fa3d98836a2\
    39d15db0d74a8243a65ff80ff7b80151ecf39f1f\
    1c9bdf6464f4fe2336222eca199de3db\
    769b44704324f960efaf2f0cd07925074af8a792432b07f70422b19d188dfc31\
    401a1211abc85523acef14ec353f74d59d4323af0f8d7215ca0057600d7d17a9e54ec8ad";

const SELECTION_OF_RC4: &str = "a5ccb0fab8a5fe0df8c021fd79bf";

const SELECTION_OF_PLAINTEXT: &str = "a5ccb0fab8a5fe0df8c021fe79bf";

#[test]
fn an_initiator_speaks_in_literal_bytes() {
    for (selection, method, received, sent) in [
        (SELECTION_OF_RC4, Method::Rc4, hex("71d4fb98568f810ac0abfb90"), hex("0dbc4168786bed60e5ac7b6d")),
        (SELECTION_OF_PLAINTEXT, Method::Plaintext, b"hello from B".to_vec(), b"hello from A".to_vec()),
    ] {
        let mut initiator = Initiator::with_key(INFO_HASH, Methods::Both, PRIVATE_A, b"PadA");
        assert_eq!(initiator.poll_output().unwrap(), [&hex(PUBLIC_A), &b"PadA"[..]].concat());
        initiator.handle_input(&[&hex(PUBLIC_B), &b"PadB"[..]].concat()).unwrap();
        assert_eq!(initiator.poll_output().unwrap(), hex(REQUEST));
        initiator.handle_input(&[hex(selection), received].concat()).unwrap();
        assert_eq!(initiator.poll_output(), None);

        let mut established = initiator.poll_established().unwrap();
        assert_eq!(established.info_hash, INFO_HASH);
        assert_eq!(established.ciphers.method(), method);
        assert_eq!(established.received, b"hello from B");
        let mut reply = *b"hello from A";
        established.ciphers.encrypt(&mut reply);
        assert_eq!(reply[..], sent);
    }
}

#[test]
fn a_responder_speaks_in_literal_bytes() {
    let without_payload = &b""[..];
    for (methods, selection, request, payload, received, sent) in [
        (
            Methods::Rc4Only,
            SELECTION_OF_RC4,
            REQUEST_WITH_PAYLOAD,
            &HANDSHAKE[..],
            hex("89aaaf5d3af90cb8eb99927f"),
            hex("71d4fb98568f810ac0abfb90"),
        ),
        (
            Methods::Rc4Only,
            SELECTION_OF_RC4,
            REQUEST,
            without_payload,
            hex("0dbc4168786bed60e5ac7b6d"),
            hex("71d4fb98568f810ac0abfb90"),
        ),
        (
            Methods::Both,
            SELECTION_OF_PLAINTEXT,
            REQUEST_WITH_PAYLOAD,
            &HANDSHAKE[..],
            b"hello from A".to_vec(),
            b"hello from B".to_vec(),
        ),
    ] {
        let mut responder = Responder::with_key(methods, PRIVATE_B, b"PadB".to_vec());
        responder.handle_input(&[&hex(PUBLIC_A), &b"PadA"[..]].concat(), find).unwrap();
        assert_eq!(responder.poll_output().unwrap(), [&hex(PUBLIC_B), &b"PadB"[..]].concat());
        responder.handle_input(&hex(request), find).unwrap();
        assert_eq!(responder.poll_output().unwrap(), hex(selection));
        // What comes before the result is taken belongs to it.
        responder.handle_input(&received, find).unwrap();

        let mut established = responder.poll_established().unwrap();
        assert_eq!(established.info_hash, INFO_HASH);
        assert_eq!(established.received, [payload, b"hello from A"].concat());
        let mut reply = *b"hello from B";
        established.ciphers.encrypt(&mut reply);
        assert_eq!(reply[..], sent);
    }
}

#[test]
fn keys_and_secrets_have_their_leading_zeros() {
    let private_key = PrivateKey::new(hex("54edbb2f963de7957d0b5247d99f617bbf7d806e").try_into().unwrap());
    let public_key = private_key.public_key();
    assert_eq!(
        public_key[..],
        hex("05d922a52eedafe18d98b08894b4a25f0945aea37962018abd6694bc3649bc65\
            cc9cfec33ed887b2e997155bd2fbe811b588225dd41c0fb482e0e27e40a54167\
            cb8e05290a6281e49a138f937f6db10636cdc9927e6e901b63f9769ed49df684")
    );
    let secret = hex("00009e2e1d9454c9c8c853eaea04ff443e131bd9419fa11efcee18e5f17d31b3\
        af2780d46e21e43686d45bc7379e5dda80efa1ece65b5c6ef92856e6df7a50bb\
        68d38667d38e26a512d60a5c8b25da85b3148107c9c667f721df94fe35b370b8");
    assert_eq!(private_key.shared_secret(&key(PUBLIC_A)).unwrap().0[..], secret);
    assert_eq!(PrivateKey::new(PRIVATE_A).shared_secret(&public_key).unwrap().0[..], secret);
}

#[test]
fn public_keys_that_give_the_secret_away_are_refused() {
    // p - 2, and what has to be added to it.
    let p_minus_2 = key("ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74\
        020bbea63b139b22514a08798e3404ddef9519b3cd3a431b302b0a6df25f1437\
        4fe1356d6d51c245e485b576625e7ec6f44c42e9a63a36210000000000090561");
    let last = |byte| [&p_minus_2[..KEY_LENGTH - 1], &[byte]].concat();
    let small = |byte| [&[0; KEY_LENGTH - 1][..], &[byte]].concat();
    let largest = vec![0xff; KEY_LENGTH];
    for public_key in [small(0), small(1), last(0x62), last(0x63), last(0x64), last(0xff), largest] {
        let mut initiator = Initiator::with_key(INFO_HASH, Methods::Both, PRIVATE_A, b"");
        assert_eq!(initiator.handle_input(&public_key), Err(HandshakeError::InvalidPublicKey), "{public_key:x?}");
        let mut responder = Responder::with_key(Methods::Both, PRIVATE_B, Vec::new());
        assert_eq!(responder.handle_input(&public_key, find), Err(HandshakeError::InvalidPublicKey));
        assert_eq!(responder.poll_output(), None);
    }
    for public_key in [small(2), small(3), last(0x60), last(0x61)] {
        let mut responder = Responder::with_key(Methods::Both, PRIVATE_B, Vec::new());
        assert_eq!(responder.handle_input(&public_key, find), Ok(()), "{public_key:x?}");
    }
}

#[test]
fn a_responder_takes_every_pad_and_payload() {
    for pad_a in [0, 1, 511, 512] {
        for pad_c in [0, 1, 511, 512] {
            for payload in [0, 1, 67, 68] {
                let mut script = ScriptedInitiator { pad_a, pad_c, payload, ..ScriptedInitiator::default() };
                for size in [1, 7, 600, usize::MAX] {
                    let outcome = script.run(Methods::Rc4Only, size);
                    let established = outcome.unwrap_or_else(|error| panic!("{script:?}, {size}: {error}"));
                    assert_eq!(established.received, [&HANDSHAKE[..payload], b"more"].concat());
                }
                script.length_field = Some(513);
                let error = script.run(Methods::Both, usize::MAX).unwrap_err();
                assert_eq!(error, HandshakeError::PadTooLong { length: 513 });
            }
        }
    }
}

#[test]
fn an_initiator_takes_every_pad() {
    for pad_b in [0, 1, 511, 512] {
        for pad_d in [0, 1, 511, 512] {
            for size in [1, 7, 600, usize::MAX] {
                let script = ScriptedResponder { pad_b, pad_d, ..ScriptedResponder::default() };
                let outcome = script.run(Methods::Both, size);
                let established = outcome.unwrap_or_else(|error| panic!("{script:?}, {size}: {error}"));
                assert_eq!(established.ciphers.method(), Method::Rc4);
                assert_eq!(established.received, b"more");
            }
        }
    }
}

#[test]
fn what_an_initiator_must_not_send_is_an_error() {
    let valid = ScriptedInitiator::default();
    for (script, error) in [
        (ScriptedInitiator { pad_a: 513, ..valid }, HandshakeError::NoSynchronisation),
        (ScriptedInitiator { pad_a: 5000, ..valid }, HandshakeError::NoSynchronisation),
        (ScriptedInitiator { info_hash: [7; 20], ..valid }, HandshakeError::UnknownTorrent),
        (ScriptedInitiator { verification: [0, 0, 0, 0, 0, 0, 0, 1], ..valid }, HandshakeError::WrongVerification),
        (ScriptedInitiator { verification: [1, 0, 0, 0, 0, 0, 0, 0], ..valid }, HandshakeError::WrongVerification),
        (ScriptedInitiator { provided: 0, ..valid }, HandshakeError::NoCommonMethod { provided: 0 }),
        (ScriptedInitiator { provided: 1, ..valid }, HandshakeError::NoCommonMethod { provided: 1 }),
        (ScriptedInitiator { provided: 4, ..valid }, HandshakeError::NoCommonMethod { provided: 4 }),
        (ScriptedInitiator { length_field: Some(0xffff), ..valid }, HandshakeError::PadTooLong { length: 0xffff }),
        (ScriptedInitiator { payload_field: Some(69), ..valid }, HandshakeError::InitialPayloadTooLong { length: 69 }),
    ] {
        for size in [1, 100, usize::MAX] {
            assert_eq!(script.run(Methods::Rc4Only, size).unwrap_err(), error);
        }
    }
    // Bits without a meaning, and a choice.
    for (provided, methods, method) in [
        (0xffff_ffff, Methods::Both, Method::Plaintext),
        (3, Methods::Rc4Only, Method::Rc4),
        (3, Methods::PlaintextOnly, Method::Plaintext),
        (0x8000_0002, Methods::Both, Method::Rc4),
    ] {
        let established = ScriptedInitiator { provided, ..valid }.run(methods, usize::MAX).unwrap();
        assert_eq!(established.ciphers.method(), method);
    }
}

#[test]
fn what_a_responder_must_not_send_is_an_error() {
    let valid = ScriptedResponder::default();
    for (script, methods, error) in [
        (ScriptedResponder { pad_b: 513, ..valid }, Methods::Both, HandshakeError::NoSynchronisation),
        (ScriptedResponder { pad_b: 5000, ..valid }, Methods::Both, HandshakeError::NoSynchronisation),
        (ScriptedResponder { info_hash: [7; 20], ..valid }, Methods::Both, HandshakeError::NoSynchronisation),
        (
            ScriptedResponder { verification: [0, 0, 0, 0, 0, 0, 0, 1], ..valid },
            Methods::Both,
            HandshakeError::NoSynchronisation,
        ),
        (ScriptedResponder { selected: 0, ..valid }, Methods::Both, HandshakeError::InvalidSelection { selected: 0 }),
        (ScriptedResponder { selected: 3, ..valid }, Methods::Both, HandshakeError::InvalidSelection { selected: 3 }),
        (
            ScriptedResponder { selected: 2, ..valid },
            Methods::PlaintextOnly,
            HandshakeError::InvalidSelection { selected: 2 },
        ),
        (
            ScriptedResponder { selected: 1, ..valid },
            Methods::Rc4Only,
            HandshakeError::InvalidSelection { selected: 1 },
        ),
        (
            ScriptedResponder { length_field: Some(513), ..valid },
            Methods::Both,
            HandshakeError::PadTooLong { length: 513 },
        ),
    ] {
        for size in [1, 100, usize::MAX] {
            assert_eq!(script.run(methods, size).unwrap_err(), error);
        }
    }
}

/// The limits that the documentation of the module gives.
#[test]
fn a_handshake_is_over_after_so_many_bytes() {
    let script = ScriptedInitiator { pad_a: 512, pad_c: 512, payload: 68, ..ScriptedInitiator::default() };
    let messages = script.messages(&PrivateKey::new(PRIVATE_B).public_key());
    assert_eq!(messages.len() - b"more".len(), 1244);
    let script = ScriptedResponder { pad_b: 512, pad_d: 512, ..ScriptedResponder::default() };
    assert_eq!(script.messages(&PrivateKey::new(PRIVATE_A).public_key()).len() - b"more".len(), 1134);
}

#[test]
fn a_handshake_that_ends_too_early_is_neither_an_error_nor_a_result() {
    let messages = ScriptedInitiator { pad_a: 512, pad_c: 512, ..ScriptedInitiator::default() }
        .messages(&PrivateKey::new(PRIVATE_B).public_key());
    let mut responder = Responder::with_key(Methods::Rc4Only, PRIVATE_B, Vec::new());
    let handshake = messages.len() - b"more".len();
    for byte in &messages[..handshake - 1] {
        assert_eq!(responder.handle_input(&[*byte], find), Ok(()));
        assert!(responder.poll_established().is_none());
    }
    responder.handle_input(&messages[handshake - 1..handshake], find).unwrap();
    assert!(responder.poll_established().is_some());
    assert_eq!(responder.handle_input(b"", find), Err(HandshakeError::Over));
}

#[test]
fn the_first_bytes_tell_the_kind() {
    for length in 0..20 {
        assert_eq!(detect(&HANDSHAKE[..length]), Detected::Undecided);
        let mut other = HANDSHAKE[..=length].to_vec();
        other[length] ^= 1;
        assert_eq!(detect(&other), Detected::Encrypted);
    }
    assert_eq!(detect(&HANDSHAKE[..20]), Detected::Plain);
    assert_eq!(detect(HANDSHAKE), Detected::Plain);
    assert_eq!(detect(&hex(PUBLIC_A)), Detected::Encrypted);
}

#[test]
fn pads_have_all_lengths_and_random_bytes() {
    let mut rng = StdRng::seed_from_u64(1);
    let pads: Vec<_> = (0..20_000).map(|_| random_pad(&mut rng)).collect();
    for length in 0..=MAX_PAD {
        assert!(pads.iter().any(|pad| pad.len() == length), "{length}");
    }
    assert!(pads.iter().all(|pad| pad.len() <= MAX_PAD));
    let long: Vec<_> = pads.iter().filter(|pad| pad.len() == MAX_PAD).collect();
    assert_ne!(long[0], long[1]);
}

#[test]
fn logs_have_neither_keys_nor_payload() {
    let mut rng = StdRng::seed_from_u64(1);
    let initiator = Initiator::new(INFO_HASH, Methods::Both, &mut rng);
    assert_eq!(format!("{initiator:?}"), "Initiator { methods: Both, .. }");
    let responder = Responder::new(Methods::Rc4Only, &mut rng);
    assert_eq!(format!("{responder:?}"), "Responder { methods: Rc4Only, .. }");
    let established = Established { info_hash: INFO_HASH, ciphers: Ciphers::plaintext(), received: vec![1, 2, 3] };
    assert_eq!(format!("{established:?}"), "Established { ciphers: Ciphers(Plaintext), received: 3, .. }");
}

/// An initiator whose messages are put together here. It waits for nothing, since it knows the key of the responder.
#[derive(Debug, Clone, Copy)]
struct ScriptedInitiator {
    info_hash: [u8; 20],
    pad_a: usize,
    verification: [u8; 8],
    provided: u32,
    pad_c: usize,
    /// What the length of PadC is said to be, if not its length.
    length_field: Option<u16>,
    payload: usize,
    /// What the length of the payload is said to be, if not its length.
    payload_field: Option<u16>,
}

impl Default for ScriptedInitiator {
    fn default() -> Self {
        Self {
            info_hash: INFO_HASH,
            pad_a: 0,
            verification: [0; 8],
            provided: 2,
            pad_c: 0,
            length_field: None,
            payload: 68,
            payload_field: None,
        }
    }
}

impl ScriptedInitiator {
    /// Messages 1 and 3, and some payload after them.
    fn messages(&self, public_key: &[u8; KEY_LENGTH]) -> Vec<u8> {
        let private_key = PrivateKey::new(PRIVATE_A);
        let secret = private_key.shared_secret(public_key).unwrap();
        let mut messages = private_key.public_key().to_vec();
        messages.extend(vec![0xaa; self.pad_a]);
        messages.extend(secret.mark());
        messages.extend(secret.mask(obfuscated_hash(&self.info_hash)));

        let mut encrypted = self.verification.to_vec();
        encrypted.extend(self.provided.to_be_bytes());
        encrypted.extend(self.length_field.unwrap_or(self.pad_c as u16).to_be_bytes());
        encrypted.extend(vec![0; self.pad_c]);
        encrypted.extend(self.payload_field.unwrap_or(self.payload as u16).to_be_bytes());
        encrypted.extend(&HANDSHAKE[..self.payload]);
        encrypted.extend(b"more");
        messages.extend(keystream(encrypted, secret.initiator_cipher(&self.info_hash)));
        messages
    }

    /// Feeds a responder in segments of this size.
    fn run(&self, methods: Methods, size: usize) -> Result<Established, HandshakeError> {
        let mut responder = Responder::with_key(methods, PRIVATE_B, vec![0xbb; 100]);
        let messages = self.messages(&PrivateKey::new(PRIVATE_B).public_key());
        let outcome = messages.chunks(size).try_for_each(|segment| responder.handle_input(segment, find));
        let established = responder.poll_established();
        assert_eq!(responder.handle_input(b"more", find), Err(HandshakeError::Over));
        outcome.map(|()| established.expect("without an error it is over"))
    }
}

/// A responder whose messages are put together here.
#[derive(Debug, Clone, Copy)]
struct ScriptedResponder {
    info_hash: [u8; 20],
    pad_b: usize,
    verification: [u8; 8],
    selected: u32,
    pad_d: usize,
    /// What the length of PadD is said to be, if not its length.
    length_field: Option<u16>,
}

impl Default for ScriptedResponder {
    fn default() -> Self {
        Self { info_hash: INFO_HASH, pad_b: 0, verification: [0; 8], selected: 2, pad_d: 0, length_field: None }
    }
}

impl ScriptedResponder {
    /// Messages 2 and 4, and some payload after them.
    fn messages(&self, public_key: &[u8; KEY_LENGTH]) -> Vec<u8> {
        let private_key = PrivateKey::new(PRIVATE_B);
        let secret = private_key.shared_secret(public_key).unwrap();
        let mut messages = private_key.public_key().to_vec();
        messages.extend(vec![0xbb; self.pad_b]);

        let mut encrypted = self.verification.to_vec();
        encrypted.extend(self.selected.to_be_bytes());
        encrypted.extend(self.length_field.unwrap_or(self.pad_d as u16).to_be_bytes());
        encrypted.extend(vec![0; self.pad_d]);
        encrypted.extend(b"more");
        messages.extend(keystream(encrypted, secret.responder_cipher(&self.info_hash)));
        messages
    }

    /// Feeds an initiator in segments of this size, with as many zeros at the end as it waits for a mark.
    fn run(&self, methods: Methods, size: usize) -> Result<Established, HandshakeError> {
        let mut initiator = Initiator::with_key(INFO_HASH, methods, PRIVATE_A, &[0xaa; 100]);
        let messages = self.messages(&PrivateKey::new(PRIVATE_A).public_key());
        let mut outcome = messages.chunks(size).try_for_each(|segment| initiator.handle_input(segment));
        let established = initiator.poll_established();
        if outcome.is_ok() && established.is_none() {
            outcome = initiator.handle_input(&[0; MAX_PAD]);
        }
        assert_eq!(initiator.handle_input(b"more"), Err(HandshakeError::Over));
        outcome.map(|()| established.expect("without an error it is over"))
    }
}

fn keystream(mut bytes: Vec<u8>, mut cipher: Rc4) -> Vec<u8> {
    cipher.apply_keystream(&mut bytes);
    bytes
}

fn find(hash: &[u8; 20]) -> Option<[u8; 20]> {
    (*hash == obfuscated_hash(&INFO_HASH)).then_some(INFO_HASH)
}

fn hex(digits: &str) -> Vec<u8> {
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

fn key(digits: &str) -> [u8; KEY_LENGTH] {
    hex(digits).try_into().unwrap()
}
