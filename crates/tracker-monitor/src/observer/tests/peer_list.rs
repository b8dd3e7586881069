//! The list of a torrent's peers.

use super::*;

#[test]
fn peers_are_found_and_sorted() {
    let mut network = Network::listening();
    let v6: IpAddr = "fd77::9".parse().unwrap();
    let clients: [(IpAddr, &[u8; 20], u64); 3] = [
        ([10, 0, 0, 10].into(), b"-qB4520-xxxxxxxxxxxx", 0),
        ([10, 0, 0, 9].into(), b"-TR4060-xxxxxxxxxxxx", 500),
        (v6, b"A2-1-36-0-xxxxxxxxxx", 1000),
    ];
    for seconds in [0, 1] {
        for (ip, peer_id, left) in clients {
            let peer_id = PeerId::new(*peer_id);
            network.announce(&request(ip, seconds * left, left).with_peer_id(peer_id));
            network.pass(10);
        }
    }
    let list = |search: &str, sort, order| -> Vec<IpAddr> {
        let query = PageQuery { search: search.to_owned(), sort, order, ..PageQuery::default() };
        network.peers(&TORRENT, &query).items.iter().map(|row| row.address.ip()).collect()
    };
    let [qbittorrent, transmission, aria2] = clients.map(|(ip, ..)| ip);
    use {Order::*, PeerSort::*};
    assert_eq!(list("", Address, Ascending), [transmission, qbittorrent, aria2], "as numbers");
    assert_eq!(list("", Client, Ascending), [transmission, aria2, qbittorrent]);
    assert_eq!(list("", State, Ascending)[2], qbittorrent);
    assert_eq!(list("", DownloadRate, Descending), [aria2, transmission, qbittorrent]);
    assert_eq!(list("", LastSeen, Ascending), [qbittorrent, transmission, aria2]);
    assert_eq!(list("TRANS", Address, Ascending), [transmission]);
    assert_eq!(list("[FD77::9]:6881", Address, Ascending), [aria2]);
    assert_eq!(list("10.0.0.1", Address, Ascending), [qbittorrent]);
    assert_eq!(network.peers(&InfoHash::new([0; 20]), &PageQuery::default()).total, 0);
}

#[test]
fn several_that_listen_nowhere_are_several() {
    let mut network = Network::listening();
    for downloaded in [0, 600] {
        for name in 1..=3 {
            let peer_id = PeerId::new([name; 20]);
            network.announce(&request(ONE, downloaded * u64::from(name), 9).with_port(0).with_peer_id(peer_id));
        }
        network.pass(60);
    }
    let peers = network.peers(&TORRENT, &PageQuery::default());
    assert_eq!(peers.total, 3);
    let mut rates: Vec<_> = peers.items.iter().filter_map(|row| row.download_rate).collect();
    rates.sort_by(f64::total_cmp);
    assert_eq!(rates, [10.0, 20.0, 30.0], "told apart by their peer ids");
}

#[test]
fn peers_are_found_by_what_their_rows_show() {
    let mut network = Network::listening();
    network.announce(&request(ONE, 0, 9000));
    network.pass(1);
    let Shared { shards, records, .. } = &*network.shared;
    let entries = peers::all(shards, SwarmKeys::new(TORRENT, None), records, None, network.now);
    let candidate = peers::Candidate::new(&entries[0], true);
    let host_name = |ip: IpAddr| (ip == IpAddr::from(ONE)).then(|| Arc::from("Lab-07.fritz.box"));
    for search in ["lab-07", "fritz.box", "10.0.0.1:6881", "transmission"] {
        assert!(candidate.contains(search, host_name), "{search}");
    }
    assert!(!candidate.contains("lab-08", host_name));
    assert!(!candidate.contains("lab-07", |_| None));
}
