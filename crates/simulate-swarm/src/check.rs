//! Checks of answers against what the simulated peers know.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::answer::{AnnounceAnswer, ScrapeCounts};
use crate::ask::{Announce, Ask, Event, Scraped};
use crate::own_peer::OwnPeer;
use crate::persona;
use crate::population::{Population, Role};
use crate::violation::{Violation, Violations};

/// The rules that the tracker under test claims to follow.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Claims {
    /// The maximum number of peers in an answer, whatever is requested.
    pub(crate) max_peers: u32,
    /// Seeders get seeders.
    pub(crate) seeds_to_seeds: bool,
}

/// Checks the answer to an announce. Call it before the answer's effects are recorded in the population.
pub(crate) fn check_announce(
    population: &mut Population,
    own_peer: &mut OwnPeer,
    claims: Claims,
    ask: &Ask,
    announce: &Announce,
    answer: &AnnounceAnswer<'_>,
    found: &mut Violations,
) {
    let sources = population.sources.clone();
    let (mut count, mut own) = (0, 0);
    let mut check = |address: SocketAddr, number: Option<u32>| {
        if number.is_none() && own_peer.is_at(address) {
            own += 1;
        } else {
            check_peer(population, claims, ask, announce, number, found);
            count += 1;
        }
    };
    for peer in answer.peers.as_chunks::<6>().0 {
        let &[a, b, c, d, high, low] = peer;
        let (address, port) = (Ipv4Addr::new(a, b, c, d), u16::from_be_bytes([high, low]));
        check((address, port).into(), sources.number_of_v4(address, port));
    }
    for peer in answer.peers6.as_chunks::<18>().0 {
        let (address, port) = peer.split_at(16);
        let address: [u8; 16] = address.try_into().expect("16 bytes");
        let port: [u8; 2] = port.try_into().expect("2 bytes");
        let (address, port) = (Ipv6Addr::from(address), u16::from_be_bytes(port));
        check((address, port).into(), sources.number_of_v6(address, port));
    }
    if own > 1 {
        found.add(Violation::Duplicate);
    }
    if count + own > announce.numwant {
        found.add(Violation::TooManyPeers);
    }
    if answer.interval <= 0 {
        found.add(Violation::Interval);
    }
    // The answer to `stopped` may be nearly empty.
    if announce.event != Event::Stopped {
        if count < least_peers(population, claims, announce) {
            found.add(Violation::TooFewPeers);
        }
        check_counts(population, announce, answer, found);
    }
}

fn check_peer(
    population: &mut Population,
    claims: Claims,
    ask: &Ask,
    announce: &Announce,
    number: Option<u32>,
    found: &mut Violations,
) {
    let Some(peer) = number.and_then(|number| population.peer_mut(number)) else {
        return found.add(Violation::Stranger);
    };
    if peer.torrent != announce.torrent {
        return found.add(Violation::Stranger);
    }
    if peer.named_by == ask.moment {
        found.add(Violation::Duplicate);
    }
    peer.named_by = ask.moment;
    if peer.gone_since <= ask.moment {
        found.add(Violation::Departed);
    }
    // A peer with nothing left that downloaded nothing may have only a magnet link.
    let surely_has_it = announce.is_seed && persona::downloaded(ask.number) > 0;
    if surely_has_it && peer.seed_since <= ask.moment && !claims.seeds_to_seeds {
        found.add(Violation::SeedForSeed);
    }
    if number == Some(ask.number) {
        found.add(Violation::SelfInPeers);
    }
}

/// The fewest peers that an honest answer has.
fn least_peers(population: &Population, claims: Claims, announce: &Announce) -> u32 {
    let least = |role| {
        let known = population.bounds(announce.torrent, role, &announce.snapshot).least;
        let is_own = announce.was_sure && role == Role::of(announce.is_seed);
        known.saturating_sub(u32::from(is_own))
    };
    let seeders = if announce.is_seed { 0 } else { least(Role::Seeder) };
    let eligible = least(Role::Leecher) + seeders;
    let expected = eligible.min(announce.numwant).min(claims.max_peers);
    // Some trackers pick as many peers as requested, and then drop the asking peer and duplicates.
    expected.saturating_sub(1 + expected / 10)
}

fn check_counts(population: &Population, announce: &Announce, answer: &AnnounceAnswer<'_>, found: &mut Violations) {
    for (role, count) in [(Role::Seeder, answer.seeders), (Role::Leecher, answer.leechers)] {
        let bounds = population.bounds(announce.torrent, role, &announce.snapshot);
        let is_new = !announce.was_sure && role == Role::of(announce.is_seed);
        let least = bounds.least + u32::from(is_new);
        match count {
            None => found.add(Violation::Keys),
            Some(count) if !(u64::from(least)..=u64::from(bounds.most)).contains(&count) => {
                found.add(Violation::Counts);
            }
            Some(_) => {}
        }
    }
}

/// Checks the counts of one torrent in the answer to a scrape.
pub(crate) fn check_scraped(
    population: &Population,
    scraped: &Scraped,
    counts: Option<ScrapeCounts>,
    found: &mut Violations,
) {
    let bounds = |role| population.bounds(scraped.torrent, role, &scraped.snapshot);
    let Some(counts) = counts else {
        // Trackers may leave out torrents that they do not know.
        if bounds(Role::Seeder).least + bounds(Role::Leecher).least > 0 {
            found.add(Violation::Keys);
        }
        return;
    };
    for (role, count) in [(Role::Seeder, counts.seeders), (Role::Leecher, counts.leechers)] {
        let bounds = bounds(role);
        if !(u64::from(bounds.least)..=u64::from(bounds.most)).contains(&count) {
            found.add(Violation::Counts);
        }
    }
}
