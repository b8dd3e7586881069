//! What counts as one address, and who gives up a place for a newcomer.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};

use tracker_core::{AnnounceError, AnnounceRequest, Config, InfoHash, Instant, Memory, Peer};

use super::{Member, Model};

/// The IPv6 networks of the tracker's machine, by the upper halves of addresses.
#[derive(Debug)]
pub(super) struct Networks(BTreeSet<u64>);

/// What counts as one address: an address, or the first of a network that counts as one; and the network in which each address
/// counts by itself.
pub(super) type Group = (IpAddr, Option<u64>);

impl Networks {
    pub(super) fn new(config: &Config) -> Self {
        let mut networks = Self([0xfe80 << 48].into());
        let host_address = config.host_addresses.v6.map(IpAddr::V6);
        config.own_addresses.iter().copied().chain(host_address).for_each(|address| networks.learn(address));
        networks
    }

    pub(super) fn learn(&mut self, local: IpAddr) {
        if let IpAddr::V6(local) = local
            && !local.is_loopback()
        {
            self.0.insert(upper_half(local));
        }
    }

    pub(super) fn group(&self, ip: IpAddr) -> Group {
        let IpAddr::V6(v6) = ip else { return (ip, None) };
        let network = upper_half(v6);
        let first = Ipv6Addr::from_bits(u128::from(network) << 64);
        if self.0.contains(&network) { (ip, Some(network)) } else { (first.into(), None) }
    }
}

fn upper_half(address: Ipv6Addr) -> u64 {
    (address.to_bits() >> 64) as u64
}

/// A peer, or a swarm with all its peers, which may give up its place.
struct Unit {
    info_hash: InfoHash,
    members: Vec<Member>,
    groups: BTreeSet<Group>,
    heard: Instant,
}

impl Unit {
    /// The network that all of it is in.
    fn network(&self) -> Option<u64> {
        let networks: BTreeSet<_> = self.groups.iter().map(|(_, network)| *network).collect();
        if networks.len() == 1 { networks.into_iter().next().flatten() } else { None }
    }
}

impl Model {
    /// Takes out what gives up its place for the sender of an announce that would be refused for this reason, if anything does:
    /// one of those that may, which is not among those that the tracker has `left`.
    pub(super) fn make_room(
        &mut self,
        reason: &AnnounceError,
        request: &AnnounceRequest,
        left: &BTreeMap<InfoHash, Vec<Peer>>,
    ) -> bool {
        let units = match reason {
            AnnounceError::TooManySwarms { .. } => self.swarms.keys().filter_map(|key| self.swarm_unit(*key)).collect(),
            AnnounceError::TooManyPeers { .. } => self.swarms.keys().flat_map(|key| self.peer_units(*key)).collect(),
            AnnounceError::SwarmFull { .. } => self.peer_units(request.info_hash),
            _ => return false,
        };
        let in_swarm = matches!(reason, AnnounceError::SwarmFull { .. });
        let victims = self.victims(&units, self.networks.group(self.place(request).ip()), in_swarm);
        if victims.is_empty() {
            return false;
        }
        let is_gone = |unit: &&&Unit| {
            let is_left = |member: &Member| {
                left.get(&unit.info_hash).is_some_and(|peers| peers.iter().any(|peer| member.is(peer)))
            };
            !unit.members.iter().any(is_left)
        };
        let victim =
            victims.iter().find(is_gone).expect("one of those goes that hold most, and were silent for longest");
        let members = self.swarms.get_mut(&victim.info_hash).expect("it is there");
        let is_victim = |member: &Member| {
            let identity = |member: &Member| (member.address, member.peer_id, member.key);
            victim.members.iter().any(|other| identity(member) == identity(other))
        };
        let before = members.peers.len();
        members.peers.retain(|member| !is_victim(member));
        self.tally.left += (before - members.peers.len()) as u64;
        self.forget(|_, _| false);
        true
    }

    /// Those of which one gives up its place.
    fn victims<'u>(&self, units: &'u [Unit], newcomer: Group, in_swarm: bool) -> Vec<&'u Unit> {
        let held = |group: &Group| units.iter().filter(|unit| unit.groups.contains(group)).count();
        let in_network = |network: u64| units.iter().filter(|unit| unit.network() == Some(network)).count();
        let least = |unit: &Unit| unit.groups.iter().map(held).min().expect("a unit has peers");
        let own = held(&newcomer);
        if !in_swarm && own >= self.config.max_peers_per_address_overall {
            return Vec::new();
        }
        let is_network_full = newcomer.1.is_some_and(|network| 2 * in_network(network) >= units.len());
        let may_give = |unit: &&Unit| {
            let is_within = |group: &Group| group.1 == newcomer.1;
            !unit.groups.contains(&newcomer) && (!is_network_full || unit.groups.iter().all(is_within))
        };
        let most = units.iter().filter(may_give).map(least).max().filter(|&most| most > own + 1);
        let candidates: Vec<&Unit> = if most.is_some() {
            units.iter().filter(may_give).collect()
        } else {
            let is_over = |network: u64| newcomer.1 != Some(network) && 2 * in_network(network) > units.len();
            units.iter().filter(|unit| unit.network().is_some_and(is_over)).collect()
        };
        let most = candidates.iter().map(|unit| least(unit)).max();
        let candidates: Vec<&Unit> = candidates.into_iter().filter(|unit| Some(least(unit)) == most).collect();
        let stalest = candidates.iter().map(|unit| unit.heard).min();
        candidates.into_iter().filter(|unit| Some(unit.heard) == stalest).collect()
    }

    fn swarm_unit(&self, info_hash: InfoHash) -> Option<Unit> {
        let members = self.swarms[&info_hash].peers.clone();
        let heard = members.iter().map(|member| self.silence(member)).max()?;
        let groups = members.iter().map(|member| self.networks.group(member.address.ip())).collect();
        Some(Unit { info_hash, members, groups, heard })
    }

    fn peer_units(&self, info_hash: InfoHash) -> Vec<Unit> {
        let unit = |member: &Member| Unit {
            info_hash,
            members: vec![member.clone()],
            groups: [self.networks.group(member.address.ip())].into(),
            heard: self.silence(member),
        };
        self.members(&info_hash).iter().map(unit).collect()
    }

    /// The less, the longer a peer was silent. To a lean tracker all that are due are the same.
    pub(super) fn silence(&self, member: &Member) -> Instant {
        if member.memory == Memory::Full { member.last_seen } else { member.expires.max(self.now) }
    }
}
