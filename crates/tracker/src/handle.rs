//! A handle to a running tracker.

use std::mem;
use std::num::NonZeroU64;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::watch;
use tracker_core::Shards;
use tracker_host::{ServiceState, UploadLimit};

use crate::allow::Allow;
use crate::follower::{AppliedSettings, NetworkSettings};
use crate::lan_tracker::LanTracker;
use crate::port_check::{PortCheckError, check_ports};

/// A handle to a tracker, for the time in which [`LanTracker::run`] has it. Cheap to clone. It keeps nothing running.
#[derive(Debug, Clone)]
pub struct TrackerHandle {
    clients: watch::Receiver<ServiceState>,
    shards: Weak<Shards>,
    network_settings: watch::Sender<NetworkSettings>,
    applied_settings: watch::Receiver<AppliedSettings>,
    upload_limit: Option<UploadLimit>,
    logs_events: bool,
}

impl TrackerHandle {
    pub(crate) fn new(tracker: &LanTracker) -> Self {
        Self {
            clients: tracker.clients.changes(),
            shards: Arc::downgrade(&tracker.shards),
            network_settings: tracker.network_settings.clone(),
            applied_settings: tracker.applied_settings.clone(),
            upload_limit: tracker.upload_limit.clone(),
            logs_events: tracker.sinks.log.is_some(),
        }
    }

    /// The state of the servers for clients.
    pub fn state(&self) -> ServiceState {
        self.clients.borrow().clone()
    }

    /// Waits until the state of the servers for clients has changed since the last call, and returns it; `None` if the tracker
    /// has ended.
    pub async fn changed(&mut self) -> Option<ServiceState> {
        self.clients.changed().await.ok()?;
        Some(self.clients.borrow_and_update().clone())
    }

    /// Takes the lock of each shard once, and blocks while one of them is held. Returns `false` if the tracker has ended.
    pub fn lock_each_shard(&self) -> bool {
        lock_each_shard(&self.shards)
    }

    /// Asks one port for clients for `/health` over HTTP, and waits so long for the answer. Not while the servers are stopped or have
    /// failed, nor while the machine does not have the address that is listened on.
    ///
    /// # Errors
    ///
    /// Returns [`PortCheckError`] if it does not answer as it should.
    pub async fn check_ports(&self, patience: Duration) -> Result<(), PortCheckError> {
        check_ports(self.state(), patience).await.map(drop)
    }

    /// Returns `true` if the log has lines of the events of the swarms, at the levels that they have.
    pub fn logs_events(&self) -> bool {
        self.logs_events
    }

    /// Serves these clients soon: see [`Builder::allow`](crate::Builder::allow) and [`apply`](Self::apply). Peers that are known and
    /// not allowed any more time out.
    pub fn set_allow(&self, allow: impl IntoIterator<Item = Allow>) {
        let allow = allow.into_iter().collect();
        self.network_settings.send_if_modified(|settings| mem::replace(&mut settings.allow, allow) != settings.allow);
    }

    /// Answers to these host names soon: see [`Builder::host_names`](crate::Builder::host_names) and [`apply`](Self::apply).
    pub fn set_host_names(&self, names: impl IntoIterator<Item = String>) {
        let names = names.into_iter().collect();
        self.network_settings
            .send_if_modified(|settings| mem::replace(&mut settings.host_names, names) != settings.host_names);
    }

    /// Waits until [those who are served](Self::set_allow) and the [host names](Self::set_host_names) that were set last are in force.
    /// Returns `false` if they cannot be used, of which there is a line in the log, or if the tracker has ended.
    pub async fn apply(&self) -> bool {
        let wanted = self.network_settings.borrow().clone();
        let mut applied = self.applied_settings.clone();
        applied.wait_for(|applied| applied.settings == wanted).await.is_ok_and(|applied| applied.are_in_force)
    }

    /// Changes the [upload limit](crate::Builder::upload_limit), also of what is being sent. Returns `false`, and does nothing, if
    /// the tracker was started without one.
    pub fn set_upload_limit(&self, limit: NonZeroU64) -> bool {
        if let Some(upload_limit) = &self.upload_limit {
            upload_limit.set_rate(limit);
        }
        self.upload_limit.is_some()
    }
}

/// Takes the lock of each shard once, and blocks while one of them is held. Returns `false` if the tracker has ended.
pub(crate) fn lock_each_shard(shards: &Weak<Shards>) -> bool {
    shards.upgrade().map(|shards| shards.totals()).is_some()
}
