//! Shards while many threads use them.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;

use rand::SeedableRng;
use rand::rngs::StdRng;
use tracker_core::{
    AnnounceRequest, Config, InfoHash, Instant, PeerId, Peers, Shards, ShardsView, TorrentPolicy, Walk,
};

const TORRENTS: u8 = 40;
const HOSTS: u8 = 100;

/// Torrents of an odd number come and go; those of an even one are always served.
fn policy(odd_ones: bool) -> TorrentPolicy {
    let allowed = (0..TORRENTS).filter(|number| odd_ones || number % 2 == 0).map(info_hash).collect();
    TorrentPolicy { allowed: Some(allowed), ..TorrentPolicy::default() }
}

fn info_hash(number: u8) -> InfoHash {
    InfoHash::new([number; 20])
}

fn client(remote: [u8; 4], info_hash: InfoHash) -> AnnounceRequest {
    let mut peer_id = [b'x'; 20];
    peer_id[..4].copy_from_slice(&remote);
    AnnounceRequest::new(info_hash, PeerId::new(peer_id), remote.into(), [10, 77, 0, 1].into(), 6881)
}

/// Each thread has hosts of its own, which announce in all torrents, again and again from another port.
fn announce(shards: &Shards, thread: u8, rounds: u16) {
    let (mut rng, mut peers) = (StdRng::seed_from_u64(thread.into()), Peers::default());
    for round in 0..rounds {
        for number in 0..TORRENTS {
            let host = thread * HOSTS + ((u16::from(number) + round) % u16::from(HOSTS)) as u8;
            let request = client([10, 77, number, host], info_hash(number)).with_port(6881 + round % 3);
            _ = shards.announce(Instant::ZERO, &mut rng, &request, &mut peers);
        }
    }
}

#[test]
fn announces_walks_and_changes_of_the_served_torrents_go_on_at_once() {
    // Batches of a few, so that announces come in between.
    let config = Config::default().with(|config| config.expire_batch = 3);
    let shards = Shards::new(config, NonZeroUsize::new(4).unwrap(), &mut StdRng::seed_from_u64(1)).unwrap();
    let shards = Arc::new(shards);
    let view = ShardsView::from(Arc::clone(&shards));
    // They are there all the time, and do not move.
    let stays = |number: u8| client([10, 78, 0, 2], info_hash(number));
    for number in (0..TORRENTS).step_by(2) {
        shards.announce(Instant::ZERO, &mut StdRng::seed_from_u64(1), &stays(number), &mut Peers::default()).unwrap();
    }

    thread::scope(|scope| {
        for thread in [0, 1] {
            let shards = &shards;
            scope.spawn(move || announce(shards, thread, 100));
        }
        scope.spawn(|| {
            for _ in 0..100 {
                shards.set_torrents(policy(false));
                shards.set_torrents(policy(true));
            }
        });
        scope.spawn(|| {
            for _ in 0..200 {
                let (mut walk, mut seen) = (Walk::by_swarm(), BTreeSet::new());
                while view.walk(&mut walk, 5, |slice| _ = seen.insert(slice.info_hash)) {}
                let always = (0..TORRENTS).step_by(2).map(info_hash);
                assert!(always.into_iter().all(|info_hash| seen.contains(&info_hash)), "a swarm that stays is seen");
            }
        });
    });

    shards.set_torrents(policy(false));
    let (mut swarms, mut peers) = (BTreeSet::new(), 0);
    shards.for_each_swarm(|info_hash, swarm| {
        swarms.insert(info_hash);
        peers += swarm.len() as u64;
        assert!(swarm.peers().any(|peer| peer.address.to_string() == "10.78.0.2:6881"), "a peer that stays is there");
    });
    assert!(swarms.into_iter().eq((0..TORRENTS).step_by(2).map(info_hash)), "what is not served any more is gone");
    assert_eq!(view.totals().peers(), peers, "totals are of what there is");
}

#[test]
fn announces_are_taken_in_the_pauses_while_swarms_are_dropped() {
    let config = Config::default().with(|config| config.expire_batch = 3);
    let shards = Shards::new(config, NonZeroUsize::new(4).unwrap(), &mut StdRng::seed_from_u64(1)).unwrap();
    let announce = |number| {
        let request = client([10, 77, 0, 1], info_hash(number));
        shards.announce(Instant::ZERO, &mut StdRng::seed_from_u64(1), &request, &mut Peers::default()).is_ok()
    };
    assert!((0..TORRENTS).all(announce));

    let mut left = Vec::new();
    shards.set_torrents_with_pauses(policy(false), || {
        assert!(announce(0) && !announce(1), "the new policy holds in each shard");
        left.push(shards.totals().swarms);
    });
    assert!(left.len() > 1 && left.is_sorted_by(|a, b| a >= b), "{left:?}");
    assert_eq!(shards.totals().swarms, u64::from(TORRENTS) / 2);
    let mut pauses = 0;
    Shards::new(Config::default(), NonZeroUsize::MIN, &mut StdRng::seed_from_u64(1))
        .unwrap()
        .set_torrents_with_pauses(policy(true), || pauses += 1);
    assert_eq!(pauses, 0, "there is nothing to wait for");
}
