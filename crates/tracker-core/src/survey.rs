//! Who gives up a place when there is none for a newcomer.
//!
//! Room is made at the cost of the address that holds most, as [`AddressGroup`] counts addresses. Counting what each address
//! holds would take memory for each, and a look for its peers another. So nothing is counted: when a place is wanted, a sample
//! of swarms is drawn, evenly from the places of all shards, and of each some peers. An address that holds much is in it often.
//! In a tracker of up to [`SWARMS`] swarms and some hundred peers the sample is everything, and the choice exact. The shards are
//! locked one after the other: an attacker may choose info-hashes that are all in one of them, so that each is looked at, but a
//! sample ends early when it is clear who holds most.
//!
//! A swarm is given up as a whole, and must not be lost to others for the sake of one peer in it. So it counts for as much as
//! the one of its addresses that holds least.

use std::net::IpAddr;

use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashSet};
use rand::{Rng, RngExt};
use smallvec::SmallVec;

use crate::peer::Identity;
use crate::rules::Rules;
use crate::swarm::Swarm;
use crate::swarms::Swarms;
use crate::{AddressGroup, AnnounceError, InfoHash, Instant};

/// The most swarms, in all shards together, that are all looked at.
const SWARMS: usize = 256;

/// The number of swarms that are drawn where there are more: an announce for which there is no place must not cost much.
const DRAWN: usize = 64;

/// The most peers in a sample, about.
const PEERS: usize = 1024;

/// The fewest swarms that are drawn of each shard: two at least, so that one that holds all of it is found twice.
const LEAST_OF_SHARD: usize = 3;

/// The fewest peers that are drawn of each swarm.
const LEAST_OF_SWARM: usize = 8;

/// A swarm with more peers than this is not given up as a whole.
const MOST_OF_SWARM: usize = 256;

/// A sample may end when one address was found so often, and is most of it.
const CLEARLY: usize = 12;

/// The number of free places of swarms that are passed on the way to one in use.
const FREE_PLACES: usize = 64;

/// The weight of one peer or swarm.
const ONE: u64 = 256;

/// What there is no place for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// One more swarm.
    OfSwarm,
    /// One more peer in all swarms together.
    OfPeer,
    /// One more peer in this swarm.
    InSwarm(InfoHash),
}

impl Place {
    /// The place that an announce in this swarm was refused for want of.
    pub(crate) fn wanted(info_hash: InfoHash, error: &AnnounceError) -> Option<Self> {
        match error {
            AnnounceError::TooManySwarms { .. } => Some(Self::OfSwarm),
            AnnounceError::TooManyPeers { .. } => Some(Self::OfPeer),
            AnnounceError::SwarmFull { .. } => Some(Self::InSwarm(info_hash)),
            _ => None,
        }
    }
}

/// What gives up its place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Victim {
    /// The number of the shard that has it.
    pub(crate) shard: usize,
    pub(crate) info_hash: InfoHash,
    /// The peer, or all of the swarm.
    pub(crate) peer: Option<Identity>,
}

/// A sample of who holds the places.
#[derive(Debug)]
pub(crate) struct Survey {
    place: Place,
    newcomer: AddressGroup,
    held: Held,
    holders: HashMap<AddressGroup, Holder, FixedState>,
    candidates: Vec<Candidate>,
    /// The groups of the swarm that is looked at.
    groups: HashSet<AddressGroup, FixedState>,
    /// The weight of everything in the sample.
    weight: u64,
}

/// The places that are taken.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Held {
    /// The number of swarms that have peers.
    pub(crate) swarms: usize,
    pub(crate) peers: usize,
    /// The number of shards that they are in.
    pub(crate) shards: usize,
}

/// How often an address is in the sample.
#[derive(Debug, Clone, Copy, Default)]
struct Holder {
    /// The number of its peers, or swarms, that it stands for.
    weight: u64,
    found: usize,
}

/// A peer or a swarm that may give up its place.
#[derive(Debug)]
struct Candidate {
    victim: Victim,
    /// Of the peer; or of all peers in the swarm, each once.
    groups: SmallVec<[AddressGroup; 2]>,
    /// The weight that it adds to its network.
    weight: u64,
    /// The less, the longer it was silent.
    heard: Instant,
}

impl Survey {
    /// A sample in which nothing is yet, for a newcomer that wants a place.
    pub(crate) fn new(place: Place, newcomer: AddressGroup, held: Held) -> Self {
        let (holders, groups) = (HashMap::default(), HashSet::default());
        Self { place, newcomer, held, holders, candidates: Vec::new(), groups, weight: 0 }
    }

    /// Draws from the swarms of the shard of this number.
    pub(crate) fn draw(&mut self, shard: usize, rules: &Rules, swarms: &Swarms, rng: &mut impl Rng) {
        if let Place::InSwarm(info_hash) = self.place {
            if let Some(id) = swarms.find(rules, &info_hash) {
                self.draw_peers(shard, rules, &swarms[id], PEERS, ONE, rng);
            }
            return;
        }
        let places = swarms.places();
        let are_few = self.held.swarms <= SWARMS && places <= 4 * SWARMS;
        let of_shard = if are_few { places } else { (DRAWN / self.held.shards).max(LEAST_OF_SHARD) };
        let step = places.div_ceil(of_shard.max(1)).max(1);
        let of_swarm = (PEERS / self.held.swarms.clamp(1, SWARMS)).max(LEAST_OF_SWARM);
        // What is drawn stands for what is passed.
        let one = ONE * step as u64;
        let mut next = rng.random_range(0..step);
        while next < places {
            let found = (next..places).take(FREE_PLACES.max(step)).find_map(|place| {
                let swarm = swarms.at(place).flatten().filter(|swarm| !swarm.is_empty())?;
                Some((place, swarm))
            });
            if let Some((place, swarm)) = found {
                match self.place {
                    Place::OfSwarm => self.draw_swarm(shard, rules, swarm, one),
                    _ => self.draw_peers(shard, rules, swarm, of_swarm, one, rng),
                }
                next = next.max(place);
            }
            next += step;
        }
    }

    /// Returns `true` if more of the sample would tell nothing else: one address has most of it, or it is that of one swarm.
    pub(crate) fn is_clear(&self) -> bool {
        let is_all = matches!(self.place, Place::InSwarm(_)) && !self.candidates.is_empty();
        is_all || self.holders.values().any(|holder| holder.found >= CLEARLY && 4 * holder.weight > 3 * self.weight)
    }

    /// What gives up its place, if anything should: nothing does for a newcomer whose address would then hold as much as any
    /// other. `most` is how many of those places that are wanted an address may hold when none is left.
    pub(crate) fn victim(&self, most: usize) -> Option<Victim> {
        let held = if self.place == Place::OfSwarm { self.held.swarms } else { self.held.peers };
        let own = self.holders.get(&self.newcomer).copied().unwrap_or_default();
        let estimate = u128::from(own.weight) * held as u128 / u128::from(self.weight.max(1));
        if !matches!(self.place, Place::InSwarm(_)) && estimate >= most as u128 {
            return None;
        }
        let network = self.newcomer.network();
        let is_network_full = network.is_some_and(|network| 2 * self.weight_of_network(network.into()) >= self.weight);
        let may_give = |candidate: &&Candidate| {
            let is_within = |group: &AddressGroup| group.network() == network;
            !candidate.groups.contains(&self.newcomer) && (!is_network_full || candidate.groups.iter().all(is_within))
        };
        let most = self.best(may_give).filter(|candidate| {
            let holder = self.least(candidate);
            holder.weight > own.weight + ONE && holder.found > own.found + 1
        });
        most.or_else(|| {
            // An IPv6 network of this machine, in which each address counts by itself, holds more than its half.
            let is_of_full_network = |candidate: &&Candidate| {
                let common = candidate.common_network();
                common.is_some()
                    && common != network.map(IpAddr::V6)
                    && common.is_some_and(|network| 2 * self.weight_of_network(network) > self.weight)
            };
            self.best(is_of_full_network)
        })
        .map(|candidate| candidate.victim)
    }

    /// The candidate whose address holds most; of several the one that was silent for longest.
    fn best(&self, predicate: impl Fn(&&Candidate) -> bool) -> Option<&Candidate> {
        let rank = |candidate: &&Candidate| (u64::MAX - self.least(candidate).weight, candidate.heard);
        self.candidates.iter().filter(predicate).min_by_key(rank)
    }

    /// The one of its addresses that holds least.
    fn least(&self, candidate: &Candidate) -> Holder {
        let holders = candidate.groups.iter().filter_map(|group| self.holders.get(group));
        holders.copied().min_by_key(|holder| holder.weight).unwrap_or_default()
    }

    fn weight_of_network(&self, network: IpAddr) -> u64 {
        let within = |candidate: &&Candidate| candidate.common_network() == Some(network);
        self.candidates.iter().filter(within).map(|candidate| candidate.weight).sum()
    }

    fn draw_peers(&mut self, shard: usize, rules: &Rules, swarm: &Swarm, most: usize, one: u64, rng: &mut impl Rng) {
        let step = swarm.len().div_ceil(most).max(1);
        let first = rng.random_range(0..step);
        let positions = (first..swarm.len()).step_by(step);
        let weight = one * swarm.len() as u64 / positions.len().max(1) as u64;
        for position in positions {
            let member = swarm.member_at(position);
            let group = rules.own.group(member.ip);
            self.count(group, weight);
            self.weight += weight;
            self.candidates.push(Candidate {
                victim: Victim { shard, info_hash: swarm.info_hash, peer: Some(Identity::of(&member)) },
                groups: SmallVec::from_elem(group, 1),
                weight,
                heard: member.order_of_silence(rules),
            });
        }
    }

    fn draw_swarm(&mut self, shard: usize, rules: &Rules, swarm: &Swarm, one: u64) {
        self.weight += one;
        if swarm.len() > MOST_OF_SWARM {
            return;
        }
        self.groups.clear();
        let (mut groups, mut heard) = (SmallVec::<[AddressGroup; 2]>::new(), Instant::ZERO);
        for member in (0..swarm.len()).map(|position| swarm.member_at(position)) {
            let group = rules.own.group(member.ip);
            if self.groups.insert(group) {
                groups.push(group);
            }
            heard = heard.max(member.order_of_silence(rules));
        }
        groups.iter().for_each(|&group| self.count(group, one));
        let victim = Victim { shard, info_hash: swarm.info_hash, peer: None };
        self.candidates.push(Candidate { victim, groups, weight: one, heard });
    }

    fn count(&mut self, group: AddressGroup, weight: u64) {
        let holder = self.holders.entry(group).or_default();
        holder.weight += weight;
        holder.found += 1;
    }
}

impl Candidate {
    /// The network that all its addresses are in, if there each address counts by itself.
    fn common_network(&self) -> Option<IpAddr> {
        let network = self.groups.first()?.network()?;
        self.groups.iter().all(|group| group.network() == Some(network)).then_some(network.into())
    }
}
