//! A connection under any sequence of inputs, commands and times, for the tests and for the fuzz target.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use peer_wire::{
    Block, Connection, ConnectionError, Decoder, Event, ExtendedHandshake, Handshake, Local, METADATA_PIECE_BYTES,
    Message, MetadataMessage, Pex, PexFlags, PexPeer, Reserved, Torrent,
};

/// An info dictionary of two pieces.
static INFO: [u8; 20_000] = [7; 20_000];
const INFO_HASH: [u8; 20] = [7; 20];
const LOCAL_ID: [u8; 20] = [1; 20];

/// Bytes that a connection may allocate, apart from what depends on what it is given.
const MAX_BYTES: usize = 8192;

/// Makes operations of the input and runs them. Checks that it sends nothing but what the peer can take, never too often; that its
/// deadlines are met; that its memory is bounded; and that nothing happens after its end.
pub(crate) fn peer_connection(input: &[u8]) {
    let mut choices = Choices(input);
    let mut trial = Trial::new(&mut choices);
    while !choices.0.is_empty() {
        trial.step(&mut choices);
    }
}

/// Takes choices from bytes; zeros when there are no more.
struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    fn byte(&mut self) -> u8 {
        self.bytes(1).first().copied().unwrap_or(0)
    }

    fn flag(&mut self) -> bool {
        self.byte() % 2 == 1
    }

    fn number(&mut self) -> u32 {
        self.byte().into()
    }

    /// At most so many bytes.
    fn bytes(&mut self, most: usize) -> &'a [u8] {
        let bytes;
        (bytes, self.0) = self.0.split_at(most.min(self.0.len()));
        bytes
    }

    fn address(&mut self) -> SocketAddr {
        let host = self.byte();
        if host < 128 {
            ([10, 0, 0, host], 6881).into()
        } else {
            ([0xfd00, 0, 0, 0, 0, 0, 0, host.into()], 6881).into()
        }
    }

    fn addresses(&mut self) -> Vec<SocketAddr> {
        // Seldom many, since each takes bytes of the input.
        let count = match self.byte() {
            many @ 224.. => many % 64,
            few => few % 4,
        };
        (0..count).map(|_| self.address()).collect()
    }

    fn peers(&mut self) -> Vec<PexPeer> {
        let addresses = self.addresses();
        addresses.into_iter().map(|address| PexPeer { address, flags: PexFlags::from_bits(self.byte()) }).collect()
    }

    fn torrent(&mut self) -> Torrent {
        let torrent = match self.byte() % 4 {
            1 => Torrent::default().with_privacy(true),
            2 => Torrent::default().with_info(Bytes::from_static(&INFO)),
            _ => Torrent::default(),
        };
        if self.flag() { torrent.with_piece_count(self.number()) } else { torrent }
    }

    fn block(&mut self) -> Block {
        Block { piece: self.number(), begin: self.number(), length: self.number() }
    }

    /// The bytes of a message that a peer could send.
    fn message(&mut self) -> Vec<u8> {
        let payload;
        let message = match self.byte() % 16 {
            0 => Message::KeepAlive,
            1 => Message::Have { piece: self.number() },
            2 => {
                let most = usize::from(self.byte());
                Message::Bitfield(self.bytes(most))
            }
            3 => Message::HaveAll,
            4 => Message::HaveNone,
            5 => Message::Request(self.block()),
            6 => Message::Cancel(self.block()),
            7 => {
                if self.flag() {
                    Message::Interested
                } else {
                    Message::NotInterested
                }
            }
            8 => {
                payload = self.number().to_be_bytes().to_vec();
                Message::Extended { id: 3, payload: &payload }
            }
            9 => {
                payload = Pex { added: self.peers(), dropped: self.addresses() }.encode();
                Message::Extended { id: 1, payload: &payload }
            }
            10 | 11 => {
                payload = self.metadata();
                Message::Extended { id: 2, payload: &payload }
            }
            12..15 => {
                payload = self.extended_handshake();
                Message::Extended { id: 0, payload: &payload }
            }
            _ => {
                let id = self.byte();
                let most = usize::from(self.byte());
                Message::Extended { id, payload: self.bytes(most) }
            }
        };
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        bytes
    }

    fn metadata(&mut self) -> Vec<u8> {
        let piece = match self.byte() {
            255 => 9999,
            piece => piece.into(),
        };
        let data = vec![0; 1000 * self.byte() as usize % 17_000];
        match self.byte() % 3 {
            0 => MetadataMessage::Request { piece }.encode(),
            1 => MetadataMessage::Data { piece, total_size: 1000, data: &data }.encode(),
            _ => MetadataMessage::Reject { piece }.encode(),
        }
    }

    fn extended_handshake(&mut self) -> Vec<u8> {
        const CLIENTS: [&str; 5] =
            ["qBittorrent/4.5.2", "Transmission 3.00", "libTorrent 0.13.8", "aria2/1.36.0", "other"];

        let mut handshake = ExtendedHandshake::default();
        handshake.client = CLIENTS.get(usize::from(self.byte() % 8)).map(|&client| client.to_owned());
        handshake.extensions.pex = Some(self.byte() % 8).filter(|id| *id < 5);
        handshake.extensions.metadata = Some(self.byte() % 8).filter(|id| *id < 5);
        handshake.metadata_size = Some(1000 * self.number()).filter(|size| *size < 100_000);
        handshake.encode()
    }
}

struct Trial {
    connection: Connection,
    now: Duration,
    torrent: Option<Torrent>,
    takes_requests: bool,
    /// Bytes that were given to the connection.
    given: usize,
    ended: Option<ConnectionError>,
    peer: Reader,
}

impl Trial {
    fn new(choices: &mut Choices<'_>) -> Self {
        let local = Local::new(LOCAL_ID, "Example 0.1");
        let remote = [10, 0, 0, 2].into();
        let torrent = choices.flag().then(|| choices.torrent());
        let connection = match torrent.clone() {
            Some(torrent) => Connection::dial(Duration::ZERO, local, remote, INFO_HASH, torrent),
            None => Connection::accept(Duration::ZERO, local, remote),
        };
        let mut trial = Self {
            connection,
            now: Duration::ZERO,
            torrent,
            takes_requests: false,
            given: 0,
            ended: None,
            peer: Reader::default(),
        };
        if choices.byte() > 0 {
            let handshake = Handshake {
                reserved: Reserved::new([0, 0, 0, 0, 0, choices.byte(), 0, choices.byte()]),
                info_hash: INFO_HASH,
                peer_id: [2; 20],
            };
            trial.input(choices, &handshake.encode());
        }
        trial
    }

    fn step(&mut self, choices: &mut Choices<'_>) {
        match choices.byte() % 16 {
            0 => {
                let most = usize::from(choices.byte());
                let bytes = choices.bytes(most);
                self.input(choices, bytes);
            }
            1..8 => {
                let message = choices.message();
                self.input(choices, &message);
            }
            8 | 9 => self.wait(Duration::from_millis(100 * u64::from(choices.byte()))),
            10 => self.wait(Duration::from_secs(choices.byte().into())),
            11 | 12 => {
                let (added, gone) = (choices.peers(), choices.addresses());
                self.connection.introduce(self.now, &added, &gone);
            }
            13 => _ = self.connection.request_metadata(self.now),
            14 => {
                let torrent = choices.torrent();
                self.torrent = Some(torrent.clone());
                let result = self.connection.set_torrent(self.now, torrent);
                self.check_result(result);
            }
            _ => self.command(choices),
        }
        self.check();
    }

    fn command(&mut self, choices: &mut Choices<'_>) {
        match choices.byte() % 8 {
            0 => self.connection.keep_only_count(),
            1 => self.connection.have(self.now, choices.number()),
            2 => self.connection.unchoke(self.now),
            3 => self.connection.choke(self.now),
            4 => self.connection.reject(self.now, choices.block()),
            _ => {
                self.takes_requests = choices.flag();
                self.connection.take_requests(self.now, self.takes_requests);
            }
        }
    }

    fn input(&mut self, choices: &mut Choices<'_>, bytes: &[u8]) {
        let cut = if choices.flag() { 1 + usize::from(choices.byte()) } else { bytes.len().max(1) };
        for segment in bytes.chunks(cut) {
            self.given += segment.len();
            let result = self.connection.handle_input(self.now, segment);
            self.check_result(result);
            self.check();
        }
    }

    /// Lets time pass, and calls the connection at its deadlines.
    fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.connection.poll_timeout().filter(|due| *due <= end) {
            assert!(due >= self.now, "a deadline has passed");
            self.now = due;
            let result = self.connection.handle_timeout(due);
            self.check_result(result);
            self.check();
            assert!(self.connection.poll_timeout().is_none_or(|next| next > due), "a deadline stays");
        }
        self.now = end;
        let result = self.connection.handle_timeout(end);
        self.check_result(result);
    }

    fn check_result(&mut self, result: Result<(), ConnectionError>) {
        match self.ended {
            Some(error) => assert_eq!(result, Err(error), "the connection had ended"),
            None => self.ended = result.err(),
        }
    }

    fn check(&mut self) {
        while let Some(event) = self.connection.poll_event() {
            match event {
                Event::Progress(progress) => {
                    assert_eq!(progress, self.connection.pieces().progress());
                    if let Some(of) = progress.of {
                        assert!(progress.had <= of && (progress.is_complete == (progress.had == of) || of == 0));
                    }
                }
                Event::Request(_) => assert!(self.takes_requests, "the request is refused"),
                _ => {}
            }
        }
        if self.ended.is_some() {
            assert_eq!((self.connection.poll_output(), self.connection.poll_timeout()), (None, None));
        }
        let is_private = self.torrent.as_ref().is_some_and(|torrent| torrent.is_private);
        while let Some(output) = self.connection.poll_output() {
            self.peer.read(self.now, is_private, &output);
        }
        let rest = self.connection.allocated() - self.connection.pieces().allocated();
        assert!(rest <= MAX_BYTES + 2 * self.given, "{rest} bytes for {}", self.given);
    }
}

/// The peer, as far as it reads.
#[derive(Default)]
struct Reader {
    handshake: Vec<u8>,
    /// `None` before the handshake is complete.
    decoder: Option<Decoder>,
    told_pieces: bool,
    told_peers: BTreeSet<SocketAddr>,
    pex_times: Vec<Duration>,
    is_offered_info: bool,
}

impl Reader {
    fn read(&mut self, now: Duration, is_private: bool, mut bytes: &[u8]) {
        let missing = Handshake::BYTES - self.handshake.len();
        let (part, rest) = bytes.split_at(missing.min(bytes.len()));
        self.handshake.extend(part);
        bytes = rest;
        let Some(handshake) = Handshake::decode(&self.handshake).expect("a handshake") else { return };
        assert_eq!((handshake.info_hash, handshake.peer_id), (INFO_HASH, LOCAL_ID));

        let mut decoder = self.decoder.take().unwrap_or_else(|| Decoder::new(None));
        while let Some(message) = decoder.decode(&mut bytes).expect("a message") {
            match message {
                Message::KeepAlive | Message::Reject(_) => {}
                Message::Have { .. } | Message::Choke | Message::Unchoke => {}
                Message::HaveNone => {
                    assert!(!self.told_pieces, "it is told once");
                    self.told_pieces = true;
                }
                Message::Extended { id: 0, payload } => {
                    let handshake = ExtendedHandshake::decode(payload).expect("an extended handshake");
                    assert_eq!((handshake.upload_only, handshake.port), (None, None));
                    if let Some(size) = handshake.metadata_size {
                        assert!(!self.is_offered_info && size as usize == INFO.len());
                        self.is_offered_info = true;
                    }
                }
                Message::Extended { payload, .. } => match MetadataMessage::decode(payload) {
                    Ok(MetadataMessage::Data { piece, total_size, data }) => {
                        assert!(self.is_offered_info && total_size as usize == INFO.len());
                        assert_eq!(Some(data), INFO.chunks(METADATA_PIECE_BYTES).nth(piece as usize));
                    }
                    Ok(_) => {}
                    Err(_) => self.read_pex(now, is_private, &Pex::decode(payload).expect("peer exchange")),
                },
                other => panic!("this is never sent: {other:?}"),
            }
        }
        self.decoder = Some(decoder);
    }

    fn read_pex(&mut self, now: Duration, is_private: bool, pex: &Pex) {
        assert!(!is_private && !pex.added.is_empty());
        for address in &pex.dropped {
            assert!(self.told_peers.remove(address), "the peer was not told of {address}");
        }
        for peer in &pex.added {
            assert!(self.told_peers.insert(peer.address), "the peer was told of {} before", peer.address);
        }
        assert!(self.told_peers.len() <= 50);
        self.pex_times.push(now);
        if let Some(sixth_last) = self.pex_times.len().checked_sub(6) {
            assert!(now - self.pex_times[sixth_last] >= Duration::from_secs(60));
        }
    }
}
