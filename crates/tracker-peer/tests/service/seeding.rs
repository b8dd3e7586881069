//! The tracker's own peer seeds what it is given.

use std::collections::{HashSet, VecDeque};
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use peer_wire::mse::{Ciphers, Established, Methods, Responder};
use peer_wire::{Block, Handshake, MAX_REQUESTS, Message, Reserved};
use tracker_core::{AnnounceEvent, AnnounceRequest, PeerId};
use tracker_host::UploadLimit;
use tracker_peer::spreader::Layout;
use tracker_peer::{Content, ContentError, Seeding, Uploaded};

use crate::support::{
    Client, LOOPBACK, PATIENCE, TORRENT, Tracker, addresses, announce, encoded, read_handshake, request, wait_until,
};

/// Ten pieces, the last of which is shorter.
const PIECE: u32 = 512 * 1024;
const TOTAL: u32 = 10 * PIECE - 5000;
const BLOCK: u32 = 16 * 1024;

/// The torrent's bytes.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    is_gone: AtomicBool,
    reads: AtomicU32,
}

fn byte_at(position: u32) -> u8 {
    (position / 251) as u8 ^ position as u8
}

impl Content for Numbers {
    fn layout(&self) -> Layout {
        Layout::new(TOTAL.into(), PIECE).unwrap()
    }

    fn read(&self, block: Block, into: &mut [u8]) -> Result<(), ContentError> {
        if self.is_gone.load(Ordering::SeqCst) {
            return Err(ContentError);
        }
        assert_eq!(into.len(), block.length as usize);
        self.reads.fetch_add(1, Ordering::SeqCst);
        let first = block.piece * PIECE + block.begin;
        into.iter_mut().zip(first..).for_each(|(byte, position)| *byte = byte_at(position));
        Ok(())
    }
}

fn seeding_tracker(seeding: Seeding) -> Tracker {
    Tracker::start_with(addresses(), |config| config.seeding = Some(seeding))
}

/// A message of the own peer that matters here.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    Nothing,
    HaveNone,
    Have(u32),
    Choke,
    Unchoke,
    Rejected(Block),
    /// The right bytes of a block.
    Sent(Block),
}

/// A client that downloads.
struct Downloader {
    client: Client,
    stream: TcpStream,
    ciphers: Ciphers,
}

impl Downloader {
    /// A newcomer that the own peer has connected to.
    fn join(tracker: &Tracker, number: u8, reserved: Reserved) -> Self {
        let client = Client::new(PeerId::new([number; 20]));
        announce(&tracker.shards, &request(TORRENT, client.peer_id, client.port()).with_event(AnnounceEvent::Started));
        Self::accept(client, reserved)
    }

    /// The own peer connects to this client.
    fn accept(client: Client, reserved: Reserved) -> Self {
        let (mut stream, _) = client.listener.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        read_handshake(&mut stream);
        let handshake = Handshake { reserved, ..client.handshake(TORRENT) };
        stream.write_all(&handshake.encode()).unwrap();
        Self { client, stream, ciphers: Ciphers::plaintext() }
    }

    /// The own peer connects to this client, which refuses what is not encrypted.
    fn accept_encrypted(client: Client) -> Self {
        let (mut stream, mut ciphers, mut received) = loop {
            let (mut stream, _) = client.listener.accept().unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            if let Some(Established { ciphers, received, .. }) = respond(&mut stream) {
                break (stream, ciphers, received);
            }
        };
        while received.len() < Handshake::BYTES {
            let mut rest = vec![0; Handshake::BYTES - received.len()];
            stream.read_exact(&mut rest).unwrap();
            ciphers.decrypt(&mut rest);
            received.append(&mut rest);
        }
        assert_eq!(read_handshake(&mut &received[..]).info_hash, *TORRENT.as_bytes());
        assert_eq!(received.len(), Handshake::BYTES, "nothing is sent before the other handshake");
        let mut answer = client.handshake(TORRENT).encode();
        ciphers.encrypt(&mut answer);
        stream.write_all(&answer).unwrap();
        Self { client, stream, ciphers }
    }

    fn read<const BYTES: usize>(&mut self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        self.stream.read_exact(&mut bytes).unwrap();
        self.ciphers.decrypt(&mut bytes);
        bytes
    }

    fn say(&mut self, message: Message<'_>) {
        let mut bytes = encoded(message);
        self.ciphers.encrypt(&mut bytes);
        self.stream.write_all(&bytes).unwrap();
    }

    fn hear(&mut self) -> Said {
        let length = u32::from_be_bytes(self.read());
        let mut message = vec![0; length as usize];
        self.stream.read_exact(&mut message).unwrap();
        self.ciphers.decrypt(&mut message);
        match Message::decode(&message).unwrap() {
            Message::HaveNone => Said::HaveNone,
            Message::Have { piece } => Said::Have(piece),
            Message::Choke => Said::Choke,
            Message::Unchoke => Said::Unchoke,
            Message::Reject(block) => Said::Rejected(block),
            Message::Piece { piece, begin, data } => {
                let first = piece * PIECE + begin;
                assert!(data.iter().zip(first..).all(|(byte, position)| *byte == byte_at(position)), "wrong bytes");
                Said::Sent(Block { piece, begin, length: data.len() as u32 })
            }
            Message::KeepAlive | Message::Extended { .. } => Said::Nothing,
            other => panic!("this is not said: {other:?}"),
        }
    }

    fn hear_until(&mut self, mut is_last: impl FnMut(&Said) -> bool) -> Said {
        loop {
            let said = self.hear();
            if is_last(&said) {
                return said;
            }
        }
    }

    /// The next piece that this is told of.
    fn hear_of_piece(&mut self) -> u32 {
        match self.hear_until(|said| matches!(said, Said::Have(_))) {
            Said::Have(piece) => piece,
            other => unreachable!("{other:?}"),
        }
    }

    fn request(&mut self, block: Block) {
        self.say(Message::Request(block));
    }

    /// Gets everything, and says so piece by piece, as clients do.
    fn download(&mut self) {
        self.say(Message::Interested);
        let (mut left, mut whole) = (TOTAL, 0);
        let (mut is_unchoked, mut waiting, mut told) = (false, VecDeque::new(), HashSet::new());
        let mut requested = 0;
        let mut of_piece = [0; 10];
        while whole < 10 {
            match self.hear() {
                Said::Have(piece) => {
                    assert!(told.insert(piece), "{piece} is told again");
                    waiting.extend(blocks(piece));
                }
                Said::Unchoke => is_unchoked = true,
                Said::Sent(block) => {
                    left -= block.length;
                    requested -= 1;
                    let got = &mut of_piece[block.piece as usize];
                    *got += block.length;
                    if *got == length_of(block.piece) {
                        whole += 1;
                        self.say(Message::Have { piece: block.piece });
                    }
                }
                Said::Nothing | Said::HaveNone => {}
                other => panic!("{other:?}"),
            }
            while is_unchoked
                && requested < MAX_REQUESTS
                && let Some(block) = waiting.pop_front()
            {
                self.request(block);
                requested += 1;
            }
        }
        assert_eq!(left, 0);
    }
}

/// An encrypted handshake with who has connected; `None` if that one does not encrypt.
fn respond(stream: &mut TcpStream) -> Option<Established> {
    let mut responder = Responder::new(Methods::Rc4Only, &mut rand::rng());
    loop {
        let mut buffer = [0; 1024];
        let length = stream.read(&mut buffer).unwrap();
        if length == 0 {
            return None;
        }
        responder.handle_input(&buffer[..length], |_| Some(*TORRENT.as_bytes())).ok()?;
        if let Some(bytes) = responder.poll_output() {
            stream.write_all(&bytes).unwrap();
        }
        if let Some(established) = responder.poll_established() {
            return Some(established);
        }
    }
}

fn length_of(piece: u32) -> u32 {
    PIECE.min(TOTAL - piece * PIECE)
}

fn blocks(piece: u32) -> impl Iterator<Item = Block> {
    let end = length_of(piece);
    (0..end).step_by(BLOCK as usize).map(move |begin| Block { piece, begin, length: BLOCK.min(end - begin) })
}

fn uploaded(tracker: &Tracker) -> Uploaded {
    tracker.service.sightings().uploaded(&TORRENT)
}

fn is_seeding(tracker: &Tracker) -> bool {
    tracker.service.sightings().is_seeding(&TORRENT)
}

fn fast() -> Reserved {
    Reserved::FAST.with(Reserved::EXTENSIONS)
}

#[test]
fn peers_get_everything_with_and_without_the_fast_extension() {
    let tracker = seeding_tracker(Seeding::default());
    tracker.torrents.set_content(TORRENT, Some(Arc::new(Numbers::default())));
    for (number, reserved) in [(1, fast()), (2, Reserved::default()), (3, Reserved::EXTENSIONS)] {
        let mut downloader = Downloader::join(&tracker, number, reserved);
        downloader.download();
        let address = downloader.client.listener.local_addr().unwrap();
        wait_until("what was sent is counted", || uploaded(&tracker).to.contains(&(address, TOTAL.into())));
    }
    let Uploaded { bytes, to } = uploaded(&tracker);
    assert_eq!((is_seeding(&tracker), bytes, to.len()), (true, 3 * u64::from(TOTAL), 3));
}

/// A client that tries uTP first is to dial by TCP at once.
#[test]
fn utp_is_refused() {
    let tracker = seeding_tracker(Seeding::default());
    let client = UdpSocket::bind((LOOPBACK, 0)).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.connect(tracker.service.listening().unwrap()[0]).unwrap();
    let mut syn = [0; 20];
    // Type and version, connection id, sequence number.
    (syn[0], syn[3], syn[17]) = (0x41, 9, 1);
    client.send(&syn).unwrap();
    let mut answer = [0; 64];
    assert_eq!(client.recv(&mut answer).unwrap(), 20);
    assert_eq!((answer[0], &answer[2..4], &answer[18..20]), (0x31, &[0, 9][..], &[0, 1][..]));
}

#[test]
fn a_peer_that_requires_encryption_gets_everything() {
    let tracker = seeding_tracker(Seeding::default());
    tracker.torrents.set_content(TORRENT, Some(Arc::new(Numbers::default())));
    let client = Client::leecher();
    tracker.announce(TORRENT, client.port(), AnnounceEvent::Started);
    Downloader::accept_encrypted(client).download();
}

#[test]
fn a_peer_by_ipv6_gets_everything() {
    let tracker = seeding_tracker(Seeding::default());
    tracker.torrents.set_content(TORRENT, Some(Arc::new(Numbers::default())));
    let ip = IpAddr::V6(Ipv6Addr::LOCALHOST);
    let client = Client { listener: TcpListener::bind((ip, 0)).unwrap(), ..Client::leecher() };
    let request = AnnounceRequest::new(TORRENT, client.peer_id, ip, ip, client.port()).with_left(1);
    announce(&tracker.shards, &request.with_event(AnnounceEvent::Started));
    let address = SocketAddr::new(ip, client.port());
    Downloader::accept(client, fast()).download();
    wait_until("what was sent is counted", || uploaded(&tracker).to == [(address, TOTAL.into())]);
}

#[test]
fn peers_are_told_of_different_pieces() {
    let tracker = seeding_tracker(Seeding::default());
    tracker.torrents.set_content(TORRENT, Some(Arc::new(Numbers::default())));
    let mut all: Vec<_> = (1..=3).map(|number| Downloader::join(&tracker, number, fast())).collect();
    let mut told = HashSet::new();
    for downloader in &mut all {
        assert_eq!(downloader.hear_until(|said| *said != Said::Nothing), Said::HaveNone);
        for _ in 0..2 {
            let piece = downloader.hear_of_piece();
            assert!(told.insert(piece), "{piece} is told of twice");
        }
    }
    // What was not told of is rejected.
    let untold = (0..10).find(|piece| !told.contains(piece)).map(blocks).and_then(|mut blocks| blocks.next()).unwrap();
    all[0].request(untold);
    all[0].hear_until(|said| *said == Said::Rejected(untold));
}

#[test]
fn what_is_cancelled_in_time_is_not_sent() {
    let limit = Some(UploadLimit::new(20_000.try_into().unwrap()));
    let tracker = seeding_tracker(Seeding { upload_limit: limit, slots: None });
    tracker.torrents.set_content(TORRENT, Some(Arc::new(Numbers::default())));
    let mut downloader = Downloader::join(&tracker, 1, fast());
    downloader.hear_until(|said| *said == Said::Unchoke);
    let piece = downloader.hear_of_piece();
    // More than is on its way at a time.
    let blocks: Vec<_> = blocks(piece).collect();
    blocks.iter().for_each(|block| downloader.request(*block));
    let last = *blocks.last().unwrap();
    downloader.say(Message::Cancel(last));
    let said = downloader.hear_until(|said| [Said::Rejected(last), Said::Sent(last)].contains(said));
    assert_eq!(said, Said::Rejected(last));
}

#[test]
fn the_upload_limit_holds() {
    const RATE: u64 = 4_000_000;
    let limit = Some(UploadLimit::new(RATE.try_into().unwrap()));
    let tracker = seeding_tracker(Seeding { upload_limit: limit, slots: None });
    tracker.torrents.set_content(TORRENT, Some(Arc::new(Numbers::default())));
    let mut downloader = Downloader::join(&tracker, 1, fast());
    let begun = Instant::now();
    downloader.download();
    let least = Duration::from_secs_f64(f64::from(TOTAL) / RATE as f64 * 0.9);
    assert!(begun.elapsed() >= least, "{:?}", begun.elapsed());
}

#[test]
fn a_content_may_come_and_go_while_a_peer_is_connected() {
    let tracker = seeding_tracker(Seeding::default());
    let mut downloader = Downloader::join(&tracker, 1, fast());
    assert_eq!(downloader.hear_until(|said| *said != Said::Nothing), Said::HaveNone);
    assert!(!is_seeding(&tracker));

    let content = Arc::new(Numbers::default());
    tracker.torrents.set_content(TORRENT, Some(Arc::clone(&content) as _));
    downloader.hear_until(|said| *said == Said::Unchoke);
    let block = blocks(downloader.hear_of_piece()).next().unwrap();
    downloader.request(block);
    downloader.hear_until(|said| *said == Said::Sent(block));

    tracker.torrents.set_content(TORRENT, None);
    downloader.hear_until(|said| *said == Said::Choke);
    assert!(!is_seeding(&tracker));
    downloader.request(block);
    downloader.hear_until(|said| *said == Said::Rejected(block));

    tracker.torrents.set_content(TORRENT, Some(content));
    downloader.download();
}

#[test]
fn of_a_content_that_fails_nothing_more_is_sent() {
    let tracker = seeding_tracker(Seeding::default());
    let content = Arc::new(Numbers::default());
    tracker.torrents.set_content(TORRENT, Some(Arc::clone(&content) as _));
    let mut all: Vec<_> = (1..=2).map(|number| Downloader::join(&tracker, number, fast())).collect();
    let told = all.iter_mut().map(|downloader| {
        downloader.hear_until(|said| *said == Said::Unchoke);
        downloader.hear_of_piece()
    });
    let told: Vec<_> = told.collect();
    content.is_gone.store(true, Ordering::SeqCst);
    let block = blocks(told[0]).next().unwrap();
    all[0].request(block);
    let mut said = Vec::new();
    while said.len() < 2 {
        let next = all[0].hear();
        said.extend(matches!(next, Said::Choke | Said::Rejected(_) | Said::Sent(_)).then_some(next));
    }
    assert!(said.contains(&Said::Choke) && said.contains(&Said::Rejected(block)), "{said:?}");
    all[1].hear_until(|said| *said == Said::Choke);
    assert!(!is_seeding(&tracker));
    assert_eq!(uploaded(&tracker).bytes, 0);
    // Each later request has its answer as well.
    all[0].request(block);
    all[0].hear_until(|said| *said == Said::Rejected(block));

    // Another content, which is right.
    tracker.torrents.set_content(TORRENT, Some(Arc::new(Numbers::default())));
    all.iter_mut().for_each(Downloader::download);
}
