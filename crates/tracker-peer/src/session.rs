//! A connection in progress: the socket, the encryption, and the protocol.

mod blocks;
mod giving;

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use peer_wire::mse::Ciphers;
use peer_wire::{Connection, ConnectionError, Event, RequestMetadataError, Torrent};
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tracker_core::AddressGroup;

use crate::commands::{CommandReceiver, Commands};
use crate::driver::Report;
use crate::limits::{MemoryShare, ReadQuota, SharedLimits};
use crate::planner::ConnectionId;
use crate::swarm_sockets::SocketEntry;
use crate::uploads::Receiver;
use giving::Giving;

pub(crate) use giving::GivenTorrent;

/// The least time between two reports of those to whom a peer is connected. Clients tell once a minute
/// ([BEP 11](https://www.bittorrent.org/beps/bep_0011.html)); what comes sooner is a flood, and ignored.
const PEX_INTERVAL: Duration = Duration::from_secs(1);

/// The bytes that are read at once.
const READ_BYTES: usize = 4096;

/// Bytes that wait in the system for those on their way: messages that come now leave after them.
#[cfg(any(target_os = "android", target_os = "linux"))]
const UNSENT_BYTES: u32 = 64 * 1024;

/// Bytes of a message of which only a part has come that a peer may take when all take too many.
const MAX_SMALL_MESSAGE: usize = 4096;

/// The socket of a connection, and its protocol.
pub(crate) struct Session {
    stream: Arc<TcpStream>,
    /// The place of the socket among those that are closed when a client on this machine announces.
    entry: Option<SocketEntry>,
    ciphers: Ciphers,
    connection: Connection,
    /// The zero of the connection's time.
    start: Instant,
    /// Encrypted bytes that wait for the socket.
    unsent: Vec<u8>,
    end: Option<End>,
    quota: ReadQuota,
    /// The time of the last report of those to whom the peer is connected.
    pex_reported: Option<Instant>,
    memory: MemoryShare,
    /// What is given to the peer; `None` if nothing ever was.
    giving: Option<Box<Giving>>,
}

/// The peer does not offer the info dictionary any more.
struct NoMetadata;

/// Why a connection has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The other end closed it, or it was lost.
    Closed,
    /// By the protocol.
    Protocol(ConnectionError),
    /// It waits for the rest of a message, and such messages and bitfields take too much memory.
    NoMemory,
    /// The peer does not take the blocks that it has requested.
    NotTaking,
}

impl Session {
    /// A session over this stream. `received` has come already, decrypted.
    pub(crate) fn new(
        stream: Arc<TcpStream>,
        ciphers: Ciphers,
        connection: Connection,
        received: &[u8],
        start: Instant,
        limits: SharedLimits,
    ) -> Self {
        set_options(&stream);
        let mut session = Self {
            stream,
            entry: None,
            ciphers,
            connection,
            start,
            unsent: Vec::new(),
            end: None,
            quota: ReadQuota::new(limits.clone()),
            pex_reported: None,
            memory: MemoryShare::new(limits),
            giving: None,
        };
        session.handle_input(received);
        session
    }

    /// Keeps this place for as long as the connection lasts.
    pub(crate) fn hold(&mut self, entry: Option<SocketEntry>) {
        self.entry = entry;
    }

    pub(crate) fn stream(&self) -> &Arc<TcpStream> {
        &self.stream
    }

    /// Why it has ended, if it has.
    pub(crate) fn end(&self) -> Option<End> {
        self.end
    }

    pub(crate) fn set_torrent(&mut self, torrent: Torrent) {
        // What came right after the handshake of an accepted connection is read only now.
        let result = self.connection.set_torrent(self.now(), torrent);
        self.take(result);
        self.account_memory();
    }

    /// The next event, for which bytes are sent and received until there is one; `None` when the connection has ended. Nothing is
    /// lost if the future is dropped.
    pub(crate) async fn event(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.connection.poll_event() {
                match self.give(event) {
                    Some(event) => return Some(event),
                    None => continue,
                }
            }
            if self.end.is_some() {
                return None;
            }
            let has_unsent = self.send();
            let now = self.now();
            let throttled_until = self.quota.exhausted_until(Instant::now());
            let timeout = self.connection.poll_timeout().map(|at| self.start + at);
            let wake_up = [throttled_until, timeout].into_iter().flatten().min();
            tokio::select! {
                ready = self.stream.readable(), if throttled_until.is_none() => match ready {
                    Ok(()) => self.receive(),
                    Err(_) => self.end = Some(End::Closed),
                },
                ready = self.stream.writable(), if has_unsent => if ready.is_err() {
                    self.end = Some(End::Closed);
                },
                (giving, ready) = async {
                    match &mut self.giving {
                        Some(giving) => {
                            let ready = giving.ready().await;
                            (giving, ready)
                        }
                        None => pending().await,
                    }
                } => if !giving.handle_ready(now, &mut self.connection, ready) {
                    self.end = Some(End::NotTaking);
                },
                () = sleep_until(wake_up.unwrap_or_else(Instant::now)), if wake_up.is_some() => {
                    let result = self.connection.handle_timeout(self.now());
                    self.take(result);
                }
            }
        }
    }

    /// Reports the events of an established connection and carries out commands, until it is closed by either side.
    pub(crate) async fn run(
        mut self: Box<Self>,
        id: ConnectionId,
        commands: &CommandReceiver,
        reports: &mpsc::Sender<Report>,
    ) {
        loop {
            let event = tokio::select! {
                // What is known of the torrent comes before what the peer says of it.
                biased;
                commands = commands.recv() => match commands.map(|commands| self.carry_out(id, commands)) {
                    Some(Ok(())) => continue,
                    // Nothing would ever come of the request.
                    Some(Err(NoMetadata)) => Some(Event::MetadataFailed),
                    None => return,
                },
                event = self.event() => event,
            };
            let report = match event {
                Some(Event::Pex(_)) if self.is_pex_flood() => continue,
                Some(event) => Report::Event { connection: id, event },
                None => {
                    tracing::debug!(?id, end = ?self.end, "a connection to a peer has ended");
                    Report::Closed { connection: id }
                }
            };
            let is_last = matches!(report, Report::Closed { .. });
            if reports.send(report).await.is_err() || is_last {
                return;
            }
        }
    }

    /// Returns `true` if the peer tells to whom it is connected sooner than it may.
    fn is_pex_flood(&mut self) -> bool {
        let now = Instant::now();
        let is_flood = self.pex_reported.is_some_and(|reported| now - reported < PEX_INTERVAL);
        if !is_flood {
            self.pex_reported = Some(now);
        }
        is_flood
    }

    fn carry_out(&mut self, id: ConnectionId, commands: Commands) -> Result<(), NoMetadata> {
        let Commands { torrent, given, requests_metadata, added, dropped } = commands;
        if let Some(torrent) = torrent {
            self.set_torrent(torrent);
        }
        if let Some(given) = given {
            self.set_given(id, given);
        }
        self.connection.introduce(self.now(), &added, &dropped);
        if !requests_metadata {
            return Ok(());
        }
        match self.connection.request_metadata(self.now()) {
            // The answer to the request before is one to this, too.
            Ok(()) | Err(RequestMetadataError::InProgress) => Ok(()),
            Err(_) => Err(NoMetadata),
        }
    }

    /// Gives this torrent from now on, or nothing.
    fn set_given(&mut self, id: ConnectionId, given: Option<GivenTorrent>) {
        if given.is_none() && self.giving.is_none() {
            return;
        }
        let Ok(group) = self.stream.peer_addr().and_then(|remote| {
            Ok(AddressGroup::of(remote.ip().to_canonical(), self.stream.local_addr()?.ip().to_canonical()))
        }) else {
            // It is closed already.
            return;
        };
        let now = self.now();
        let receiver = given.map(|GivenTorrent { upload, address }| {
            Receiver::join(upload, now, id, address, self.connection.is_fast(), self.connection.pieces())
        });
        let giving = self.giving.get_or_insert_with(|| Box::new(Giving::new(group)));
        giving.set_receiver(now, &mut self.connection, receiver);
        giving.act(now, &mut self.connection);
    }

    /// Tells the torrent's spreader what it has to know of an event. Returns the event if others have to know it, too.
    fn give(&mut self, event: Event) -> Option<Event> {
        let now = self.now();
        let Some(giving) = &mut self.giving else {
            let is_for_spreader = matches!(event, Event::Interested(_) | Event::Request(_) | Event::Cancel(_));
            return (!is_for_spreader).then_some(event);
        };
        let receiver = giving.receiver();
        let event = match event {
            Event::Interested(is_interested) => {
                receiver.inspect(|receiver| receiver.handle_interested(now, is_interested));
                None
            }
            Event::Request(block) => {
                match receiver.filter(|receiver| !receiver.upload().is_over()) {
                    Some(receiver) => receiver.handle_request(now, block),
                    None => self.connection.reject(now, block),
                }
                None
            }
            Event::Cancel(block) => {
                receiver.inspect(|receiver| receiver.handle_cancel(now, block));
                None
            }
            Event::Progress(_) => {
                giving.handle_pieces(now, self.connection.pieces());
                Some(event)
            }
            event => Some(event),
        };
        giving.act(now, &mut self.connection);
        event
    }

    fn receive(&mut self) {
        let now = Instant::now();
        let mut buffer = [0; READ_BYTES];
        let length = READ_BYTES.min(self.quota.remaining(now));
        if length == 0 {
            // Others have read meanwhile.
            return;
        }
        match self.stream.try_read(&mut buffer[..length]) {
            Ok(0) => self.end = Some(End::Closed),
            Ok(length) => {
                self.quota.add(now, length);
                self.ciphers.decrypt(&mut buffer[..length]);
                self.handle_input(&buffer[..length]);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => self.end = Some(End::Closed),
        }
    }

    /// Sends as much as the socket takes: messages, and blocks when there are none. Returns `true` if there is more to send.
    fn send(&mut self) -> bool {
        while self.end.is_none() {
            if self.unsent.is_empty()
                && self.is_between_portions()
                && let Some(mut bytes) = self.connection.poll_output()
            {
                self.ciphers.encrypt(&mut bytes);
                self.unsent = bytes;
            }
            let has_messages = !self.unsent.is_empty();
            let portion = match &mut self.giving {
                Some(giving) if !has_messages => giving.portion(&mut self.ciphers),
                _ => &self.unsent,
            };
            if portion.is_empty() {
                return false;
            }
            match self.stream.try_write(portion) {
                Ok(sent) if has_messages => _ = self.unsent.drain(..sent),
                Ok(sent) => {
                    let now = self.now();
                    if let Some(giving) = &mut self.giving {
                        giving.sent(now, sent);
                        giving.act(now, &mut self.connection);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                Err(_) => self.end = Some(End::Closed),
            }
        }
        false
    }

    /// Returns `true` if no block has begun to leave and has not left whole.
    fn is_between_portions(&self) -> bool {
        self.giving.as_ref().is_none_or(|giving| !giving.has_portion())
    }

    fn handle_input(&mut self, bytes: &[u8]) {
        let result = self.connection.handle_input(self.now(), bytes);
        self.take(result);
        self.account_memory();
    }

    /// A complete bitfield that does not fit into the memory is reduced to its count. What has come of a message cannot be.
    fn account_memory(&mut self) {
        let message = self.connection.partial_message();
        if !self.memory.set_message(message) && message > MAX_SMALL_MESSAGE {
            self.end = Some(End::NoMemory);
        }
        if !self.memory.set_bitfield(self.connection.pieces().allocated()) {
            self.connection.keep_only_count();
            self.memory.set_bitfield(0);
        }
    }

    fn take(&mut self, result: Result<(), ConnectionError>) {
        if let Err(error) = result {
            self.end = Some(End::Protocol(error));
        }
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }
}

/// Has messages leave at once, and few bytes of blocks before them. A socket that does not take an option works without it.
fn set_options(stream: &TcpStream) {
    let socket = SockRef::from(stream);
    _ = socket.set_tcp_nodelay(true);
    #[cfg(any(target_os = "android", target_os = "linux"))]
    {
        _ = socket.set_tcp_notsent_lowat(UNSENT_BYTES);
    }
}

#[cfg(test)]
mod tests {
    use peer_wire::{Block, Handshake, Local, MAX_REQUESTS, Message, Pex, PexFlags, PexPeer, Reserved};
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    use tracker_core::InfoHash;

    use super::*;
    use crate::commands::commands;
    use crate::limits::MAX_BITFIELD_BYTES;
    use crate::spreader::{Layout, MAX_BLOCK_BYTES};
    use crate::uploads::Uploads;
    use crate::{Content, ContentError, Seeding};

    /// Bytes that come in many segments, each of which is an event of its own.
    #[tokio::test]
    async fn a_flood_of_peer_exchange_is_one_report_a_second() {
        const MESSAGES: u16 = 2000;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut peer, _) = listener.accept().await.unwrap();
        let start = Instant::now();
        let local = Local::new([2; 20], "x");
        let connection = Connection::dial(Duration::ZERO, local, [127, 0, 0, 1].into(), [7; 20], Torrent::default());
        let session = Box::new(Session::new(
            Arc::new(stream),
            Ciphers::plaintext(),
            connection,
            &[],
            start,
            SharedLimits::default(),
        ));
        let (_sender, commands) = commands();
        let (reports, mut reported) = mpsc::channel(1);
        let running = tokio::spawn(async move { session.run(ConnectionId::for_test(1), &commands, &reports).await });

        let handshake = Handshake { reserved: Reserved::EXTENSIONS, info_hash: [7; 20], peer_id: [1; 20] };
        let mut bytes = handshake.encode().to_vec();
        for port in 1..=MESSAGES {
            let address = ([10, 0, 0, 2], port).into();
            let pex = Pex { added: vec![PexPeer { address, flags: PexFlags::default() }], dropped: vec![] };
            Message::Extended { id: 1, payload: &pex.encode() }.encode(&mut bytes);
        }
        let sending = tokio::spawn(async move {
            peer.write_all(&bytes).await.unwrap();
            peer.shutdown().await.unwrap();
            peer
        });
        let mut count = 0;
        while let Some(Report::Event { event, .. }) = reported.recv().await {
            count += u64::from(matches!(event, Event::Pex(_)));
        }
        sending.await.unwrap();
        running.await.unwrap();
        assert!((1..=2 + start.elapsed().as_secs()).contains(&count), "{count} reports in {:?}", start.elapsed());
    }

    #[tokio::test]
    async fn a_bitfield_that_came_with_the_handshake_counts_among_all() {
        const PIECES: u32 = 8 * 1000;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let handshake = Handshake { reserved: Reserved::FAST, info_hash: [7; 20], peer_id: [1; 20] };
        let mut received = handshake.encode().to_vec();
        Message::Bitfield(&[0b0101_0101; PIECES as usize / 8]).encode(&mut received);

        let (start, limits) = (Instant::now(), SharedLimits::default());
        let connection = Connection::accept(Duration::ZERO, Local::new([2; 20], "x"), [127, 0, 0, 1].into());
        let ciphers = Ciphers::plaintext();
        let mut session = Session::new(Arc::new(stream), ciphers, connection, &received, start, limits.clone());
        assert_eq!(session.event().await, Some(Event::Handshake(handshake)));
        let sum = || limits.bytes();
        assert_eq!(sum(), 0, "it is not read before the torrent is known");
        session.set_torrent(Torrent::default().with_piece_count(PIECES));
        assert!(sum() >= PIECES as usize / 8, "{}", sum());
        drop(session);
        assert_eq!(sum(), 0);
    }

    /// A session with a peer whose handshake has come, in a torrent of which nothing is known.
    async fn open(start: Instant, limits: &SharedLimits, stream: TcpStream) -> Session {
        let connection = Connection::accept(Duration::ZERO, Local::new([2; 20], "x"), [127, 0, 0, 1].into());
        let handshake = Handshake { reserved: Reserved::FAST, info_hash: [7; 20], peer_id: [1; 20] };
        let (stream, ciphers) = (Arc::new(stream), Ciphers::plaintext());
        let mut session = Session::new(stream, ciphers, connection, &handshake.encode(), start, limits.clone());
        assert_eq!(session.event().await, Some(Event::Handshake(handshake)));
        session.set_torrent(Torrent::default());
        session
    }

    /// A stream on which nothing comes.
    async fn silent() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (stream, listener.accept().await.unwrap().0)
    }

    #[tokio::test]
    async fn withheld_ends_of_bitfields_take_no_more_memory_than_there_is() {
        const BYTES: usize = 256 * 1024;
        let (start, limits) = (Instant::now(), SharedLimits::default());
        let mut bitfield = Vec::new();
        Message::Bitfield(&[0x55; BYTES]).encode(&mut bitfield);
        let (mut sessions, mut peers) = (Vec::new(), Vec::new());
        let end = loop {
            let (stream, peer) = silent().await;
            let mut session = open(start, &limits, stream).await;
            for part in bitfield[..bitfield.len() - 1].chunks(READ_BYTES) {
                session.handle_input(part);
            }
            if let Some(end) = session.end() {
                break end;
            }
            sessions.push(session);
            peers.push(peer);
            assert!(sessions.len() <= MAX_BITFIELD_BYTES / BYTES);
        };
        assert_eq!(end, End::NoMemory);
        assert!(sessions.len() >= MAX_BITFIELD_BYTES / BYTES - 1, "{} withhold theirs", sessions.len());

        let (stream, _peer) = silent().await;
        let mut honest = open(start, &limits, stream).await;
        let mut small = Vec::new();
        Message::Bitfield(&[0x55; 1000]).encode(&mut small);
        small.chunks(100).for_each(|part| honest.handle_input(part));
        assert_eq!((honest.end(), honest.connection.pieces().allocated()), (None, 0));
        assert_eq!(honest.connection.pieces().progress().had, 4000, "the count is kept");

        // The rest comes late: only the count of each is kept, since all together are too many.
        sessions[0].handle_input(&bitfield[bitfield.len() - 1..]);
        assert_eq!((sessions[0].end(), sessions[0].connection.pieces().allocated()), (None, 0));
        assert_eq!(sessions[0].connection.pieces().progress().had as usize, BYTES * 4);
        drop((sessions, honest));
        assert_eq!(limits.bytes(), 0);
    }

    /// As many as all together may send in ten seconds, in one.
    #[tokio::test]
    async fn a_peer_is_heard_while_others_flood() {
        let (start, limits) = (Instant::now(), SharedLimits::default());
        let mut flooding = ReadQuota::new(limits.clone());
        flooding.add(start, 20 * 1024 * 1024);
        let (stream, mut peer) = silent().await;
        let mut session = open(start, &limits, stream).await;
        let mut bytes = Vec::new();
        Message::Have { piece: 7 }.encode(&mut bytes);
        peer.write_all(&bytes).await.unwrap();
        let Some(Event::Progress(progress)) = session.event().await else { panic!("no progress") };
        assert_eq!(progress.had, 1);
        assert!(flooding.exhausted_until(Instant::now()).is_some() || start.elapsed() >= Duration::from_secs(1));

        // One that sends more than it is spared is read from the next second on.
        let keep_alives = vec![0; 4 * 1000];
        peer.write_all(&keep_alives).await.unwrap();
        Message::Have { piece: 8 }.encode(&mut bytes);
        peer.write_all(&bytes).await.unwrap();
        let Some(Event::Progress(progress)) = session.event().await else { panic!("no progress") };
        assert_eq!(progress.had, 2);
        assert!(start.elapsed() >= Duration::from_secs(1), "{:?}", start.elapsed());
    }

    /// Two pieces of zeros.
    #[derive(Debug)]
    struct Zeros;

    impl Content for Zeros {
        fn layout(&self) -> Layout {
            Layout::new(2 << 24, 1 << 24).unwrap()
        }

        fn read(&self, _: Block, _: &mut [u8]) -> Result<(), ContentError> {
            Ok(())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_takes_nothing_of_what_it_requested_is_given_up() {
        let start = Instant::now();
        let (stream, mut peer) = silent().await;
        let mut session = open(start, &SharedLimits::default(), stream).await;
        session.set_torrent(Torrent::default().with_piece_count(2));
        let (uploads, info_hash) = (Uploads::new(Some(Seeding::default())), InfoHash::new([7; 20]));
        uploads.set_content(Duration::ZERO, info_hash, Some(Arc::new(Zeros)));
        let (upload, address) = (uploads.get(&info_hash).unwrap(), ([10, 0, 0, 2], 6881).into());
        session.set_given(ConnectionId::for_test(1), Some(GivenTorrent { upload, address }));
        // More than sockets hold.
        let mut requests = Vec::new();
        for number in 0..MAX_REQUESTS as u32 {
            let block = Block { piece: number / 64, begin: number % 64 * MAX_BLOCK_BYTES, length: MAX_BLOCK_BYTES };
            Message::Request(block).encode(&mut requests);
        }
        peer.write_all(&requests).await.unwrap();
        assert_eq!(session.event().await, None);
        assert_eq!(session.end(), Some(End::NotTaking));
        let sent = uploads.uploaded(&info_hash).bytes;
        assert!(sent > 0 && sent < u64::from(MAX_BLOCK_BYTES) * MAX_REQUESTS as u64, "{sent}");
    }
}
