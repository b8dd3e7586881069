//! Simulated peers: thousands of addresses on one host, each of which announces, listens, and speaks the peer protocol, or abuses it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt, sink};
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime;
use tokio::sync::oneshot;
use tokio::time::{interval, sleep, timeout};

use crate::support::host::{Host, PATIENCE};
use crate::support::network::Lan;
use crate::tracker::{Tracker, escape};

/// The number of pieces of each torrent, and the bytes of one.
pub(crate) const PIECES: u32 = 4096;
pub(crate) const PIECE: u32 = 16 * 1024;

/// The first of the simulated peers' addresses, in 10.77.16.0/20.
const FIRST_ADDRESS: u32 = u32::from_be_bytes([10, 77, 16, 1]);

/// The port on which each listens.
const PORT: u16 = 6881;

/// The port on which the tracker's own peer listens.
pub(crate) const OWN_PEER_PORT: u16 = 6968;

/// The time between two peers that arrive.
const ARRIVAL: Duration = Duration::from_millis(2);

/// The time between two announces of a peer.
const ANNOUNCE_INTERVAL: Duration = Duration::from_secs(60);

/// The time between two pieces that a peer gets.
const PIECE_INTERVAL: Duration = Duration::from_millis(500);

/// What a peer asks for that reads nothing, of pieces of 64 KiB or more: 256 KiB in all, as much as is read ahead for one.
const PIECES_ASKED_FOR: usize = 4;
const BLOCKS_ASKED_FOR: u32 = 4;
const BLOCK: u32 = 16 * 1024;

/// The ids by which the tracker's own peer wants to get extended messages.
const PEX: u8 = 1;
const METADATA: u8 = 2;

/// What a simulated peer does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// Gets a piece every half second, and says so.
    Downloads,
    /// Sends the handshake or, where it was dialled, what follows it, one byte a second.
    SendsOneByteASecond,
    /// Sends random bytes as fast as it can.
    SendsGarbage,
    /// Announces a message of 2 GiB, and sends zeros.
    AnnouncesGiantMessage,
    /// Sends peer exchange messages of 50 random addresses as fast as it can.
    FloodsPex,
    /// Sends bitfields of any length and content, and pieces that are out of range, a hundred times a second.
    LiesInBitfields,
    /// Sends all of the longest bitfield but the last byte.
    WithholdsBitfield,
    /// Requests metadata as fast as it can, and reads nothing.
    NeverReads,
    /// Asks for each piece that it is told of at first, again and again, and reads nothing after that.
    AsksAndNeverReads,
    /// Connects and closes at once, as fast as it can.
    OpensAndCloses,
}

/// A host with the addresses of all simulated peers, beside the tracker's.
///
/// The tracker's host has one route to all of them, so that the table of neighbours, which holds 1,024 on Linux by default, is not
/// what is tested.
pub(crate) fn hosts(lan: &Lan) -> (Host, Host) {
    let (mut machine, mut peers) = (lan.unconnected_host("tracker"), lan.unconnected_host("peers"));
    machine.address = Ipv4Addr::new(10, 77, 0, 1);
    peers.address = Ipv4Addr::new(10, 77, 0, 2);
    machine.ip(&["link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", &peers.namespace]);
    machine.ip(&["address", "add", "10.77.0.1/16", "dev", "eth0", "noprefixroute"]);
    peers.ip(&["address", "add", "10.77.0.2/16", "dev", "eth0"]);
    machine.ip(&["link", "set", "eth0", "up"]);
    peers.ip(&["link", "set", "eth0", "up"]);
    machine.ip(&["route", "add", "10.77.0.2/32", "dev", "eth0"]);
    machine.ip(&["route", "add", "10.77.0.0/16", "via", "10.77.0.2", "dev", "eth0"]);
    peers.ip(&["route", "add", "local", "10.77.16.0/20", "dev", "lo"]);
    (machine, peers)
}

/// Simulated peers. They vanish when this is dropped, without a word to the tracker.
#[derive(Debug)]
pub(crate) struct SimulatedPeers {
    tally: Arc<Tally>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What happened so far.
#[derive(Debug, Default)]
struct Tally {
    announced: AtomicUsize,
    failed: AtomicUsize,
    /// Connections that are open, after the tracker's own peer shook hands.
    open: AtomicUsize,
    opened: AtomicUsize,
}

/// One peer.
#[derive(Debug, Clone)]
struct Peer {
    address: Ipv4Addr,
    info_hash: [u8; 20],
    tracker: SocketAddrV4,
    behaviour: Behaviour,
    pieces: Arc<AtomicU32>,
    tally: Arc<Tally>,
}

impl SimulatedPeers {
    /// Starts peers with these numbers, which take turns in swarms.
    pub(crate) fn start(
        host: &Host,
        tracker: &Tracker,
        numbers: std::ops::Range<u32>,
        swarms: &[[u8; 20]],
        behaviour: Behaviour,
    ) -> Self {
        let tally = Arc::<Tally>::default();
        let peers: Vec<_> = numbers
            .zip(swarms.iter().cycle())
            .map(|(number, &info_hash)| Peer {
                address: address(number),
                info_hash,
                tracker: tracker.address(),
                behaviour,
                pieces: Arc::default(),
                tally: Arc::clone(&tally),
            })
            .collect();
        let (stop, stopped) = oneshot::channel::<()>();
        let host = host.clone();
        let work = move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
            runtime.block_on(async {
                for (peer, delay) in peers.into_iter().zip((0..).map(|nth| ARRIVAL * nth)) {
                    tokio::spawn(peer.run(delay));
                }
                // An error says that the sender is gone, too.
                _ = stopped.await;
            });
        };
        let thread = thread::spawn(move || host.on(work));
        Self { tally, stop: Some(stop), thread: Some(thread) }
    }

    /// The number of peers that have announced.
    pub(crate) fn announced(&self) -> usize {
        self.tally.announced.load(Ordering::Relaxed)
    }

    /// The number of announces that failed.
    pub(crate) fn failed(&self) -> usize {
        self.tally.failed.load(Ordering::Relaxed)
    }

    /// The number of open connections with the tracker's own peer.
    pub(crate) fn open(&self) -> usize {
        self.tally.open.load(Ordering::Relaxed)
    }

    /// The number of connections with the tracker's own peer so far.
    pub(crate) fn opened(&self) -> usize {
        self.tally.opened.load(Ordering::Relaxed)
    }
}

impl Drop for SimulatedPeers {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // If it panicked it has said so.
            _ = thread.join();
        }
    }
}

/// The address of a simulated peer.
pub(crate) fn address(number: u32) -> Ipv4Addr {
    Ipv4Addr::from(FIRST_ADDRESS + number)
}

/// The info-hash of a swarm, in hexadecimal.
pub(crate) fn hex(info_hash: &[u8; 20]) -> String {
    info_hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Peer {
    async fn run(self, delay: Duration) {
        let socket = TcpSocket::new_v4().expect("there are sockets left");
        socket.set_reuseaddr(true).expect("an option can be set");
        if self.reads_nothing() {
            socket.set_recv_buffer_size(1024).expect("an option can be set");
        }
        socket.bind(SocketAddr::new(self.address.into(), PORT)).expect("each peer has an address of its own");
        let listener = socket.listen(16).expect("a socket can listen");
        sleep(delay).await;
        let mut is_first = true;
        let mut announces = interval(ANNOUNCE_INTERVAL);
        let is_hostile = self.behaviour != Behaviour::Downloads;
        loop {
            tokio::select! {
                _ = announces.tick() => {
                    let tally = match self.announce(if is_first { "started" } else { "" }).await {
                        Ok(()) if is_first => {
                            is_first = false;
                            if is_hostile {
                                tokio::spawn(self.clone().dial_for_ever());
                            }
                            &self.tally.announced
                        }
                        Ok(()) => continue,
                        Err(_) => &self.tally.failed,
                    };
                    tally.fetch_add(1, Ordering::Relaxed);
                }
                accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                    let peer = self.clone();
                    // That the tracker's own peer ends the connection is as it may be.
                    tokio::spawn(async move { _ = peer.answer(stream).await });
                }
            }
        }
    }

    async fn connect(&self, port: u16) -> io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        if self.reads_nothing() {
            socket.set_recv_buffer_size(1024)?;
        }
        socket.bind(SocketAddr::new(self.address.into(), 0))?;
        timeout(PATIENCE, socket.connect(SocketAddrV4::new(*self.tracker.ip(), port).into())).await?
    }

    async fn announce(&self, event: &str) -> io::Result<()> {
        let mut stream = self.connect(self.tracker.port()).await?;
        let left = (PIECES - self.pieces.load(Ordering::Relaxed)) * PIECE;
        let request = format!(
            "GET /announce?info_hash={}&peer_id={}&port={PORT}&uploaded=0&downloaded=0&left={left}&compact=1&numwant=50\
             &event={event} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
            escape(&hex(&self.info_hash)),
            String::from_utf8_lossy(&self.peer_id()),
            self.tracker,
        );
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        timeout(PATIENCE, stream.read_to_end(&mut answer)).await??;
        if answer.starts_with(b"HTTP/1.1 200 ") { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
    }

    /// Connects to the tracker's own peer again and again.
    async fn dial_for_ever(self) {
        loop {
            let Ok(stream) = self.connect(OWN_PEER_PORT).await else {
                sleep(Duration::from_secs(1)).await;
                continue;
            };
            if self.behaviour == Behaviour::OpensAndCloses {
                self.tally.opened.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            _ = self.dialled(stream).await;
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// Does what it does on a connection that it made.
    async fn dialled(&self, mut stream: TcpStream) -> io::Result<()> {
        match self.behaviour {
            Behaviour::SendsOneByteASecond => return trickle(&mut stream, &self.handshake()).await,
            Behaviour::SendsGarbage => return garbage(&mut stream).await,
            _ => {}
        }
        stream.write_all(&self.handshake()).await?;
        read_handshake(&mut stream).await?;
        self.behave(stream).await
    }

    /// Does what it does on a connection that was made to it.
    async fn answer(&self, mut stream: TcpStream) -> io::Result<()> {
        read_handshake(&mut stream).await?;
        if self.behaviour == Behaviour::OpensAndCloses {
            return Ok(());
        }
        stream.write_all(&self.handshake()).await?;
        self.behave(stream).await
    }

    /// Goes on after the handshakes, until the connection ends.
    async fn behave(&self, stream: TcpStream) -> io::Result<()> {
        self.tally.open.fetch_add(1, Ordering::Relaxed);
        self.tally.opened.fetch_add(1, Ordering::Relaxed);
        let end = self.converse(stream).await;
        self.tally.open.fetch_sub(1, Ordering::Relaxed);
        end
    }

    fn reads_nothing(&self) -> bool {
        matches!(self.behaviour, Behaviour::NeverReads | Behaviour::AsksAndNeverReads)
    }

    async fn converse(&self, mut stream: TcpStream) -> io::Result<()> {
        if self.behaviour == Behaviour::AsksAndNeverReads {
            return ask(&mut stream).await;
        }
        let (mut reader, mut writer) = stream.into_split();
        let write = async {
            writer.write_all(&extended_handshake(self.behaviour)).await?;
            match self.behaviour {
                Behaviour::Downloads => self.download(&mut writer).await,
                Behaviour::SendsOneByteASecond => trickle(&mut writer, &message(20, &[0; 16 * 1024])).await,
                Behaviour::SendsGarbage => garbage(&mut writer).await,
                Behaviour::AnnouncesGiantMessage => {
                    writer.write_all(&[0x80, 0, 0, 0, 5]).await?;
                    repeat(&mut writer, || vec![0; 16 * 1024]).await
                }
                Behaviour::FloodsPex => {
                    let mut rng = StdRng::from_rng(&mut rand::rng());
                    repeat(&mut writer, || pex(&mut rng)).await
                }
                Behaviour::LiesInBitfields => lie(&mut writer).await,
                Behaviour::WithholdsBitfield => {
                    let bitfield = message(5, &vec![0x55; 256 * 1024]);
                    writer.write_all(&bitfield[..bitfield.len() - 1]).await?;
                    std::future::pending().await
                }
                Behaviour::NeverReads => {
                    repeat(&mut writer, || message(20, &[&[METADATA], &b"d8:msg_typei0e5:piecei0ee"[..]].concat()))
                        .await
                }
                Behaviour::AsksAndNeverReads | Behaviour::OpensAndCloses => Ok(()),
            }
        };
        let read = async {
            if self.behaviour == Behaviour::NeverReads {
                std::future::pending::<()>().await;
            }
            tokio::io::copy(&mut reader, &mut sink()).await.map(drop)
        };
        tokio::select! {
            end = write => end,
            end = read => end,
        }
    }

    async fn download(&self, writer: &mut (impl AsyncWriteExt + Unpin)) -> io::Result<()> {
        let had = self.pieces.load(Ordering::Relaxed);
        let mut bitfield = vec![0; PIECES as usize / 8];
        (0..had as usize).for_each(|piece| bitfield[piece / 8] |= 0x80 >> (piece % 8));
        writer.write_all(&message(5, &bitfield)).await?;
        let mut pieces = interval(PIECE_INTERVAL);
        loop {
            pieces.tick().await;
            let piece = self.pieces.fetch_add(1, Ordering::Relaxed);
            writer.write_all(&message(4, &piece.to_be_bytes())).await?;
        }
    }

    fn handshake(&self) -> Vec<u8> {
        let reserved = [0, 0, 0, 0, 0, 0x10, 0, 0];
        [&b"\x13BitTorrent protocol"[..], &reserved, &self.info_hash, &self.peer_id()].concat()
    }

    fn peer_id(&self) -> [u8; 20] {
        let text = format!("-SM0001-{:012}", u32::from(self.address));
        text.into_bytes().try_into().expect("8 characters and 12 digits")
    }
}

async fn read_handshake(stream: &mut TcpStream) -> io::Result<()> {
    stream.read_exact(&mut [0; 68]).await.map(drop)
}

fn message(id: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(1 + payload.len()).expect("messages are short");
    [&length.to_be_bytes()[..], &[id], payload].concat()
}

fn extended_handshake(behaviour: Behaviour) -> Vec<u8> {
    // The own peer has the most to send to a client that has to be asked for its progress.
    let client = if behaviour == Behaviour::NeverReads { "Transmission 3.00" } else { "Simulated" };
    message(20, format!("\0d1:md11:ut_metadatai3e6:ut_pexi1ee1:v{}:{client}e", client.len()).as_bytes())
}

/// A peer exchange message of 50 addresses that come and 50 that go.
fn pex(rng: &mut impl Rng) -> Vec<u8> {
    let mut addresses = [0; 600];
    rng.fill(&mut addresses[..]);
    let (added, dropped) = addresses.split_at(300);
    message(
        20,
        &[&[PEX][..], b"d5:added300:", added, b"7:added.f50:", &[2; 50], b"7:dropped300:", dropped, b"e"].concat(),
    )
}

async fn trickle(writer: &mut (impl AsyncWriteExt + Unpin), bytes: &[u8]) -> io::Result<()> {
    for byte in bytes {
        writer.write_all(&[*byte]).await?;
        sleep(Duration::from_secs(1)).await;
    }
    Ok(())
}

async fn garbage(writer: &mut (impl AsyncWriteExt + Unpin)) -> io::Result<()> {
    let mut rng = StdRng::from_rng(&mut rand::rng());
    let random = || {
        let mut bytes = vec![0; 16 * 1024];
        rng.fill(&mut bytes[..]);
        bytes
    };
    repeat(writer, random).await
}

/// Asks for the first pieces that it is told of, once it is unchoked, and then for the same again and again.
async fn ask(stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(&message(2, &[])).await?;
    let (mut is_unchoked, mut requests) = (false, Vec::new());
    while !is_unchoked || requests.len() < PIECES_ASKED_FOR {
        let length = stream.read_u32().await?;
        let mut received = vec![0; length as usize];
        stream.read_exact(&mut received).await?;
        match received.split_first() {
            Some((1, _)) => is_unchoked = true,
            Some((4, piece)) => {
                let blocks = (0..BLOCKS_ASKED_FOR).map(|block| block * BLOCK);
                let request = |begin: u32| message(6, &[piece, &begin.to_be_bytes(), &BLOCK.to_be_bytes()].concat());
                requests.push(blocks.flat_map(request).collect::<Vec<_>>());
            }
            _ => {}
        }
    }
    let requests = requests.concat();
    loop {
        stream.write_all(&requests).await?;
        sleep(Duration::from_millis(100)).await;
    }
}

async fn lie(writer: &mut (impl AsyncWriteExt + Unpin)) -> io::Result<()> {
    let mut rng = StdRng::from_rng(&mut rand::rng());
    loop {
        let length = [1, 511, 512, 513, 4096, 256 * 1024][rng.random_range(0..6)];
        writer.write_all(&message(5, &vec![rng.random(); length])).await?;
        // The largest that is no error where the number of pieces is not known, and any.
        let piece = if rng.random() { 2 * 1024 * 1024 - 1 } else { rng.random::<u32>() };
        writer.write_all(&message(4, &piece.to_be_bytes())).await?;
        sleep(Duration::from_millis(10)).await;
    }
}

async fn repeat(writer: &mut (impl AsyncWriteExt + Unpin), mut bytes: impl FnMut() -> Vec<u8>) -> io::Result<()> {
    loop {
        writer.write_all(&bytes()).await?;
        // So that the others have their turn even where the socket takes everything.
        tokio::task::yield_now().await;
    }
}
