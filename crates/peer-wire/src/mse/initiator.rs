//! The side that has opened the connection.

use std::{fmt, mem};

use rand::{Rng, RngExt};
use rc4::StreamCipher;

use super::ciphers::Rc4Pair;
use super::input::Input;
use super::key_exchange::{KEY_LENGTH, PRIVATE_KEY_LENGTH, PrivateKey, SharedSecret};
use super::{
    Ciphers, Established, HandshakeError, Method, Methods, Step, VERIFICATION, obfuscated_hash, pad_length, random_pad,
};

/// The side that has opened the connection. See the [module](super) for how it is used.
pub struct Initiator {
    info_hash: [u8; 20],
    methods: Methods,
    state: State,
    input: Input,
    output: Vec<u8>,
}

enum State {
    Key { private_key: PrivateKey },
    Synchronise { ciphers: Box<Rc4Pair>, mark: [u8; VERIFICATION.len()] },
    Selection { ciphers: Box<Rc4Pair> },
    PadD { ciphers: Box<Rc4Pair>, method: Method, length: usize },
    Established(Established),
    Over,
}

impl Initiator {
    /// Begins a handshake for this torrent. Costs an exponentiation.
    ///
    /// The private key and PadA come from `rng`. PadC is empty: the specification keeps it for extensions. The payload IA is
    /// empty, too, as aria2's is: Transmission before 4.1 takes it for plaintext if it selects plaintext, and closes the
    /// connection. So the BitTorrent handshake comes after this one, a round trip later.
    pub fn new(info_hash: [u8; 20], methods: Methods, rng: &mut impl Rng) -> Self {
        Self::with_key(info_hash, methods, rng.random(), &random_pad(rng))
    }

    pub(super) fn with_key(
        info_hash: [u8; 20],
        methods: Methods,
        private_key: [u8; PRIVATE_KEY_LENGTH],
        pad_a: &[u8],
    ) -> Self {
        let private_key = PrivateKey::new(private_key);
        let output = [&private_key.public_key(), pad_a].concat();
        Self { info_hash, methods, state: State::Key { private_key }, input: Input::default(), output }
    }

    /// Takes bytes that the peer has sent, as many or few as there are.
    ///
    /// # Errors
    ///
    /// If these bytes are none that a responder for this torrent sends, and for everything that comes later. Close the
    /// connection.
    pub fn handle_input(&mut self, bytes: &[u8]) -> Result<(), HandshakeError> {
        self.input.push(bytes);
        loop {
            match self.step()? {
                Step::Next(state) => self.state = state,
                Step::Wait(state) => {
                    self.state = state;
                    return Ok(());
                }
            }
        }
    }

    /// Bytes to send to the peer.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<Vec<u8>> {
        (!self.output.is_empty()).then(|| mem::take(&mut self.output))
    }

    /// The result, once, when the handshake is over.
    #[must_use]
    pub fn poll_established(&mut self) -> Option<Established> {
        match mem::replace(&mut self.state, State::Over) {
            State::Established(established) => Some(established),
            state => {
                self.state = state;
                None
            }
        }
    }

    fn step(&mut self) -> Result<Step<State>, HandshakeError> {
        // After an error it stays `Over`.
        Ok(match mem::replace(&mut self.state, State::Over) {
            State::Key { private_key } => match self.input.take_array::<KEY_LENGTH>() {
                Some(public_key) => {
                    let secret = private_key.shared_secret(&public_key)?;
                    Step::Next(self.send_request(&secret))
                }
                None => Step::Wait(State::Key { private_key }),
            },
            State::Synchronise { ciphers, mark } => {
                if self.input.skip_past(&mark)? {
                    Step::Next(State::Selection { ciphers })
                } else {
                    Step::Wait(State::Synchronise { ciphers, mark })
                }
            }
            State::Selection { mut ciphers } => match self.input.take_array::<6>() {
                Some(mut fields) => {
                    ciphers.incoming.apply_keystream(&mut fields);
                    let [a, b, c, d, length @ ..] = fields;
                    let method = self.methods.selected(u32::from_be_bytes([a, b, c, d]))?;
                    Step::Next(State::PadD { ciphers, method, length: pad_length(length)? })
                }
                None => Step::Wait(State::Selection { ciphers }),
            },
            State::PadD { mut ciphers, method, length } => match self.input.take(length) {
                Some(mut pad) => {
                    ciphers.incoming.apply_keystream(&mut pad);
                    let ciphers = Ciphers::new(method, ciphers);
                    let info_hash = self.info_hash;
                    Step::Next(State::Established(Established { info_hash, ciphers, received: Vec::new() }))
                }
                None => Step::Wait(State::PadD { ciphers, method, length }),
            },
            State::Established(mut established) => {
                established.receive(self.input.take_all());
                Step::Wait(State::Established(established))
            }
            State::Over => return Err(HandshakeError::Over),
        })
    }

    /// Sends message 3.
    fn send_request(&mut self, secret: &SharedSecret) -> State {
        let mut ciphers = Box::new(Rc4Pair {
            outgoing: secret.initiator_cipher(&self.info_hash),
            incoming: secret.responder_cipher(&self.info_hash),
        });
        self.output.extend(secret.mark());
        self.output.extend(secret.mask(obfuscated_hash(&self.info_hash)));
        let encrypted_from = self.output.len();
        self.output.extend(VERIFICATION);
        self.output.extend(self.methods.bits().to_be_bytes());
        let [pad_length, payload_length] = [0_u16; 2];
        self.output.extend(pad_length.to_be_bytes());
        self.output.extend(payload_length.to_be_bytes());
        ciphers.outgoing.apply_keystream(&mut self.output[encrypted_from..]);

        let mut mark = VERIFICATION;
        ciphers.incoming.apply_keystream(&mut mark);
        State::Synchronise { ciphers, mark }
    }
}

/// Without keys and bytes.
impl fmt::Debug for Initiator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Initiator").field("methods", &self.methods).finish_non_exhaustive()
    }
}
