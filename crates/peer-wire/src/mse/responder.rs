//! The side that has accepted the connection.

use std::{fmt, mem};

use rand::{Rng, RngExt};
use rc4::StreamCipher;

use super::ciphers::Rc4Pair;
use super::input::Input;
use super::key_exchange::{KEY_LENGTH, PRIVATE_KEY_LENGTH, PrivateKey, SharedSecret};
use super::{
    Ciphers, Established, HandshakeError, MAX_INITIAL_PAYLOAD, Method, Methods, Step, VERIFICATION, pad_length,
    random_pad,
};

/// The side that has accepted the connection. See the [module](super) for how it is used.
pub struct Responder {
    methods: Methods,
    state: State,
    input: Input,
    output: Vec<u8>,
}

enum State {
    Key {
        private_key: PrivateKey,
        pad_b: Vec<u8>,
    },
    Synchronise {
        secret: SharedSecret,
    },
    Torrent {
        secret: SharedSecret,
    },
    Provision(Agreed),
    /// PadC and the length of IA.
    PadC {
        agreed: Agreed,
        method: Method,
        length: usize,
    },
    InitialPayload {
        agreed: Agreed,
        method: Method,
        length: usize,
    },
    Established(Established),
    Over,
}

/// What both sides know once the torrent is found.
struct Agreed {
    info_hash: [u8; 20],
    ciphers: Box<Rc4Pair>,
}

impl Responder {
    /// Waits for a handshake. Nothing is computed until a public key has come.
    ///
    /// The private key and PadB come from `rng`. PadD is empty: the specification keeps it for extensions.
    pub fn new(methods: Methods, rng: &mut impl Rng) -> Self {
        Self::with_key(methods, rng.random(), random_pad(rng))
    }

    pub(super) fn with_key(methods: Methods, private_key: [u8; PRIVATE_KEY_LENGTH], pad_b: Vec<u8>) -> Self {
        let state = State::Key { private_key: PrivateKey::new(private_key), pad_b };
        Self { methods, state, input: Input::default(), output: Vec::new() }
    }

    /// Takes bytes that the peer has sent, as many or few as there are, beginning with the first of the connection. The call in
    /// which a public key is complete costs two exponentiations.
    ///
    /// `find` returns the info-hash that has this [`obfuscated_hash`](super::obfuscated_hash), if its torrent is here. It is
    /// called once in a handshake.
    ///
    /// # Errors
    ///
    /// If these bytes are none that an initiator for one of the torrents sends, and for everything that comes later. Close the
    /// connection.
    pub fn handle_input(
        &mut self,
        bytes: &[u8],
        find: impl Fn(&[u8; 20]) -> Option<[u8; 20]>,
    ) -> Result<(), HandshakeError> {
        self.input.push(bytes);
        loop {
            match self.step(&find)? {
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

    /// The result, once, when the handshake is over. What [`poll_output`](Self::poll_output) has still has to be sent before
    /// anything else.
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

    fn step(&mut self, find: impl Fn(&[u8; 20]) -> Option<[u8; 20]>) -> Result<Step<State>, HandshakeError> {
        // After an error it stays `Over`.
        Ok(match mem::replace(&mut self.state, State::Over) {
            State::Key { private_key, pad_b } => match self.input.take_array::<KEY_LENGTH>() {
                Some(public_key) => {
                    let secret = private_key.shared_secret(&public_key)?;
                    self.output.extend(private_key.public_key());
                    self.output.extend(pad_b);
                    Step::Next(State::Synchronise { secret })
                }
                None => Step::Wait(State::Key { private_key, pad_b }),
            },
            State::Synchronise { secret } => {
                if self.input.skip_past(&secret.mark())? {
                    Step::Next(State::Torrent { secret })
                } else {
                    Step::Wait(State::Synchronise { secret })
                }
            }
            State::Torrent { secret } => match self.input.take_array::<20>() {
                Some(masked) => {
                    let info_hash = find(&secret.mask(masked)).ok_or(HandshakeError::UnknownTorrent)?;
                    let outgoing = secret.responder_cipher(&info_hash);
                    let incoming = secret.initiator_cipher(&info_hash);
                    Step::Next(State::Provision(Agreed {
                        info_hash,
                        ciphers: Box::new(Rc4Pair { outgoing, incoming }),
                    }))
                }
                None => Step::Wait(State::Torrent { secret }),
            },
            State::Provision(mut agreed) => match self.input.take_array::<14>() {
                Some(mut fields) => {
                    agreed.ciphers.incoming.apply_keystream(&mut fields);
                    let [verification @ .., a, b, c, d, e, f] = fields;
                    if verification != VERIFICATION {
                        return Err(HandshakeError::WrongVerification);
                    }
                    let method = self.methods.select(u32::from_be_bytes([a, b, c, d]))?;
                    Step::Next(State::PadC { agreed, method, length: pad_length([e, f])? })
                }
                None => Step::Wait(State::Provision(agreed)),
            },
            State::PadC { mut agreed, method, length } => match self.input.take(length + 2) {
                Some(mut bytes) => {
                    agreed.ciphers.incoming.apply_keystream(&mut bytes);
                    let length = u16::from_be_bytes(*bytes.last_chunk().expect("there are at least 2"));
                    if usize::from(length) > MAX_INITIAL_PAYLOAD {
                        return Err(HandshakeError::InitialPayloadTooLong { length });
                    }
                    Step::Next(State::InitialPayload { agreed, method, length: length.into() })
                }
                None => Step::Wait(State::PadC { agreed, method, length }),
            },
            State::InitialPayload { mut agreed, method, length } => match self.input.take(length) {
                Some(mut payload) => {
                    agreed.ciphers.incoming.apply_keystream(&mut payload);
                    Step::Next(State::Established(self.send_selection(agreed, method, payload)))
                }
                None => Step::Wait(State::InitialPayload { agreed, method, length }),
            },
            State::Established(mut established) => {
                established.receive(self.input.take_all());
                Step::Wait(State::Established(established))
            }
            State::Over => return Err(HandshakeError::Over),
        })
    }

    /// Sends message 4.
    fn send_selection(&mut self, agreed: Agreed, method: Method, initial_payload: Vec<u8>) -> Established {
        let Agreed { info_hash, mut ciphers } = agreed;
        let encrypted_from = self.output.len();
        self.output.extend(VERIFICATION);
        self.output.extend(method.bit().to_be_bytes());
        self.output.extend(0_u16.to_be_bytes());
        ciphers.outgoing.apply_keystream(&mut self.output[encrypted_from..]);
        Established { info_hash, ciphers: Ciphers::new(method, ciphers), received: initial_payload }
    }
}

/// Without keys and bytes.
impl fmt::Debug for Responder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Responder").field("methods", &self.methods).finish_non_exhaustive()
    }
}
