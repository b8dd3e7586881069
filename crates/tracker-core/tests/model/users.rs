//! The users of the model: naive, and always the same ones.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::time::Duration;

use tracker_core::{
    AnnounceError, AnnounceEvent, AnnounceRequest, InfoHash, Instant, PeerId, UserId, UserKey, UserRule, UserTotals,
};

use super::fairness::Group;

/// The most addresses and torrents of the second user.
const MAX: u32 = 2;

/// Keys that anybody may turn up with: those of three users, of whom the last is switched off, and one that nobody has.
pub(crate) fn key(number: usize) -> UserKey {
    UserKey::new([number as u8; 16])
}

pub(crate) const KEYS: usize = 4;

pub(crate) fn rules() -> [(UserKey, UserRule); 3] {
    let limits = NonZeroU32::new(MAX);
    [
        (key(0), UserRule::new(UserId(1))),
        (key(1), UserRule::new(UserId(2)).with(|rule| (rule.max_addresses, rule.max_torrents) = (limits, limits))),
        (key(2), UserRule::new(UserId(3)).with(|rule| rule.is_active = false)),
    ]
}

pub(super) fn may_scrape(user_key: Option<&UserKey>) -> bool {
    user_key.is_some_and(|known| [key(0), key(1)].contains(known))
}

/// Who is where, and since when it has said nothing.
#[derive(Debug, Default)]
pub(super) struct Users(Vec<Place>);

#[derive(Debug)]
struct Place {
    user: UserId,
    info_hash: InfoHash,
    peer_id: PeerId,
    group: Group,
    has_all: bool,
    last_seen: Instant,
}

impl Users {
    /// The user of an announce, or why it should be refused.
    pub(super) fn admit(
        &mut self,
        now: Instant,
        timeout: Duration,
        group: Group,
        request: &AnnounceRequest,
    ) -> Result<UserId, Vec<AnnounceError>> {
        self.0.retain(|place| now.since(place.last_seen) < timeout);
        let user = match request.user_key {
            Some(known) if known == key(0) => return Ok(UserId(1)),
            Some(known) if known == key(1) => UserId(2),
            _ => return Err(vec![AnnounceError::UnknownUser]),
        };
        let of_user = || self.0.iter().filter(|place| place.user == user);
        let addresses: BTreeSet<_> = of_user().map(|place| place.group).collect();
        let torrents: BTreeSet<_> = of_user().map(|place| place.info_hash).collect();
        let mut reasons = Vec::new();
        if !addresses.contains(&group) && addresses.len() >= MAX as usize {
            reasons.push(AnnounceError::TooManyAddresses { limit: MAX });
        }
        if !torrents.contains(&request.info_hash) && torrents.len() >= MAX as usize {
            reasons.push(AnnounceError::TooManyTorrents { limit: MAX });
        }
        let may_come = reasons.is_empty() || request.event == Some(AnnounceEvent::Stopped);
        if may_come { Ok(user) } else { Err(reasons) }
    }

    pub(super) fn record(&mut self, now: Instant, user: UserId, group: Group, request: &AnnounceRequest) {
        let (info_hash, peer_id) = (request.info_hash, request.peer_id);
        self.0.retain(|place| {
            (place.user, place.info_hash, place.peer_id, place.group) != (user, info_hash, peer_id, group)
        });
        if request.event != Some(AnnounceEvent::Stopped) {
            let has_all = request.left == Some(0);
            self.0.push(Place { user, info_hash, peer_id, group, has_all, last_seen: now });
        }
    }

    pub(super) fn check(&self, now: Instant, timeout: Duration, user: UserId, totals: &UserTotals) {
        let there = || self.0.iter().filter(|place| place.user == user && now.since(place.last_seen) < timeout);
        let addresses: BTreeSet<_> = there().map(|place| place.group).collect();
        let torrents: BTreeSet<_> = there().map(|place| place.info_hash).collect();
        let seeds: BTreeSet<_> = there().filter(|place| place.has_all).map(|place| place.info_hash).collect();
        let told = (totals.addresses, totals.torrents, totals.seeds);
        assert_eq!(told, (addresses.len() as u32, torrents.len() as u32, seeds.len() as u32), "{user:?}");
    }
}
