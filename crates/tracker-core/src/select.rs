//! Which peers an asker gets.

use std::net::SocketAddr;

use foldhash::fast::FixedState;
use hashbrown::HashSet;
use rand::{Rng, RngExt};

use crate::address::{self, Asker};
use crate::peer::Entry;
use crate::{Config, Families, PeerEntry, PeerId, PeerState, Peers, Swarm};

/// How many times as many peers as wanted are looked at where some are preferred to others, or cannot be handed out.
const DRAWS_PER_WANTED: usize = 8;

/// Who asks for peers of a swarm, and what for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Want {
    pub(crate) asker: Asker,
    /// Where the asker's own peer is, as it would be handed out to the asker.
    pub(crate) address: SocketAddr,
    pub(crate) peer_id: PeerId,
    pub(crate) state: PeerState,
    pub(crate) families: Families,
    pub(crate) peer_ids: bool,
    pub(crate) numwant: u32,
}

/// Draws peers at random. Keeps its memory between draws, so that a draw allocates nothing.
#[derive(Debug)]
pub(crate) struct Selector {
    sample: Sample,
    /// Candidates outside of the preferred subnet, for when there are too few in it.
    others: Vec<PeerEntry>,
    /// Where peers on the tracker's machine were handed out.
    here: HashSet<SocketAddr, FixedState>,
}

impl Selector {
    pub(crate) fn new(hasher: FixedState) -> Self {
        Self { sample: Sample::new(hasher.clone()), others: Vec::new(), here: HashSet::with_hasher(hasher) }
    }

    /// Fills `peers`, which is empty, with a uniformly random choice of the peers that are of use to the asker: leechers for
    /// everybody, and what holds data for leechers.
    pub(crate) fn select(
        &mut self,
        config: &Config,
        rng: &mut impl Rng,
        swarm: &Swarm,
        want: &Want,
        peers: &mut Peers,
    ) {
        let wanted = want.numwant as usize;
        if wanted == 0 {
            return;
        }
        let holding = if want.state == PeerState::Leecher { swarm.holding() } else { &[] };
        let nearby = if address::is_v4_link_local(want.asker.remote) { swarm.nearby() } else { &[] };
        let pools = [swarm.leeching(), holding, nearby];
        let candidates = pools.iter().map(|pool| pool.len()).sum::<usize>();
        let preference = config.prefer_subnet.filter(|_| candidates > wanted);
        self.others.clear();
        self.here.clear();
        let draws = candidates.min(wanted * DRAWS_PER_WANTED);
        self.sample.start(candidates, draws);
        for _ in 0..draws {
            let entry = nth(&pools, self.sample.draw(rng));
            let Some(peer) = offer(config, want, entry) else { continue };
            // A client on this machine that announced over 127.0.0.1, ::1 and the LAN is one peer to the network.
            if want.asker.is_here(peer.address.ip(), &config.host_addresses) && !self.here.insert(peer.address) {
                continue;
            }
            match preference {
                Some(preference) if !preference.same_subnet(want.address.ip(), peer.address.ip()) => {
                    self.others.push(peer);
                }
                _ => peers.push(peer),
            }
            if peers.len() == wanted {
                return;
            }
        }
        let missing = wanted - peers.len();
        peers.extend(self.others.iter().take(missing).copied());
    }
}

/// The peer that is the nth of all pools in a row.
fn nth<'s>(pools: &[&'s [Entry]], mut n: usize) -> &'s Entry {
    for pool in pools {
        match pool.get(n) {
            Some(entry) => return entry,
            None => n -= pool.len(),
        }
    }
    unreachable!("only as many are drawn as there are")
}

/// The peer as the asker can use it, if at all.
fn offer(config: &Config, want: &Want, entry: &Entry) -> Option<PeerEntry> {
    if want.state != PeerState::Leecher && entry.state != PeerState::Leecher {
        return None;
    }
    let ip = want.asker.sees(entry.ip, &config.host_addresses)?;
    let address = SocketAddr::new(ip, entry.port);
    // One client on two addresses is two peers, and both are the asker. So is what it left behind on this machine's other
    // address before it was restarted with another peer id.
    let is_asker = entry.peer_id == want.peer_id || address == want.address;
    let peer_id = want.peer_ids.then_some(entry.peer_id);
    (!is_asker && want.families.contain(ip)).then_some(PeerEntry { address, peer_id })
}

/// Draws numbers without repetition, each order of them equally likely.
#[derive(Debug)]
struct Sample {
    /// The numbers are those below.
    n: u32,
    /// The numbers not drawn yet: where they are few.
    rest: Vec<u32>,
    /// The numbers drawn already: where most never will be.
    drawn: HashSet<u32, FixedState>,
}

impl Sample {
    fn new(hasher: FixedState) -> Self {
        Self { n: 0, rest: Vec::new(), drawn: HashSet::with_hasher(hasher) }
    }

    /// Starts again with the numbers below `n`, of which at most `draws` will be drawn.
    fn start(&mut self, n: usize, draws: usize) {
        self.n = u32::try_from(n).expect("Config::validate bounds a swarm to 2^30 peers");
        self.rest.clear();
        self.drawn.clear();
        if n <= 4 * draws {
            self.rest.extend(0..self.n);
        }
    }

    fn draw(&mut self, rng: &mut impl Rng) -> usize {
        if !self.rest.is_empty() {
            let position = rng.random_range(0..self.rest.len());
            return self.rest.swap_remove(position) as usize;
        }
        // At most a quarter is ever drawn, so a new number comes soon.
        loop {
            let number = rng.random_range(0..self.n);
            if self.drawn.insert(number) {
                return number as usize;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn a_sample_has_every_number_once() {
        let mut rng = StdRng::seed_from_u64(7);
        let mut sample = Sample::new(FixedState::default());
        sample.start(100, 100);
        let mut drawn: Vec<usize> = (0..100).map(|_| sample.draw(&mut rng)).collect();
        drawn.sort_unstable();
        assert_eq!(drawn, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn a_sample_of_many_repeats_nothing() {
        let mut rng = StdRng::seed_from_u64(7);
        let mut sample = Sample::new(FixedState::default());
        sample.start(321, 80);
        let drawn: Vec<usize> = (0..80).map(|_| sample.draw(&mut rng)).collect();
        let distinct: std::collections::BTreeSet<_> = drawn.iter().collect();
        assert_eq!(distinct.len(), 80);
        assert!(drawn.iter().any(|&number| number > 160) && drawn.iter().any(|&number| number < 160));
    }
}
