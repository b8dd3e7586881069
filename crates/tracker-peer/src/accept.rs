//! Taking connections that peers make.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use peer_wire::mse::{Ciphers, Detected, detect};
use peer_wire::{Connection, Event};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};
use tracker_core::{AddressGroup, InfoHash, PeerId};

use crate::commands::{CommandSender, commands};
use crate::context::Context;
use crate::driver::Report;
use crate::encrypted;
use crate::planner::{ConnectionId, Encryption, Incoming, Refusal};
use crate::session::Session;

/// The shortest time between two connections that are accepted, by all listeners together. An encrypted handshake costs about
/// 0.3 ms of a processor, so that nobody can make this machine spend more than a few hundredths of one on them.
const ACCEPT_INTERVAL: Duration = Duration::from_millis(5);

/// Connections in whose handshake the tracker's own peer is at a time: all, those of one [address](AddressGroup), and those of an
/// IPv6 network that this machine is in, where one machine can take many addresses. Others are closed.
const MAX_HANDSHAKES: usize = 100;
const MAX_HANDSHAKES_PER_ADDRESS: usize = 8;
const MAX_HANDSHAKES_PER_NETWORK: usize = MAX_HANDSHAKES / 2;

/// How long the first bytes may take.
const FIRST_BYTES_TIMEOUT: Duration = Duration::from_secs(10);

/// How long to wait when this machine has no sockets left.
const PAUSE: Duration = Duration::from_millis(200);

/// What the driver answers to a connection whose handshake has come.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) connection: ConnectionId,
    pub(crate) torrent: peer_wire::Torrent,
    /// Not while the tracker has a peer on this machine in the swarm.
    pub(crate) only_if_nobody_here: bool,
}

/// A connection whose handshake has come.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) incoming: Incoming,
    /// The connection's commands, if it is admitted.
    pub(crate) commands: CommandSender,
    pub(crate) answer: oneshot::Sender<Result<Admitted, Refusal>>,
}

/// The addresses of a connection.
#[derive(Debug, Clone, Copy)]
struct Ends {
    remote: IpAddr,
    local: IpAddr,
}

/// A connection after its handshake.
struct Shaken {
    session: Box<Session>,
    peer: peer_wire::Handshake,
    encryption: Encryption,
}

/// Takes connections until it is dropped.
pub(crate) async fn accept(listener: TcpListener, context: Context, handshakes: Handshakes) -> Infallible {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let _turn = handshakes.turn.lock().await;
                begin(stream, &context, &handshakes);
                sleep(ACCEPT_INTERVAL).await;
            }
            Err(error) => {
                tracing::debug!(%error, "cannot accept a connection of a peer");
                sleep(PAUSE).await;
            }
        }
    }
}

/// Goes on with a connection, unless its address says enough.
fn begin(stream: TcpStream, context: &Context, handshakes: &Handshakes) {
    let Ok(ends) = Ends::of(&stream) else {
        // It is closed already.
        return;
    };
    if let Err(refusal) = context.planner().check_remote(ends.remote) {
        tracing::debug!(remote = %ends.remote, %refusal, "a peer's connection is refused");
        return;
    }
    if let Some(handshake) = handshakes.begin(AddressGroup::of(ends.remote, ends.local)) {
        tokio::spawn(take(stream, ends, context.clone(), handshake));
    }
}

async fn take(stream: TcpStream, ends: Ends, context: Context, handshake: Handshake) {
    let Ends { remote, local } = ends;
    // In a box, which is gone when the connection begins.
    let shaken = Box::pin(shake_hands(stream, remote, &context)).await;
    let Some(Shaken { mut session, peer, encryption }) = shaken else { return };
    let (info_hash, peer_id) = (InfoHash::new(peer.info_hash), PeerId::new(peer.peer_id));
    let incoming = Incoming { info_hash, peer_id, remote, local, encryption };
    let (commands, wanted) = commands();
    let (answer, admitted) = oneshot::channel();
    // Before it is decided, so that a client on this machine of which nobody knew then closes it.
    let entry = context.enter(info_hash, local);
    if context.reports.send(Report::Incoming(Request { incoming, commands, answer })).await.is_err() {
        return;
    }
    let admitted = match admitted.await {
        Ok(Ok(admitted)) => admitted,
        Ok(Err(refusal)) => {
            tracing::debug!(%remote, torrent = %info_hash, %refusal, "a peer's connection is refused");
            return;
        }
        // The service ends.
        Err(_) => return,
    };
    drop(handshake);
    let is_free = || context.is_free(&info_hash, admitted.only_if_nobody_here);
    let open = || Ok::<_, Infallible>(Arc::clone(session.stream()));
    let is_open = entry.as_ref().is_none_or(|entry| entry.open(is_free, open).is_some());
    if is_open {
        session.hold(entry);
        session.set_torrent(admitted.torrent);
        session.run(admitted.connection, &wanted, &context.reports).await;
    } else {
        _ = context.reports.send(Report::Closed { connection: admitted.connection }).await;
    }
}

/// Waits for the peer's handshake, encrypted or not. `None` if there is none, or one that contradicts itself.
async fn shake_hands(stream: TcpStream, remote: IpAddr, context: &Context) -> Option<Shaken> {
    let stream = Arc::new(stream);
    let Opened { ciphers, received, encrypted_for } = open(&stream, context).await?;
    let connection = Connection::accept(context.start.elapsed(), context.local.clone(), remote);
    let limits = context.limits.clone();
    let mut session = Box::new(Session::new(stream, ciphers, connection, &received, context.start, limits));
    let Some(Event::Handshake(peer)) = session.event().await else { return None };
    if encrypted_for.is_some_and(|info_hash| info_hash != peer.info_hash) {
        tracing::debug!(%remote, "a peer's connection is refused: it is encrypted for another torrent than it is for");
        return None;
    }
    let encryption = if encrypted_for.is_some() { Encryption::Mse } else { Encryption::Plain };
    Some(Shaken { session, peer, encryption })
}

/// A connection before its BitTorrent handshake.
struct Opened {
    ciphers: Ciphers,
    /// What has come, decrypted.
    received: Vec<u8>,
    /// The info-hash of the encrypted handshake, if it was one.
    encrypted_for: Option<[u8; 20]>,
}

/// Finds out whether the connection is encrypted, and if so, shakes hands for that.
async fn open(stream: &TcpStream, context: &Context) -> Option<Opened> {
    let mut received = Vec::new();
    let first_bytes = async {
        let mut buffer = Vec::new();
        loop {
            match detect(&received) {
                Detected::Undecided => {}
                decided => return Some(decided),
            }
            encrypted::receive(stream, &mut buffer).await.ok()?;
            received.extend_from_slice(&buffer);
        }
    };
    match timeout(FIRST_BYTES_TIMEOUT, first_bytes).await.ok()?? {
        Detected::Plain => Some(Opened { ciphers: Ciphers::plaintext(), received, encrypted_for: None }),
        _ => {
            let established = encrypted::respond(stream, &received, |hash| context.swarm_keys.find(hash)).await;
            let established = established.inspect_err(|error| tracing::debug!(%error, "no encrypted handshake"));
            let established = established.ok()?;
            let encrypted_for = Some(established.info_hash);
            Some(Opened { ciphers: established.ciphers, received: established.received, encrypted_for })
        }
    }
}

impl Ends {
    fn of(stream: &TcpStream) -> std::io::Result<Self> {
        let [remote, local] = [stream.peer_addr()?, stream.local_addr()?].map(|end| end.ip().to_canonical());
        Ok(Self { remote, local })
    }
}

/// The connections whose handshakes are in progress, by address. Cheap to clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Handshakes {
    in_progress: Arc<Mutex<HashMap<AddressGroup, usize>>>,
    /// Held by the listener that has accepted the latest connection, for as long as the others have to wait.
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// A handshake in progress. It is over when this is dropped.
#[derive(Debug)]
struct Handshake {
    handshakes: Handshakes,
    address: AddressGroup,
}

impl Handshakes {
    /// One more, unless there are too many.
    fn begin(&self, address: AddressGroup) -> Option<Handshake> {
        let mut in_progress = self.lock();
        let of_this = in_progress.get(&address).copied().unwrap_or(0);
        let in_network = |other: &AddressGroup| address.network().is_some() && other.network() == address.network();
        let of_network: usize = in_progress.iter().filter(|(other, _)| in_network(other)).map(|(_, count)| count).sum();
        if of_this >= MAX_HANDSHAKES_PER_ADDRESS
            || of_network >= MAX_HANDSHAKES_PER_NETWORK
            || in_progress.values().sum::<usize>() >= MAX_HANDSHAKES
        {
            return None;
        }
        in_progress.insert(address, of_this + 1);
        Some(Handshake { handshakes: self.clone(), address })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<AddressGroup, usize>> {
        self.in_progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        let mut in_progress = self.handshakes.lock();
        if let Some(count) = in_progress.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                in_progress.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::time::Instant;

    use peer_wire::mse::{Initiator, Methods};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::context::tests::context;

    const PATIENCE: Duration = Duration::from_secs(30);
    const ONE: InfoHash = InfoHash::new([1; 20]);
    const OTHER: InfoHash = InfoHash::new([2; 20]);

    fn group(remote: &str) -> AddressGroup {
        let local = if remote.contains(':') { "fd77::1" } else { "10.0.0.1" };
        AddressGroup::of(remote.parse().unwrap(), local.parse().unwrap())
    }

    #[test]
    fn nobody_takes_all_handshakes() {
        let handshakes = Handshakes::default();
        let address = |host: usize| group(&format!("10.0.0.{host}"));
        let mut begun: Vec<_> =
            (0..MAX_HANDSHAKES_PER_ADDRESS).map(|_| handshakes.begin(address(1)).unwrap()).collect();
        assert!(handshakes.begin(address(1)).is_none());
        begun.extend((MAX_HANDSHAKES_PER_ADDRESS..MAX_HANDSHAKES).map(|host| handshakes.begin(address(host)).unwrap()));
        assert!(handshakes.begin(address(250)).is_none());
        begun.remove(0);
        assert!(handshakes.begin(address(1)).is_some());
        begun.clear();
        assert!(handshakes.lock().is_empty());
    }

    #[test]
    fn a_machine_with_many_addresses_of_ipv6_does_not_either() {
        let handshakes = Handshakes::default();
        // Elsewhere the network is one address; in that of this machine each machine has one, and together they have half.
        let far: Vec<_> = (0..100).map_while(|host| handshakes.begin(group(&format!("fd78::{host:x}")))).collect();
        assert_eq!(far.len(), MAX_HANDSHAKES_PER_ADDRESS);
        let near: Vec<_> = (2..100).map_while(|host| handshakes.begin(group(&format!("fd77::{host:x}")))).collect();
        assert_eq!(near.len(), MAX_HANDSHAKES_PER_NETWORK);
        assert!(handshakes.begin(group("10.0.0.1")).is_some());
    }

    /// Two listeners to which many connect: all of them are refused by their address.
    #[test]
    fn all_listeners_together_accept_at_one_rate() {
        const EACH: usize = 20;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (context, _reports) = runtime.block_on(async { context() });
        let handshakes = Handshakes::default();
        let addresses: Vec<_> = (0..2)
            .map(|_| {
                let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
                let address = listener.local_addr().unwrap();
                runtime.spawn(accept(listener, context.clone(), handshakes.clone()));
                address
            })
            .collect();
        let begun = Instant::now();
        let streams: Vec<_> = (0..2 * EACH).map(|n| std::net::TcpStream::connect(addresses[n % 2]).unwrap()).collect();
        let reading = std::thread::spawn(|| {
            for mut stream in streams {
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                assert_eq!(
                    stream.read(&mut [0]).unwrap(),
                    0,
                    "this machine's own peers are refused before a handshake"
                );
            }
        });
        runtime.block_on(async {
            while !reading.is_finished() {
                sleep(Duration::from_millis(1)).await
            }
        });
        reading.join().unwrap();
        let least = ACCEPT_INTERVAL * (2 * EACH as u32 - 1);
        assert!(begun.elapsed() >= least, "{:?} for {} connections", begun.elapsed(), 2 * EACH);
    }

    /// Shakes hands over an encrypted connection, for `encrypted_for` first, and then for `torrent`.
    async fn dial_encrypted(context: &Context, encrypted_for: InfoHash, torrent: InfoHash) -> Option<Shaken> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, remote) = listener.accept().await.unwrap();
        let dialling = async {
            let mut initiator = Initiator::new(*encrypted_for.as_bytes(), Methods::Rc4Only, &mut rand::rng());
            let mut established = loop {
                if let Some(bytes) = initiator.poll_output() {
                    peer.write_all(&bytes).await.unwrap();
                }
                if let Some(established) = initiator.poll_established() {
                    break established;
                }
                let mut buffer = [0; 1024];
                let length = peer.read(&mut buffer).await.unwrap();
                assert!(length > 0, "the encrypted handshake is refused");
                initiator.handle_input(&buffer[..length]).unwrap();
            };
            let handshake = peer_wire::Handshake {
                reserved: peer_wire::Reserved::FAST,
                info_hash: *torrent.as_bytes(),
                peer_id: [3; 20],
            };
            let mut bytes = handshake.encode();
            established.ciphers.encrypt(&mut bytes);
            peer.write_all(&bytes).await.unwrap();
        };
        let taking = shake_hands(stream, remote.ip(), context);
        timeout(PATIENCE, async { tokio::join!(taking, dialling).0 }).await.unwrap()
    }

    #[tokio::test]
    async fn an_encrypted_connection_is_for_the_torrent_that_it_is_encrypted_for() {
        let (context, _reports) = context();
        [ONE, OTHER].iter().for_each(|info_hash| context.swarm_keys.insert(info_hash));
        let shaken = dial_encrypted(&context, ONE, ONE).await.unwrap();
        assert_eq!((shaken.peer.info_hash, shaken.encryption), (*ONE.as_bytes(), Encryption::Mse));
        assert!(dial_encrypted(&context, ONE, OTHER).await.is_none());
    }
}
