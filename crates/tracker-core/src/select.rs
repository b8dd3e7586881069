//! Which peers an asker gets.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use rand::Rng;

use crate::address::{self, Asker};
use crate::entry::{Entry, Mark};
use crate::peer::digest;
use crate::pool::{Class, Pool};
use crate::swarm::Swarm;
use crate::{
    AnnounceRequest, Config, Families, HostAddresses, Memory, PeerEntry, PeerId, PeerState, Peers, SubnetPreference,
};

/// How many times as many peers as wanted are looked at where some are preferred to others, or cannot be handed out.
const DRAWS_PER_WANTED: usize = 8;

/// Who asks for peers of a swarm, and what for.
#[derive(Debug)]
pub(crate) struct Want<'c> {
    config: &'c Config,
    asker: Asker,
    /// Where the asker's own peer is, as it would be handed out to the asker.
    address: SocketAddr,
    peer_id: PeerId,
    /// Of the peer id, where such are kept.
    digest: Option<Mark>,
    is_leecher: bool,
    families: Families,
    peer_ids: bool,
    wanted: usize,
    plain: Plain,
}

impl<'c> Want<'c> {
    /// What the sender of an announce wants, whose peer is kept under `ip`.
    pub(crate) fn new(config: &'c Config, asker: Asker, ip: IpAddr, request: &AnnounceRequest) -> Self {
        let own_ip = asker.sees(ip, &config.host_addresses).unwrap_or(ip);
        Self {
            config,
            asker,
            address: SocketAddr::new(own_ip, request.port),
            peer_id: request.peer_id,
            digest: (config.memory == Memory::Full).then(|| digest(request.peer_id)),
            is_leecher: PeerState::announced(request.event, request.left) == PeerState::Leecher,
            families: request.families,
            peer_ids: request.peer_ids,
            wanted: request.numwant.unwrap_or(config.default_numwant).min(config.max_numwant) as usize,
            plain: Plain::new(&asker, config.host_addresses),
        }
    }

    /// Fills `peers`, which is empty, with a uniformly random choice of the peers that are of use to the asker: leechers for
    /// everybody, and what holds data for leechers.
    pub(crate) fn select(&self, rng: &mut impl Rng, swarm: &Swarm, peers: &mut Peers) {
        let last = if self.is_leecher { Class::Holding } else { Class::Leeching };
        // A peer on this machine may have another family for the asker than it has here.
        let v4 = Some(swarm.v4()).filter(|v4| self.families != Families::V6 || v4.has_loopback());
        let v6 = swarm.v6().filter(|v6| self.families != Families::V4 || v6.has_loopback());
        let useful_v4 = v4.map_or(0, |v4| v4.range(last).end);
        let useful_v6 = v6.map_or(0, |v6| v6.range(last).end);
        let nearby = match v4 {
            Some(v4) if address::is_v4_link_local(self.asker.remote) => v4.range(Class::Nearby),
            _ => 0..0,
        };
        let candidates = useful_v4 + nearby.len() + useful_v6;
        let preference = self.config.prefer_subnet.filter(|_| candidates > self.wanted);

        let draws = candidates.min(self.wanted * DRAWS_PER_WANTED);
        peers.start(candidates, draws, self.wanted, if preference.is_some() { draws } else { 0 });
        while peers.len() < self.wanted
            && let Some(number) = peers.draw(rng)
        {
            if number < useful_v4 {
                self.take(swarm.v4(), number, preference, peers);
            } else if number - useful_v4 < nearby.len() {
                self.take(swarm.v4(), nearby.start + number - useful_v4, preference, peers);
            } else if let Some(v6) = v6 {
                self.take(v6, number - useful_v4 - nearby.len(), preference, peers);
            }
        }
        peers.fill_up(self.wanted);
    }

    /// Hands out the peer at this position, if it is of use.
    fn take<E: Entry>(&self, pool: &Pool<E>, position: usize, preference: Option<SubnetPreference>, peers: &mut Peers) {
        let entry = pool.entry(position);
        let ip = entry.ip().into();
        if self.plain.has(ip) && self.families.contain(ip) && preference.is_none() && !self.peer_ids {
            // Nearly all peers, and what the packed arrays are for: it goes into the answer as it stands.
            if !self.is_asker(pool, position, SocketAddr::new(ip, entry.port())) {
                entry.copy_to(peers);
            }
            return;
        }
        let Some(peer) = self.offer(pool, position) else { return };
        // A client on this machine that announced over 127.0.0.1, ::1 and the LAN is one peer to the network.
        if self.asker.is_here(peer.address.ip(), &self.config.host_addresses) && !peers.is_first_here(peer.address) {
            return;
        }
        match preference {
            Some(preference) if !preference.same_subnet(self.address.ip(), peer.address.ip()) => peers.put_back(peer),
            _ => peers.push(peer),
        }
    }

    /// The peer as the asker can use it, if at all.
    fn offer<E: Entry>(&self, pool: &Pool<E>, position: usize) -> Option<PeerEntry> {
        let entry = pool.entry(position);
        // Those nearby are not sorted by what they have.
        if !self.is_leecher && entry.tail().state != PeerState::Leecher {
            return None;
        }
        let ip = self.asker.sees(entry.ip().into(), &self.config.host_addresses)?;
        let address = SocketAddr::new(ip, entry.port());
        let peer_id = pool.detail(position).filter(|_| self.peer_ids).map(|detail| detail.peer_id);
        (!self.is_asker(pool, position, address) && self.families.contain(ip)).then_some(PeerEntry { address, peer_id })
    }

    /// Whether the peer at this position, which the asker sees under `address`, is the asker itself.
    ///
    /// One client on two addresses is two peers, and both are the asker. So is what it left behind on this machine's other
    /// address before it was restarted with another peer id.
    fn is_asker<E: Entry>(&self, pool: &Pool<E>, position: usize, address: SocketAddr) -> bool {
        address == self.address
            || (self.digest == Some(pool.entry(position).tail().mark)
                && pool.detail(position).is_some_and(|detail| detail.peer_id == self.peer_id))
    }
}

/// The addresses that an asker gets as they stand: those of neither this machine nor only some networks.
#[derive(Debug)]
struct Plain {
    /// Where 127.0.0.1 and ::1 alone are not.
    asker_is_here: bool,
    local: IpAddr,
    host: HostAddresses,
}

impl Plain {
    fn new(asker: &Asker, host: HostAddresses) -> Self {
        Self { asker_is_here: asker.remote.is_loopback(), local: asker.local, host }
    }

    /// Whether this surely is one. The others are to be looked at closely.
    fn has(&self, ip: IpAddr) -> bool {
        let is_plain = match ip {
            IpAddr::V4(ip) if ip.is_loopback() => self.asker_is_here && ip != Ipv4Addr::LOCALHOST,
            IpAddr::V4(ip) => !ip.is_link_local() && Some(ip) != self.host.v4,
            IpAddr::V6(ip) => ip != Ipv6Addr::LOCALHOST && Some(ip) != self.host.v6,
        };
        is_plain && ip != self.local
    }
}
