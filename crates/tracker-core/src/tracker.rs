//! The state machine.

mod announce;
mod restore;
mod unserved;
mod users;

pub(crate) use announce::{Answer, Arrival};
pub(crate) use restore::Restored;

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use rand::Rng;

use crate::address::{self, AddressBits, Asker};
use crate::entry::Download;
use crate::event::EventQueue;
use crate::peer::Identity;
use crate::rules::Rules;
use crate::select::Selection;
use crate::survey::{Held, Place, Survey, Victim};
use crate::swarm::{Expired, Swarm};
use crate::swarms::{SwarmId, Swarms};
use crate::{
    AddressGroup, AnnounceError, AnnounceRequest, AnnounceResponse, Config, ConfigError, Event, EventKind, InfoHash,
    Instant, Memory, NetworkConfig, OwnPeer, PeerId, Peers, Reachability, ScrapeError, SwarmCounts, SwarmSlice,
    SwarmView, Totals, UserKey, Users, Walk,
};

/// A BitTorrent tracker as a pure state machine.
///
/// It does no I/O, reads no clock, spawns nothing and draws no randomness of its own: the embedder brings the time and
/// the generator, and carries requests and answers. There are four kinds of method:
///
/// - **Commands** change the swarms: [`announce`](Self::announce), [`expire`](Self::expire) and [`restore`](Self::restore), which take the time,
///   [`set_torrents`](Self::set_torrents), [`set_network`](Self::set_network), [`set_own_peer`](Self::set_own_peer) and
///   [`set_reachability`](Self::set_reachability). An announce *returns* its answer; nothing is
///   sent later.
/// - **Questions** change no swarm: [`scrape`](Self::scrape), [`sample`](Self::sample), [`with_swarm`](Self::with_swarm),
///   [`for_each_swarm`](Self::for_each_swarm), [`totals`](Self::totals), [`config`](Self::config).
/// - **One deadline**: [`next_expiry`](Self::next_expiry) says when [`expire`](Self::expire) has work next. Sleep until then,
///   or call `expire` every few seconds; answers between do not depend on it, except that a silent peer stays a little
///   longer.
/// - **Events**: [`poll_events`](Self::poll_events) tells what happened, when
///   [`Config::max_pending_events`] is not 0. Poll it after commands, as often as you like; the queue is bounded.
///
/// Commands may come in any order. Time must not go back; where it does (two threads read the clock, and the later reading
/// came in first) the latest time that was seen is used, and nothing breaks. No input makes it panic.
///
/// An announce in a swarm that exists allocates nothing, unless the swarm grows beyond what it ever was, or the tracker is full.
///
/// ```
/// use rand::{SeedableRng, rngs::StdRng};
/// use tracker_core::{AnnounceEvent, AnnounceRequest, Config, Instant, InfoHash, PeerId, Peers, Tracker};
///
/// let mut rng = StdRng::seed_from_u64(1);
/// let mut tracker = Tracker::new(Config::default(), &mut rng)?;
/// let mut peers = Peers::default();
///
/// let torrent = InfoHash::new([7; 20]);
/// let local = [192, 168, 1, 1].into();
/// let announce =
///     |peer_id, remote: [u8; 4]| AnnounceRequest::new(torrent, PeerId::new(peer_id), remote.into(), local, 6881);
///
/// let seed = announce(*b"-XX0001-aaaaaaaaaaaa", [192, 168, 1, 20]).with_left(0).with_event(AnnounceEvent::Started);
/// let response = tracker.announce(Instant::ZERO, &mut rng, &seed, &mut peers)?;
/// assert_eq!((response.seeders, response.leechers), (1, 0));
///
/// let leecher = announce(*b"-XX0001-bbbbbbbbbbbb", [192, 168, 1, 21]).with_left(50_000_000);
/// tracker.announce(Instant::from_secs(5), &mut rng, &leecher, &mut peers)?;
/// assert_eq!(peers.v4(), [[192, 168, 1, 20, 0x1a, 0xe1]]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Tracker {
    config: Config,
    rules: Rules,
    swarms: Swarms,
    /// Each swarm that has peers, by its deadline.
    deadlines: BTreeSet<(Instant, SwarmId)>,
    /// Each swarm that has none and is remembered, by its deadline.
    remembered: BTreeSet<(Instant, SwarmId)>,
    /// The next place of a swarm to be checked against the torrents and clients that are served now, until all are.
    unchecked: Option<usize>,
    own_peer: Option<OwnPeer>,
    /// If the tracker is for users.
    users: Option<Users>,
    totals: Totals,
    events: EventQueue,
}

/// The most peers or swarms that one announce evicts. It may take one of each limit.
pub(crate) const MOST_EVICTIONS: usize = 3;

/// The sizes of the other shards of the same [`Shards`](crate::Shards).
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct OtherShards {
    pub(crate) swarms: usize,
    pub(crate) peers: usize,
}

impl Tracker {
    /// A tracker without swarms. `rng` seeds its hash tables, so that nobody can choose addresses that collide.
    ///
    /// # Errors
    ///
    /// A value of `config` that cannot be used.
    pub fn new(config: Config, rng: &mut impl Rng) -> Result<Self, ConfigError> {
        config.validate()?;
        Ok(Self {
            rules: Rules::new(&config, rng),
            swarms: Swarms::default(),
            deadlines: BTreeSet::new(),
            remembered: BTreeSet::new(),
            unchecked: None,
            own_peer: None,
            users: config.users.then(|| Users::new(config.peer_timeout, rng)),
            totals: Totals::default(),
            events: EventQueue::new(config.max_pending_events),
            config,
        })
    }

    /// Takes an announce in, and fills `peers` (emptied first) with at most
    /// [`Config::max_numwant`] peers of both families.
    ///
    /// Any order of events is legal. Whatever an unknown peer sends but `stopped` starts it; `stopped` from an unknown peer
    /// gets a normal answer without peers. The counts of the answer include the asker.
    ///
    /// A peer is known by its address and port. The same client (peer id, key and address) on another port takes its own
    /// old place; another client on the same address and port takes the place of the one before.
    ///
    /// When there is no place for a newcomer, room is made at the cost of the address that holds most of what is wanted (peers of
    /// the swarm, peers in all, or swarms), as [`AddressGroup`] counts addresses: its peer, or swarm, that was silent for longest
    /// goes. A swarm holds as much as the one of its addresses that holds least. If the newcomer's address would then hold as
    /// much as any other, the newcomer is refused. An IPv6 network in which each address counts by itself gives way when it holds
    /// more than half.
    ///
    /// # Errors
    ///
    /// Refused by policy or for want of room; `peers` is empty then.
    pub fn announce(
        &mut self,
        now: Instant,
        rng: &mut impl Rng,
        request: &AnnounceRequest,
        peers: &mut Peers,
    ) -> Result<AnnounceResponse, AnnounceError> {
        self.learn_network(now, request.local());
        let user = self.admit_user(request).inspect_err(|_| {
            peers.clear();
            self.refused();
        })?;
        let mut answer = self.announce_beside(OtherShards::default(), now, rng, request, peers);
        for _ in 0..MOST_EVICTIONS {
            let place = answer.as_ref().err().and_then(|error| Place::wanted(request.info_hash, error));
            let Some(place) = place else { break };
            let (swarms, held) = self.size();
            let mut survey = Survey::new(place, self.newcomer(request), Held { swarms, peers: held, shards: 1 });
            self.survey(now, &mut survey, 0, rng);
            let Some(victim) = survey.victim(self.config.max_peers_per_address_overall) else { break };
            self.evict(now, &victim);
            answer = self.announce_again(OtherShards::default(), now, rng, request, peers);
        }
        let Answer { response, .. } = answer?;
        if let Some((users, (user, address))) = self.users.as_mut().zip(user) {
            users.record(self.rules.now, user, address, request);
        }
        Ok(response)
    }

    /// Counts an announce that was refused before it came here.
    pub(crate) fn refused(&mut self) {
        self.totals.refused();
    }

    /// Takes an announce in again that was refused, since there may be room now.
    pub(crate) fn announce_again(
        &mut self,
        others: OtherShards,
        now: Instant,
        rng: &mut impl Rng,
        request: &AnnounceRequest,
        peers: &mut Peers,
    ) -> Result<Answer, AnnounceError> {
        self.totals.announces -= 1;
        self.totals.refused_announces -= 1;
        self.announce_beside(others, now, rng, request, peers)
    }

    /// What the address of the sender of an announce counts as.
    pub(crate) fn newcomer(&self, request: &AnnounceRequest) -> AddressGroup {
        self.rules.own.group(Asker::of(request).announced_ip(request, &self.config))
    }

    /// Draws a sample of who holds the places here, in the shard of this number.
    pub(crate) fn survey(&mut self, now: Instant, survey: &mut Survey, shard: usize, rng: &mut impl Rng) {
        self.advance(now);
        survey.draw(shard, &self.rules, &self.swarms, rng);
    }

    /// Drops a peer or a swarm to make room, if it is still there.
    pub(crate) fn evict(&mut self, now: Instant, victim: &Victim) {
        self.advance(now);
        let Some(id) = self.swarms.find(&self.rules, &victim.info_hash) else { return };
        let swarm = &mut self.swarms[id];
        let (before, was_empty) = (swarm.counts(), swarm.is_empty());
        // The one peer, or all that are there.
        for _ in 0..if victim.peer.is_some() { 1 } else { swarm.len() } {
            let identity = victim.peer.unwrap_or_else(|| Identity::of(&swarm.member_at(0)));
            if let Some(member) = swarm.evict(&self.rules, &identity) {
                self.events
                    .push(self.rules.now, victim.info_hash, || EventKind::PeerLeft(member.peer(&self.rules.lifetimes)));
            }
        }
        let (after, is_empty) = (swarm.counts(), swarm.is_empty());
        self.totals.swarm_changed(before, after);
        if is_empty && !was_empty {
            self.emptied(id);
        }
    }

    /// Learns that this machine is in the IPv6 network of an address that a request came to. Returns `true` if that is news.
    pub(crate) fn learn_network(&mut self, now: Instant, local: IpAddr) -> bool {
        self.advance(now);
        let is_new = self.rules.own.learn(local, self.rules.now);
        if is_new {
            self.swarms.iter_mut().for_each(|swarm| swarm.regroup(&self.rules));
        }
        is_new
    }

    pub(crate) fn announce_beside(
        &mut self,
        others: OtherShards,
        now: Instant,
        rng: &mut impl Rng,
        request: &AnnounceRequest,
        peers: &mut Peers,
    ) -> Result<Answer, AnnounceError> {
        peers.clear();
        self.advance(now);
        self.totals.announces += 1;
        let answer = self.answer(others, rng, request, peers);
        self.totals.refused_announces += u64::from(answer.is_err());
        answer
    }

    /// Fills `peers` (emptied first) with what this announce would get, and does not take it in: for a DHT, or to introduce peers to
    /// each other. It is neither counted nor refused, whoever asks, and the [own peer](OwnPeer) is not among the peers.
    pub fn sample(&self, rng: &mut impl Rng, request: &AnnounceRequest, peers: &mut Peers) {
        peers.clear();
        let Some(id) = self.swarms.find(&self.rules, &request.info_hash) else { return };
        let asker = Asker::of(request);
        let ip = asker.announced_ip(request, &self.config);
        let selection = Selection::new(&self.config, &self.rules, asker, ip, request, Download::Unseen);
        selection.select(rng, &self.swarms[id], peers);
    }

    /// Fills `counts` (emptied first) with what is known of each info-hash, in their order
    /// ([BEP 48](https://www.bittorrent.org/beps/bep_0048.html)).
    ///
    /// # Errors
    ///
    /// Refused by policy, or too many at once; `counts` is empty then. A tracker [for users](Config::users) wants the key of one.
    pub fn scrape(
        &mut self,
        remote: IpAddr,
        user_key: Option<&UserKey>,
        info_hashes: &[InfoHash],
        counts: &mut Vec<SwarmCounts>,
    ) -> Result<(), ScrapeError> {
        counts.clear();
        self.totals.scrapes += 1;
        self.config.admit_scrape(&self.config.access, &self.config.clients, remote, info_hashes.len())?;
        if self.users.as_ref().is_some_and(|users| users.find(user_key).is_none()) {
            return Err(ScrapeError::UnknownUser);
        }
        counts.extend(info_hashes.iter().map(|info_hash| self.counts(info_hash)));
        Ok(())
    }

    /// Drops the peers that were silent for too long, and swarms that nothing is left of.
    ///
    /// One call looks at [`Config::expire_batch`] peers, so that an embedder that shares the tracker between threads does not
    /// block them for long. There is more to do while [`next_expiry`](Self::next_expiry) is not later than `now`.
    pub fn expire(&mut self, now: Instant) {
        self.advance(now);
        let mut budget = self.config.expire_batch;
        if !self.drop_unserved(&mut budget) {
            return;
        }
        while let Some(id) = first_due(&self.deadlines, self.rules.now) {
            let swarm = &mut self.swarms[id];
            let (before, info_hash) = (swarm.counts(), swarm.info_hash);
            let expired_so_far = swarm.expire(&self.rules, &mut budget, |member| {
                self.events
                    .push(self.rules.now, info_hash, || EventKind::PeerExpired(member.peer(&self.rules.lifetimes)));
            });
            self.totals.swarm_changed(before, swarm.counts());
            match expired_so_far {
                Expired::Partly => return,
                Expired::Wholly { next: Some(next) } => {
                    self.deadlines.remove(&(swarm.deadline, id));
                    self.deadlines.insert((next, id));
                    swarm.deadline = next;
                }
                Expired::Wholly { next: None } => self.emptied(id),
            }
        }
        while budget > 0
            && let Some(id) = first_due(&self.remembered, self.rules.now)
        {
            budget -= 1;
            self.drop_swarm(id);
        }
    }

    /// The time at which [`expire`](Self::expire) has work next; `None` while there is no swarm.
    #[must_use]
    pub fn next_expiry(&self) -> Option<Instant> {
        if self.has_unchecked() {
            return Some(self.rules.now);
        }
        let first = |deadlines: &BTreeSet<(Instant, SwarmId)>| deadlines.first().map(|&(deadline, _)| deadline);
        first(&self.deadlines).into_iter().chain(first(&self.remembered)).min()
    }

    /// Appends all events that were not polled yet, the oldest first. There are none when [`Config::max_pending_events`] is 0.
    pub fn poll_events(&mut self, events: &mut Vec<Event>) {
        self.events.drain_into(events);
    }

    /// Goes on in another network: who is served, and which addresses are this machine's. Peers are handed out by the new settings
    /// from now on; those that are not served any more go when they have been silent for too long. Peers at what is an address
    /// of this machine now are [here](crate::PeerDetail::is_here), and those that were here stay so until they announce again.
    ///
    /// # Errors
    ///
    /// A value that cannot be used. Nothing is changed then.
    pub fn set_network(&mut self, network: NetworkConfig) -> Result<(), ConfigError> {
        self.move_to_network(network).map(|_| ())
    }

    /// Does what [`set_network`](Self::set_network) does, and returns the swarms that have their first peers on this machine now.
    pub(crate) fn move_to_network(&mut self, network: NetworkConfig) -> Result<Vec<InfoHash>, ConfigError> {
        network.validate()?;
        network.apply_to(&mut self.config);
        self.rules.address_bits = AddressBits::of(&self.config);
        let mut first_here = Vec::new();
        let (config, bits) = (&self.config, self.rules.address_bits);
        for swarm in self.swarms.iter_mut() {
            let had_peer_here = swarm.has_peer_here();
            swarm.mark_here(|ip| address::is_own(ip, config, bits));
            first_here.extend((swarm.has_peer_here() && !had_peer_here).then_some(swarm.info_hash));
        }
        let own_ips: Vec<_> = self.config.own_ips().collect();
        own_ips.into_iter().for_each(|address| _ = self.learn_network(self.rules.now, address));
        Ok(first_here)
    }

    /// Hands out this peer of the embedder's from now on, or none.
    pub fn set_own_peer(&mut self, own_peer: Option<OwnPeer>) {
        // A lean tracker does not know where it would be in the way.
        self.own_peer = own_peer.filter(|_| self.config.memory == Memory::Full);
    }

    /// Sets whether others can connect to the peer of this peer id at this address and port, under which it is
    /// [kept](crate::Peer::address). It holds as long as the client stays at this address and port.
    ///
    /// Peers that are not known to be unreachable are handed out first, and the others for the places that are left, except those
    /// that are [introduced](Reachability::Introduced). So [`Reachability::No`] should be set only when it is certain, and not
    /// after one connection that failed. For peers that announced over loopback, or in 169.254/16, it makes no difference.
    ///
    /// Returns `false` if there is no such peer, if it is at a [claimed](crate::PeerDetail::is_claimed) address, and always in a
    /// [lean](crate::Memory::Lean) tracker.
    pub fn set_reachability(
        &mut self,
        info_hash: &InfoHash,
        address: SocketAddr,
        peer_id: PeerId,
        reachability: Reachability,
    ) -> bool {
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        self.swarms
            .find(&self.rules, info_hash)
            .is_some_and(|id| self.swarms[id].set_reachability(&self.rules, address, peer_id, reachability))
    }

    /// Counts of what it has and did.
    pub fn totals(&self) -> Totals {
        Totals { swarms: self.swarms.len() as u64, dropped_events: self.events.dropped(), ..self.totals }
    }

    /// Looks at one swarm, if it is known.
    pub fn with_swarm<T>(&self, info_hash: &InfoHash, look: impl FnOnce(SwarmView<'_>) -> T) -> Option<T> {
        let id = self.swarms.find(&self.rules, info_hash)?;
        Some(look(SwarmView::new(&self.swarms[id], &self.rules)))
    }

    /// Looks at every swarm, in no particular order.
    pub fn for_each_swarm(&self, mut look: impl FnMut(InfoHash, SwarmView<'_>)) {
        self.swarms.iter().for_each(|swarm| look(swarm.info_hash, SwarmView::new(swarm, &self.rules)));
    }

    /// Goes on with a walk, as far as `budget` steps lead, which are taken from it. A free place is a step, too. Says whether
    /// there is more.
    pub(crate) fn walk(&self, walk: &mut Walk, budget: &mut usize, mut look: impl FnMut(SwarmSlice<'_>)) -> bool {
        while let Some(swarm) = self.swarms.at(walk.place) {
            if *budget == 0 {
                return true;
            }
            let Some(swarm) = swarm else {
                *budget -= 1;
                walk.place += 1;
                continue;
            };
            let (info_hash, swarm) = (swarm.info_hash, SwarmView::new(swarm, &self.rules));
            let peers = walk.pass(info_hash, swarm, budget);
            look(SwarmSlice { info_hash, swarm, peers });
        }
        false
    }

    /// Its configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn counts(&self, info_hash: &InfoHash) -> SwarmCounts {
        self.swarms.find(&self.rules, info_hash).map(|id| self.swarms[id].counts()).unwrap_or_default()
    }

    /// Number of swarms that have peers, and of peers in them.
    pub(crate) fn size(&self) -> (usize, usize) {
        (self.deadlines.len(), self.peers())
    }

    fn peers(&self) -> usize {
        usize::try_from(self.totals.peers()).unwrap_or(usize::MAX)
    }

    pub(crate) fn advance(&mut self, now: Instant) {
        self.rules.advance(now);
    }

    /// Makes a swarm that is about to get its first peer, or brings back one that was only remembered.
    fn populate(&mut self, known: Option<SwarmId>, info_hash: InfoHash) -> SwarmId {
        // No peer is due earlier, also none that comes in later: so an announce never moves the deadline.
        let deadline = self.rules.now + self.rules.lifetimes.shortest();
        let id = match known {
            Some(id) => {
                let swarm = &mut self.swarms[id];
                self.remembered.remove(&(swarm.deadline, id));
                swarm.deadline = deadline;
                id
            }
            None => {
                self.events.push(self.rules.now, info_hash, || EventKind::SwarmCreated);
                self.swarms.insert(&self.rules, Swarm::new(info_hash, deadline))
            }
        };
        self.deadlines.insert((deadline, id));
        id
    }

    /// A swarm lost its last peer: it is kept for a while for its completed downloads, if it has any.
    fn emptied(&mut self, id: SwarmId) {
        let swarm = &mut self.swarms[id];
        if swarm.counts().completed == 0 {
            self.drop_swarm(id);
            return;
        }
        self.deadlines.remove(&(swarm.deadline, id));
        let deadline = self.rules.now + self.config.swarm_timeout;
        swarm.remember(deadline);
        self.remembered.insert((deadline, id));
        if self.remembered.len() > self.config.max_remembered_swarms
            && let Some(&(_, oldest)) = self.remembered.first()
        {
            self.drop_swarm(oldest);
        }
    }

    fn drop_swarm(&mut self, id: SwarmId) {
        if let Some(swarm) = self.swarms.remove(&self.rules, id) {
            self.deadlines.remove(&(swarm.deadline, id));
            self.remembered.remove(&(swarm.deadline, id));
            self.totals.swarm_changed(swarm.counts(), SwarmCounts::default());
            self.events.push(self.rules.now, swarm.info_hash, || EventKind::SwarmDropped);
        }
    }
}

/// The swarm of these that is due first, if one is due.
fn first_due(deadlines: &BTreeSet<(Instant, SwarmId)>, now: Instant) -> Option<SwarmId> {
    deadlines.first().filter(|&&(deadline, _)| deadline <= now).map(|&(_, id)| id)
}
