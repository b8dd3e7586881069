//! Read-only access to shards.

use std::net::IpAddr;
use std::sync::Arc;

use crate::{
    AddressGroup, ClientPolicy, Config, InfoHash, Instant, Shards, SwarmSlice, SwarmView, Totals, UserId, UserKey,
    UserTotals, Walk,
};

/// A handle to [`Shards`] that only reads, for a page or a log: it cannot change a swarm. Cheap to clone.
///
/// ```
/// use std::num::NonZeroUsize;
/// use std::sync::Arc;
/// use rand::{SeedableRng, rngs::StdRng};
/// use tracker_core::{Config, Shards, ShardsView};
///
/// let shards = Arc::new(Shards::new(Config::default(), NonZeroUsize::MIN, &mut StdRng::seed_from_u64(1))?);
/// let view = ShardsView::from(Arc::clone(&shards));
/// assert_eq!(view.totals(), shards.totals());
/// # Ok::<(), tracker_core::ConfigError>(())
/// ```
#[derive(Debug, Clone)]
pub struct ShardsView(Arc<Shards>);

impl From<Arc<Shards>> for ShardsView {
    fn from(shards: Arc<Shards>) -> Self {
        Self(shards)
    }
}

impl ShardsView {
    /// See [`Shards::config`].
    pub fn config(&self) -> &Config {
        self.0.config()
    }

    /// See [`Shards::admits`].
    pub fn admits(&self, address: IpAddr) -> bool {
        self.0.admits(address)
    }

    /// See [`Shards::clients`].
    pub fn clients(&self) -> Arc<ClientPolicy> {
        self.0.clients()
    }

    /// See [`Shards::address_group`].
    pub fn address_group(&self, remote: IpAddr, local: IpAddr) -> AddressGroup {
        self.0.address_group(remote, local)
    }

    /// See [`Users::find`](crate::Users::find). `None` without [`Config::users`], too.
    pub fn find_user(&self, key: &UserKey) -> Option<UserId> {
        self.0.with_users(|users| users.find(Some(key)))?
    }

    /// See [`Users::totals`](crate::Users::totals). `None` without [`Config::users`].
    pub fn user_totals(&self, now: Instant, user: UserId) -> Option<UserTotals> {
        self.0.with_users(|users| users.totals(now, user))
    }

    /// See [`Shards::totals`].
    pub fn totals(&self) -> Totals {
        self.0.totals()
    }

    /// See [`Shards::with_swarm`].
    pub fn with_swarm<T>(&self, info_hash: &InfoHash, look: impl FnOnce(SwarmView<'_>) -> T) -> Option<T> {
        self.0.with_swarm(info_hash, look)
    }

    /// See [`Shards::for_each_swarm`].
    pub fn for_each_swarm(&self, look: impl FnMut(InfoHash, SwarmView<'_>)) {
        self.0.for_each_swarm(look);
    }

    /// See [`Shards::walk`].
    pub fn walk(&self, walk: &mut Walk, budget: usize, look: impl FnMut(SwarmSlice<'_>)) -> bool {
        self.0.walk(walk, budget, look)
    }
}
