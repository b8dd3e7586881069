//! The selection of peers: never an ineligible one, and each eligible one as likely as any other.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use common::{Embedder, TORRENT, client, peer_id};
use proptest::collection::vec;
use proptest::prelude::{Strategy, any, proptest};
use proptest::sample::select;
use proptest::{prop_assert, prop_assert_eq};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tracker_core::{
    Access, AnnounceEvent, AnnounceRequest, Config, Families, HostAddresses, Memory, PeerEntry, PeerState,
    Reachability, SubnetPreference,
};

const ASKERS: [&str; 2] = ["10.77.0.200:6881", "[fd77::200]:6881"];

fn in_state(state: PeerState, request: AnnounceRequest) -> AnnounceRequest {
    match state {
        PeerState::Leecher => request,
        PeerState::PartialSeed => request.with_event(AnnounceEvent::Paused),
        PeerState::Seeder => request.with_left(0).with_downloaded(1),
    }
}

/// A client that says it has everything, and may have nothing: so aria2 announces while it knows a magnet link only.
fn without_metadata(request: AnnounceRequest) -> AnnounceRequest {
    request.with_left(0).with_downloaded(0)
}

fn states() -> impl Strategy<Value = PeerState> {
    select(vec![PeerState::Leecher, PeerState::PartialSeed, PeerState::Seeder])
}

proptest! {
    #[test]
    fn an_answer_holds_what_is_of_use_and_nothing_else(
        members in vec((0_u8..7, 1_u8..40, 0_u16..3, states(), any::<u8>()), 0..60),
        asker_state in states(),
        may_have_nothing in any::<bool>(),
        asker in 0_usize..2,
        numwant in 0_u32..100,
        prefer_subnet in any::<bool>(),
    ) {
        let prefer_subnet = prefer_subnet.then(SubnetPreference::default);
        let mut embedder = Embedder::new(Config::default().with(|config| {
config.access = Access::All;
config.prefer_subnet = prefer_subnet;
}));
        let asker = in_state(asker_state, client(ASKERS[asker]).with_numwant(numwant));
        let asker = if may_have_nothing { without_metadata(asker) } else { asker };
        let local = asker.local();

        // The state of each peer, by where the asker can dial it.
        let mut expected: BTreeMap<SocketAddr, Vec<PeerState>> = BTreeMap::new();
        let mut kept = BTreeMap::new();
        for (network, host, port, state, chance) in members {
            let port = if port == 0 { 0 } else { 6880 + port };
            let address = match network {
                0 | 1 => format!("10.77.0.{host}:{port}"),
                2 => format!("[fd77::{host:x}]:{port}"),
                3 => format!("127.0.0.{host}:{port}"),
                4 => format!("169.254.7.{host}:{port}"),
                5 => format!("[fe80::{host:x}]:{port}"),
                _ => format!("239.1.1.{host}:{port}"),
            };
            let mut member = in_state(state, client(&address));
            if chance < 10 {
                // The asker itself, by another of its addresses.
                member.peer_id = asker.peer_id;
                member.key = asker.key;
            }
            embedder.announce(&member);
            kept.insert((member.remote(), member.port, (port == 0).then_some(member.peer_id)), (network, member, state));
        }
        for (network, member, state) in kept.values() {
            let takes_seeders = may_have_nothing || asker_state == PeerState::Leecher;
            let useful = takes_seeders || *state == PeerState::Leecher;
            if useful && member.port != 0 && *network < 4 && member.peer_id != asker.peer_id {
                let ip = if *network == 3 { local } else { member.remote() };
                expected.entry(SocketAddr::new(ip, member.port)).or_default().push(*state);
            }
        }

        embedder.announce(&asker);
        let handed_out: BTreeSet<SocketAddr> = embedder.peers.iter().map(|peer| peer.address).collect();
        prop_assert_eq!(handed_out.len(), embedder.peers.len(), "something is there twice: {:?}", embedder.peers);
        prop_assert!(handed_out.len() <= numwant as usize);
        prop_assert!(handed_out.iter().all(|address| expected.contains_key(address)), "{handed_out:?} of {expected:?}");
        if numwant >= 60 {
            prop_assert_eq!(handed_out.len(), expected.len(), "{:?} of {:?}", handed_out, expected);
        }
    }

    /// The most that is handed out, whatever is asked for.
    #[test]
    fn numwant_has_a_default_and_a_limit(numwant in any::<Option<u32>>(), max_numwant in 1_u32..40) {
        let default_numwant = max_numwant / 2;
        let mut embedder = Embedder::new(Config::default().with(|config| {
config.default_numwant = default_numwant;
config.max_numwant = max_numwant;
}));
        for host in 1..=50 {
            embedder.announce(&client(&format!("10.77.0.{host}:6881")));
        }
        embedder.announce(&client(ASKERS[0]).with_numwant(numwant));
        prop_assert_eq!(embedder.peers.len(), numwant.unwrap_or(default_numwant).min(max_numwant) as usize);
    }
}

/// The number of times that each outcome occurred in the answers to one asker.
fn tally<T: Ord>(
    embedder: &mut Embedder,
    asker: &AnnounceRequest,
    times: usize,
    mut outcome: impl FnMut(&[SocketAddr]) -> T,
) -> BTreeMap<T, usize> {
    let mut tally = BTreeMap::new();
    for _ in 0..times {
        embedder.announce(asker);
        let addresses: Vec<SocketAddr> = embedder.peers.iter().map(|peer| peer.address).collect();
        *tally.entry(outcome(&addresses)).or_insert(0) += 1;
    }
    tally
}

/// Pearson's chi-square test: all `outcomes` came, and no more unevenly than chance allows with a probability of 1e-6.
#[track_caller]
fn assert_uniform<T: Ord>(tally: &BTreeMap<T, usize>, outcomes: usize) {
    assert_eq!(tally.len(), outcomes, "outcomes that came");
    let expected = tally.values().sum::<usize>() as f64 / outcomes as f64;
    assert!(expected >= 20.0, "too few draws to tell: {expected} of each outcome");
    let chi_square: f64 = tally.values().map(|&count| (count as f64 - expected).powi(2) / expected).sum();
    let critical = critical_value(outcomes - 1);
    assert!(chi_square < critical, "chi-square is {chi_square}, its critical value {critical}");
}

/// The value that chi-square exceeds with a probability of 1e-6, by the approximation of Wilson and Hilferty.
fn critical_value(degrees_of_freedom: usize) -> f64 {
    // Of the standard normal distribution.
    const QUANTILE: f64 = 4.753_424;
    let degrees = degrees_of_freedom as f64;
    let spread = 2.0 / (9.0 * degrees);
    degrees * (1.0 - spread + QUANTILE * spread.sqrt()).powi(3)
}

#[test]
fn critical_values_are_close_to_the_exact_ones() {
    for (degrees, exact) in [(9, 44.81), (23, 70.55), (63, 131.37), (99, 180.79), (319, 453.76)] {
        let approximation = critical_value(degrees);
        assert!((0.99..1.03).contains(&(approximation / exact)), "{degrees}: {approximation}, {exact} exactly");
    }
}

fn nth(number: usize) -> AnnounceRequest {
    client(&format!("10.77.{}.{}:6881", 100 + number / 200, 1 + number % 200))
}

/// A swarm with so many leechers and then so many seeds, and an asker.
fn swarm(leechers: usize, seeds: usize) -> (Embedder, AnnounceRequest) {
    let mut embedder = Embedder::new(Config::default());
    let asker = client(ASKERS[0]);
    embedder.announce(&asker);
    for number in 0..leechers + seeds {
        let state = if number < leechers { PeerState::Leecher } else { PeerState::Seeder };
        embedder.announce(&in_state(state, nth(number)));
    }
    (embedder, asker)
}

#[test]
fn every_choice_and_order_is_as_likely() {
    for (leechers, seeds, numwant, orders) in
        [(4, 0, 3, 24), (4, 0, 4, 24), (2, 2, 3, 24), (1, 5, 2, 30), (5, 0, 50, 120)]
    {
        let (mut embedder, mut asker) = swarm(leechers, seeds);
        asker.numwant = Some(numwant);
        assert_uniform(&tally(&mut embedder, &asker, 200 * orders, <[SocketAddr]>::to_vec), orders);
    }
}

/// Few peers are drawn in another way than many: with two wanted up to 16 are looked at, from 32 on neighbours come together, and
/// with more than 64 it changes again.
#[test]
fn every_peer_is_as_likely_in_swarms_of_all_sizes() {
    let mut rng = StdRng::seed_from_u64(7);
    for candidates in [3, 14, 15, 16, 17, 30, 31, 32, 33, 62, 63, 64, 65, 66, 300] {
        let (mut embedder, mut asker) = swarm(candidates, 0);
        for numwant in [2, 9] {
            asker.numwant = Some(numwant);
            let answers = 30 * candidates;
            let one_of_them = |peers: &[SocketAddr]| peers[rng.random_range(0..peers.len())];
            assert_uniform(&tally(&mut embedder, &asker, answers, one_of_them), candidates);
            // Where neighbours come together, those of the asker, which is one of the candidates, are seldom the last.
            if candidates + 1 < 16 * numwant as usize {
                for position in [0, 1] {
                    assert_uniform(&tally(&mut embedder, &asker, answers, |peers| peers[position]), candidates);
                }
            }
        }
    }
}

#[test]
fn leechers_and_seeds_are_as_likely_for_a_leecher() {
    let mut rng = StdRng::seed_from_u64(7);
    for (leechers, seeds) in [(1, 30), (10, 10), (30, 1), (60, 200), (0, 40)] {
        let (mut embedder, mut asker) = swarm(leechers, seeds);
        asker.numwant = Some(3);
        let one_of_them = |peers: &[SocketAddr]| peers[rng.random_range(0..3)];
        let tally = tally(&mut embedder, &asker, 40 * (leechers + seeds), one_of_them);
        assert_uniform(&tally, leechers + seeds);
    }
}

#[test]
fn leechers_are_as_likely_for_seeds() {
    for state in [PeerState::Seeder, PeerState::PartialSeed] {
        let (mut embedder, asker) = swarm(25, 100);
        let asker = in_state(state, asker.with_numwant(3));
        let tally = tally(&mut embedder, &asker, 2000, |peers| peers[0]);
        assert!(tally.keys().all(|address| (0..25).any(|number| nth(number).remote() == address.ip())));
        // A partial seed says `paused` in every announce, and stays one.
        assert_uniform(&tally, 25);
    }
}

#[test]
fn a_client_that_may_have_only_a_magnet_link_gets_leechers_and_then_seeders() {
    for memory in [Memory::Full, Memory::Lean] {
        let mut embedder = Embedder::new(Config::default().with(|config| config.memory = memory));
        for number in 0..30 {
            let state = if number < 10 { PeerState::Leecher } else { PeerState::Seeder };
            embedder.announce(&in_state(state, nth(number)));
        }
        let asker = without_metadata(client(ASKERS[0]).with_numwant(15));
        let counts = |embedder: &mut Embedder, asker: &AnnounceRequest| {
            embedder.announce(asker);
            let leechers = (0..10).map(|number| nth(number).remote()).collect::<Vec<_>>();
            let is_leecher = |peer: &PeerEntry| leechers.contains(&peer.address.ip());
            let of_leechers = embedder.peers.iter().filter(is_leecher).count();
            (of_leechers, embedder.peers.len() - of_leechers)
        };
        // aria2 says so in every announce until it has the metadata.
        assert_eq!(counts(&mut embedder, &asker), (10, 5), "{memory:?}");
        assert_eq!(counts(&mut embedder, &asker), (10, 5), "{memory:?}");
        assert_eq!(counts(&mut embedder, &asker.clone().with_numwant(4)), (4, 0), "{memory:?}");
        // Who has downloaded something, or left something to download, has the metadata.
        assert_eq!(counts(&mut embedder, &asker.clone().with_downloaded(1)), (10, 0), "{memory:?}");
        embedder.announce(&asker.clone().with_left(9));
        assert_eq!(counts(&mut embedder, &asker), (10, 0), "{memory:?}: was seen with something left");
    }
}

#[test]
fn peers_are_as_likely_among_the_reachable_and_among_the_unreachable() {
    let (mut embedder, asker) = swarm(30, 30);
    for number in (0..60).filter(|number| number % 3 != 0) {
        let address = SocketAddr::new(nth(number).remote(), 6881);
        assert!(embedder.tracker.set_reachability(&TORRENT, address, nth(number).peer_id, Reachability::No));
    }
    let reachable: BTreeSet<_> = (0..60).step_by(3).map(|number| nth(number).remote()).collect();
    for (numwant, position, is_reachable, outcomes) in [(7, 0, true, 20), (20, 19, true, 20), (21, 20, false, 40)] {
        let tally = tally(&mut embedder, &asker.clone().with_numwant(numwant), 50 * outcomes, |peers| {
            let of_reachable = peers.iter().filter(|peer| reachable.contains(&peer.ip())).count();
            assert_eq!((peers.len(), of_reachable), (numwant as usize, peers.len().min(20)));
            assert_eq!(reachable.contains(&peers[position].ip()), is_reachable);
            peers[position]
        });
        assert_uniform(&tally, outcomes);
    }
}

#[test]
fn seeders_are_equally_likely_for_a_client_that_may_have_nothing() {
    let (mut embedder, asker) = swarm(3, 20);
    let asker = without_metadata(asker.with_numwant(8).with_peer_id(peer_id("other")));
    // The same address announced as a leecher before: another client takes its place.
    let tally = tally(&mut embedder, &asker, 2000, |peers| {
        let (leechers, seeders) = peers.split_at(3);
        assert!(leechers.iter().all(|peer| (0..3).any(|number| nth(number).remote() == peer.ip())), "{peers:?}");
        seeders[0]
    });
    assert_uniform(&tally, 20);
}

#[test]
fn peers_that_cannot_be_handed_out_do_not_make_others_likelier() {
    let (mut embedder, mut asker) = swarm(20, 0);
    asker.numwant = Some(4);
    for host in 1..=10 {
        embedder.announce(&client(&format!("169.254.7.{host}:6881")));
        // The asker by other addresses.
        let own = client(&format!("10.78.0.{host}:6881")).with_peer_id(asker.peer_id);
        embedder.announce(&own);
    }
    for position in [0, 3] {
        assert_uniform(&tally(&mut embedder, &asker, 2000, |peers| peers[position]), 20);
    }
}

#[test]
fn peers_that_stay_and_new_ones_are_equally_likely_when_others_leave() {
    let (mut embedder, mut asker) = swarm(40, 0);
    asker.numwant = Some(4);
    for number in (0..40).step_by(2) {
        embedder.announce(&nth(number).with_event(AnnounceEvent::Stopped));
    }
    for number in 40..50 {
        embedder.announce(&nth(number));
    }
    assert_uniform(&tally(&mut embedder, &asker, 3000, |peers| peers[0]), 30);
}

/// A UDP request asks for one family. Only a client on the tracker's machine may have either.
#[test]
fn a_client_on_the_trackers_machine_does_not_keep_out_those_of_a_rare_family() {
    for (asker, families, rare, host) in
        [(ASKERS[1], Families::V6, "[fd77::", "127.0.0.1:7000"), (ASKERS[0], Families::V4, "10.77.0.", "[::1]:7000")]
    {
        for asker_state in [PeerState::Leecher, PeerState::Seeder] {
            let mut embedder = Embedder::new(Config::default());
            for number in 0..2000_usize {
                let common = match families {
                    Families::V6 => nth(number),
                    _ => client(&format!("[fd78::{number:x}]:6881")),
                };
                embedder.announce(&in_state(if number < 1000 { asker_state } else { PeerState::Leecher }, common));
            }
            for number in 1..=40 {
                let port = if rare.starts_with('[') { "]:6881" } else { ":6881" };
                embedder.announce(&client(&format!("{rare}{number}{port}")));
            }
            embedder.announce(&client(host));
            embedder.announce(&in_state(PeerState::Seeder, client(&host.replace("7000", "7001"))));
            let asker = in_state(asker_state, client(asker).with_families(families).with_numwant(50));
            embedder.announce(&asker);
            let on_host = if asker_state == PeerState::Leecher { 2 } else { 1 };
            assert_eq!(embedder.peers.len(), 40 + on_host, "{families:?} for a {asker_state:?}: {:?}", embedder.peers);
            assert!(embedder.peers.iter().all(|peer| families.contain(peer.address.ip())));
        }
    }
}

/// 20 peers in the asker's subnet and 60 in others.
fn subnets() -> (Embedder, AnnounceRequest) {
    let host_addresses = HostAddresses { v4: Some([10, 77, 0, 1].into()), v6: None };
    let prefer_subnet = Some(SubnetPreference::default());
    let mut embedder = Embedder::new(Config::default().with(|config| {
        config.host_addresses = host_addresses;
        config.prefer_subnet = prefer_subnet;
    }));
    for host in 1..=20 {
        embedder.announce(&client(&format!("10.77.0.{host}:6881")));
        embedder.announce(&client(&format!("10.77.1.{host}:6881")));
        embedder.announce(&client(&format!("10.78.0.{host}:6881")));
        embedder.announce(&client(&format!("[fd77::{host:x}]:6881")));
    }
    (embedder, client(ASKERS[0]))
}

fn is_near(address: &SocketAddr) -> bool {
    address.to_string().starts_with("10.77.0.")
}

#[test]
fn the_own_subnet_comes_first_and_each_of_it_is_as_likely() {
    let (mut embedder, mut asker) = subnets();
    asker.numwant = Some(12);
    for position in [0, 11] {
        let tally = tally(&mut embedder, &asker, 2000, |peers| {
            assert!(peers.len() == 12 && peers.iter().all(is_near), "{peers:?}");
            peers[position]
        });
        assert_uniform(&tally, 20);
    }
}

#[test]
fn others_fill_up_and_each_of_them_is_as_likely() {
    let (mut embedder, mut asker) = subnets();
    asker.numwant = Some(30);
    let mut position = 0;
    let tally = tally(&mut embedder, &asker, 6000, |peers| {
        let others: Vec<_> = peers.iter().filter(|peer| !is_near(peer)).collect();
        assert_eq!((peers.len(), others.len()), (30, 10), "{peers:?}");
        // Those over IPv4 stand before the others, so each position has its turn.
        position = (position + 1) % others.len();
        *others[position]
    });
    assert_uniform(&tally, 60);
}

#[test]
fn a_client_on_the_trackers_machine_prefers_the_lan_that_it_is_in() {
    let (mut embedder, _) = subnets();
    embedder.announce(&client("127.0.0.1:6881").with_numwant(10));
    assert!(
        embedder.peers.len() == 10 && embedder.peers.iter().all(|peer| is_near(&peer.address)),
        "{:?}",
        embedder.peers
    );
}

/// The share of answers without any of five honest seeders, among so many others as `fakes` has. Each fake seeder is at an
/// address, with a port.
fn share_without_honest(honest: &[String], fakes: impl Iterator<Item = String>, numwant: u32) -> f64 {
    const ANSWERS: usize = 2000;
    let mut embedder = Embedder::new(Config::default().with(|config| config.access = Access::All));
    for address in fakes {
        embedder.announce(&in_state(PeerState::Seeder, client(&address)));
    }
    for address in honest {
        embedder.announce(&in_state(PeerState::Seeder, client(address)));
    }
    let honest: Vec<SocketAddr> = honest.iter().map(|address| address.parse().unwrap()).collect();
    let asker = client(ASKERS[0]).with_numwant(numwant);
    let tally = tally(&mut embedder, &asker, ANSWERS, |peers| {
        assert!(peers.len() <= numwant as usize);
        peers.iter().any(|peer| honest.contains(peer))
    });
    tally.get(&false).copied().unwrap_or(0) as f64 / ANSWERS as f64
}

#[test]
fn fakes_of_one_address_do_not_crowd_out_honest_seeders() {
    let over_v4: Vec<_> = (2..7).map(|host| format!("10.77.0.{host}:6881")).collect();
    let over_v6: Vec<_> = (2..7).map(|host| format!("[fd77::{host}]:6881")).collect();
    let ports = || (2..130).map(|port| format!("10.77.0.99:{port}"));
    let over_other_v6: Vec<_> = (2..7).map(|host| format!("[fd99:{host}::1]:6881")).collect();
    let foreign = || (1..=2000).map(|host| format!("[2001:db8::{host:x}]:6881"));
    let own = || (0x100..=0x8cf).map(|host| format!("[fd77::{host:x}]:6881"));
    for numwant in [5, 10, 50, 200] {
        for honest in [&over_v4, &over_v6, &over_other_v6] {
            assert_eq!(share_without_honest(honest, ports(), numwant), 0.0, "128 ports, {numwant} wanted");
            assert_eq!(share_without_honest(honest, foreign(), numwant), 0.0, "a foreign /64, {numwant} wanted");
        }
        for honest in [&over_v4, &over_other_v6] {
            assert_eq!(share_without_honest(honest, own(), numwant), 0.0, "the own /64, {numwant} wanted");
        }
        let both = over_other_v6[..1].iter().chain(&over_v4[..1]).cloned().collect::<Vec<_>>();
        assert_eq!(share_without_honest(&both, own(), numwant), 0.0, "the own /64, {numwant} wanted");
    }
}

#[test]
fn an_answer_from_one_own_network_is_full_and_each_peer_is_as_likely() {
    let mut embedder = Embedder::new(Config::default());
    (0x100..0x1c8).for_each(|host| _ = embedder.announce(&client(&format!("[fd77::{host:x}]:6881"))));
    let asker = client(ASKERS[0]).with_numwant(50);
    for position in [0, 49] {
        let tally = tally(&mut embedder, &asker, 5000, |peers| {
            assert_eq!(peers.iter().collect::<BTreeSet<_>>().len(), 50);
            peers[position]
        });
        assert_uniform(&tally, 200);
    }
}

#[test]
fn leechers_of_the_own_network_do_not_crowd_out_the_seeders_of_a_magnet_link() {
    for seeders in [1, 5, 100] {
        let mut embedder = Embedder::new(Config::default());
        for host in 0x100..0x8d0 {
            embedder.announce(&client(&format!("[fd77::{host:x}]:6881")));
        }
        for number in 1..=seeders {
            embedder.announce(&in_state(PeerState::Seeder, client(&format!("[fd99:{number:x}::1]:6881"))));
        }
        let asker = without_metadata(client(ASKERS[0]).with_numwant(50));
        for _ in 0..100 {
            embedder.announce(&asker);
            let of_seeders =
                embedder.peers.iter().filter(|peer| peer.address.to_string().starts_with("[fd99:")).count();
            assert_eq!((embedder.peers.len(), of_seeders), (50, seeders.min(25)));
        }
    }
}

#[test]
fn an_answer_holds_three_peers_of_one_address_while_there_are_others() {
    let mut embedder = Embedder::new(Config::default());
    for number in 101..=200 {
        embedder.announce(&client(&format!("10.77.0.9:{number}")));
        embedder.announce(&client(&format!("10.77.0.{number}:6881")));
    }
    let crowd = |embedder: &mut Embedder, numwant| {
        embedder.announce(&client("10.77.0.10:6881").with_numwant(numwant));
        let of_one = embedder.peers.iter().filter(|peer| peer.address.ip().to_string() == "10.77.0.9").count();
        (of_one, embedder.peers.len() - of_one)
    };
    assert_eq!(crowd(&mut embedder, 103), (3, 100));
    // A class room behind one address still gets its peers, when there is nobody else.
    assert_eq!(crowd(&mut embedder, 150), (50, 100));
    assert_eq!(crowd(&mut embedder, 200), (100, 100));
    assert!((0..100).all(|_| crowd(&mut embedder, 20).0 <= 3));
    let (mut embedder, asker) = (Embedder::new(Config::default()), client(ASKERS[0]).with_numwant(50));
    (101..=200).for_each(|port| _ = embedder.announce(&client(&format!("10.77.0.9:{port}"))));
    assert_uniform(&tally(&mut embedder, &asker, 5000, |peers| peers[49]), 100);
}

#[test]
fn leechers_of_one_address_do_not_crowd_out_the_seeders_of_a_magnet_link() {
    let mut embedder = Embedder::new(Config::default());
    for port in 2..=101 {
        embedder.announce(&client(&format!("10.77.0.9:{port}")));
    }
    embedder.announce(&in_state(PeerState::Seeder, client("10.77.0.2:6881")));
    embedder.announce(&without_metadata(client(ASKERS[0]).with_numwant(50)));
    assert_eq!(embedder.peers.len(), 50);
    assert!(embedder.peers.iter().any(|peer| peer.address.to_string() == "10.77.0.2:6881"));
}

#[test]
fn thirty_hosts_in_one_64_are_thirty_addresses() {
    let mut embedder = Embedder::new(Config::default().with(|config| config.max_peers_per_address = 2));
    for host in 1..=30 {
        for port in [6881, 6882] {
            embedder.announce(&client(&format!("[fd77::{host:x}]:{port}")));
        }
    }
    embedder.announce(&client(ASKERS[1]).with_numwant(100));
    assert_eq!(embedder.peers.len(), 60);
    let hosts =
        |embedder: &Embedder| embedder.peers.iter().map(|peer| peer.address.ip()).collect::<BTreeSet<_>>().len();
    assert_eq!(hosts(&embedder), 30);

    // In a /64 of others they are one address.
    let mut embedder = Embedder::new(Config::default().with(|config| {
        config.max_peers_per_address = 2;
        config.access = Access::All;
    }));
    (1..=30).for_each(|host| _ = embedder.announce(&client(&format!("[2001:db8::{host:x}]:6881"))));
    embedder.announce(&client(ASKERS[1]).with_numwant(100));
    assert_eq!(hosts(&embedder), 2);
}

/// The hash of an address by which a peer is found in a large swarm depends on what counts as one address.
#[test]
fn peers_of_a_large_swarm_are_found_when_a_network_turns_out_to_be_the_own() {
    let mut embedder = Embedder::new(Config::default().with(|config| config.access = Access::All));
    let nth = |number: u32| client(&format!("[2001:db8:{:x}::{:x}]:6881", number / 100, number % 100));
    for number in 0..5000 {
        embedder.announce(&nth(number));
    }
    embedder.announce(&nth(7).with_local("2001:db8:3::1".parse().unwrap()));
    for number in 0..5000 {
        embedder.announce(&nth(number));
        embedder.announce(&nth(number).with_local("2001:db8:4::1".parse().unwrap()));
    }
    assert_eq!(embedder.tracker.totals().peers(), 5000, "each was found again");
}
