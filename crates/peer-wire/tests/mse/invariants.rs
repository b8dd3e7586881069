//! Invariants of handshakes over a connection that damages what it carries, for the tests and for the fuzz target.

use peer_wire::mse::{
    Detected, Established, HandshakeError, Initiator, Method, Methods, Responder, detect, obfuscated_hash,
};
use rand::SeedableRng;
use rand::rngs::StdRng;

/// The most bytes that each side takes before it is over or has failed.
const RESPONDER_BYTES: usize = 1244;
const INITIATOR_BYTES: usize = 1134;

/// Operations on one conversation; more are left out.
const MAX_OPERATIONS: usize = 4096;

const INFO_HASH: [u8; 20] = *b"aaaaaaaaaaaaaaaaaaaa";

/// Lets an initiator and a responder talk over a connection that cuts, changes, inserts and drops bytes as the input says. A
/// change of an encrypted byte is the same change of the byte that was encrypted, so that the fields can have every value.
///
/// The outcome never depends on how the bytes are cut, comes in time, and is agreed on if no byte is damaged.
///
/// The first byte of the input has the methods of both, the second the seed of their keys and pads, and then there are two bytes
/// for each operation: the kind and the direction, and a number.
pub(crate) fn mse(input: &[u8]) {
    let Some((&[choice, seed], operations)) = input.split_first_chunk() else { return };
    let settings = Settings { initiator: methods(choice), responder: methods(choice >> 2), seed };
    let mut initiator = Side::new(settings.new_initiator(), INITIATOR_BYTES);
    let mut responder = Side::new(settings.new_responder(), RESPONDER_BYTES);
    let mut is_damaged = false;
    for &[kind, number] in operations.as_chunks().0.iter().take(MAX_OPERATIONS) {
        is_damaged |= if kind & 1 == 0 {
            carry(&mut initiator, &mut responder, kind >> 1, number)
        } else {
            carry(&mut responder, &mut initiator, kind >> 1, number)
        };
    }
    // The rest goes as it is: there are two messages each way.
    for _ in 0..2 {
        responder.receive(&initiator.take(usize::MAX));
        initiator.receive(&responder.take(usize::MAX));
    }

    let first = responder.received.clone();
    let initiator = initiator.finish(settings.new_initiator());
    let responder = responder.finish(settings.new_responder());
    if !is_damaged {
        assert_eq!(detect(&first), Detected::Encrypted);
        assert_agreement(settings, initiator, responder);
    }
}

/// One operation in one direction. Returns `true` if it has damaged something.
fn carry(from: &mut Side<impl Machine>, to: &mut Side<impl Machine>, kind: u8, number: u8) -> bool {
    match kind & 3 {
        0 => {
            to.receive(&from.take(number.into()));
            false
        }
        1 => {
            let mut bytes = from.take(1);
            bytes.iter_mut().for_each(|byte| *byte ^= number);
            to.receive(&bytes);
            number != 0 && !bytes.is_empty()
        }
        2 => {
            let inserted = vec![number; (kind >> 2).into()];
            to.receive(&inserted);
            !inserted.is_empty()
        }
        _ => !from.take(number.into()).is_empty(),
    }
}

fn methods(choice: u8) -> Methods {
    match choice & 3 {
        0 => Methods::PlaintextOnly,
        1 => Methods::Rc4Only,
        _ => Methods::Both,
    }
}

/// What both sides begin with.
#[derive(Clone, Copy)]
struct Settings {
    initiator: Methods,
    responder: Methods,
    seed: u8,
}

impl Settings {
    fn new_initiator(&self) -> Initiator {
        let mut rng = StdRng::seed_from_u64(self.seed.into());
        Initiator::new(INFO_HASH, self.initiator, &mut rng)
    }

    fn new_responder(&self) -> Responder {
        Responder::new(self.responder, &mut StdRng::seed_from_u64(1000 + u64::from(self.seed)))
    }

    /// The method that they agree on.
    fn method(&self) -> Option<Method> {
        match (self.initiator, self.responder) {
            (Methods::PlaintextOnly, Methods::Rc4Only) | (Methods::Rc4Only, Methods::PlaintextOnly) => None,
            (Methods::Rc4Only, _) | (_, Methods::Rc4Only) => Some(Method::Rc4),
            _ => Some(Method::Plaintext),
        }
    }
}

/// Without damage, both sides have the same method and understand each other, or have none.
fn assert_agreement(
    settings: Settings,
    initiator: Result<Option<Established>, HandshakeError>,
    responder: Result<Option<Established>, HandshakeError>,
) {
    let Some(method) = settings.method() else {
        assert!(matches!(responder, Err(HandshakeError::NoCommonMethod { .. })), "{responder:?}");
        assert!(matches!(initiator, Ok(None)), "{initiator:?}");
        return;
    };
    let mut initiator = initiator.expect("no error").expect("over");
    let mut responder = responder.expect("no error").expect("over");
    assert_eq!((initiator.info_hash, responder.info_hash), (INFO_HASH, INFO_HASH));
    assert_eq!((initiator.ciphers.method(), responder.ciphers.method()), (method, method));
    assert_eq!((&initiator.received[..], &responder.received[..]), (&b""[..], &b""[..]));
    for _ in 0..2 {
        let mut bytes = *b"from the initiator";
        initiator.ciphers.encrypt(&mut bytes);
        assert_eq!(bytes == *b"from the initiator", method == Method::Plaintext);
        responder.ciphers.decrypt(&mut bytes);
        assert_eq!(bytes, *b"from the initiator");
        let mut bytes = *b"from the responder";
        responder.ciphers.encrypt(&mut bytes);
        initiator.ciphers.decrypt(&mut bytes);
        assert_eq!(bytes, *b"from the responder");
    }
}

/// One machine, with all that has come to it and from it.
struct Side<M> {
    machine: M,
    /// The most bytes that it takes.
    limit: usize,
    received: Vec<u8>,
    /// What it has sent and nobody has received.
    output: Vec<u8>,
    sent: Vec<u8>,
    error: Option<HandshakeError>,
}

impl<M: Machine> Side<M> {
    fn new(machine: M, limit: usize) -> Self {
        let mut side = Self { machine, limit, received: Vec::new(), output: Vec::new(), sent: Vec::new(), error: None };
        side.send();
        side
    }

    fn receive(&mut self, bytes: &[u8]) {
        self.received.extend(bytes);
        if let Err(error) = self.machine.handle_input(bytes) {
            assert!(self.error.is_none() || error == HandshakeError::Over, "{error}");
            self.error.get_or_insert(error);
        }
        self.send();
    }

    /// Takes so many bytes out of the connection, or all that are there.
    fn take(&mut self, count: usize) -> Vec<u8> {
        self.output.drain(..count.min(self.output.len())).collect()
    }

    fn send(&mut self) {
        while let Some(bytes) = self.machine.poll_output() {
            assert!(!bytes.is_empty());
            self.sent.extend(&bytes);
            self.output.extend(bytes);
        }
    }

    /// The outcome, which is the same for a fresh machine that receives everything at once.
    fn finish(mut self, fresh: M) -> Result<Option<Established>, HandshakeError> {
        let mut other = Self::new(fresh, self.limit);
        other.receive(&self.received);
        assert_eq!(self.sent, other.sent);
        let outcome = self.outcome();
        match (&outcome, &other.outcome()) {
            (Ok(Some(one)), Ok(Some(other))) => {
                assert_eq!(one.received, other.received);
                assert_eq!(one.ciphers.method(), other.ciphers.method());
            }
            (Ok(None), Ok(None)) => assert!(self.received.len() < self.limit),
            (Err(one), Err(other)) => assert_eq!(one, other),
            (one, other) => panic!("{one:?}, {other:?}"),
        }
        outcome
    }

    fn outcome(&mut self) -> Result<Option<Established>, HandshakeError> {
        let established = self.machine.poll_established();
        assert!(self.machine.poll_established().is_none());
        match self.error {
            Some(error) => {
                assert!(established.is_none());
                Err(error)
            }
            None => Ok(established),
        }
    }
}

/// What both machines do.
trait Machine {
    fn handle_input(&mut self, bytes: &[u8]) -> Result<(), HandshakeError>;
    fn poll_output(&mut self) -> Option<Vec<u8>>;
    fn poll_established(&mut self) -> Option<Established>;
}

impl Machine for Initiator {
    fn handle_input(&mut self, bytes: &[u8]) -> Result<(), HandshakeError> {
        self.handle_input(bytes)
    }

    fn poll_output(&mut self) -> Option<Vec<u8>> {
        self.poll_output()
    }

    fn poll_established(&mut self) -> Option<Established> {
        self.poll_established()
    }
}

impl Machine for Responder {
    fn handle_input(&mut self, bytes: &[u8]) -> Result<(), HandshakeError> {
        self.handle_input(bytes, |hash| (*hash == obfuscated_hash(&INFO_HASH)).then_some(INFO_HASH))
    }

    fn poll_output(&mut self) -> Option<Vec<u8>> {
        self.poll_output()
    }

    fn poll_established(&mut self) -> Option<Established> {
        self.poll_established()
    }
}
