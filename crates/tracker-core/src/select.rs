//! The selection of peers for an asker.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Range;

use rand::{Rng, RngExt};

use crate::address::{self, AddressBits, Asker, Place};
use crate::address_group::OwnNetworks;
use crate::entry::{DigestOrExpiry, Download, Entry, EntryV6};
use crate::peer::digest;
use crate::pool::{Class, MOST_OF_ONE_ADDRESS, Pool};
use crate::rules::Rules;
use crate::swarm::Swarm;
use crate::{AnnounceRequest, Config, Families, Memory, PeerEntry, PeerId, PeerState, Peers, SubnetPreference};

/// The number of peers considered per peer wanted, where some are preferred to others or cannot be handed out.
const DRAWS_PER_WANTED: usize = 8;

/// Neighbours are drawn together from this many candidates for each peer that is missing, or from more. Fewer are near one another
/// anyway.
const RUNS_FROM: usize = 16;

/// The number of peers of crowded networks, or as many as are wanted, after which the rest is drawn from others only.
const ENOUGH_OF_NETWORK: usize = 64;

/// The most IPv6 peers that are passed in search of those outside of crowded networks: about ten microseconds.
const MOST_PASSED: usize = 4096;

/// The number of peers considered at least where one address has many: more than it may have in one swarm by default.
const LEAST_DRAWS_IN_CROWD: usize = 512;

/// Peers of a swarm by what an asker can do with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Useful {
    /// Leechers, and what holds data.
    All,
    /// Leechers only.
    Leechers,
    /// Seeders and partial seeds only.
    Holders,
}

impl Useful {
    /// The kinds of peers that the sender of an announce can use.
    ///
    /// A seeder needs leechers only. But a client that has a magnet link and nothing else may say that nothing is left
    /// (aria2 does), and gets its metadata from seeders: so who says `left=0` without having downloaded anything, here or as
    /// far as it says, gets seeders for the places that leechers leave.
    fn to(request: &AnnounceRequest, download: Download) -> &'static [Self] {
        match PeerState::announced(request.event, request.left) {
            PeerState::Leecher => &[Self::All],
            PeerState::Seeder if request.left == Some(0) && request.downloaded == 0 && download == Download::Unseen => {
                &[Self::Leechers, Self::Holders]
            }
            PeerState::Seeder | PeerState::PartialSeed => &[Self::Leechers],
        }
    }

    fn has(self, state: PeerState) -> bool {
        match self {
            Self::All => true,
            Self::Leechers => state == PeerState::Leecher,
            Self::Holders => state != PeerState::Leecher,
        }
    }
}

/// Peers of a swarm by what is known of connecting to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// Not known to be unreachable.
    Open,
    /// Known to be unreachable. They can connect to the asker, when they ask themselves.
    Closed,
}

/// A selection of peers of a swarm for one asker.
#[derive(Debug)]
pub(crate) struct Selection<'c> {
    config: &'c Config,
    own: &'c OwnNetworks,
    asker: Asker,
    /// The address of the asker's own peer, as it would be handed out to the asker.
    address: SocketAddr,
    peer_id: PeerId,
    /// Of the peer id, where such are kept.
    digest: Option<DigestOrExpiry>,
    /// The kinds of peers that are of use to the asker, the best first.
    useful: &'static [Useful],
    families: Families,
    peer_ids: bool,
    wanted: usize,
    verbatim: Verbatim<'c>,
}

impl<'c> Selection<'c> {
    /// The selection for the sender of an announce, whose peer is kept under `ip`. `download` is what the tracker saw of
    /// its download.
    pub(crate) fn new(
        config: &'c Config,
        rules: &'c Rules,
        asker: Asker,
        ip: IpAddr,
        request: &AnnounceRequest,
        download: Download,
    ) -> Self {
        let verbatim = Verbatim { asker, config, bits: rules.address_bits };
        let own_ip = if verbatim.has(ip) { ip } else { asker.sees(ip, config).unwrap_or(ip) };
        Self {
            config,
            own: &rules.own,
            asker,
            address: SocketAddr::new(own_ip, request.port),
            peer_id: request.peer_id,
            digest: (config.memory == Memory::Full).then(|| digest(request.peer_id)),
            useful: Useful::to(request, download),
            families: request.families,
            peer_ids: request.peer_ids,
            wanted: config.wanted(request) as usize,
            verbatim,
        }
    }

    /// Fills `peers`, which is empty, with a random choice of the peers that are of use to the asker. Those that are known to be
    /// unreachable get the places that others leave. Among those of the same reach and use each is equally likely, except that no
    /// address has more than [`MOST_OF_ONE_ADDRESS`], and no IPv6 network of this machine more than half, while there are others:
    /// so nobody crowds out the others.
    pub(crate) fn select(&self, rng: &mut impl Rng, swarm: &Swarm, peers: &mut Peers) {
        for reach in [Reach::Open, Reach::Closed] {
            if reach == Reach::Closed && !swarm.has_unreachable() {
                break;
            }
            for &useful in self.useful {
                if peers.len() < self.wanted {
                    self.draw(reach, useful, rng, swarm, peers);
                }
            }
        }
        peers.fill_up_with_crowd(self.wanted);
    }

    /// Adds peers of this reach and use, until there are as many as wanted.
    ///
    /// The candidates of both families are numbered in one row: for each family those of its first range, then those of its
    /// second. Numbers are drawn from the whole row, so that neither family nor range is preferred: each by itself, or neighbours
    /// together where there are many and each goes into the answer as it stands. Peers for whose address or
    /// network there are enough are kept for the end. When many of these were kept because of their network, the rest is drawn
    /// from IPv4, and then from IPv6 outside of that network, so that few such peers are found among thousands of addresses.
    fn draw(&self, reach: Reach, useful: Useful, rng: &mut impl Rng, swarm: &Swarm, peers: &mut Peers) {
        let (first_v4, more_v4) = self.candidates(swarm.v4(), Families::V4, reach, useful);
        let v6 = swarm.v6();
        let (first_v6, more_v6) = v6.map(|v6| self.candidates(v6, Families::V6, reach, useful)).unwrap_or_default();
        let useful_v4 = first_v4.len() + more_v4.len();
        let candidates = useful_v4 + first_v6.len() + more_v6.len();
        let missing = self.wanted - peers.len();
        let preference = self.config.prefer_subnet.filter(|_| candidates > missing);

        let is_crowded = swarm.v4().is_crowded() || v6.is_some_and(Pool::is_crowded);
        let least_draws = if is_crowded { LEAST_DRAWS_IN_CROWD } else { 0 };
        let draws = candidates.min((self.wanted * DRAWS_PER_WANTED).max(least_draws));
        let enough = self.wanted.max(ENOUGH_OF_NETWORK);
        // Nobody is crowded out where there is a place for everybody, those of a better use that were kept for the end included,
        // or where all are in one network.
        let has_others = useful_v4 > 0 || v6.is_some_and(Pool::is_of_several_networks) || swarm.has_unreachable();
        let is_short = candidates + peers.in_crowd() > missing;
        let most_of_network = if is_short && has_others { self.wanted.div_ceil(2) } else { usize::MAX };
        let is_plain = preference.is_none() && !self.peer_ids;
        let [plain_v4, plain_v6] =
            [(Families::V4, swarm.v4().is_crowded()), (Families::V6, v6.is_some_and(Pool::is_crowded))].map(
                |(family, is_crowded)| is_plain && !is_crowded && [Families::Both, family].contains(&self.families),
            );
        let criteria = Criteria { useful, preference, most_of_network, is_plain: false, is_second_time: false };
        let position = |number: usize, first: &Range<usize>, more: &Range<usize>| {
            if number < first.len() { first.start + number } else { more.start + number - first.len() }
        };

        peers.start(candidates, missing, if preference.is_some() { draws } else { 0 });
        // Those of crowded addresses, or of crowded networks only.
        peers.expect_crowd(if is_crowded || preference.is_some() { draws.max(enough) } else { enough });
        let take = |number: usize, is_second_time: bool, peers: &mut Peers| {
            if number < useful_v4 {
                let criteria = Criteria { is_plain: plain_v4 && !is_second_time, is_second_time, ..criteria };
                self.take(criteria, swarm.v4(), position(number, &first_v4, &more_v4), peers);
            } else if let Some(v6) = v6 {
                // Fewer than that of all networks cannot be too many of one network, so that nothing is counted before.
                let is_plain = plain_v6 && !is_second_time && peers.v6().len() < most_of_network;
                let criteria = Criteria { is_plain, is_second_time, ..criteria };
                self.take(criteria, v6, position(number - useful_v4, &first_v6, &more_v6), peers);
            }
        };
        // A limit on networks that is reached within a run would make the peers at its beginning likelier.
        let are_plain_v6 = useful_v4 == candidates || (plain_v6 && most_of_network == usize::MAX);
        let is_in_runs = (useful_v4 == 0 || plain_v4) && are_plain_v6 && candidates >= RUNS_FROM * missing;
        if is_in_runs {
            // No more than are missing: another run in the place of one that cannot be handed out, such as the asker, would make its
            // neighbours likelier than others.
            peers.draw_runs_from(candidates, missing, rng);
            while let Some(number) = peers.draw(rng) {
                take(number, false, peers);
            }
        }
        if peers.len() < self.wanted {
            peers.draw_from(candidates, draws);
        }
        while peers.len() < self.wanted
            && peers.crowded_networks() < enough
            && let Some(number) = peers.draw(rng)
        {
            take(number, is_in_runs, peers);
        }
        let are_others_left = peers.crowded_networks() >= enough || draws < candidates;
        if peers.len() < self.wanted && peers.crowded_networks() > 0 && are_others_left {
            peers.draw_from(useful_v4, draws);
            while peers.len() < self.wanted
                && let Some(number) = peers.draw(rng)
            {
                take(number, true, peers);
            }
            if let Some(v6) = v6 {
                let candidates = first_v6.len() + more_v6.len();
                let position = |number| position(number, &first_v6, &more_v6);
                self.draw_outside(criteria, rng, v6, (candidates, draws), position, peers);
            }
        }
        // Those that were put back for others in the own subnet.
        while peers.len() < self.wanted
            && let Some(peer) = peers.next_other()
        {
            if self.is_within_share(criteria, is_crowded, peer.address.ip(), peers) {
                peers.push(peer);
            } else {
                peers.put_back_crowd(peer);
            }
        }
    }

    /// Adds peers of IPv6 outside of the networks of which there are enough, from a random one on. `candidates` are as many as
    /// there are in all, and as may be outside; some may have been drawn before.
    #[cold]
    fn draw_outside(
        &self,
        criteria: Criteria,
        rng: &mut impl Rng,
        v6: &Pool<EntryV6>,
        (candidates, mut draws): (usize, usize),
        position: impl Fn(usize) -> usize,
        peers: &mut Peers,
    ) {
        let first = if candidates > 0 { rng.random_range(0..candidates) } else { 0 };
        for number in (first..candidates).chain(0..first).take(MOST_PASSED) {
            if draws == 0 || peers.len() >= self.wanted {
                break;
            }
            let network = self.own.number_of(v6.entry(position(number)).ip());
            if network.is_none_or(|network| peers.of_network(network) < criteria.most_of_network) {
                draws -= 1;
                self.take_with_care(Criteria { is_second_time: true, ..criteria }, v6, position(number), peers);
            }
        }
    }

    /// The entries of a pool, which is of one family, that are of this reach and may be of this use to the asker: two ranges.
    fn candidates<E: Entry>(
        &self,
        pool: &Pool<E>,
        family: Families,
        reach: Reach,
        useful: Useful,
    ) -> (Range<usize>, Range<usize>) {
        if reach == Reach::Closed {
            let unreachable = match useful {
                _ if self.families != Families::Both && self.families != family => 0..0,
                Useful::All => pool.unreachable(),
                Useful::Leechers => pool.range(Class::LeechingUnreachable),
                Useful::Holders => pool.range(Class::HoldingUnreachable),
            };
            return (unreachable, 0..0);
        }
        let (leeching_here, holding_here) = (pool.range(Class::LeechingHere), pool.range(Class::HoldingHere));
        if self.families != Families::Both && self.families != family {
            // A peer on this machine may have another family for the asker than it has here; the others have not.
            return match useful {
                Useful::All => (leeching_here, holding_here),
                Useful::Leechers => (leeching_here, 0..0),
                Useful::Holders => (0..0, holding_here),
            };
        }
        let leeching_end = pool.range(Class::Leeching).end;
        let everywhere = match useful {
            Useful::All => 0..holding_here.end,
            Useful::Leechers => 0..leeching_end,
            Useful::Holders => leeching_end..holding_here.end,
        };
        let is_nearby = self.verbatim.bits.has_v4_link_local || address::is_v4_link_local(self.asker.remote);
        (everywhere, if is_nearby { pool.range(Class::Nearby) } else { 0..0 })
    }

    /// Hands out the peer at this position, if it is of use and its address has not enough in the answer; else keeps it.
    #[inline]
    fn take<E: Entry>(&self, criteria: Criteria, pool: &Pool<E>, position: usize, peers: &mut Peers) {
        let entry = pool.entry(position);
        let ip = entry.ip().into();
        if criteria.is_plain && self.verbatim.has(ip) {
            // Nearly all peers, and what the packed arrays are for: it goes into the answer as it stands.
            if !self.is_asker(pool, position, SocketAddr::new(ip, entry.port())) {
                entry.copy_to(peers);
            }
        } else {
            self.take_with_care(criteria, pool, position, peers);
        }
    }

    #[inline(never)]
    fn take_with_care<E: Entry>(&self, criteria: Criteria, pool: &Pool<E>, position: usize, peers: &mut Peers) {
        let Some(peer) = self.offer(criteria.useful, pool, position) else { return };
        if criteria.is_second_time && peers.contains(peer.address) {
            return;
        }
        // A client on this machine that announced over 127.0.0.1, ::1 and the LAN is one peer to the network.
        if self.asker.is_here(peer.address.ip(), self.config) && !peers.is_first_here(peer.address) {
            return;
        }
        match criteria.preference {
            Some(preference) if !preference.same_subnet(self.address.ip(), peer.address.ip()) => peers.put_back(peer),
            _ if self.is_within_share(criteria, pool.is_crowded(), pool.entry(position).ip().into(), peers) => {
                peers.push(peer)
            }
            _ => peers.put_back_crowd(peer),
        }
    }

    /// Counts one more peer at this address, unless there are as many of its group or its network as there may be.
    fn is_within_share(&self, criteria: Criteria, is_crowded: bool, ip: IpAddr, peers: &mut Peers) -> bool {
        if is_crowded && !peers.count_of_group(self.own.group(ip), MOST_OF_ONE_ADDRESS) {
            return false;
        }
        let network = match ip {
            IpAddr::V6(v6) if criteria.most_of_network != usize::MAX => self.own.number_of(v6),
            _ => None,
        };
        network.is_none_or(|network| peers.count_of_network(network, criteria.most_of_network, self.own))
    }

    /// The peer as the asker can use it, if at all.
    fn offer<E: Entry>(&self, useful: Useful, pool: &Pool<E>, position: usize) -> Option<PeerEntry> {
        let entry = pool.entry(position);
        // Those nearby are not sorted by what they have.
        if !useful.has(entry.tag().state) {
            return None;
        }
        let ip = self.asker.sees(entry.ip().into(), self.config)?;
        let address = SocketAddr::new(ip, entry.port());
        let peer_id = pool.detail(position).filter(|_| self.peer_ids).map(|detail| detail.peer_id);
        (!self.is_asker(pool, position, address) && self.families.contain(ip)).then_some(PeerEntry { address, peer_id })
    }

    /// Returns `true` if the peer at this position, which the asker sees under `address`, is the asker itself.
    ///
    /// One client on two addresses is two peers, and both are the asker. So is what it left behind on this machine's other
    /// address before it was restarted with another peer id.
    fn is_asker<E: Entry>(&self, pool: &Pool<E>, position: usize, address: SocketAddr) -> bool {
        address == self.address
            || (self.digest == Some(pool.entry(position).tag().digest_or_expiry)
                && pool.detail(position).is_some_and(|detail| detail.peer_id == self.peer_id))
    }
}

/// Which peers are drawn into an answer.
#[derive(Debug, Clone, Copy)]
struct Criteria {
    useful: Useful,
    preference: Option<SubnetPreference>,
    /// The most peers of one IPv6 network of this machine.
    most_of_network: usize,
    /// `true` if peers go out as they stand whose addresses do.
    is_plain: bool,
    /// `true` if peers may come that were drawn before.
    is_second_time: bool,
}

/// The addresses that an asker gets as they stand: those of neither this machine nor only some networks.
///
/// Nearly all are, and each peer of an answer is asked about. So [`AddressBits`] tell at once of most addresses that they are
/// neither this machine's nor those of its containers.
#[derive(Debug)]
struct Verbatim<'c> {
    asker: Asker,
    config: &'c Config,
    bits: AddressBits,
}

impl Verbatim<'_> {
    /// Returns `true` if this is certainly such an address. All others need a closer check.
    #[inline]
    fn has(&self, ip: IpAddr) -> bool {
        match ip {
            // Loopback addresses other than 127.0.0.1 and ::1 stand as they are for askers on loopback.
            IpAddr::V4(ip) if ip.is_loopback() => self.asker.remote.is_loopback() && ip != Ipv4Addr::LOCALHOST,
            _ if ip == Ipv6Addr::LOCALHOST || address::is_v4_link_local(ip) || ip == self.asker.local => false,
            _ if !self.bits.may_have(ip) => true,
            _ => matches!(Place::of(ip, self.config), Place::Elsewhere),
        }
    }
}
