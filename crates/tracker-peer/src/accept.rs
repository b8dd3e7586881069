//! Taking connections that peers make.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use peer_wire::mse::{Ciphers, Detected, detect};
use peer_wire::{Connection, Event};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};
use tracker_core::{InfoHash, PeerId};

use crate::driver::{Context, Report};
use crate::encrypted::{self, Encrypted};
use crate::planner::{ConnectionId, Encryption, Incoming, Refusal};
use crate::session::Session;

/// The shortest time between two connections that are accepted. An encrypted handshake costs about 0.3 ms of a processor, so that
/// nobody can make this machine spend more than a few hundredths of one on them.
const ACCEPT_INTERVAL: Duration = Duration::from_millis(5);

/// Connections in whose handshake the tracker's own peer is at a time: all, and of one address. Others are closed.
const MAX_HANDSHAKES: usize = 100;
const MAX_HANDSHAKES_PER_ADDRESS: usize = 8;

/// How long the first bytes may take.
const FIRST_BYTES_TIMEOUT: Duration = Duration::from_secs(10);

/// How long to wait when this machine has no sockets left.
const PAUSE: Duration = Duration::from_millis(200);

/// What the driver answers to a connection whose handshake has come.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) connection: ConnectionId,
    pub(crate) torrent: peer_wire::Torrent,
}

/// A connection whose handshake has come.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) incoming: Incoming,
    /// The connection's commands, if it is admitted.
    pub(crate) commands: mpsc::Sender<crate::session::Command>,
    pub(crate) answer: oneshot::Sender<Result<Admitted, Refusal>>,
}

/// Takes connections until it is dropped.
pub(crate) async fn accept(listener: TcpListener, context: Context, handshakes: Handshakes) -> Infallible {
    loop {
        match listener.accept().await {
            Ok((stream, remote)) => {
                if let Some(handshake) = handshakes.begin(remote.ip().to_canonical()) {
                    tokio::spawn(take(stream, context.clone(), handshake));
                }
                sleep(ACCEPT_INTERVAL).await;
            }
            Err(error) => {
                tracing::debug!(%error, "cannot accept a connection of a peer");
                sleep(PAUSE).await;
            }
        }
    }
}

async fn take(stream: TcpStream, context: Context, handshake: Handshake) {
    let Ok((remote, local)) = stream.peer_addr().and_then(|remote| Ok((remote.ip(), stream.local_addr()?.ip()))) else {
        // It is closed already.
        return;
    };
    let (remote, local) = (remote.to_canonical(), local.to_canonical());
    let stream = Arc::new(stream);
    let Some((Encrypted { ciphers, received }, encryption)) = shake_hands(&stream, &context).await else { return };
    let connection = Connection::accept(context.start.elapsed(), context.local.clone(), remote);
    let bitfields = context.bitfields.clone();
    let mut session = Session::new(stream, ciphers, connection, &received, context.start, bitfields);
    let Some(Event::Handshake(peer)) = session.event().await else { return };

    let (info_hash, peer_id) = (InfoHash::new(peer.info_hash), PeerId::new(peer.peer_id));
    let incoming = Incoming { info_hash, peer_id, remote, local, encryption };
    let (commands, mut wanted) = mpsc::channel(Context::COMMANDS);
    let (answer, admitted) = oneshot::channel();
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
    // Over loopback nobody is in the way. The planner admits none from this machine; a container's is not over loopback.
    let entry = context.announces.sockets.enter(info_hash);
    let is_free = || !context.shards.has_peer_here(&info_hash) || context.is_exclusive(local);
    let is_open = entry.open(is_free, || Ok::<_, Infallible>(Arc::clone(session.stream()))).is_some();
    if is_open {
        session.hold((!context.is_exclusive(local)).then_some(entry));
        session.set_torrent(admitted.torrent);
        session.run(admitted.connection, &mut wanted, &context.reports).await;
    } else {
        _ = context.reports.send(Report::Closed { connection: admitted.connection }).await;
    }
}

/// Finds out whether the connection is encrypted, and if so, shakes hands for that.
async fn shake_hands(stream: &TcpStream, context: &Context) -> Option<(Encrypted, Encryption)> {
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
        Detected::Plain => Some((Encrypted { ciphers: Ciphers::plaintext(), received }, Encryption::Plain)),
        _ => {
            let encrypted = encrypted::respond(stream, &received, |hash| context.swarm_keys.find(hash)).await;
            let encrypted = encrypted.inspect_err(|error| tracing::debug!(%error, "no encrypted handshake of a peer"));
            Some((encrypted.ok()?, Encryption::Mse))
        }
    }
}

/// The connections whose handshakes are in progress, by address. Cheap to clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Handshakes(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// A handshake in progress. It is over when this is dropped.
#[derive(Debug)]
struct Handshake {
    handshakes: Handshakes,
    remote: IpAddr,
}

impl Handshakes {
    /// One more, unless there are too many.
    fn begin(&self, remote: IpAddr) -> Option<Handshake> {
        let mut addresses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_this = addresses.get(&remote).copied().unwrap_or(0);
        if of_this >= MAX_HANDSHAKES_PER_ADDRESS || addresses.values().sum::<usize>() >= MAX_HANDSHAKES {
            return None;
        }
        addresses.insert(remote, of_this + 1);
        Some(Handshake { handshakes: self.clone(), remote })
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        let mut addresses = self.handshakes.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = addresses.get_mut(&self.remote) {
            *count -= 1;
            if *count == 0 {
                addresses.remove(&self.remote);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_takes_all_handshakes() {
        let handshakes = Handshakes::default();
        let address = |host: usize| IpAddr::from([10, 0, 0, u8::try_from(host).unwrap()]);
        let mut begun: Vec<_> =
            (0..MAX_HANDSHAKES_PER_ADDRESS).map(|_| handshakes.begin(address(1)).unwrap()).collect();
        assert!(handshakes.begin(address(1)).is_none());
        begun.extend((MAX_HANDSHAKES_PER_ADDRESS..MAX_HANDSHAKES).map(|host| handshakes.begin(address(host)).unwrap()));
        assert!(handshakes.begin(address(250)).is_none());
        begun.remove(0);
        assert!(handshakes.begin(address(1)).is_some());
        begun.clear();
        assert!(handshakes.0.lock().unwrap().is_empty());
    }
}
