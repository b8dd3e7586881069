//! A tracker as the specification tells it, to hold the real one against.
//!
//! Everything is a plain list that is searched from front to back. Where the specification leaves a choice (which peers are
//! drawn, which interval within the jitter), the model checks that what the tracker did is one of the choices, and takes it
//! over.

mod clients;
mod fairness;
mod journal;
mod restore;
pub(crate) mod subject;
pub(crate) mod trial;
mod users;
pub(crate) mod world;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use fairness::{Group, Networks};
use subject::Heard;
use tracker_core::{
    AnnounceError, AnnounceEvent, AnnounceRequest, AnnounceResponse, ClientPolicy, Config, InfoHash, Instant, Memory,
    Peer, PeerDetail, PeerEntry, PeerId, PeerKey, PeerState, Reachability, ScrapeError, SwarmCounts, TorrentPolicy,
    UserId, UserKey, UserTotals, Verdict, Warning,
};
use users::Users;

/// A tracker of lists.
#[derive(Debug)]
pub(crate) struct Model {
    config: Config,
    now: Instant,
    networks: Networks,
    swarms: BTreeMap<InfoHash, Members>,
    tally: Tally,
    announces: u64,
    refused: u64,
    scrapes: u64,
    has_own_peer: bool,
    users: Users,
}

/// The port of the tracker's own peer, which nobody else has, and its peer id.
pub(crate) const OWN_PORT: u16 = 6968;
pub(crate) const OWN_PEER_ID: PeerId = PeerId::new(*b"-XX0001-the-own-peer");

/// The number of times that each thing happened, to which the events must add up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tally {
    pub(crate) created: u64,
    pub(crate) dropped: u64,
    pub(crate) joined: u64,
    pub(crate) updated: u64,
    pub(crate) moved: u64,
    pub(crate) completed: u64,
    pub(crate) left: u64,
    pub(crate) expired: u64,
}

#[derive(Debug, Default)]
struct Members {
    peers: Vec<Member>,
    completed: u32,
    /// The time at which it is forgotten, while it has no peers.
    forgotten: Option<Instant>,
}

#[derive(Debug, Clone)]
struct Member {
    memory: Memory,
    address: SocketAddr,
    peer_id: PeerId,
    key: PeerKey,
    state: PeerState,
    transfer: (u64, u64, Option<u64>),
    first_seen: Instant,
    last_seen: Instant,
    expires: Instant,
    seen_leeching: bool,
    counted: bool,
    claimed: bool,
    here: bool,
    reachability: Reachability,
}

impl Member {
    fn is(&self, peer: &Peer) -> bool {
        let is_there = self.address == peer.address && self.state == peer.state;
        let is_there = is_there && self.reachability == peer.reachability;
        let Some(detail) = &peer.detail else { return self.memory == Memory::Lean && is_there };
        self.memory == Memory::Full
            && is_there
            && self.peer_id == detail.peer_id
            && self.key == detail.key
            && self.transfer == (detail.uploaded, detail.downloaded, detail.left)
            && self.first_seen == detail.first_seen
            && self.last_seen == detail.last_seen
            && self.expires == detail.expires
            && self.claimed == detail.is_claimed
            && self.here == detail.is_here
    }

    fn is_at(&self, place: SocketAddr) -> bool {
        // A lean tracker has nothing else to tell those apart by that listen nowhere.
        (place.port() > 1 || self.memory == Memory::Lean) && self.address == place
    }

    /// Returns `true` if it is handed out only for the places that others leave.
    fn comes_last(&self) -> bool {
        self.reachability == Reachability::No && self.comes_from_network()
    }

    /// Returns `true` if it is handed out to nobody, because it is told of others.
    fn is_introduced(&self) -> bool {
        self.reachability == Reachability::Introduced && self.comes_from_network()
    }

    fn comes_from_network(&self) -> bool {
        match self.address.ip() {
            IpAddr::V4(v4) => !v4.is_loopback() && !v4.is_link_local(),
            IpAddr::V6(v6) => !v6.is_loopback(),
        }
    }

    fn is_client(&self, ip: IpAddr, peer_id: PeerId, key: PeerKey) -> bool {
        self.memory == Memory::Full && self.address.ip() == ip && self.peer_id == peer_id && self.key == key
    }
}

impl Model {
    pub(crate) fn new(config: Config) -> Self {
        Self {
            networks: Networks::new(&config),
            config,
            now: Instant::ZERO,
            swarms: BTreeMap::new(),
            tally: Tally::default(),
            announces: 0,
            refused: 0,
            scrapes: 0,
            has_own_peer: false,
            users: Users::default(),
        }
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn now(&self) -> Instant {
        self.now
    }

    pub(crate) fn tally(&self) -> Tally {
        self.tally
    }

    /// Checks an answer to an announce, and takes the announce in. `members` are the tracker's peers of that swarm after it, and
    /// `left` are all. Returns what a listener should have heard.
    pub(crate) fn announce(
        &mut self,
        now: Instant,
        request: &AnnounceRequest,
        answer: &Result<AnnounceResponse, AnnounceError>,
        peers: &[PeerEntry],
        members: &[Peer],
        left: &BTreeMap<InfoHash, Vec<Peer>>,
    ) -> Vec<Heard> {
        self.now = self.now.max(now);
        self.announces += 1;
        self.networks.learn(request.local());
        let (timeout, group) = (self.config.peer_timeout, self.networks.group(self.place(request).ip()));
        let is_admitted = self.config.access.admits(request.remote())
            && clients::admits_address(&self.config.clients, request.remote());
        let is_asked = self.config.users && is_admitted;
        let user = is_asked.then(|| self.users.admit(self.now, timeout, group, request));
        let user = match user.transpose() {
            Ok(user) => user,
            Err(reasons) => {
                let error = answer.as_ref().expect_err("the user may not announce");
                assert!(reasons.contains(error), "refused with {error:?}, reasons were {reasons:?}");
                assert!(peers.is_empty(), "a refusal hands out {peers:?}");
                self.refused += 1;
                return Vec::new();
            }
        };
        // As many as there are kinds of places.
        for _ in 0..3 {
            let reasons = self.reasons_to_refuse(request);
            if !reasons.first().is_some_and(|reason| self.make_room(reason, request, left)) {
                break;
            }
        }
        let reasons = self.reasons_to_refuse(request);
        let answer = match answer {
            Err(error) => {
                assert!(reasons.contains(error), "refused with {error:?}, reasons were {reasons:?}");
                assert!(peers.is_empty(), "a refusal hands out {peers:?}");
                self.refused += 1;
                return Vec::new();
            }
            Ok(answer) => {
                assert!(reasons.is_empty(), "should have been refused: {reasons:?}");
                answer
            }
        };

        user.into_iter().for_each(|user| self.users.record(self.now, user, group, request));
        self.check_interval(answer);
        assert!(peers.iter().all(|peer| peer.peer_id.is_some() == (request.peer_ids && self.keeps_all())), "{peers:?}");
        assert!(peers.iter().all(|peer| request.families.contain(peer.address.ip())), "{peers:?}");
        let had_peer_here = self.has_peer_here(&request.info_hash);
        let joined = self.tally.joined;
        let (mut took_place, mut moved_from) = (false, None);
        if request.event == Some(AnnounceEvent::Stopped) {
            self.stop(request, members);
            assert!(peers.is_empty(), "peers in the answer to stopped: {peers:?}");
        } else {
            let timeout = self.config.peer_timeout.max(2 * answer.interval + Duration::from_secs(60));
            (took_place, moved_from) = self.update(request, self.due(timeout), members);
            let peers = self.without_own_peer(request, peers);
            self.check_peers(request, self.was_seen_leeching(request), &peers);
        }

        let counts = self.counts(&request.info_hash);
        assert_eq!(
            (answer.seeders, answer.leechers, answer.completed),
            (counts.seeders, counts.leechers, counts.completed)
        );
        let ip = self.place(request).ip();
        let warning = match ip {
            IpAddr::V6(v6) if v6.segments()[0] & 0xffc0 == 0xfe80 => Some(Warning::LinkLocalAddress),
            _ if self.config.gateways.contains(&ip) => {
                let sharing = self.members(&request.info_hash).iter().filter(|member| member.address.ip() == ip);
                (took_place || sharing.count() > 1).then_some(Warning::SharedAddress { address: ip })
            }
            _ => None,
        };
        assert_eq!(answer.warning, warning);
        let remote = request.remote().to_canonical();
        assert_eq!(answer.external_ip, is_public(remote).then_some(remote));

        let has_come = self.tally.joined != joined || moved_from.is_some();
        let is_first_here = self.has_peer_here(&request.info_hash) && !had_peer_here;
        let has_come_here = has_come && self.keeps_all() && self.is_here(self.place(request).ip(), request);
        let is_here = is_first_here || has_come_here;
        let heard = [
            has_come.then(|| Heard::Came(request.info_hash, self.place(request), moved_from)),
            is_here.then_some(Heard::IsHere(request.info_hash)),
        ];
        heard.into_iter().flatten().collect()
    }

    pub(crate) fn check_user(&self, user: UserId, totals: &UserTotals) {
        self.users.check(self.now, self.config.peer_timeout, user, totals);
    }

    pub(crate) fn scrape(
        &mut self,
        remote: IpAddr,
        user_key: Option<&UserKey>,
        info_hashes: &[InfoHash],
        answer: &Result<(), ScrapeError>,
        counts: &[SwarmCounts],
    ) {
        self.scrapes += 1;
        let mut reasons = Vec::new();
        if !self.config.access.admits(remote) {
            reasons.push(ScrapeError::AddressNotAllowed { address: remote.to_canonical() });
        }
        if !clients::admits_address(&self.config.clients, remote) {
            reasons.push(ScrapeError::AddressDenied { address: remote.to_canonical() });
        }
        if self.config.users && !users::may_scrape(user_key) {
            reasons.push(ScrapeError::UnknownUser);
        }
        let limit = self.config.max_scrape_hashes;
        if info_hashes.len() > limit {
            reasons.push(ScrapeError::TooManyHashes { limit, asked: info_hashes.len() });
        }
        if let Err(error) = answer {
            assert!(reasons.contains(error), "refused with {error:?}, reasons were {reasons:?}");
            assert!(counts.is_empty(), "a refusal tells {counts:?}");
        } else {
            assert!(reasons.is_empty(), "should have been refused: {reasons:?}");
            let expected: Vec<_> = info_hashes.iter().map(|info_hash| self.counts(info_hash)).collect();
            assert_eq!(counts, expected);
        }
    }

    /// Takes over which of the peers and swarms that are due a batch dropped. `left` is what the tracker has after it.
    pub(crate) fn expire(&mut self, now: Instant, left: &BTreeMap<InfoHash, Vec<Peer>>) {
        self.now = self.now.max(now);
        let now = self.now;
        // Before all others.
        self.drop_unserved(left);
        for (info_hash, members) in &mut self.swarms {
            let before = members.peers.len();
            let is_left =
                |member: &Member| left.get(info_hash).is_some_and(|peers| peers.iter().any(|peer| member.is(peer)));
            members.peers.retain(|member| member.expires > now || is_left(member));
            self.tally.expired += (before - members.peers.len()) as u64;
        }
        self.forget(|info_hash, forgotten| forgotten <= now && !left.contains_key(info_hash));
    }

    /// Checks that what was due is gone.
    pub(crate) fn check_nothing_is_due(&self) {
        for (info_hash, members) in &self.swarms {
            let due = members.peers.iter().find(|member| member.expires <= self.now);
            assert!(due.is_none(), "{info_hash} still has {due:#?}");
            assert!(members.forgotten.is_none_or(|forgotten| forgotten > self.now), "{info_hash} is not forgotten");
            assert!(!self.is_unserved(info_hash), "{info_hash} is not served, but still there");
            let denied = members.peers.iter().find(|member| self.is_denied(member));
            assert!(denied.is_none(), "{info_hash} still has {denied:#?}");
        }
    }

    /// Takes over which of the swarms that are not served any more are dropped at once. `left` is what the tracker has after it.
    pub(crate) fn set_torrents(&mut self, torrents: &TorrentPolicy, left: &BTreeMap<InfoHash, Vec<Peer>>) {
        self.config.torrents = torrents.clone().into();
        self.drop_unserved(left);
    }

    /// Takes over which of the peers whose clients are not served any more are dropped at once. `left` is what the tracker has after
    /// it.
    pub(crate) fn set_clients(&mut self, clients: &ClientPolicy, left: &BTreeMap<InfoHash, Vec<Peer>>) {
        self.config.clients = clients.clone().into();
        self.drop_unserved(left);
    }

    /// The embedder's own peer is there from now on, or gone.
    pub(crate) fn set_own_peer(&mut self, is_there: bool) {
        self.has_own_peer = is_there;
    }

    /// Checks the peers that an announce would get that is not taken in.
    pub(crate) fn sample(&self, request: &AnnounceRequest, peers: &[PeerEntry]) {
        assert!(peers.iter().all(|peer| peer.peer_id.is_some() == (request.peer_ids && self.keeps_all())), "{peers:?}");
        self.check_peers(request, false, peers);
    }

    /// Takes over that the embedder found out about a peer. Returns `true` if it is there.
    pub(crate) fn find_out(
        &mut self,
        info_hash: &InfoHash,
        address: SocketAddr,
        peer_id: PeerId,
        reachability: Reachability,
    ) -> bool {
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        if !self.keeps_all() || address.port() < 2 {
            return false;
        }
        let members = self.swarms.get_mut(info_hash).map_or(&mut [][..], |members| &mut members.peers);
        let found = members.iter_mut().find(|member| member.address == address && member.peer_id == peer_id);
        let Some(member) = found.filter(|member| !member.claimed) else { return false };
        member.reachability = reachability;
        true
    }

    fn drop_unserved(&mut self, left: &BTreeMap<InfoHash, Vec<Peer>>) {
        let before = self.swarms.len();
        let torrents = &self.config.torrents;
        self.swarms
            .retain(|info_hash, _| torrents.verdict(info_hash) == Verdict::Served || left.contains_key(info_hash));
        self.tally.dropped += (before - self.swarms.len()) as u64;
        self.drop_denied(left);
    }

    fn drop_denied(&mut self, left: &BTreeMap<InfoHash, Vec<Peer>>) {
        let mut swarms = std::mem::take(&mut self.swarms);
        for (info_hash, members) in &mut swarms {
            let before = members.peers.len();
            let is_left =
                |member: &Member| left.get(info_hash).is_some_and(|peers| peers.iter().any(|peer| member.is(peer)));
            members.peers.retain(|member| !self.is_denied(member) || is_left(member));
            self.tally.left += (before - members.peers.len()) as u64;
        }
        self.swarms = swarms;
        self.forget(|_, _| false);
    }

    /// Returns `true` if the peer is to go.
    fn is_denied(&self, member: &Member) -> bool {
        let clients = &self.config.clients;
        !clients::admits_address(clients, member.address.ip())
            || self.keeps_all() && !clients::admits_client(clients, member.peer_id)
    }

    fn is_unserved(&self, info_hash: &InfoHash) -> bool {
        self.config.torrents.verdict(info_hash) != Verdict::Served
    }

    pub(crate) fn counts(&self, info_hash: &InfoHash) -> SwarmCounts {
        let Some(members) = self.swarms.get(info_hash) else { return SwarmCounts::default() };
        let count =
            |states: &[PeerState]| members.peers.iter().filter(|peer| states.contains(&peer.state)).count() as u32;
        SwarmCounts {
            seeders: count(&[PeerState::Seeder]),
            leechers: count(&[PeerState::Leecher, PeerState::PartialSeed]),
            partial_seeds: count(&[PeerState::PartialSeed]),
            completed: members.completed,
        }
    }

    pub(crate) fn info_hashes(&self) -> impl Iterator<Item = &InfoHash> {
        self.swarms.keys()
    }

    /// Checks that the tracker's members of a swarm are the model's, each with all that is known of it.
    pub(crate) fn check_members(&self, info_hash: &InfoHash, members: &[Peer]) {
        let expected = self.swarms.get(info_hash).map_or(&[][..], |members| &members.peers);
        assert_eq!(members.len(), expected.len(), "{info_hash} has {members:#?}, expected {expected:#?}");
        for member in expected {
            assert!(members.iter().any(|peer| member.is(peer)), "no {member:#?} in {members:#?}");
        }
    }

    /// Checks what `totals()` says.
    pub(crate) fn check_totals(&self, totals: &tracker_core::Totals) {
        let sum =
            |of: fn(SwarmCounts) -> u32| self.swarms.keys().map(|key| u64::from(of(self.counts(key)))).sum::<u64>();
        assert_eq!(totals.swarms, self.swarms.len() as u64);
        assert_eq!(totals.seeders, sum(|counts| counts.seeders));
        assert_eq!(totals.leechers, sum(|counts| counts.leechers));
        assert_eq!(totals.partial_seeds, sum(|counts| counts.partial_seeds));
        assert_eq!(totals.peers(), self.peers() as u64);
        assert_eq!(totals.announces, self.announces);
        assert_eq!(totals.refused_announces, self.refused);
        assert_eq!(totals.scrapes, self.scrapes);
        assert_eq!(totals.completed, self.tally.completed);
        assert_eq!(totals.dropped_events, 0);
    }

    /// Checks what `next_expiry()` says: there is one while there is a swarm, and nothing is due before it.
    pub(crate) fn check_next_expiry(&self, next: Option<Instant>) {
        if self.swarms.is_empty() {
            // It may have to look at places that swarms had, to see that all are served.
            assert!(next.is_none_or(|next| next <= self.now));
            return;
        }
        assert!(next.is_some());
        let due = |members: &Members| {
            let peers = members.peers.iter().map(|member| member.expires);
            peers.chain(members.forgotten).min().expect("a swarm has peers or is forgotten some time")
        };
        let is_unserved = self.swarms.keys().any(|info_hash| self.is_unserved(info_hash))
            || self.swarms.values().flat_map(|members| &members.peers).any(|member| self.is_denied(member));
        let first = if is_unserved { Some(self.now) } else { self.swarms.values().map(due).min() };
        // What is due already is looked for at once, whatever the time that is told.
        let latest = first.map(|first| first.max(self.now));
        assert!(next <= latest, "{first:?} is due, and expiry looks only at {next:?}");
    }

    /// Number of swarms and peers.
    pub(crate) fn size(&self) -> usize {
        self.swarms.len() + self.peers()
    }

    fn peers(&self) -> usize {
        self.swarms.values().map(|members| members.peers.len()).sum()
    }

    /// The address of the sender's peer.
    fn place(&self, request: &AnnounceRequest) -> SocketAddr {
        let remote = request.remote().to_canonical();
        let trusted = self.config.trusted_networks.iter().any(|network| network.contains(&remote));
        let claimed = request.claimed_ip().map(|ip| ip.to_canonical());
        let ip = claimed.filter(|&ip| trusted && is_usable(ip) && !ip.is_loopback()).unwrap_or(remote);
        SocketAddr::new(ip, request.port)
    }

    fn members(&self, info_hash: &InfoHash) -> &[Member] {
        self.swarms.get(info_hash).map_or(&[], |members| &members.peers)
    }

    /// All errors that would be right. None says that it must be taken.
    fn reasons_to_refuse(&self, request: &AnnounceRequest) -> Vec<AnnounceError> {
        let config = &self.config;
        if !config.access.admits(request.remote()) {
            return vec![AnnounceError::AddressNotAllowed { address: request.remote().to_canonical() }];
        }
        for address in [request.remote().to_canonical(), self.place(request).ip()] {
            if !clients::admits_address(&config.clients, address) {
                return vec![AnnounceError::AddressDenied { address }];
            }
        }
        if !clients::admits_client(&config.clients, request.peer_id) {
            return vec![AnnounceError::ClientDenied { peer_id: request.peer_id }];
        }
        match config.torrents.verdict(&request.info_hash) {
            Verdict::Served => (),
            Verdict::NotListed => return vec![AnnounceError::TorrentNotAllowed],
            Verdict::Denied => return vec![AnnounceError::TorrentDenied],
        }
        let place = self.place(request);
        let members = self.members(&request.info_hash);
        let is_known = members
            .iter()
            .any(|member| member.is_at(place) || member.is_client(place.ip(), request.peer_id, request.key));
        let group = self.networks.group(place.ip());
        let at_address = members.iter().filter(|member| self.networks.group(member.address.ip()) == group).count();
        if request.event == Some(AnnounceEvent::Stopped) || is_known || at_address >= config.max_peers_per_address {
            return Vec::new();
        }
        let mut reasons = Vec::new();
        // Those without peers are remembered, and take nobody's place.
        let with_peers = self.swarms.values().filter(|members| !members.peers.is_empty()).count();
        if members.is_empty() && with_peers >= config.max_swarms {
            reasons.push(AnnounceError::TooManySwarms { limit: config.max_swarms });
        }
        if members.len() >= config.max_peers_per_swarm {
            reasons.push(AnnounceError::SwarmFull { limit: config.max_peers_per_swarm });
        }
        if self.peers() >= config.max_peers {
            reasons.push(AnnounceError::TooManyPeers { limit: config.max_peers });
        }
        reasons
    }

    fn stop(&mut self, request: &AnnounceRequest, after: &[Peer]) {
        let place = self.place(request);
        let keeps_all = self.keeps_all();
        let Some(members) = self.swarms.get_mut(&request.info_hash) else { return };
        let peers = &mut members.peers;
        let own = peers
            .iter()
            .position(|member| member.is_at(place) && (!keeps_all || member.peer_id == request.peer_id))
            .or_else(|| peers.iter().position(|member| member.is_client(place.ip(), request.peer_id, request.key)))
            .or_else(|| {
                let is_nameless = request.port < 2 && request.key == PeerKey::NONE;
                let named = |member: &Member| member.address.ip() == place.ip() && member.peer_id == request.peer_id;
                if !(is_nameless && keeps_all && peers.iter().any(named)) {
                    return None;
                }
                // There may be several, with different keys: any of them goes.
                let is_gone = |member: &Member| !after.iter().any(|peer| member.is(peer));
                Some(
                    peers
                        .iter()
                        .position(|peer| named(peer) && is_gone(peer))
                        .expect("one of those that are named goes"),
                )
            });
        if let Some(own) = own {
            let leaving = peers.remove(own);
            let has_everything = request.left == Some(0) && request.downloaded > 0;
            if has_everything && leaving.seen_leeching && !leaving.counted {
                // It is updated and completed before it goes.
                self.tally.updated += 1;
                members.completed += 1;
                self.tally.completed += 1;
            }
            self.tally.left += 1;
            self.forget(|_, _| false);
        }
    }

    /// The time at which a peer is due that announces now; a lean tracker rounds it up.
    fn due(&self, timeout: Duration) -> Instant {
        let expires = self.now + timeout;
        if self.keeps_all() {
            return expires;
        }
        let longest = self.longest_timeout().as_secs();
        Instant::from_secs(expires.as_secs().next_multiple_of(longest.div_ceil(1022) as u32))
    }

    /// Silence after which any peer is dropped.
    pub(crate) fn longest_timeout(&self) -> Duration {
        let ceiling = self.config.interval_ceiling.as_secs();
        let longest_interval = ceiling + ceiling * u64::from(self.config.interval_jitter_percent) / 100;
        self.config.peer_timeout.max(Duration::from_secs(2 * longest_interval + 60))
    }

    fn keeps_all(&self) -> bool {
        self.config.memory == Memory::Full
    }

    /// Returns whether another client that is not overdue had the place, and the address that the peer moved from, if it moved.
    fn update(&mut self, request: &AnnounceRequest, expires: Instant, after: &[Peer]) -> (bool, Option<SocketAddr>) {
        let keeps_all = self.keeps_all();
        let place = self.place(request);
        let here = keeps_all && self.is_here(place.ip(), request);
        let members = self.swarms.entry(request.info_hash).or_insert_with(|| {
            self.tally.created += 1;
            Members::default()
        });
        members.forgotten = None;
        let peers = &mut members.peers;
        let state = state_of(request);
        let mut member = Member {
            memory: self.config.memory,
            address: place,
            peer_id: request.peer_id,
            key: request.key,
            state,
            transfer: (
                told(request.uploaded),
                told(request.downloaded),
                request.left.filter(|&left| left <= i64::MAX as u64).map(told),
            ),
            first_seen: self.now,
            last_seen: self.now,
            expires,
            seen_leeching: state == PeerState::Leecher,
            counted: false,
            claimed: place.ip() != request.remote().to_canonical(),
            here,
            reachability: Reachability::Unknown,
        };

        // Another client at the place is gone.
        let is_other = |peer: &Member| keeps_all && peer.is_at(place) && peer.peer_id != request.peer_id;
        let mut took_place = false;
        if let Some(other) = peers.iter().position(is_other) {
            took_place = peers.remove(other).expires > self.now;
            self.tally.left += 1;
        }
        let here = peers.iter().position(|peer| peer.is_at(place));
        let client = peers.iter().position(|peer| peer.is_client(place.ip(), request.peer_id, request.key));
        if let Some(own) = here.or(client) {
            let earlier = peers[own].clone();
            member.first_seen = earlier.first_seen;
            member.seen_leeching |= earlier.seen_leeching;
            member.counted = earlier.counted;
            // A port that others can dial is not given up for none.
            if place.port() < 2 {
                member.address = earlier.address;
            }
            // What was found out is about this client at this place.
            if keeps_all && !member.claimed && member.address == earlier.address {
                member.reachability = earlier.reachability;
            }
            self.tally.updated += 1;
            let moved_from = Some(earlier.address).filter(|address| *address != member.address);
            self.tally.moved += u64::from(moved_from.is_some());
            if state == PeerState::Seeder && member.seen_leeching && !member.counted {
                member.counted = true;
                members.completed += 1;
                self.tally.completed += 1;
            }
            peers[own] = member;
            // The same client was known at another port, too: that one is its old place.
            if let Some(old) = client.filter(|&client| client != own) {
                peers.remove(old);
                self.tally.left += 1;
            }
            return (took_place, moved_from);
        }

        let group = self.networks.group(place.ip());
        let is_in_group = |peer: &Member| self.networks.group(peer.address.ip()) == group;
        let at_address: Vec<_> = peers.iter().filter(|peer| is_in_group(peer)).cloned().collect();
        if at_address.len() >= self.config.max_peers_per_address {
            // To a lean tracker all that are due are the same.
            let now = self.now;
            let silence = |peer: &Member| if keeps_all { peer.last_seen } else { peer.expires.max(now) };
            let stalest = at_address.iter().map(silence).min();
            let evicted = peers.iter().position(|peer| {
                let is_gone = !after.iter().any(|after| peer.is(after));
                is_gone && is_in_group(peer) && Some(silence(peer)) == stalest
            });
            peers.remove(evicted.expect("one of those that were silent for longest goes"));
            self.tally.left += 1;
        }
        peers.push(member);
        self.tally.joined += 1;
        (took_place, None)
    }

    /// Drops what is empty and was never completed, and what is empty and forgotten as of the given time.
    fn forget(&mut self, is_forgotten: impl Fn(&InfoHash, Instant) -> bool) {
        let (now, timeout) = (self.now, self.config.swarm_timeout);
        let before = self.swarms.len();
        self.swarms.retain(|info_hash, members| {
            if !members.peers.is_empty() {
                return true;
            }
            let forgotten = *members.forgotten.get_or_insert(now + timeout);
            members.completed > 0 && !is_forgotten(info_hash, forgotten)
        });
        self.tally.dropped += (before - self.swarms.len()) as u64;
    }

    fn check_interval(&self, answer: &AnnounceResponse) {
        let config = &self.config;
        let base = (self.peers() as u64)
            .div_ceil(u64::from(config.announce_budget))
            .clamp(config.interval_floor.as_secs(), config.interval_ceiling.as_secs());
        let jitter = base * u64::from(config.interval_jitter_percent) / 100;
        let interval = answer.interval.as_secs();
        assert!((base - jitter..=base + jitter).contains(&interval), "{interval} s, but the base is {base} s");
        let min_interval = (interval / 2).max(config.min_interval_floor.as_secs()).min(interval);
        assert_eq!(answer.min_interval.as_secs(), min_interval);
        assert_eq!((answer.interval.subsec_nanos(), answer.min_interval.subsec_nanos()), (0, 0));
    }

    fn was_seen_leeching(&self, request: &AnnounceRequest) -> bool {
        let place = self.place(request);
        let is_sender = |member: &&Member| {
            member.is_client(place.ip(), request.peer_id, request.key) || (!self.keeps_all() && member.is_at(place))
        };
        let sender = self.members(&request.info_hash).iter().find(is_sender);
        sender.expect("the asker is a member").seen_leeching
    }

    /// Checks who is handed out, after the announce was taken in.
    fn check_peers(&self, request: &AnnounceRequest, was_seen_leeching: bool, peers: &[PeerEntry]) {
        let members = self.members(&request.info_hash);
        let place = self.place(request);
        let is_leecher = state_of(request) == PeerState::Leecher;
        // It may know no more than a magnet link, and then needs somebody who has the metadata.
        let may_have_nothing = request.left == Some(0) && request.downloaded == 0 && !was_seen_leeching;
        let own = self.translated(place.ip(), request).unwrap_or_else(|| place.ip());

        // The same place twice, as when a client on this machine announces by two ways, is one candidate.
        let mut candidates: BTreeMap<SocketAddr, Vec<PeerId>> = BTreeMap::new();
        let mut groups: BTreeMap<SocketAddr, Vec<Group>> = BTreeMap::new();
        // Those of a lower rank come first.
        let mut ranks: BTreeMap<SocketAddr, usize> = BTreeMap::new();
        for member in members {
            let useful = is_leecher || may_have_nothing || member.state == PeerState::Leecher;
            let itself = (self.keeps_all() && member.peer_id == request.peer_id) || member.address == place;
            let is_hidden = member.is_introduced() || member.address.port() < 2 || !is_usable(member.address.ip());
            if !useful || itself || is_hidden {
                continue;
            }
            if let Some(ip) = self.translated(member.address.ip(), request) {
                let address = SocketAddr::new(ip, member.address.port());
                if address != SocketAddr::new(own, place.port()) && request.families.contain(ip) {
                    candidates.entry(address).or_default().push(member.peer_id);
                    groups.entry(address).or_default().push(self.networks.group(member.address.ip()));
                    let rank = match (member.comes_last(), is_leecher || member.state == PeerState::Leecher) {
                        (false, true) => 0,
                        (false, false) => 1,
                        (true, true) => 2,
                        (true, false) => 3,
                    };
                    let known = ranks.entry(address).or_insert(rank);
                    *known = rank.min(*known);
                }
            }
        }

        for (position, peer) in peers.iter().enumerate() {
            let ids = candidates.get(&peer.address);
            assert!(
                ids.is_some_and(|ids| peer.peer_id.is_none_or(|peer_id| ids.contains(&peer_id))),
                "{peer:?} is not among {candidates:#?}"
            );
            let again = peers[..position].iter().any(|other| other.address == peer.address);
            assert!(!again, "{peer:?} was handed out twice");
        }

        let wanted = self.wanted(request);
        assert!(peers.len() <= wanted, "{} peers, {wanted} wanted", peers.len());
        // At most eight times as many as wanted are looked at, and some of those may be of no use.
        let looked_at = members.len().min(8 * wanted);
        let useless = members.len() - candidates.len();
        let least = wanted.min(candidates.len()).min(looked_at.saturating_sub(useless));
        assert!(peers.len() >= least, "only {peers:?}, {wanted} were wanted from {candidates:#?}");

        if looked_at < members.len() {
            return;
        }
        // Who is of a crowd comes after all others: an address with three in the answer, or a network with half of it.
        let handed_out = |holds: &dyn Fn(&Group) -> bool| {
            peers.iter().filter(|peer| groups[&peer.address].iter().any(holds)).count()
        };
        let is_of_crowd = |address: &SocketAddr| {
            // A peer on the tracker's machine may go out under an address in a network that it is not kept in.
            let seen = [self.networks.group(address.ip())];
            let is_of_crowded_network = groups[address].iter().chain(&seen).any(|group| {
                let is_in_network = |peer: &&PeerEntry| {
                    let seen = [self.networks.group(peer.address.ip())];
                    groups[&peer.address].iter().chain(&seen).any(|other| other.1 == group.1)
                };
                group.1.is_some() && peers.iter().filter(is_in_network).count() >= wanted.div_ceil(2)
            });
            is_of_crowded_network || groups[address].iter().any(|group| handed_out(&|other| other == group) >= 3)
        };
        let left_out: Vec<_> =
            candidates.keys().filter(|address| !peers.iter().any(|peer| peer.address == **address)).collect();
        let of_most = groups.values().flatten().map(|group| handed_out(&|other| other == group)).max();
        if of_most > Some(3) {
            assert!(left_out.iter().all(|address| is_of_crowd(address)), "{peers:#?} of {candidates:#?}");
        }
        let highest = peers.iter().map(|peer| ranks[&peer.address]).max().unwrap_or(0);
        let mut earlier_left_out = left_out.iter().filter(|address| ranks[**address] < highest);
        assert!(earlier_left_out.all(|address| is_of_crowd(address)), "{peers:#?} of {ranks:#?}");

        if let Some(preference) = self.config.prefer_subnet {
            let is_near = |address: &SocketAddr| match (own, address.ip()) {
                (IpAddr::V4(own), IpAddr::V4(ip)) => {
                    let mask = u32::MAX.checked_shl(32 - u32::from(preference.v4_prefix)).unwrap_or(0);
                    (own.to_bits() ^ ip.to_bits()) & mask == 0
                }
                (IpAddr::V6(own), IpAddr::V6(ip)) => {
                    let mask = u128::MAX.checked_shl(128 - u32::from(preference.v6_prefix)).unwrap_or(0);
                    (own.to_bits() ^ ip.to_bits()) & mask == 0
                }
                _ => false,
            };
            for rank in 0..4 {
                let of_this_rank = |address: &SocketAddr| ranks[address] == rank;
                let handed_out: Vec<_> = peers.iter().map(|peer| peer.address).filter(of_this_rank).collect();
                let near = handed_out.iter().filter(|address| is_near(address)).count();
                let mut near_left_out = left_out.iter().filter(|address| of_this_rank(address) && is_near(address));
                assert!(
                    near == handed_out.len() || near_left_out.all(|address| is_of_crowd(address)),
                    "near {own}, {wanted} wanted: {peers:?} from {candidates:#?}"
                );
            }
        }
    }

    /// Returns `true` if a swarm has a peer on the tracker's machine.
    pub(crate) fn has_peer_here(&self, info_hash: &InfoHash) -> bool {
        self.members(info_hash).iter().any(|member| member.here)
    }

    /// Returns `true` if an address is that of the tracker's machine, or of a container on it, to the sender of `request`.
    fn is_here(&self, ip: IpAddr, request: &AnnounceRequest) -> bool {
        ip == request.local() || self.is_on_machine(ip)
    }

    /// Returns `true` if an address is that of the tracker's machine, or of a container on it, by the settings alone.
    fn is_on_machine(&self, ip: IpAddr) -> bool {
        let config = &self.config;
        let host = [config.host_addresses.v4.map(IpAddr::V4), config.host_addresses.v6.map(IpAddr::V6)];
        ip.is_loopback()
            || host.contains(&Some(ip))
            || config.own_addresses.contains(&ip)
            || config.container_networks.iter().any(|network| network.contains(&ip))
    }

    /// Checks that the own peer is handed out if it is to be, and returns the other peers.
    fn without_own_peer(&self, request: &AnnounceRequest, peers: &[PeerEntry]) -> Vec<PeerEntry> {
        let (own, others): (Vec<_>, Vec<_>) = peers.iter().partition(|peer| peer.address.port() == OWN_PORT);
        // To others it is a client on the tracker's machine that announced over loopback.
        let loopback = [127, 0, 0, 1].into();
        let address = self.translated(loopback, request).filter(|&ip| request.families.contain(ip));
        let is_listed = self.has_own_peer
            && self.keeps_all()
            && !self.has_peer_here(&request.info_hash)
            && !self.is_here(request.remote(), request)
            && others.len() < self.wanted(request);
        let expected = address.filter(|_| is_listed).map(|ip| PeerEntry {
            address: SocketAddr::new(ip, OWN_PORT),
            peer_id: request.peer_ids.then_some(OWN_PEER_ID),
        });
        assert_eq!(own, Vec::from_iter(expected), "the own peer among {peers:?}");
        others
    }

    fn wanted(&self, request: &AnnounceRequest) -> usize {
        let wanted = request.numwant.unwrap_or(self.config.default_numwant).min(self.config.max_numwant);
        wanted.min(request.room.unwrap_or(wanted)) as usize
    }

    /// The address by which the sender of `request` can dial what is kept under `ip`.
    fn translated(&self, ip: IpAddr, request: &AnnounceRequest) -> Option<IpAddr> {
        let (remote, local) = (request.remote().to_canonical(), request.local().to_canonical());
        let host = self.config.host_addresses;
        let (v4, v6) = (host.v4.map(IpAddr::V4), host.v6.map(IpAddr::V6));
        let like = |like: IpAddr| if like.is_ipv4() { v4.or(v6) } else { v6.or(v4) };
        let by_local = Some(local).filter(|&local| is_usable(local) && !local.is_loopback());
        if !ip.is_loopback() {
            let is_link_local = |ip: IpAddr| matches!(ip, IpAddr::V4(v4) if v4.is_link_local());
            let unchanged = (!is_link_local(ip) || is_link_local(remote)).then_some(ip);
            let is_own = self.config.own_addresses.contains(&ip) || [v4, v6].contains(&Some(ip));
            let container = self.config.container_networks.iter().find(|network| network.contains(&ip));
            if !is_own && container.is_none() {
                return unchanged;
            }
            if remote.is_loopback() || (!is_own && container.is_some_and(|network| network.contains(&remote))) {
                return Some(ip);
            }
            let same_family = |other: &IpAddr| other.is_ipv4() == ip.is_ipv4();
            let on_machine = by_local.filter(same_family).or_else(|| like(ip).filter(same_family));
            return if is_own { on_machine.or(unchanged) } else { on_machine };
        }
        if !remote.is_loopback() {
            // On the tracker's machine, where the asker reached it.
            return by_local.or_else(|| like(remote));
        }
        let is_localhost = ip == IpAddr::from([127, 0, 0, 1]) || ip.is_ipv6();
        if is_localhost { like(ip).or(Some(ip)) } else { Some(ip) }
    }
}

/// The state of the sender of an announce.
fn state_of(request: &AnnounceRequest) -> PeerState {
    match (request.event, request.left) {
        (Some(AnnounceEvent::Completed), _) | (_, Some(0)) => PeerState::Seeder,
        (Some(AnnounceEvent::Paused), _) => PeerState::PartialSeed,
        _ => PeerState::Leecher,
    }
}

/// The number of bytes that the tracker tells.
fn told(bytes: u64) -> u64 {
    match bytes.min(PeerDetail::MAX_BYTES) {
        exact if exact < 512 << 30 => exact,
        large => large / 4096 * 4096,
    }
}

/// Returns `true` if anybody at all can dial it.
fn is_usable(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => !(v4.octets()[0] == 0 || v4.is_multicast() || v4.is_broadcast()),
        IpAddr::V6(v6) => !(v6.is_unspecified() || v6.is_multicast() || v6.segments()[0] & 0xffc0 == 0xfe80),
    }
}

fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => !(v4.is_loopback() || v4.is_private() || v4.is_link_local()),
        IpAddr::V6(v6) => {
            !(v6.is_loopback() || v6.segments()[0] & 0xfe00 == 0xfc00 || v6.segments()[0] & 0xffc0 == 0xfe80)
        }
    }
}
