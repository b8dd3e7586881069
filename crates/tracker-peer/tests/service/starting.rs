//! Starting and ending.

use std::net::{IpAddr, SocketAddr};

use rand::SeedableRng;
use rand::rngs::StdRng;
use tracker_core::{AnnounceEvent, AnnounceRequest, Instant, Peers, Reachability};
use tracker_host::Addresses;
use tracker_peer::{Service, StartError};

use crate::support::{Client, LAN, LEECHER, LOOPBACK, TORRENT, Tracker, addresses, config, shards};

#[test]
fn an_address_of_another_machine_is_refused() {
    let foreign: IpAddr = [192, 0, 2, 1].into();
    let (shards, announces) = shards();
    let addresses = Addresses { all: vec![[10, 0, 0, 1].into()], ..Addresses::default() };
    let mut config = config(&shards, announces, addresses);
    config.exclusive = vec![foreign];
    let error = Service::start(config).map(drop).unwrap_err();
    assert!(matches!(error, StartError::NotOurs { address, .. } if address == foreign));
    assert_eq!(error.to_string(), "192.0.2.1 is not an address of this machine's networks: name one of 10.0.0.1");
}

#[test]
fn it_listens_on_one_port() {
    let (shards, announces) = shards();
    let mut several = config(&shards, announces, Addresses::default());
    several.listen = vec![(LOOPBACK, 7001).into(), "[::1]:7002".parse().unwrap()];
    assert_eq!(
        Service::start(several).map(drop).unwrap_err().to_string(),
        "the tracker's own peer listens on one port: 127.0.0.1:7001, [::1]:7002 have different ones"
    );

    let any: Vec<SocketAddr> = vec![(LOOPBACK, 0).into(), "[::1]:0".parse().unwrap()];
    let tracker = Tracker::start_with(Addresses::default(), |config| config.listen = any);
    let listening = tracker.service.listening().unwrap();
    assert!(listening.len() == 2 && listening[0].port() == listening[1].port(), "{listening:?}");
}

#[test]
fn it_is_handed_out_where_it_listens() {
    for (listen, is_handed_out) in [("127.0.0.1:0", false), ("0.0.0.0:0", true), ("[::]:0", false)] {
        let tracker = Tracker::start_with(addresses(), |config| config.listen = vec![listen.parse().unwrap()]);
        let port = tracker.service.listening().unwrap()[0].port();
        let asker = AnnounceRequest::new(TORRENT, LEECHER, [10, 77, 0, 2].into(), LAN, 6881).with_left(1);
        let mut peers = Peers::default();
        tracker.shards.announce(Instant::ZERO, &mut StdRng::seed_from_u64(1), &asker, &mut peers).unwrap();
        let own_peer = peers.iter().find(|peer| peer.address == SocketAddr::new(LAN, port));
        assert_eq!(own_peer.is_some(), is_handed_out, "{listen}");
    }
}

#[test]
fn what_was_found_out_about_reachability_is_forgotten_at_the_end() {
    let (tracker, client) = (Tracker::start(), Client::leecher());
    let address = client.listener.local_addr().unwrap();
    tracker.announce(TORRENT, address.port(), AnnounceEvent::Started);
    assert!(tracker.shards.set_reachability(&TORRENT, address, LEECHER, Reachability::No));
    let Tracker { shards, service, .. } = tracker;
    drop(service);
    let peer = shards.with_swarm(&TORRENT, |swarm| swarm.peer(address)).flatten().unwrap();
    assert_eq!(peer.reachability, Reachability::Unknown);
}
