//! One tracker for many threads.

mod users;

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::thread;
use std::time::Duration;

use rand::{Rng, RngExt};

use crate::address::Asker;
use crate::address_group::OwnNetworks;
use crate::survey::{Held, Place, Survey};
use crate::tracker::{Answer, Arrival, MOST_EVICTIONS, OtherShards, Restored};
use crate::{
    Access, AddressGroup, AnnounceError, AnnounceListener, AnnounceRequest, AnnounceResponse, ClientPolicy, Config,
    ConfigError, Event, InfoHash, Instant, NetworkConfig, OwnPeer, PeerId, Peers, Reachability, ScrapeError,
    SwarmCounts, SwarmImage, SwarmSlice, SwarmView, TorrentPolicy, Totals, Tracker, UserKey, Users, Walk,
};

/// A tracker split into shards, each behind a lock of its own and responsible for its share of the info-hashes.
///
/// This is what adapters share: every method takes `&self`. It behaves as one [`Tracker`] with the same [`Config`]: limits
/// and the announce budget hold for all shards together. No lock is held between calls, and none while another is taken.
///
/// Threads that announce in different torrents seldom meet; those in one torrent take turns. Use a few times as many shards
/// as there are threads.
///
/// ```
/// use std::num::NonZeroUsize;
/// use rand::{SeedableRng, rngs::StdRng};
/// use tracker_core::{Config, Instant, Shards};
///
/// let mut rng = StdRng::seed_from_u64(1);
/// let shards = Shards::new(Config::default(), NonZeroUsize::new(8).unwrap(), &mut rng)?;
/// shards.expire(Instant::from_secs(60));
/// assert_eq!(shards.totals().swarms, 0);
/// # Ok::<(), tracker_core::ConfigError>(())
/// ```
#[derive(Debug)]
pub struct Shards {
    shards: Box<[Mutex<Tracker>]>,
    config: Config,
    /// [`Config::access`] as it is now.
    access: RwLock<Access>,
    /// [`Config::clients`] as it is now.
    clients: RwLock<Arc<ClientPolicy>>,
    /// Those of [`Config::own_addresses`] and [`Config::host_addresses`] as they are now.
    own_networks: RwLock<OwnNetworks>,
    /// The latest time that was seen, in seconds.
    now: AtomicU32,
    swarms: AtomicUsize,
    peers: AtomicUsize,
    scrapes: AtomicU64,
    listener: Option<Arc<dyn AnnounceListener>>,
    /// If the tracker is for users. Not locked while a shard is.
    users: Option<Mutex<Users>>,
}

impl Shards {
    /// The most peers that are [restored](Self::restore) while a shard is locked: half a millisecond's work in a swarm that is looked
    /// through for each, and less in others.
    pub const RESTORED_AT_ONCE: usize = 250;

    /// As many trackers as `count`, without swarms. [`Config::max_pending_events`] and [`Config::max_remembered_swarms`] are
    /// shared out among them.
    ///
    /// # Errors
    ///
    /// Returns a [`ConfigError`] if a value of `config` cannot be used.
    pub fn new(config: Config, count: NonZeroUsize, rng: &mut impl Rng) -> Result<Self, ConfigError> {
        let of_each = Config {
            max_pending_events: config.max_pending_events.div_ceil(count.get()),
            max_remembered_swarms: config.max_remembered_swarms.div_ceil(count.get()),
            // They announce in all shards.
            users: false,
            ..config.clone()
        };
        let shards =
            (0..count.get()).map(|_| Tracker::new(of_each.clone(), rng).map(Mutex::new)).collect::<Result<_, _>>()?;
        let access = RwLock::new(config.access.clone());
        let clients = RwLock::new(Arc::clone(&config.clients));
        let users = config.users.then(|| Users::new(config.peer_timeout, rng));
        Ok(Self {
            shards,
            own_networks: RwLock::new(OwnNetworks::new(&config)),
            config,
            access,
            clients,
            now: 0.into(),
            swarms: 0.into(),
            peers: 0.into(),
            scrapes: 0.into(),
            listener: None,
            users: users.map(Mutex::new),
        })
    }

    /// These trackers, which tell `listener` of announces.
    #[must_use]
    pub fn with_listener(self, listener: Arc<dyn AnnounceListener>) -> Self {
        Self { listener: Some(listener), ..self }
    }

    /// See [`Tracker::announce`].
    ///
    /// # Errors
    ///
    /// Refused by policy or for want of room.
    pub fn announce(
        &self,
        now: Instant,
        rng: &mut impl Rng,
        request: &AnnounceRequest,
        peers: &mut Peers,
    ) -> Result<AnnounceResponse, AnnounceError> {
        let now = self.latest(now);
        let user = self.admit_user(now, request).inspect_err(|_| {
            peers.clear();
            self.change(self.shard_of(&request.info_hash), |tracker, _| tracker.refused());
        })?;
        let (answer, is_new_network) = self.change(self.shard_of(&request.info_hash), |tracker, others| {
            let is_new_network = tracker.learn_network(now, request.local());
            (tracker.announce_beside(others, now, rng, request, peers), is_new_network)
        });
        if is_new_network {
            self.learn_network(now, request.local());
        }
        let Answer { response, news } = self.with_room(answer, now, rng, request, peers)?;
        if let Some((user, address)) = user {
            self.record_user(now, user, address, request);
        }
        if let Some(listener) = &self.listener {
            let came = |moved_from| {
                let ip = Asker::of(request).announced_ip(request, &self.config);
                listener.peer_came(&request.info_hash, SocketAddr::new(ip, request.port), moved_from);
            };
            match news.arrival {
                Arrival::None => {}
                Arrival::Joined => came(None),
                Arrival::MovedFrom(address) => came(Some(address)),
            }
            if news.is_newly_here {
                listener.peer_is_here(&request.info_hash);
            }
        }
        Ok(response)
    }

    fn learn_network(&self, now: Instant, local: IpAddr) {
        for shard in &self.shards {
            self.change(shard, |tracker, _| tracker.learn_network(now, local));
        }
    }

    /// The answer to an announce that was refused, if it was for want of room, after room was made. No two shards are locked at
    /// the same time, so that another announce may take the room; hence it is tried again.
    fn with_room(
        &self,
        mut answer: Result<Answer, AnnounceError>,
        now: Instant,
        rng: &mut impl Rng,
        request: &AnnounceRequest,
        peers: &mut Peers,
    ) -> Result<Answer, AnnounceError> {
        let shard = self.shard_of(&request.info_hash);
        for _ in 0..MOST_EVICTIONS {
            let place = answer.as_ref().err().and_then(|error| Place::wanted(request.info_hash, error));
            let Some(place) = place else { break };
            let held = Held {
                swarms: self.swarms.load(Ordering::Relaxed),
                peers: self.peers.load(Ordering::Relaxed),
                shards: self.shards.len(),
            };
            let mut survey = Survey::new(place, lock(shard).newcomer(request), held);
            let (count, first) = (self.shards.len(), rng.random_range(0..self.shards.len()));
            for number in (first..count).chain(0..first) {
                lock(&self.shards[number]).survey(now, &mut survey, number, rng);
                if survey.is_clear() {
                    break;
                }
            }
            let Some(victim) = survey.victim(self.config.max_peers_per_address_overall) else { break };
            self.change(&self.shards[victim.shard], |tracker, _| tracker.evict(now, &victim));
            answer = self.change(shard, |tracker, others| tracker.announce_again(others, now, rng, request, peers));
        }
        answer
    }

    /// See [`Tracker::restore`]. A shard is locked for no more than [`RESTORED_AT_ONCE`](Self::RESTORED_AT_ONCE) peers at a time. The
    /// [listener](Self::with_listener) hears of the peers that came in.
    pub fn restore(&self, now: Instant, image: &SwarmImage, age: Duration) -> usize {
        let now = self.latest(now);
        let SwarmImage { info_hash, completed, peers } = image;
        let shard = self.shard_of(info_hash);
        let mut count = 0;
        let mut rest = &peers[..];
        loop {
            let (part, after) = rest.split_at(rest.len().min(Self::RESTORED_AT_ONCE));
            let Restored { peers, is_newly_here } = self.change(shard, |tracker, others| {
                tracker.restore_beside(others, now, *info_hash, *completed, part, age)
            });
            if let Some(listener) = &self.listener {
                peers.iter().for_each(|&address| listener.peer_came(info_hash, address, None));
                if is_newly_here {
                    listener.peer_is_here(info_hash);
                }
            }
            count += peers.len();
            rest = after;
            if rest.is_empty() {
                return count;
            }
        }
    }

    /// See [`Tracker::sample`].
    pub fn sample(&self, rng: &mut impl Rng, request: &AnnounceRequest, peers: &mut Peers) {
        lock(self.shard_of(&request.info_hash)).sample(rng, request, peers);
    }

    /// See [`Tracker::scrape`].
    ///
    /// # Errors
    ///
    /// Refused by policy, or too many at once.
    pub fn scrape(
        &self,
        remote: IpAddr,
        user_key: Option<&UserKey>,
        info_hashes: &[InfoHash],
        counts: &mut Vec<SwarmCounts>,
    ) -> Result<(), ScrapeError> {
        counts.clear();
        self.scrapes.fetch_add(1, Ordering::Relaxed);
        self.config.admit_scrape(&self.access(), &self.clients(), remote, info_hashes.len())?;
        if self.with_users(|users| users.find(user_key).is_none()) == Some(true) {
            return Err(ScrapeError::UnknownUser);
        }
        counts.extend(info_hashes.iter().map(|info_hash| lock(self.shard_of(info_hash)).counts(info_hash)));
        Ok(())
    }

    /// See [`Tracker::expire`]: one shard after the other, and each only for a short while.
    pub fn expire(&self, now: Instant) {
        let now = self.latest(now);
        for shard in &self.shards {
            self.change(shard, |tracker, _| tracker.expire(now));
        }
    }

    /// See [`Tracker::next_expiry`].
    #[must_use]
    pub fn next_expiry(&self) -> Option<Instant> {
        self.shards.iter().filter_map(|shard| lock(shard).next_expiry()).min()
    }

    /// Appends all events that were not polled yet. Those of one swarm are in order.
    pub fn poll_events(&self, events: &mut Vec<Event>) {
        for shard in &self.shards {
            lock(shard).poll_events(events);
        }
    }

    /// See [`Tracker::set_torrents`]. When this returns, all swarms that are not served any more are gone. No shard is locked for
    /// longer than one batch takes.
    pub fn set_torrents(&self, torrents: impl Into<Arc<TorrentPolicy>>) {
        self.set_torrents_with_pauses(torrents, thread::yield_now);
    }

    /// Does what [`set_torrents`](Self::set_torrents) does, and calls `pause` between batches, while nothing is locked. It should
    /// sleep for about a millisecond: a thread that takes a lock again at once gets it before those that wait for it, and
    /// announces in a large shard would wait until all of it is checked.
    pub fn set_torrents_with_pauses(&self, torrents: impl Into<Arc<TorrentPolicy>>, pause: impl FnMut()) {
        let torrents = torrents.into();
        self.set_served(|tracker| tracker.set_torrents(Arc::clone(&torrents)), pause);
    }

    /// See [`Tracker::set_clients`]. When this returns, all peers whose clients are not served any more are gone, but for what a
    /// [lean](crate::Memory::Lean) tracker does not know. Otherwise as
    /// [`set_torrents_with_pauses`](Self::set_torrents_with_pauses).
    pub fn set_clients_with_pauses(&self, clients: impl Into<Arc<ClientPolicy>>, pause: impl FnMut()) {
        let clients = clients.into();
        self.clients.write().unwrap_or_else(PoisonError::into_inner).clone_from(&clients);
        self.set_served(|tracker| tracker.set_clients(Arc::clone(&clients)), pause);
    }

    /// Changes what is served by `set`, which begins to drop what is not any more, and goes on with that until nothing is left of it.
    fn set_served(&self, set: impl Fn(&mut Tracker), mut pause: impl FnMut()) {
        let now = self.latest(Instant::ZERO);
        let set = |shard| {
            self.change(shard, |tracker, _| {
                tracker.advance(now);
                set(tracker);
                tracker.has_unchecked()
            })
        };
        let mut unfinished: Vec<_> = self.shards.iter().filter(|shard| set(shard)).collect();
        while !unfinished.is_empty() {
            pause();
            unfinished.retain(|shard| self.change(shard, |tracker, _| !tracker.drop_batch_of_unserved()));
        }
    }

    /// See [`Tracker::set_network`].
    ///
    /// # Errors
    ///
    /// A value that cannot be used. Nothing is changed then.
    pub fn set_network(&self, network: &NetworkConfig) -> Result<(), ConfigError> {
        network.validate()?;
        for shard in &self.shards {
            // The lock is gone before the listener hears of it.
            let first_here = lock(shard).move_to_network(network.clone())?;
            if let Some(listener) = &self.listener {
                first_here.iter().for_each(|info_hash| listener.peer_is_here(info_hash));
            }
        }
        self.access.write().unwrap_or_else(PoisonError::into_inner).clone_from(&network.access);
        let mut config = Config::default();
        network.clone().apply_to(&mut config);
        *self.own_networks.write().unwrap_or_else(PoisonError::into_inner) = OwnNetworks::new(&config);
        Ok(())
    }

    /// See [`Tracker::set_own_peer`].
    pub fn set_own_peer(&self, own_peer: Option<OwnPeer>) {
        self.shards.iter().for_each(|shard| lock(shard).set_own_peer(own_peer.clone()));
    }

    /// See [`SwarmView::has_peer_here`]. `false` if the swarm is not known.
    pub fn has_peer_here(&self, info_hash: &InfoHash) -> bool {
        self.with_swarm(info_hash, |swarm| swarm.has_peer_here()).unwrap_or(false)
    }

    /// See [`Tracker::set_reachability`].
    pub fn set_reachability(
        &self,
        info_hash: &InfoHash,
        address: SocketAddr,
        peer_id: PeerId,
        reachability: Reachability,
    ) -> bool {
        lock(self.shard_of(info_hash)).set_reachability(info_hash, address, peer_id, reachability)
    }

    /// Returns `true` if requests from this address are taken, by [`Config::access`] and [`Config::clients`] as they are now.
    pub fn admits(&self, address: IpAddr) -> bool {
        self.is_in_access(address) && self.clients().admits_address(address)
    }

    /// Returns `true` if [`Config::access`] as it is now admits this address, whatever [`Config::clients`] says.
    pub fn is_in_access(&self, address: IpAddr) -> bool {
        self.access().admits(address)
    }

    /// [`Config::clients`] as it is now.
    pub fn clients(&self) -> Arc<ClientPolicy> {
        Arc::clone(&self.clients.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The group of the address that a request came from, to our address `local`. As [`AddressGroup::of`] says, but each address
    /// counts by itself in any /64 of [`Config::own_addresses`] as they are now, by whichever of them the request came.
    pub fn address_group(&self, remote: IpAddr, local: IpAddr) -> AddressGroup {
        let group = AddressGroup::of(remote, local);
        if remote.to_canonical().is_ipv4() || group.network().is_some() {
            return group;
        }
        self.own_networks.read().unwrap_or_else(PoisonError::into_inner).group(remote)
    }

    fn access(&self) -> RwLockReadGuard<'_, Access> {
        self.access.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// See [`Tracker::totals`].
    pub fn totals(&self) -> Totals {
        let mut totals = Totals { scrapes: self.scrapes.load(Ordering::Relaxed), ..Totals::default() };
        for shard in &self.shards {
            totals += lock(shard).totals();
        }
        totals
    }

    /// Looks at one swarm, if it is known. The shard is locked meanwhile: copy, and be quick.
    pub fn with_swarm<T>(&self, info_hash: &InfoHash, look: impl FnOnce(SwarmView<'_>) -> T) -> Option<T> {
        lock(self.shard_of(info_hash)).with_swarm(info_hash, look)
    }

    /// Looks at every swarm. A shard is locked while its swarms are looked at: copy, and be quick.
    pub fn for_each_swarm(&self, mut look: impl FnMut(InfoHash, SwarmView<'_>)) {
        for shard in &self.shards {
            lock(shard).for_each_swarm(&mut look);
        }
    }

    /// Goes on with a walk past all swarms and peers, by `budget` steps at most. A shard is locked while its swarms are looked
    /// at, and no longer than these steps take: a thousand of them with a copy of each peer take about a tenth of a
    /// millisecond.
    ///
    /// Returns whether there is more to see. If not, the next call begins anew.
    ///
    /// ```
    /// # use std::num::NonZeroUsize;
    /// # use rand::{SeedableRng, rngs::StdRng};
    /// # use tracker_core::{Config, Shards, Walk};
    /// # let shards = Shards::new(Config::default(), NonZeroUsize::MIN, &mut StdRng::seed_from_u64(1))?;
    /// let (mut walk, mut peers) = (Walk::by_peer(), Vec::new());
    /// while shards.walk(&mut walk, 1000, |slice| peers.extend(slice.swarm.peers_at(slice.peers))) {
    ///     // Others get their turn, and nothing is locked.
    /// }
    /// # assert_eq!(peers, []);
    /// # Ok::<(), tracker_core::ConfigError>(())
    /// ```
    pub fn walk(&self, walk: &mut Walk, budget: usize, mut look: impl FnMut(SwarmSlice<'_>)) -> bool {
        let mut budget = budget.max(1);
        while let Some(shard) = self.shards.get(walk.shard) {
            if budget == 0 || lock(shard).walk(walk, &mut budget, &mut look) {
                return true;
            }
            // A look at an empty shard is a step, too.
            budget = budget.saturating_sub(1);
            walk.leave_shard();
        }
        *walk = Walk { pace: walk.pace, ..Walk::by_swarm() };
        false
    }

    /// Its configuration. [`Config::torrents`], [`Config::clients`], and what a [`NetworkConfig`] has, are as at the start.
    pub fn config(&self) -> &Config {
        &self.config
    }

    fn shard_of(&self, info_hash: &InfoHash) -> &Mutex<Tracker> {
        let [a, b, c, d, ..] = *info_hash.as_bytes();
        &self.shards[u32::from_le_bytes([a, b, c, d]) as usize % self.shards.len()]
    }

    /// The latest time that any shard saw, this one included. It is seldom written, so that threads do not wait for it.
    fn latest(&self, now: Instant) -> Instant {
        let seen = Instant::from_secs(self.now.load(Ordering::Relaxed));
        if now > seen {
            self.now.fetch_max(now.as_secs(), Ordering::Relaxed);
        }
        now.max(seen)
    }

    /// Lets `change` at one shard, and keeps the count of what all of them hold.
    fn change<T>(&self, shard: &Mutex<Tracker>, change: impl FnOnce(&mut Tracker, OtherShards) -> T) -> T {
        let tracker = lock(shard);
        let (swarms, peers) = tracker.size();
        let mut counted = Counted { shards: self, tracker, swarms, peers };
        let others = OtherShards {
            swarms: self.swarms.load(Ordering::Relaxed).saturating_sub(swarms),
            peers: self.peers.load(Ordering::Relaxed).saturating_sub(peers),
        };
        change(&mut counted.tracker, others)
    }
}

/// A shard that is being changed. What it holds more or less then is added to the count of all shards, also when the change
/// panics.
struct Counted<'s> {
    shards: &'s Shards,
    tracker: MutexGuard<'s, Tracker>,
    /// The number of swarms and peers before.
    swarms: usize,
    peers: usize,
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        let (swarms, peers) = self.tracker.size();
        // Most announces change neither. Wrapping, so that less is added as well as more.
        if swarms != self.swarms {
            self.shards.swarms.fetch_add(swarms.wrapping_sub(self.swarms), Ordering::Relaxed);
        }
        if peers != self.peers {
            self.shards.peers.fetch_add(peers.wrapping_sub(self.peers), Ordering::Relaxed);
        }
    }
}

/// A shard whose thread panicked is used on, since the other torrents' peers need their tracker; so are users. Swarms are as they
/// were; of the one that the thread was at, counts may tell more peers than there are.
fn lock<T>(shard: &Mutex<T>) -> MutexGuard<'_, T> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::panic::{self, AssertUnwindSafe};

    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;
    use crate::PeerId;

    fn request(host: u8) -> AnnounceRequest {
        AnnounceRequest::new(
            InfoHash::new([host; 20]),
            PeerId::new([host; 20]),
            [10, 0, 0, host].into(),
            [10, 0, 0, 1].into(),
            6881,
        )
        .with_left(1)
    }

    #[test]
    fn what_a_panic_left_behind_is_counted() {
        let mut rng = StdRng::seed_from_u64(1);
        let config = Config { max_peers: 2, ..Config::default() };
        let shards = Shards::new(config, NonZeroUsize::new(2).unwrap(), &mut rng).unwrap();
        let mut peers = Peers::default();
        panic::catch_unwind(AssertUnwindSafe(|| {
            let request = request(2);
            shards.change(shards.shard_of(&request.info_hash), |tracker, _| {
                tracker.announce(Instant::ZERO, &mut rng, &request, &mut peers).unwrap();
                panic!("as a bug would");
            })
        }))
        .unwrap_err();

        assert_eq!((shards.swarms.load(Ordering::Relaxed), shards.peers.load(Ordering::Relaxed)), (1, 1));
        let mut announce = |host| shards.announce(Instant::ZERO, &mut rng, &request(host), &mut peers);
        assert!(announce(2).is_ok() && announce(4).is_ok(), "the shard goes on, and there is room for one more");
        assert_eq!(announce(3), Err(AnnounceError::TooManyPeers { limit: 2 }), "in the other shard");
        shards.expire(Instant::from_secs(5000));
        assert_eq!((shards.swarms.load(Ordering::Relaxed), shards.peers.load(Ordering::Relaxed)), (0, 0));
    }
}
