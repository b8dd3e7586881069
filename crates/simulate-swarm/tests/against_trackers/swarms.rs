//! The swarms of a simple tracker.

use std::collections::HashMap;
use std::iter;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// A fault of a tracker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// None, either: the tracker has a peer of its own in all swarms.
    OwnPeer,
    OwnPeerTwice,
    /// It is in each answer at another port.
    OwnPeerMoves,
    /// Nobody else is handed out.
    OnlyOwnPeer,
    SelfInPeers,
    Stranger,
    OtherTorrent,
    Departed,
    Duplicate,
    SeedForSeed,
    TooManyPeers,
    NoPeers,
    AtMostFivePeers,
    TooManyLeechers,
    AskerNotCounted,
    NoInterval,
    ScrapeCounts,
    Refusal,
    LostPackets,
    TransactionId,
    Action,
    Length,
    SourceAddress,
    UnsortedKeys,
    Html,
    NoPeersKey,
    Chunked,
    NoContentLength,
    BytesBehindBody,
    NotHttp,
    Status,
    ClosedEarly,
    ClosesIdle,
}

pub(crate) struct Request {
    pub(crate) info_hash: [u8; 20],
    pub(crate) peer: SocketAddr,
    pub(crate) is_seed: bool,
    pub(crate) is_stopped: bool,
    pub(crate) numwant: usize,
}

pub(crate) struct Answer {
    pub(crate) interval: u32,
    pub(crate) seeders: u32,
    pub(crate) leechers: u32,
    pub(crate) peers: Vec<SocketAddr>,
}

/// Each swarm has its peers in order of their first announce, and whether they are seeders.
pub(crate) struct Swarms {
    pub(crate) fault: Fault,
    swarms: HashMap<[u8; 20], Vec<(SocketAddr, bool)>>,
    /// Of each swarm the first leecher that stopped.
    departed: HashMap<[u8; 20], SocketAddr>,
    /// Rotates the lists, so that all peers are handed out.
    turn: usize,
}

impl Swarms {
    pub(crate) fn new(fault: Fault) -> Self {
        Self { fault, swarms: HashMap::new(), departed: HashMap::new(), turn: 0 }
    }

    pub(crate) fn announce(&mut self, request: &Request) -> Answer {
        self.turn += 1;
        let swarm = self.swarms.entry(request.info_hash).or_default();
        let known = swarm.iter().position(|(peer, _)| *peer == request.peer);
        match (known, request.is_stopped) {
            (Some(index), true) => {
                let (peer, was_seed) = swarm.remove(index);
                // A departed seeder that is handed out to a seeder would be another violation as well.
                if !was_seed && !request.is_seed {
                    self.departed.entry(request.info_hash).or_insert(peer);
                }
            }
            (Some(index), false) => swarm[index].1 = request.is_seed,
            (None, true) => {}
            (None, false) => swarm.push((request.peer, request.is_seed)),
        }
        let is_wanted = |peer: SocketAddr, is_seed: bool| {
            (peer != request.peer || self.fault == Fault::SelfInPeers)
                && !(is_seed && request.is_seed && self.fault != Fault::SeedForSeed)
        };
        let mut peers: Vec<_> =
            swarm.iter().filter(|(peer, is_seed)| is_wanted(*peer, *is_seed)).map(|(peer, _)| *peer).collect();
        let turn = self.turn % peers.len().max(1);
        peers.rotate_left(turn);
        if self.fault != Fault::TooManyPeers {
            peers.truncate(request.numwant);
        }
        let (seeders, leechers) = self.counts(&request.info_hash);
        let asker = u32::from(self.fault == Fault::AskerNotCounted && !request.is_stopped);
        let answer = Answer {
            interval: if self.fault == Fault::NoInterval { 0 } else { 1800 },
            seeders: seeders - if request.is_seed { asker } else { 0 },
            leechers: leechers - if request.is_seed { 0 } else { asker }
                + if self.fault == Fault::TooManyLeechers { 1000 } else { 0 },
            peers,
        };
        self.spoil(answer, &request.info_hash, request.numwant)
    }

    fn spoil(&self, mut answer: Answer, info_hash: &[u8; 20], numwant: usize) -> Answer {
        let peers = &mut answer.peers;
        match self.fault {
            Fault::NoPeers | Fault::OnlyOwnPeer => peers.clear(),
            Fault::AtMostFivePeers => peers.truncate(5),
            _ => {}
        }
        let stranger = SocketAddr::new(Ipv4Addr::new(10, 9, 9, 9).into(), 2000);
        let other_swarm = self.swarms.iter().find(|(other, swarm)| *other != info_hash && !swarm.is_empty());
        let wrong = match self.fault {
            Fault::Stranger => Some(stranger),
            Fault::OtherTorrent => other_swarm.map(|(_, swarm)| swarm[0].0),
            Fault::Duplicate => peers.get(1).copied(),
            Fault::Departed => self.departed.get(info_hash).copied(),
            _ => None,
        };
        if let (Some(first), Some(wrong)) = (peers.first_mut(), wrong) {
            *first = wrong;
        }
        let port = if self.fault == Fault::OwnPeerMoves { 6000 + self.turn as u16 % 2 } else { 6968 };
        let own_peers = match self.fault {
            Fault::OwnPeer | Fault::OwnPeerMoves | Fault::OnlyOwnPeer => 1,
            Fault::OwnPeerTwice => 2,
            _ => 0,
        };
        if peers.len() + own_peers <= numwant {
            peers.extend(iter::repeat_n(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port), own_peers));
        }
        answer
    }

    /// Seeders and leechers.
    pub(crate) fn counts(&self, info_hash: &[u8; 20]) -> (u32, u32) {
        let swarm = self.swarms.get(info_hash).map_or(&[][..], Vec::as_slice);
        let seeders = swarm.iter().filter(|(_, is_seed)| *is_seed).count();
        (u32::try_from(seeders).unwrap(), u32::try_from(swarm.len() - seeders).unwrap())
    }

    /// The counts for a scrape.
    pub(crate) fn scrape(&self, info_hash: &[u8; 20]) -> (u32, u32) {
        let (seeders, leechers) = self.counts(info_hash);
        (if self.fault == Fault::ScrapeCounts { seeders + 1000 } else { seeders }, leechers)
    }
}

/// A compact list of peers.
pub(crate) fn compact(peers: &[SocketAddr]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for peer in peers {
        match peer.ip() {
            IpAddr::V4(v4) => bytes.extend(v4.octets()),
            IpAddr::V6(v6) => bytes.extend(v6.octets()),
        }
        bytes.extend(peer.port().to_be_bytes());
    }
    bytes
}
