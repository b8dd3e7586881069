//! Users: who may announce with which key, and what each of them does.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;
use std::num::NonZeroU32;
use std::time::Duration;

use foldhash::fast::FixedState;
use rand::{Rng, RngExt};

use crate::{AddressGroup, AnnounceError, AnnounceEvent, AnnounceRequest, InfoHash, Instant, PeerId, UserKey};

/// The number of a user, which the embedder gives, and never gives to another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId(pub u32);

/// What a user may do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UserRule {
    /// The user.
    pub user: UserId,
    /// `false` if the user is switched off: announces are refused as if the key were unknown. Default: `true`.
    pub is_active: bool,
    /// Addresses from which clients of the user may announce at the same time, as [`AddressGroup`] counts them. Default: no limit.
    pub max_addresses: Option<NonZeroU32>,
    /// Torrents in which clients of the user may be at the same time. Default: no limit.
    pub max_torrents: Option<NonZeroU32>,
}

impl UserRule {
    /// The rule for a user without limits.
    pub fn new(user: UserId) -> Self {
        Self { user, is_active: true, max_addresses: None, max_torrents: None }
    }

    /// This rule with some of its fields changed.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

/// What a user has done, as its clients say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct UserTotals {
    /// Bytes uploaded.
    pub uploaded: u64,
    /// Bytes downloaded.
    pub downloaded: u64,
    /// The time of the last announce.
    pub last_seen: Option<Instant>,
    /// Torrents that clients of the user have all of, and are in.
    pub seeds: u32,
    /// Torrents that clients of the user are in.
    pub torrents: u32,
    /// Addresses from which they are.
    pub addresses: u32,
}

/// The users of a tracker, by their keys, and what they do.
///
/// It is as pure as the [`Tracker`](crate::Tracker): who announces is [admitted](Self::admit) first, and what was taken in is
/// [recorded](Self::record) after it. A client counts as being in a torrent until it says that it leaves, or is silent for longer
/// than the peer timeout.
///
/// What a client has transferred is what it says: its own counters, from one announce to the next. It is counted once, although
/// clients announce by IPv4 and IPv6, and over HTTP and UDP. A client that was not seen before is counted from then on; that of a hybrid
/// torrent counts in each of its swarms.
#[derive(Debug)]
pub struct Users {
    rules: HashMap<UserKey, UserRule, FixedState>,
    records: HashMap<UserId, UserRecord, FixedState>,
    /// How long a client may be silent.
    timeout: Duration,
}

/// What is known of one user.
#[derive(Debug)]
struct UserRecord {
    uploaded: u64,
    downloaded: u64,
    last_seen: Option<Instant>,
    places: HashMap<ClientAt, Presence, FixedState>,
    /// What is in at least one of the places, and in how many.
    clients: HashMap<Client, Counters, FixedState>,
    torrents: HashMap<InfoHash, u32, FixedState>,
    addresses: HashMap<AddressGroup, u32, FixedState>,
    /// All have said something since.
    oldest: Instant,
}

/// A client in a torrent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Client {
    info_hash: InfoHash,
    peer_id: PeerId,
}

/// A client in a torrent, at one of its addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct ClientAt {
    client: Client,
    address: AddressGroup,
}

/// What a client has said last from one of its addresses.
#[derive(Debug, Clone, Copy)]
struct Presence {
    has_all: bool,
    last_seen: Instant,
}

/// The most that a client has said since it counts from zero.
#[derive(Debug, Clone, Copy, Default)]
struct Counters {
    places: u32,
    uploaded: u64,
    downloaded: u64,
}

impl Users {
    /// The maximum number of clients that are known of one user, each torrent and each address of a client counted by itself. Of more,
    /// the one that was silent for longest is forgotten.
    pub const MAX_CLIENTS: usize = 10_000;

    /// No users. `timeout` is how long a client may be silent, and `rng` seeds the hash tables, so that nobody can choose keys that
    /// collide.
    pub fn new(timeout: Duration, rng: &mut impl Rng) -> Self {
        let hasher = FixedState::with_seed(rng.random());
        Self { rules: HashMap::with_hasher(hasher.clone()), records: HashMap::with_hasher(hasher), timeout }
    }

    /// Makes these the users, each by its key. Returns the clients of users who are not among them any more, are switched off, or have
    /// another key than before: they must not stay in their swarms. What a user has done is kept as long as the user is among them.
    pub(crate) fn set_rules(
        &mut self,
        rules: impl IntoIterator<Item = (UserKey, UserRule)>,
    ) -> Vec<(InfoHash, PeerId)> {
        let keys = |rules: &HashMap<UserKey, UserRule, FixedState>| -> BTreeMap<UserId, UserKey> {
            let active = rules.iter().filter(|(_, rule)| rule.is_active);
            active.map(|(key, rule)| (rule.user, *key)).collect()
        };
        let before = keys(&self.rules);
        self.rules.clear();
        self.rules.extend(rules);
        let after = keys(&self.rules);
        let mut gone = Vec::new();
        for (user, record) in &mut self.records {
            if before.get(user) != after.get(user) {
                gone.extend(record.clients.keys().map(|client| (client.info_hash, client.peer_id)));
                record.forget_clients();
            }
        }
        let users: BTreeSet<_> = self.rules.values().map(|rule| rule.user).collect();
        self.records.retain(|user, _| users.contains(user));
        gone
    }

    /// Sets what a user had done before, as [`totals`](Self::totals) said: bytes, and when it was seen last.
    pub fn restore(&mut self, user: UserId, uploaded: u64, downloaded: u64, last_seen: Option<Instant>) {
        let hasher = self.rules.hasher().clone();
        let record = self.records.entry(user).or_insert_with(|| UserRecord::new(&hasher));
        (record.uploaded, record.downloaded, record.last_seen) = (uploaded, downloaded, last_seen);
    }

    /// The user who has this key, unless it is switched off.
    pub fn find(&self, key: Option<&UserKey>) -> Option<UserId> {
        self.rule(key).map(|rule| rule.user)
    }

    fn rule(&self, key: Option<&UserKey>) -> Option<&UserRule> {
        key.and_then(|key| self.rules.get(key)).filter(|rule| rule.is_active)
    }

    /// The user whose key an announce has, if it may be taken in from this address. Who leaves meets no limit.
    ///
    /// # Errors
    ///
    /// The key is none, or that of a user who is switched off, or the user is in as many torrents, or at as many addresses, as may be.
    pub fn admit(
        &mut self,
        now: Instant,
        address: AddressGroup,
        request: &AnnounceRequest,
    ) -> Result<UserId, AnnounceError> {
        let rule = self.rule(request.user_key.as_ref()).ok_or(AnnounceError::UnknownUser)?.clone();
        let Some(record) = self.records.get_mut(&rule.user) else { return Ok(rule.user) };
        if request.event == Some(AnnounceEvent::Stopped) {
            return Ok(rule.user);
        }
        record.expire(now, self.timeout);
        if let Some(limit) =
            rule.max_addresses.map(NonZeroU32::get).filter(|max| is_full(&record.addresses, &address, *max))
        {
            return Err(AnnounceError::TooManyAddresses { limit });
        }
        let torrent = &request.info_hash;
        if let Some(limit) =
            rule.max_torrents.map(NonZeroU32::get).filter(|max| is_full(&record.torrents, torrent, *max))
        {
            return Err(AnnounceError::TooManyTorrents { limit });
        }
        Ok(rule.user)
    }

    /// Takes note of an announce of an [admitted](Self::admit) user that was taken in.
    pub fn record(&mut self, now: Instant, user: UserId, address: AddressGroup, request: &AnnounceRequest) {
        let hasher = self.rules.hasher().clone();
        self.records.entry(user).or_insert_with(|| UserRecord::new(&hasher)).record(now, address, request);
    }

    /// What a user has done; nothing if it is not known.
    pub fn totals(&mut self, now: Instant, user: UserId) -> UserTotals {
        let timeout = self.timeout;
        let Some(record) = self.records.get_mut(&user) else { return UserTotals::default() };
        record.expire(now, timeout);
        let complete = record.places.iter().filter(|(_, presence)| presence.has_all);
        let complete: BTreeSet<_> = complete.map(|(place, _)| place.client.info_hash).collect();
        UserTotals {
            uploaded: record.uploaded,
            downloaded: record.downloaded,
            last_seen: record.last_seen,
            seeds: len(complete.len()),
            torrents: len(record.torrents.len()),
            addresses: len(record.addresses.len()),
        }
    }
}

impl UserRecord {
    fn new(hasher: &FixedState) -> Self {
        Self {
            uploaded: 0,
            downloaded: 0,
            last_seen: None,
            places: HashMap::with_hasher(hasher.clone()),
            clients: HashMap::with_hasher(hasher.clone()),
            torrents: HashMap::with_hasher(hasher.clone()),
            addresses: HashMap::with_hasher(hasher.clone()),
            oldest: Instant::ZERO,
        }
    }

    fn record(&mut self, now: Instant, address: AddressGroup, request: &AnnounceRequest) {
        let client = Client { info_hash: request.info_hash, peer_id: request.peer_id };
        let at = ClientAt { client, address };
        let (uploaded, downloaded) = (request.uploaded, request.downloaded);
        let has_begun = request.event == Some(AnnounceEvent::Started);
        let before = match self.clients.get(&client) {
            // Only who starts counts from zero again. Others may have come late, by another of the client's addresses, or have thrown
            // away what was wrong.
            Some(&Counters { places, uploaded: up, downloaded: down }) => Counters {
                places,
                uploaded: if has_begun && uploaded < up { 0 } else { up },
                downloaded: if has_begun && downloaded < down { 0 } else { down },
            },
            // Nobody knows how much of it was counted before. One that starts has next to nothing.
            None => Counters { places: 0, uploaded, downloaded },
        };
        self.uploaded = self.uploaded.saturating_add(uploaded.saturating_sub(before.uploaded));
        self.downloaded = self.downloaded.saturating_add(downloaded.saturating_sub(before.downloaded));
        self.last_seen = self.last_seen.max(Some(now));
        let after = |counters: &mut Counters| {
            counters.uploaded = uploaded.max(before.uploaded);
            counters.downloaded = downloaded.max(before.downloaded);
        };
        if request.event == Some(AnnounceEvent::Stopped) {
            self.clients.get_mut(&client).into_iter().for_each(after);
            return self.leave(&at);
        }
        if !self.places.contains_key(&at) {
            if self.places.len() >= Users::MAX_CLIENTS {
                let oldest = self.places.iter().min_by_key(|(_, presence)| presence.last_seen).map(|(at, _)| *at);
                oldest.iter().for_each(|at| self.leave(at));
            }
            self.clients.entry(client).or_default().places += 1;
            *self.torrents.entry(client.info_hash).or_default() += 1;
            *self.addresses.entry(address).or_default() += 1;
        }
        self.places.insert(at, Presence { has_all: request.left == Some(0), last_seen: now });
        self.clients.get_mut(&client).into_iter().for_each(after);
    }

    /// Forgets the clients that were silent for too long.
    fn expire(&mut self, now: Instant, timeout: Duration) {
        if now.since(self.oldest) < timeout {
            return;
        }
        let due = self.places.iter().filter(|(_, presence)| now.since(presence.last_seen) >= timeout);
        let due: Vec<_> = due.map(|(place, _)| *place).collect();
        due.iter().for_each(|place| self.leave(place));
        self.oldest = self.places.values().map(|presence| presence.last_seen).min().unwrap_or(now);
    }

    fn forget_clients(&mut self) {
        self.places.clear();
        self.clients.clear();
        self.torrents.clear();
        self.addresses.clear();
    }

    fn leave(&mut self, at: &ClientAt) {
        if self.places.remove(at).is_none() {
            return;
        }
        one_fewer(&mut self.torrents, &at.client.info_hash);
        one_fewer(&mut self.addresses, &at.address);
        if let Some(counters) = self.clients.get_mut(&at.client) {
            counters.places -= 1;
            if counters.places == 0 {
                self.clients.remove(&at.client);
            }
        }
    }
}

/// Returns `true` if this would be one more than the maximum.
fn is_full<K: Eq + Hash>(present: &HashMap<K, u32, FixedState>, newcomer: &K, max: u32) -> bool {
    !present.contains_key(newcomer) && present.len() >= max as usize
}

/// One place fewer has this.
fn one_fewer<K: Eq + Hash>(counts: &mut HashMap<K, u32, FixedState>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

fn len(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(1800);
    const ANNA: UserId = UserId(1);
    const LOCAL: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

    fn key(last: u8) -> UserKey {
        UserKey::new([last; 16])
    }

    fn users(change: impl FnOnce(&mut UserRule)) -> Users {
        let mut users = Users::new(TIMEOUT, &mut StdRng::seed_from_u64(1));
        _ = users.set_rules([(key(1), UserRule::new(ANNA).with(change)), (key(2), UserRule::new(UserId(2)))]);
        users
    }

    fn request(torrent: u8, host: u8) -> AnnounceRequest {
        let remote = IpAddr::from([10, 0, 0, host]);
        AnnounceRequest::new(InfoHash::new([torrent; 20]), PeerId::new([host; 20]), remote, LOCAL, 6881)
            .with_left(Some(10))
    }

    fn group(request: &AnnounceRequest) -> AddressGroup {
        AddressGroup::of(request.remote(), request.local())
    }

    /// What Anna's client gets at this time.
    fn announce(users: &mut Users, secs: u32, request: &AnnounceRequest) -> Result<(), AnnounceError> {
        let (now, group) = (Instant::from_secs(secs), group(request));
        let request = &request.clone().with_user_key(Some(key(1)));
        let user = users.admit(now, group, request)?;
        users.record(now, user, group, request);
        Ok(())
    }

    #[test]
    fn a_key_must_be_known_and_its_user_active() {
        let mut users = users(|_| ());
        let request = |key| request(7, 2).with_user_key(key);
        let address = group(&request(None));
        let mut admit = |key| users.admit(Instant::ZERO, address, &request(key));
        assert_eq!((admit(Some(key(1))), admit(Some(key(2)))), (Ok(ANNA), Ok(UserId(2))));
        assert_eq!(
            (admit(Some(key(3))), admit(None)),
            (Err(AnnounceError::UnknownUser), Err(AnnounceError::UnknownUser))
        );
        _ = users.set_rules([
            (key(3), UserRule::new(ANNA)),
            (key(2), UserRule::new(UserId(2)).with(|rule| rule.is_active = false)),
        ]);
        let mut admit = |key| users.admit(Instant::ZERO, address, &request(Some(key)));
        assert_eq!(admit(key(3)), Ok(ANNA), "with a new key");
        assert_eq!((admit(key(1)), admit(key(2))), (Err(AnnounceError::UnknownUser), Err(AnnounceError::UnknownUser)));
    }

    #[test]
    fn what_clients_report_is_counted_once() {
        let mut users = users(|_| ());
        let mut report = |secs, event, uploaded, downloaded, left| {
            let request = request(7, 2).with_event(event).with_left(Some(left));
            let request = request.with_uploaded(uploaded).with_downloaded(downloaded);
            announce(&mut users, secs, &request).unwrap();
            let totals = users.totals(Instant::from_secs(secs), ANNA);
            (totals.uploaded, totals.downloaded, totals.seeds, totals.torrents)
        };
        // It was there before the tracker was started.
        assert_eq!(report(10, None, 500, 900, 10), (0, 0, 0, 1));
        assert_eq!(report(20, None, 510, 905, 5), (10, 5, 0, 1));
        assert_eq!(report(25, None, 510, 905, 5), (10, 5, 0, 1));
        assert_eq!(report(30, Some(AnnounceEvent::Completed), 510, 910, 0), (10, 10, 1, 1));
        assert_eq!(report(40, Some(AnnounceEvent::Stopped), 520, 910, 0), (20, 10, 0, 0));
        // It starts anew, twice, and throws something away meanwhile.
        assert_eq!(report(50, Some(AnnounceEvent::Started), 0, 0, 0), (20, 10, 1, 1));
        assert_eq!(report(60, None, 7, 9, 0), (27, 19, 1, 1));
        assert_eq!(report(62, None, 7, 5, 0), (27, 19, 1, 1));
        assert_eq!(report(64, None, 8, 10, 0), (28, 20, 1, 1));
        assert_eq!(report(70, Some(AnnounceEvent::Started), 3, 0, 0), (31, 20, 1, 1));
        assert_eq!(report(75, Some(AnnounceEvent::Started), 3, 0, 0), (31, 20, 1, 1));
        assert_eq!(report(80, None, u64::MAX, 0, 0), (u64::MAX, 20, 1, 1));
        assert_eq!(users.totals(Instant::from_secs(80), UserId(2)), UserTotals::default());
    }

    #[test]
    fn two_addresses_of_a_client_are_counted_once() {
        let mut users = users(|_| ());
        let mut report = |host, event, uploaded| {
            // The same client.
            let peer_id = PeerId::new([9; 20]);
            let mut request = request(7, host).with_event(event).with_uploaded(uploaded);
            request.peer_id = peer_id;
            announce(&mut users, 10, &request).unwrap();
            let totals = users.totals(Instant::from_secs(10), ANNA);
            (totals.uploaded, totals.torrents, totals.addresses)
        };
        assert_eq!(report(2, Some(AnnounceEvent::Started), 0), (0, 1, 1));
        assert_eq!(report(2, None, 100), (100, 1, 1));
        assert_eq!(report(3, Some(AnnounceEvent::Started), 100), (100, 1, 2));
        assert_eq!(report(3, None, 150), (150, 1, 2));
        // One of before that comes late.
        assert_eq!(report(2, None, 149), (150, 1, 2));
        assert_eq!(report(2, None, 150), (150, 1, 2));
        assert_eq!(report(2, Some(AnnounceEvent::Stopped), 160), (160, 1, 1));
        assert_eq!(report(3, Some(AnnounceEvent::Stopped), 160), (160, 0, 0));
        // Over UDP, after it has said so over HTTP.
        assert_eq!(report(3, Some(AnnounceEvent::Stopped), 160), (160, 0, 0));
    }

    #[test]
    fn who_may_not_announce_any_more_is_gone() {
        let mut users = users(|_| ());
        let client = request(7, 2);
        let rules = |key, is_active| [(key, UserRule::new(ANNA).with(|rule| rule.is_active = is_active))];
        for (after, is_gone) in [
            (rules(key(1), true).to_vec(), false),
            (rules(key(1), false).to_vec(), true),
            (rules(key(3), true).to_vec(), true),
            (Vec::new(), true),
        ] {
            _ = users.set_rules(rules(key(1), true));
            announce(&mut users, 10, &client).unwrap();
            let gone = users.set_rules(after);
            let expected = if is_gone { vec![(client.info_hash, client.peer_id)] } else { Vec::new() };
            assert_eq!((gone, users.totals(Instant::from_secs(10), ANNA).torrents), (expected, u32::from(!is_gone)));
        }
    }

    #[test]
    fn limits_hold_for_those_who_are_there() {
        let mut users =
            users(|rule| (rule.max_addresses, rule.max_torrents) = (NonZeroU32::new(2), NonZeroU32::new(2)));
        for (torrent, host) in [(7, 2), (7, 3), (8, 2), (7, 2)] {
            announce(&mut users, 10, &request(torrent, host)).unwrap();
        }
        assert_eq!(announce(&mut users, 20, &request(7, 4)), Err(AnnounceError::TooManyAddresses { limit: 2 }));
        assert_eq!(announce(&mut users, 20, &request(9, 2)), Err(AnnounceError::TooManyTorrents { limit: 2 }));
        // One leaves, and one falls silent.
        announce(&mut users, 30, &request(7, 3).with_event(Some(AnnounceEvent::Stopped))).unwrap();
        announce(&mut users, 30, &request(7, 4)).unwrap();
        announce(&mut users, 1810, &request(7, 4)).unwrap();
        let totals = users.totals(Instant::from_secs(1810), ANNA);
        assert_eq!((totals.addresses, totals.torrents, totals.last_seen), (1, 1, Some(Instant::from_secs(1810))));
        announce(&mut users, 1810, &request(9, 5)).unwrap();
    }

    #[test]
    fn what_is_known_of_a_user_is_limited_and_goes_with_the_user() {
        let mut users = users(|_| ());
        for number in 0..Users::MAX_CLIENTS as u32 + 50 {
            let mut info_hash = [0; 20];
            info_hash[..4].copy_from_slice(&number.to_be_bytes());
            announce(&mut users, number / 10, &request(7, 2).with_info_hash(InfoHash::new(info_hash))).unwrap();
        }
        let record = &users.records[&ANNA];
        let lens = (record.places.len(), record.clients.len(), record.torrents.len(), record.addresses.len());
        assert_eq!(lens, (Users::MAX_CLIENTS, Users::MAX_CLIENTS, Users::MAX_CLIENTS, 1));
        users.restore(UserId(2), 70, 80, None);
        assert_eq!(users.totals(Instant::ZERO, UserId(2)).uploaded, 70);
        _ = users.set_rules([(key(2), UserRule::new(UserId(2)))]);
        assert!(!users.records.contains_key(&ANNA) && users.records.contains_key(&UserId(2)));
    }
}
