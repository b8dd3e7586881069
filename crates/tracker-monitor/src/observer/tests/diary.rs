//! The observer against a record of every announce.

use std::collections::{BTreeMap, BTreeSet};

use rand::RngExt;
use tracker_core::PeerState;

use super::*;

/// A record of every announce of a peer, to compare the observer with.
#[derive(Default)]
struct Diary {
    first_seen: Option<Instant>,
    counts: Vec<(Instant, u64, u64)>,
}

impl Diary {
    fn rates(&self) -> Option<(f64, f64, u32)> {
        let [.., before, last] = self.counts[..] else { return None };
        let secs = last.0.as_secs() - before.0.as_secs();
        (last.1 >= before.1 && last.2 >= before.2)
            .then(|| ((last.1 - before.1) as f64 / f64::from(secs), (last.2 - before.2) as f64 / f64::from(secs), secs))
    }
}

#[test]
fn the_observer_agrees_with_a_record_of_every_announce() {
    for seed in 0..8 {
        let mut choice = StdRng::seed_from_u64(seed);
        let mut network = Network::new(Config::default().with(|config| {
            // With and without events.
            config.max_pending_events = if choice.random() { 10_000 } else { 0 };
        }));
        let sizes = BTreeMap::from([(network.know("one", 1000), 1000), (network.know("two", 5000), 5000)]);
        let torrents: Vec<InfoHash> = sizes.keys().copied().chain([TORRENT, InfoHash::new([0; 20])]).collect();
        let mut diaries: BTreeMap<(InfoHash, SocketAddr), Diary> = BTreeMap::new();
        for step in 0..300 {
            let told = format!("seed {seed}, step {step}");
            network.now = Instant::from_secs(network.now.as_secs() + choice.random_range(1..120));
            network.shards.expire(network.now);
            diaries.retain(|(info_hash, place), _| network.has(info_hash, *place));
            let mut announced = BTreeSet::new();
            for _ in 0..choice.random_range(0..12) {
                let (info_hash, host) = (torrents[choice.random_range(0..torrents.len())], choice.random_range(1..8));
                let ip: IpAddr =
                    if host > 5 { [0xfd77, 0, 0, 0, 0, 0, 0, host].into() } else { [10, 0, 0, host as u8].into() };
                let place = (info_hash, SocketAddr::new(ip, 6881));
                // The watcher looks once in a while, and peers announce less often than that.
                if !announced.insert(place) {
                    continue;
                }
                let diary = diaries.entry(place).or_default();
                let (mut uploaded, mut downloaded) = diary.counts.last().map_or((0, 0), |last| (last.1, last.2));
                let event = match choice.random_range(0..10) {
                    0 => Some(AnnounceEvent::Stopped),
                    1 => Some(AnnounceEvent::Paused),
                    2 => {
                        (uploaded, downloaded) = (0, 0);
                        Some(AnnounceEvent::Started)
                    }
                    _ => None,
                };
                uploaded += choice.random_range(0..10_000);
                downloaded += choice.random_range(0..10_000);
                let left = [Some(0), Some(500), Some(100_000), None][choice.random_range(0..4)];
                network.announce(
                    &request(ip, downloaded, 0)
                        .with_info_hash(info_hash)
                        .with_uploaded(uploaded)
                        .with_left(left)
                        .with_event(event),
                );
                if event == Some(AnnounceEvent::Stopped) {
                    diaries.remove(&place);
                } else {
                    diary.first_seen.get_or_insert(network.now);
                    diary.counts.push((network.now, uploaded, downloaded));
                }
            }
            network.look();

            let mut download_rate_of_all = 0.0;
            for info_hash in &torrents {
                let (mut download_rate, mut completion, mut telling, mut silent, mut last_seen) =
                    (0.0, 0.0, 0, 0, None);
                let look = |swarm: SwarmView<'_>| (swarm.peers().collect(), swarm.counts());
                let (peers, counts): (Vec<Peer>, _) =
                    network.shared.shards.with_swarm(info_hash, look).unwrap_or_default();
                let rows = network.peers(info_hash, &PageQuery::default());
                assert_eq!(rows.total, peers.len(), "{told}");
                for row in &rows.items {
                    let peer = peers.iter().find(|peer| peer.address == row.address).expect(&told);
                    let (detail, diary) = (peer.detail.as_ref().unwrap(), &diaries[&(*info_hash, row.address)]);
                    let rates = diary.rates();
                    assert_eq!((row.first_seen, row.last_seen), (diary.first_seen, Some(detail.last_seen)), "{told}");
                    let has = match (peer.state, detail.left, sizes.get(info_hash)) {
                        (PeerState::Seeder, ..) => Some(1.0),
                        (_, Some(left), Some(&size)) => Some((size - size.min(left)) as f64 / size as f64),
                        _ => None,
                    };
                    assert_eq!(row.completion.map(|completion| completion.value), has, "{told}: {row:?}");
                    let silent_for = network.now.since(detail.last_seen).as_secs();
                    // The interval is 60 s, and it is Transmission.
                    let is_overdue = silent_for > 60 + 60 + 6;
                    assert_eq!(row.status == PeerStatus::Silent, is_overdue, "{told}: {row:?}");
                    let upload_rate = rates.filter(|_| !is_overdue).map(|rates| rates.0);
                    let is_over = is_overdue || peer.state != PeerState::Leecher && silent_for >= 5;
                    let download_rate_of_it = rates.filter(|_| !is_over).map(|rates| rates.1);
                    assert_eq!(
                        (row.upload_rate, row.download_rate),
                        (upload_rate, download_rate_of_it),
                        "{told}: {row:?}"
                    );
                    if let Some((_, rate, secs)) = rates
                        && !is_overdue
                        && (peer.state == PeerState::Leecher || silent_for < u64::from(secs.max(5)))
                    {
                        download_rate += rate;
                    }
                    if let Some(has) = has {
                        completion += has;
                        telling += 1;
                    }
                    silent += u32::from(is_overdue);
                    last_seen = last_seen.max(row.last_seen);
                }
                if peers.is_empty() && !sizes.contains_key(info_hash) && counts.completed == 0 {
                    continue;
                }
                let row = network.torrent(info_hash);
                let near = |a: f64, b: f64| (a - b).abs() <= 1e-9 * a.abs().max(1.0);
                assert_eq!((row.counts, row.silent, row.last_seen), (counts, silent, last_seen), "{told}");
                assert!(near(row.download_rate, download_rate), "{told}: {row:?} but {download_rate}");
                let expected = (sizes.contains_key(info_hash) && telling > 0).then(|| completion / f64::from(telling));
                assert_eq!(row.completion.is_some(), expected.is_some(), "{told}: {row:?} but {expected:?}");
                assert!(
                    near(row.completion.unwrap_or(0.0), expected.unwrap_or(0.0)),
                    "{told}: {row:?} but {expected:?}"
                );
                download_rate_of_all += download_rate;
            }
            assert!((network.last().download_rate - download_rate_of_all).abs() < 1e-6, "{told}");
        }
    }
}
