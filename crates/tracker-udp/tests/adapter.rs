//! Datagrams and their answers, without a socket.

mod support;

use std::net::{IpAddr, SocketAddr};

use tracker_core::{
    Access, AnnounceEvent, AnnounceRequest, Config, InfoHash, Instant, Memory, OwnPeer, PeerId, PeerKey, Peers,
    TorrentPolicy,
};
use tracker_udp::{Action, Adapter, Announce, MAX_SCRAPE_HASHES, Request};

use crate::support::{INFO_HASH, adapter, announce, connection_id, datagram};

/// One client, and the address of ours that it asks.
struct Client<'a> {
    adapter: &'a Adapter,
    remote: SocketAddr,
    local: IpAddr,
}

impl<'a> Client<'a> {
    fn new(adapter: &'a Adapter, remote: &str) -> Self {
        let remote: SocketAddr = remote.parse().unwrap();
        let local = if remote.is_ipv4() { "10.0.0.1" } else { "fd77::1" };
        Self { adapter, remote, local: local.parse().unwrap() }
    }

    fn send(&self, datagram: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        self.adapter.answer(self.remote, self.local, datagram, &mut out);
        out
    }

    fn connect(&self) -> u64 {
        let mut connect = Vec::new();
        Request::connect(1).encode(&mut connect);
        connection_id(&self.send(&connect), 1)
    }

    fn ask(&self, action: Action<'_>) -> Vec<u8> {
        self.send(&datagram(self.connect(), 0x0102_0304, action))
    }

    /// The answer, without its action and transaction id.
    fn announce(&self, announce: Announce<'_>) -> Vec<u8> {
        let answer = self.ask(Action::Announce(announce));
        assert_eq!(answer[..8], *b"\0\0\0\x01\x01\x02\x03\x04");
        answer[8..].to_vec()
    }
}

#[test]
fn a_client_learns_of_those_before() {
    let (_, adapter) = adapter(Config::default(), 1);
    let first = Client::new(&adapter, "10.0.0.8:4000");
    assert_eq!(first.announce(announce(1, 6881)), b"\0\0\0\x3c\0\0\0\x01\0\0\0\0");
    let second = Client::new(&adapter, "10.0.0.9:4000");
    let seeding = Announce { left: 0, ..announce(2, 6882) };
    assert_eq!(second.announce(seeding), b"\0\0\0\x3c\0\0\0\x01\0\0\0\x01\x0a\0\0\x08\x1a\xe1");
    let leaving = Announce { event: 3, ..seeding };
    assert_eq!(second.announce(leaving), b"\0\0\0\x3c\0\0\0\x01\0\0\0\0");
}

/// As a client announces that says `left=0` before it has the metadata.
#[test]
fn a_client_with_only_a_magnet_link_gets_the_seeder() {
    for memory in [Memory::Full, Memory::Lean] {
        let (_, adapter) = adapter(Config::default().with(|config| config.memory = memory), 1);
        let seeding = |number, port| Announce { left: 0, ..announce(number, port) };
        Client::new(&adapter, "10.0.0.8:4000").announce(seeding(1, 6881));
        let answer = Client::new(&adapter, "10.0.0.9:4000").announce(seeding(2, 6882));
        assert_eq!(answer, b"\0\0\0\x3c\0\0\0\0\0\0\0\x02\x0a\0\0\x08\x1a\xe1", "{memory:?}");
    }
}

#[test]
fn an_answer_has_the_peers_of_one_family() {
    let (shards, adapter) = adapter(Config::default(), 1);
    Client::new(&adapter, "10.0.0.8:4000").announce(announce(1, 6881));
    Client::new(&adapter, "[fd77::8]:4000").announce(announce(2, 6882));
    assert_eq!(shards.totals().peers(), 2);

    let head = b"\0\0\0\x3c\0\0\0\x03\0\0\0\0";
    let v4 = Client::new(&adapter, "10.0.0.9:4000").announce(announce(3, 6883));
    assert_eq!(v4, [head.as_slice(), b"\x0a\0\0\x08\x1a\xe1"].concat());
    // As a socket of both families has it.
    let mapped = Client::new(&adapter, "[::ffff:10.0.0.9]:4000").announce(announce(3, 6883));
    assert_eq!(mapped, v4);
    let v6 = Client::new(&adapter, "[fd77::9]:4000").announce(announce(4, 6884));
    let head = b"\0\0\0\x3c\0\0\0\x04\0\0\0\0";
    assert_eq!(v6, [head.as_slice(), b"\xfd\x77\0\0\0\0\0\0\0\0\0\0\0\0\0\x08\x1a\xe2"].concat());
}

#[test]
fn the_own_peer_is_of_the_family_of_the_asker() {
    let (shards, adapter) = adapter(Config::default(), 1);
    shards.set_own_peer(Some(OwnPeer::new(6968, PeerId::new([b'o'; 20]))));
    let v4 = Client::new(&adapter, "10.0.0.8:4000").announce(announce(1, 6881));
    assert_eq!(v4, b"\0\0\0\x3c\0\0\0\x01\0\0\0\0\x0a\0\0\x01\x1b\x38");
    let v6 = Client::new(&adapter, "[fd77::8]:4000").announce(announce(2, 6882));
    let head = b"\0\0\0\x3c\0\0\0\x02\0\0\0\0".as_slice();
    assert_eq!(v6, [head, b"\xfd\x77\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x1b\x38"].concat());
}

#[test]
fn clients_of_udp_and_http_meet() {
    // What tracker-http hands in.
    let by_http = AnnounceRequest::new(
        InfoHash::new(INFO_HASH),
        PeerId::new([b'h'; 20]),
        [10, 0, 0, 7].into(),
        [10, 0, 0, 1].into(),
        6880,
    )
    .with_left(0)
    .with_event(AnnounceEvent::Started);
    let (shards, adapter) = adapter(Config::default(), 1);
    let mut peers = Peers::default();
    shards.announce(Instant::ZERO, &mut rand::rng(), &by_http, &mut peers).unwrap();
    let answer = Client::new(&adapter, "10.0.0.8:4000").announce(announce(1, 6881));
    assert_eq!(answer, b"\0\0\0\x3c\0\0\0\x01\0\0\0\x01\x0a\0\0\x07\x1a\xe0");

    shards.announce(Instant::ZERO, &mut rand::rng(), &by_http, &mut peers).unwrap();
    assert_eq!(peers.v4(), [[10, 0, 0, 8, 0x1a, 0xe1]]);
}

#[test]
fn one_client_over_udp_and_http_has_one_key() {
    let (shards, adapter) = adapter(Config::default(), 1);
    Client::new(&adapter, "10.0.0.8:4000").announce(Announce { key: 0xE0B5_5AB7, ..announce(1, 6881) });
    let mut request = announce(1, 7000).to_request("10.0.0.8:80".parse().unwrap(), [10, 0, 0, 1].into());
    // From another port, over HTTP: the same client, so that the old place is given up.
    request.key = PeerKey::from_number(0xE0B5_5AB7);
    shards.announce(Instant::ZERO, &mut rand::rng(), &request, &mut Peers::default()).unwrap();
    assert_eq!(shards.totals().peers(), 1);
}

#[test]
fn a_claimed_address_counts_from_trusted_networks_only() {
    let trusted = Config::default().with(|config| config.trusted_networks = vec!["10.0.0.8/32".parse().unwrap()]);
    let (_, adapter) = adapter(trusted, 1);
    let claiming = |peer, port| Announce { ip: [10, 0, 0, 77].into(), ..announce(peer, port) };
    Client::new(&adapter, "10.0.0.8:4000").announce(claiming(1, 11));
    Client::new(&adapter, "10.0.0.9:4000").announce(claiming(2, 12));
    let answer = Client::new(&adapter, "10.0.0.10:4000").announce(announce(3, 13));
    let (peers, _) = answer[12..].as_chunks::<6>();
    let mut peers = peers.to_vec();
    peers.sort();
    assert_eq!(peers, [[10, 0, 0, 9, 0, 12], [10, 0, 0, 77, 0, 11]]);
}

#[test]
fn answers_fit_a_frame() {
    let config = Config::default().with(|config| {
        config.max_numwant = 1000;
        config.default_numwant = 1000;
    });
    let (_, adapter) = adapter(config, 1);
    for host in 0..300_u16 {
        for remote in [format!("10.1.{}.{}:4000", host / 200, host % 200 + 1), format!("[fd77::2:{host}]:4000")] {
            Client::new(&adapter, &remote).announce(Announce { num_want: 0, ..announce(1, 6881) });
        }
    }
    for num_want in [-1, 1000, i32::MAX] {
        let asking = Announce { num_want, ..announce(2, 6881) };
        assert_eq!(Client::new(&adapter, "10.0.0.9:4000").announce(asking).len(), 12 + 6 * 238);
        assert_eq!(Client::new(&adapter, "[fd77::9]:4000").announce(asking).len(), 12 + 18 * 79);
    }
    let asking = Announce { num_want: 10, ..announce(2, 6881) };
    assert_eq!(Client::new(&adapter, "10.0.0.9:4000").announce(asking).len(), 12 + 6 * 10);
}

#[test]
fn a_scrape_tells_of_each_torrent_in_turn() {
    let (shards, adapter) = adapter(Config::default(), 1);
    let client = Client::new(&adapter, "10.0.0.9:4000");
    client.announce(announce(1, 6881));
    client.announce(Announce { left: 0, event: 1, ..announce(1, 6881) });
    let hashes: Vec<_> = (0..80).map(|torrent| if torrent % 2 == 0 { INFO_HASH } else { [torrent; 20] }).collect();
    let answer = client.ask(Action::Scrape(&hashes));
    let known = b"\0\0\0\x01\0\0\0\x01\0\0\0\0";
    let pairs = [known, [0; 12].as_slice()].concat().repeat(MAX_SCRAPE_HASHES / 2);
    assert_eq!(answer, [b"\0\0\0\x02\x01\x02\x03\x04".as_slice(), &pairs].concat());
    assert_eq!(shards.totals().scrapes, 1);
    assert_eq!(client.ask(Action::Scrape(&[])), b"\0\0\0\x02\x01\x02\x03\x04");
}

#[test]
fn a_refusal_says_why() {
    let (_, adapter) = adapter(Config::default().with(|config| config.access = Access::Lan { own: Vec::new() }), 1);
    let client = Client::new(&adapter, "203.0.113.9:4000");
    let reason =
        b"this tracker does not serve 203.0.113.9: its operator can allow that with --allow lan --allow 203.0.113.0/24";
    let refused = [b"\0\0\0\x03\x01\x02\x03\x04".as_slice(), reason].concat();
    assert_eq!(client.ask(Action::Announce(announce(1, 6881))), refused);
    assert_eq!(client.ask(Action::Scrape(&[INFO_HASH])), refused);
}

#[test]
fn strangers_get_no_more_than_they_send() {
    let (shards, adapter) = adapter(Config::default(), 1);
    let client = Client::new(&adapter, "10.0.0.9:4000");
    let id = client.connect();
    let of_another = Client::new(&adapter, "10.0.0.10:4000").connect();
    for wrong in [0, u64::MAX, 0x417_2710_1980, of_another, id ^ 1, id ^ (1 << 63)] {
        for action in [Action::Announce(announce(1, 6881)), Action::Scrape(&[INFO_HASH])] {
            assert_eq!(client.send(&datagram(wrong, 1, action)), b"", "{wrong:x}");
        }
    }
    assert_eq!((shards.totals().peers(), shards.totals().scrapes), (0, 0));

    // The port may change, as it does behind some routers.
    let elsewhere = Client::new(&adapter, "10.0.0.9:5000");
    assert_ne!(elsewhere.send(&datagram(id, 1, Action::Announce(announce(1, 6881)))), b"");

    let mut connect = Vec::new();
    Request::connect(1).encode(&mut connect);
    assert_eq!(client.send(&connect).len(), connect.len());
}

#[test]
fn short_datagrams_are_dropped_and_long_ones_answered() {
    let (shards, adapter) = adapter(Config::default(), 1);
    let client = Client::new(&adapter, "10.0.0.9:4000");
    let whole = datagram(client.connect(), 9, Action::Announce(announce(1, 6881)));
    for length in 0..whole.len() {
        assert_eq!(client.send(&whole[..length]), b"", "{length}");
    }
    assert_eq!(shards.totals().peers(), 0);
    for more in [b"\x02\x09/announce\x00".as_slice(), b"\x02\x07/scrape", b"\x02\xff/", b"\xff", &[0; 900]] {
        let answer = client.send(&[whole.as_slice(), more].concat());
        assert_eq!(answer, b"\0\0\0\x01\0\0\0\x09\0\0\0\x3c\0\0\0\x01\0\0\0\0", "{}", more.escape_ascii());
    }
}

#[test]
fn failures_counts_refusals_that_the_core_does_not_count() {
    let denied = TorrentPolicy { denied: [INFO_HASH.into()].into(), ..TorrentPolicy::default() };
    let config = Config::default().with(|config| {
        config.torrents = denied.into();
        config.max_scrape_hashes = 1;
    });
    let (shards, adapter) = adapter(config, 1);
    let client = Client::new(&adapter, "10.0.0.9:4000");
    client.ask(Action::Announce(announce(1, 6881)));
    client.ask(Action::Scrape(&[INFO_HASH]));
    assert_eq!((adapter.failures(), shards.totals().refused_announces), (0, 1));
    client.send(b"what is this");
    assert_eq!(adapter.failures(), 1);
    client.send(&datagram(7, 9, Action::Announce(announce(1, 6881))));
    assert_eq!(adapter.failures(), 2);
    client.ask(Action::Scrape(&[INFO_HASH, [b'b'; 20]]));
    assert_eq!(adapter.failures(), 3);
}
