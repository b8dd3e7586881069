//! Clients and what befalls them: makes operations out of choices, which a generator makes from a seed and a fuzzer from
//! its input.

use std::collections::{BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;
use tracker_core::{
    Access, AnnounceEvent, AnnounceRequest, ClientPolicy, Config, Families, HostAddresses, InfoHash, Instant, Memory,
    PeerId, PeerIdPrefix, PeerKey, Reachability, SubnetPreference, TorrentPolicy, UserKey,
};

use super::users;

/// Something done to a tracker.
#[derive(Debug)]
pub(crate) enum Operation {
    Announce {
        now: Instant,
        request: AnnounceRequest,
    },
    Scrape {
        remote: IpAddr,
        user_key: Option<UserKey>,
        info_hashes: Vec<InfoHash>,
    },
    /// One batch, or as many as it takes.
    Expire {
        now: Instant,
        wholly: bool,
    },
    SetTorrents(TorrentPolicy),
    SetClients(ClientPolicy),
    /// What an announce would get that is not taken in.
    Sample(AnnounceRequest),
    SetOwnPeer(bool),
    /// Keeps images of what there is.
    TakeOut,
    /// Takes in what was kept.
    TakeIn {
        now: Instant,
    },
    /// Takes everything out, and then into a new tracker.
    Restart {
        now: Instant,
    },
    FindOut {
        info_hash: InfoHash,
        address: SocketAddr,
        peer_id: PeerId,
        reachability: Reachability,
    },
}

/// The source of choices.
pub(crate) trait Choices {
    /// A number below `n`, which is from 1 to 65,536.
    fn below(&mut self, n: usize) -> usize;

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

impl Choices for StdRng {
    fn below(&mut self, n: usize) -> usize {
        self.random_range(0..n)
    }
}

/// A fuzzer's input as choices, as long as it lasts; zeros then.
pub(crate) struct Input<'a>(pub(crate) &'a [u8]);

impl Choices for Input<'_> {
    fn below(&mut self, n: usize) -> usize {
        let mut byte = || {
            let (&first, rest) = self.0.split_first()?;
            self.0 = rest;
            Some(usize::from(first))
        };
        let low = byte().unwrap_or(0);
        let high = if n > 256 { byte().unwrap_or(0) } else { 0 };
        (high << 8 | low) % n
    }
}

pub(crate) const TORRENTS: u8 = 5;
/// Peer ids, keys and ports that anybody may turn up with, so that they meet.
const FEW: usize = 4;
const PORTS: [u16; 5] = [0, 1, 6881, 6882, 51413];

/// The places of clients: the client's address, and the address of the tracker's machine that it uses.
const HOMES: [(&str, &str); 31] = [
    ("10.77.0.2", "10.77.0.1"),
    ("10.77.0.3", "10.77.0.1"),
    ("10.77.0.4", "10.77.0.1"),
    ("10.77.1.5", "10.77.0.1"),
    ("10.78.0.2", "10.78.0.1"),
    ("10.78.0.3", "10.78.0.1"),
    ("::ffff:10.77.0.2", "::ffff:10.77.0.1"),
    ("fd77::2", "fd77::1"),
    ("fd77::3", "fd77::1"),
    ("fd77::4", "fd77::1"),
    ("fd77::5", "fd77::1"),
    ("fd77::6", "fd77::1"),
    ("fd77::7", "fd77::1"),
    ("fd77::8", "fd77::1"),
    ("127.0.0.1", "127.0.0.1"),
    ("::1", "::1"),
    ("127.0.0.2", "127.0.0.1"),
    ("127.0.0.3", "127.0.0.1"),
    ("10.77.0.1", "10.77.0.1"),
    // Through a proxy on the tracker's machine.
    ("10.77.0.4", "127.0.0.1"),
    ("169.254.7.2", "169.254.7.1"),
    ("169.254.7.3", "169.254.7.1"),
    ("fe80::2", "fe80::1"),
    ("203.0.113.9", "203.0.113.1"),
    // Two addresses of one host in another network.
    ("2001:db8::2", "fd77::1"),
    ("2001:db8::3", "fd77::1"),
    ("239.1.2.3", "10.77.0.1"),
    // Other ways on the tracker's machine, and containers on it.
    ("10.78.0.1", "10.78.0.1"),
    ("169.254.7.1", "169.254.7.1"),
    ("172.17.0.2", "172.17.0.1"),
    ("172.17.0.3", "10.77.0.1"),
];

/// The clients, and what they have not announced yet.
#[derive(Debug)]
pub(crate) struct World {
    now: u32,
    clients: Vec<Client>,
    identities: usize,
    /// The remaining announces of an operation that takes several.
    pending: VecDeque<Operation>,
}

#[derive(Debug, Clone)]
struct Client {
    torrent: InfoHash,
    peer_id: PeerId,
    key: PeerKey,
    /// More than one on a machine with several networks, or both families.
    homes: Vec<(IpAddr, IpAddr)>,
    port: u16,
    claimed_ip: Option<IpAddr>,
    left: Option<u64>,
    partial: bool,
    numwant: Option<u32>,
}

impl World {
    pub(crate) fn new(clients: usize, choices: &mut impl Choices) -> Self {
        let mut world = Self { now: 0, clients: Vec::new(), identities: FEW, pending: VecDeque::new() };
        for _ in 0..clients {
            let client = world.newcomer(choices);
            world.clients.push(client);
        }
        world
    }

    /// A configuration with limits that are met often.
    pub(crate) fn config(choices: &mut impl Choices) -> Config {
        let secs = |secs: u64| Duration::from_secs(secs);
        let default = Config::default();
        let tight = choices.one_in(2);
        let limit = |tight_limit: usize, default: usize| if tight { tight_limit } else { default };
        let default_numwant = choices.of(&[0, 2, 50]);
        Config::default().with(|config| {
            config.announce_budget = choices.of(&[1, 500]);
            config.interval_floor = secs(choices.of(&[1, 60]));
            config.interval_ceiling = secs(choices.of(&[60, 1800]));
            config.interval_jitter_percent = choices.of(&[0, 10, 50]);
            config.min_interval_floor = secs(choices.of(&[1, 30]));
            config.peer_timeout = secs(choices.of(&[30, 1260]));
            config.swarm_timeout = secs(choices.of(&[0, 600, 86_400]));
            config.max_swarms = limit(3, default.max_swarms);
            config.max_peers = limit(16, default.max_peers);
            config.max_peers_per_swarm = limit(8, default.max_peers_per_swarm);
            config.max_peers_per_address = choices.of(&[1, 3, 128]);
            config.max_peers_per_address_overall = choices.of(&[2, default.max_peers_per_address_overall]);
            config.default_numwant = default_numwant;
            config.max_numwant = choices.of(&[50, 200]);
            config.max_scrape_hashes = choices.of(&[3, 128]);
            // All are taken after every operation.
            config.max_pending_events = choices.of(&[0, 1 << 16]);
            config.update_events = true;
            config.access = match choices.below(4) {
                0 => Access::Lan { own: vec!["203.0.113.0/24".parse().expect("a network")] },
                1 => Access::Networks(vec!["10.77.0.0/16".parse().expect("a network")]),
                _ => Access::All,
            };
            config.trusted_networks = match choices.below(3) {
                0 => vec!["10.78.0.0/24".parse().expect("a network")],
                1 => vec!["127.0.0.0/8".parse().expect("a network"), "::1/128".parse().expect("a network")],
                _ => Vec::new(),
            };
            config.host_addresses = HostAddresses {
                v4: (!choices.one_in(3)).then_some([10, 77, 0, 1].into()),
                v6: (!choices.one_in(3)).then_some([0xfd77, 0, 0, 0, 0, 0, 0, 1].into()),
            };
            if choices.one_in(2) {
                config.own_addresses = ["10.77.0.1", "10.78.0.1", "169.254.7.1", "172.17.0.1", "fd77::1"]
                    .map(|address| address.parse().expect("an address"))
                    .into();
                config.container_networks = vec!["172.17.0.0/16".parse().expect("a network")];
            }
            config.gateways = match choices.below(3) {
                // Where clients are crowded.
                0 => vec![address(HOMES[0]).0.to_canonical()],
                _ => Vec::new(),
            };
            config.expire_batch = choices.of(&[1, 2, 7, default.expire_batch]);
            config.users = choices.one_in(4);
            config.memory = if choices.one_in(3) { Memory::Lean } else { Memory::Full };
            config.prefer_subnet = match choices.below(4) {
                0 => Some(SubnetPreference::default()),
                1 => Some(SubnetPreference { v4_prefix: choices.of(&[0, 16, 32]), v6_prefix: choices.of(&[0, 128]) }),
                _ => None,
            };
        })
    }

    pub(crate) fn next(&mut self, choices: &mut impl Choices) -> Operation {
        if let Some(operation) = self.pending.pop_front() {
            return operation;
        }
        self.pass_time(choices);
        match choices.below(20) {
            0 | 1 => Operation::Expire { now: self.moment(choices), wholly: choices.one_in(2) },
            2 => Operation::Scrape {
                remote: home(choices).0,
                user_key: user_key(choices),
                info_hashes: (0..choices.below(6)).map(|_| torrent(choices)).collect(),
            },
            3 => match choices.below(12) {
                0 | 1 => Operation::SetTorrents(policy(choices)),
                2 => Operation::SetOwnPeer(!choices.one_in(4)),
                3 => Operation::TakeOut,
                4..=6 => self.take_in(choices),
                7 => Operation::Restart { now: self.moment(choices) },
                8 => Operation::SetClients(client_policy(choices)),
                _ => Operation::Sample(any_request(choices)),
            },
            4 | 5 => self.find_out(choices),
            // Somebody announces something, with no regard to what was announced before.
            6..=8 => Operation::Announce { now: self.moment(choices), request: any_request(choices) },
            _ => self.live(choices),
        }
    }

    fn pass_time(&mut self, choices: &mut impl Choices) {
        let passed = match choices.below(100) {
            0..70 => choices.below(20),
            70..90 => choices.below(300),
            90..98 => choices.below(2000),
            98 => choices.of(&[90_000, 200_000]),
            _ => 0,
        };
        self.now = self.now.saturating_add(u32::try_from(passed).unwrap_or(u32::MAX));
    }

    /// The time on a clock: mostly now, sometimes in the past, seldom in the future.
    fn moment(&self, choices: &mut impl Choices) -> Instant {
        let other = choices.below(3000) as u32;
        Instant::from_secs(match choices.below(40) {
            0..=3 => self.now.saturating_sub(other),
            4 => self.now.saturating_add(other),
            _ => self.now,
        })
    }

    /// One client does something that clients do.
    fn live(&mut self, choices: &mut impl Choices) -> Operation {
        let number = choices.below(self.clients.len());
        let mut client = self.clients[number].clone();
        let mut event = None;
        match choices.below(16) {
            // Starts, or comes back.
            0..=2 => event = Some(AnnounceEvent::Started),
            // Completes, with what real clients say is left then.
            3 | 4 => {
                client.left = choices.of(&[Some(0), Some(0), Some(0), Some(16_384), None]);
                event = Some(AnnounceEvent::Completed);
            }
            // Has nothing left, but its `completed` was lost.
            5 => client.left = Some(0),
            6 => client.partial = !client.partial,
            7 => {
                event = Some(AnnounceEvent::Stopped);
                if choices.one_in(4) {
                    client.port = 0;
                }
                // It completed, and says so only now.
                if choices.one_in(4) {
                    client.left = Some(0);
                }
            }
            // Crashed and started again: another peer id on the same port, or the same one on another.
            8 => {
                client.peer_id = self.identity();
                event = Some(AnnounceEvent::Started);
            }
            9 => client.port = choices.of(&PORTS),
            // Gets another address, or a second one.
            10 => client.homes = vec![home(choices)],
            11 => client.homes.push(home(choices)),
            // Moves in behind another client's address.
            12 => client.homes = self.clients[choices.below(self.clients.len())].homes.clone(),
            // Vanishes without a word, and somebody else is there.
            13 => client = self.newcomer(choices),
            // Wants to download again.
            14 => client.left = Some(1 << 30),
            _ => (),
        }
        self.clients[number] = client.clone();

        let now = self.moment(choices);
        let event = event.or_else(|| client.partial.then_some(AnnounceEvent::Paused));
        for &(remote, local) in &client.homes {
            let request = AnnounceRequest::new(client.torrent, client.peer_id, remote, local, client.port)
                .with_key(client.key)
                .with_claimed_ip(client.claimed_ip)
                .with_uploaded(choices.below(1000) as u64)
                .with_downloaded(if choices.one_in(2) { 0 } else { choices.below(1000) as u64 })
                .with_left(client.left)
                .with_event(event)
                .with_numwant(client.numwant)
                .with_room(choices.of(&[None, None, None, Some(2)]))
                .with_families(families(choices))
                .with_peer_ids(choices.one_in(2))
                .with_user_key(user_key(choices));
            self.pending.push_back(Operation::Announce { now, request });
        }
        self.pending.pop_front().expect("every client has a home")
    }

    /// What was kept comes in: twice, or while others are being dropped.
    fn take_in(&mut self, choices: &mut impl Choices) -> Operation {
        let now = self.moment(choices);
        self.pending.push_back(Operation::TakeIn { now });
        if choices.one_in(3) { Operation::TakeIn { now } } else { Operation::Expire { now, wholly: false } }
    }

    /// The embedder finds out about a client, which may be gone, or about nobody.
    fn find_out(&self, choices: &mut impl Choices) -> Operation {
        let client = &self.clients[choices.below(self.clients.len())];
        let ip = choices.of(&client.homes).0;
        Operation::FindOut {
            info_hash: client.torrent,
            address: SocketAddr::new(client.claimed_ip.filter(|_| choices.one_in(2)).unwrap_or(ip), client.port),
            peer_id: if choices.one_in(8) { peer_id(choices.below(FEW)) } else { client.peer_id },
            reachability: choices.of(&[
                Reachability::Unknown,
                Reachability::Yes,
                Reachability::No,
                Reachability::No,
                Reachability::Introduced,
            ]),
        }
    }

    fn newcomer(&mut self, choices: &mut impl Choices) -> Client {
        let peer_id = self.identity();
        Client {
            torrent: torrent(choices),
            peer_id,
            key: PeerKey::from_bytes(peer_id.as_bytes()),
            homes: vec![home(choices)],
            port: choices.of(&PORTS),
            claimed_ip: claimed_ip(choices),
            left: choices.of(&[None, Some(0), Some(1000), Some(1000), Some(1000)]),
            partial: choices.one_in(8),
            numwant: choices.of(&[None, Some(1), Some(3), Some(50), Some(200)]),
        }
    }

    fn identity(&mut self) -> PeerId {
        self.identities += 1;
        peer_id(self.identities)
    }
}

/// An announce of anybody.
fn any_request(choices: &mut impl Choices) -> AnnounceRequest {
    let events = [
        None,
        Some(AnnounceEvent::Started),
        Some(AnnounceEvent::Completed),
        Some(AnnounceEvent::Stopped),
        Some(AnnounceEvent::Paused),
    ];
    // Half of the time in one place, so that the same few meet there.
    let crowded = choices.one_in(2);
    let (remote, local) = if crowded { address(HOMES[0]) } else { home(choices) };
    AnnounceRequest::new(
        if crowded { InfoHash::new([0; 20]) } else { torrent(choices) },
        peer_id(choices.below(FEW)),
        remote,
        local,
        choices.of(&PORTS),
    )
    .with_key(choices.of(&[PeerKey::NONE, PeerKey::from_bytes(b"a"), PeerKey::from_bytes(b"b")]))
    .with_claimed_ip(claimed_ip(choices))
    .with_uploaded(u64::MAX)
    .with_downloaded(choices.below(3) as u64)
    .with_left(choices.of(&[None, Some(0), Some(1), Some(u64::MAX)]))
    .with_event(choices.of(&events))
    .with_numwant(choices.of(&[None, Some(0), Some(1), Some(3), Some(u32::MAX)]))
    .with_families(families(choices))
    .with_peer_ids(choices.one_in(2))
    .with_user_key(user_key(choices))
}

fn user_key(choices: &mut impl Choices) -> Option<UserKey> {
    match choices.below(24) {
        0 => None,
        1 => Some(users::key(choices.below(users::KEYS))),
        number => Some(users::key(number % 2)),
    }
}

fn home(choices: &mut impl Choices) -> (IpAddr, IpAddr) {
    address(choices.of(&HOMES))
}

fn address((remote, local): (&str, &str)) -> (IpAddr, IpAddr) {
    (remote.parse().expect("an address"), local.parse().expect("an address"))
}

fn families(choices: &mut impl Choices) -> Families {
    choices.of(&[Families::Both, Families::Both, Families::V4, Families::V6])
}

fn claimed_ip(choices: &mut impl Choices) -> Option<IpAddr> {
    let claimed = ["10.77.0.99", "::ffff:10.77.0.2", "fd77::99", "127.0.0.1", "0.0.0.0", "fe80::99", "224.0.0.1"];
    choices.one_in(8).then(|| choices.of(&claimed).parse().expect("an address"))
}

fn torrent(choices: &mut impl Choices) -> InfoHash {
    InfoHash::new([choices.below(usize::from(TORRENTS)) as u8; 20])
}

fn peer_id(number: usize) -> PeerId {
    let mut bytes = *b"-XX0001-............";
    bytes[12..].copy_from_slice(&(number as u64).to_be_bytes());
    PeerId::new(bytes)
}

fn policy(choices: &mut impl Choices) -> TorrentPolicy {
    let allowed = choices.one_in(3).then(|| some_torrents(choices));
    TorrentPolicy { allowed, denied: some_torrents(choices) }
}

/// Half of the time one that serves all. Peer ids differ in their last bytes.
fn client_policy(choices: &mut impl Choices) -> ClientPolicy {
    let networks = ["10.77.0.0/16", "10.77.0.4/32", "fd77::/64", "fd77::4/128", "127.0.0.0/8", "10.78.0.0/15"];
    let networks = |choices: &mut _, most| {
        let some = (0..Choices::below(choices, most)).map(|_| Choices::of(choices, &networks));
        some.map(|network| network.parse().expect("a network")).collect()
    };
    let prefixes = |choices: &mut _, most| {
        let some = (0..Choices::below(choices, most)).map(|_| {
            let peer_id = peer_id(Choices::below(choices, 3 * FEW));
            PeerIdPrefix::new(&peer_id.as_bytes()[..Choices::of(choices, &[1, 8, 20, 20])]).expect("a prefix")
        });
        some.collect()
    };
    if choices.one_in(2) {
        return ClientPolicy::default();
    }
    ClientPolicy {
        allowed: if choices.one_in(3) { prefixes(choices, 3) } else { Vec::new() },
        denied: prefixes(choices, 4),
        allowed_networks: if choices.one_in(3) { networks(choices, 3) } else { Vec::new() },
        denied_networks: networks(choices, 3),
    }
}

fn some_torrents(choices: &mut impl Choices) -> BTreeSet<InfoHash> {
    (0..TORRENTS).filter(|_| choices.one_in(3)).map(|torrent| InfoHash::new([torrent; 20])).collect()
}
