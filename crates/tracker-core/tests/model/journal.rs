//! The membership of the swarms as somebody knows it who listens to events only.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use tracker_core::{Event, EventKind, InfoHash, Peer, PeerState, Reachability};

use super::Tally;

#[derive(Debug, Default)]
pub(crate) struct Journal {
    swarms: BTreeMap<InfoHash, Vec<Peer>>,
    tally: Tally,
    /// The address of the peer that left last, and of the one that joined last.
    left: Option<SocketAddr>,
    joined: Option<SocketAddr>,
}

impl Journal {
    pub(crate) fn tally(&self) -> Tally {
        self.tally
    }

    pub(crate) fn swarms(&self) -> &BTreeMap<InfoHash, Vec<Peer>> {
        &self.swarms
    }

    /// Takes over what the embedder found out about a peer, of which there are no events.
    pub(crate) fn find_out(&mut self, info_hash: &InfoHash, address: SocketAddr, reachability: Reachability) {
        let peers = self.swarms.get_mut(info_hash).map_or(&mut [][..], |peers| peers);
        peers.iter_mut().filter(|peer| peer.address == address).for_each(|peer| peer.reachability = reachability);
    }

    /// Takes over the peers that were taken in, of which there are no events. `left` is what the tracker has now.
    pub(crate) fn restore(&mut self, left: BTreeMap<InfoHash, Vec<Peer>>) {
        assert!(self.swarms.keys().eq(left.keys()), "by its events: {:?}", self.swarms.keys());
        self.swarms = left;
    }

    pub(crate) fn take(&mut self, event: Event) {
        let tally = &mut self.tally;
        match event.kind {
            EventKind::SwarmCreated => {
                let known = self.swarms.insert(event.info_hash, Vec::new());
                assert!(known.is_none(), "{} was created twice", event.info_hash);
                tally.created += 1;
                return;
            }
            EventKind::SwarmDropped => {
                assert!(
                    self.swarms.remove(&event.info_hash).is_some(),
                    "{} was dropped, but not there",
                    event.info_hash
                );
                tally.dropped += 1;
                return;
            }
            _ => (),
        }

        let peers = self.swarms.get_mut(&event.info_hash).expect("a swarm is created before it has peers");
        match event.kind {
            EventKind::PeerJoined(peer) => {
                assert_eq!(find(peers, peer.address, &peer), None, "{peer:?} joined twice");
                assert!(
                    peer.detail
                        .as_ref()
                        .is_none_or(|known| (known.first_seen, known.last_seen) == (event.at, event.at))
                );
                self.joined = Some(peer.address);
                peers.push(peer);
                tally.joined += 1;
            }
            EventKind::PeerUpdated { peer, moved_from } => {
                assert_ne!(moved_from, Some(peer.address), "moved to where it was");
                let was = moved_from.unwrap_or(peer.address);
                let position = find(peers, was, &peer).unwrap_or_else(|| panic!("{peer:?} was not at {was}"));
                assert!(peer.detail.as_ref().is_none_or(|known| known.last_seen == event.at));
                peers[position] = peer;
                tally.updated += 1;
                tally.moved += u64::from(moved_from.is_some());
            }
            EventKind::PeerCompleted(peer) => {
                assert!(peers.contains(&peer), "{peer:?} completed, but is not as told before");
                assert_eq!(peer.state, PeerState::Seeder);
                tally.completed += 1;
            }
            EventKind::PeerLeft(peer) => {
                remove(peers, &peer);
                self.left = Some(peer.address);
                tally.left += 1;
            }
            EventKind::PeerExpired(peer) => {
                let is_due = peer.detail.as_ref().is_none_or(|known| known.expires <= event.at);
                assert!(is_due, "{peer:?} expired at {:?}", event.at);
                remove(peers, &peer);
                tally.expired += 1;
            }
            EventKind::AddressShared { address } => {
                let sharing = peers.iter().filter(|peer| peer.address.ip() == address).count();
                let replaced = self.left.is_some_and(|left| left.ip() == address && self.joined == Some(left));
                assert!(sharing > 1 || replaced, "{sharing} peers share {address}");
            }
            EventKind::PeerInContainer { address } => {
                assert!(peers.iter().any(|peer| peer.address.ip() == address), "nobody is at {address}");
            }
            other => panic!("an event that nobody expects: {other:?}"),
        }
    }
}

/// The position of the peer that was at `address`. An address has one peer, but peers that listen nowhere are distinguished
/// by their identity where it is known.
fn find(peers: &[Peer], address: SocketAddr, peer: &Peer) -> Option<usize> {
    let client = |peer: &Peer| peer.detail.as_ref().map(|known| (known.peer_id, known.key));
    peers.iter().position(|known| known.address == address && (address.port() > 1 || client(known) == client(peer)))
}

fn remove(peers: &mut Vec<Peer>, peer: &Peer) {
    let position = peers.iter().position(|known| known == peer);
    peers.swap_remove(position.unwrap_or_else(|| panic!("{peer:?} is gone, but was not there: {peers:?}")));
}
