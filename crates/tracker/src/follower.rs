//! Following the machine from network to network.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::{Arc, Weak};

use tokio::sync::watch;
use tracker_core::{Config, NetworkConfig, Shards};
use tracker_host::{Addresses, NetworkChanges, Service, host_names, link_speed};
use tracker_monitor::Computers;

use crate::allow::Allow;
use crate::client_service::ClientPorts;
use crate::page::Page;
use crate::page_name::PageName;

/// The settings that together with the network say who is served, and under which names. They can be changed while the tracker runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NetworkSettings {
    pub(crate) allow: Vec<Allow>,
    pub(crate) host_names: Vec<String>,
}

/// The settings that were asked for last, once they have been looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AppliedSettings {
    pub(crate) settings: NetworkSettings,
    /// `false` if they cannot be used together with the addresses of the machine. It is tried again when those change.
    pub(crate) are_in_force: bool,
}

/// Keeps the parts of a tracker up to date with the addresses and names of its machine.
#[derive(Debug)]
pub(crate) struct Follower {
    /// The addresses that the parts have.
    pub(crate) addresses: Addresses,
    /// The names that the parts have.
    pub(crate) names: Vec<String>,
    /// The setting that the parts have.
    pub(crate) allow: Vec<Allow>,
    /// The settings, which may change.
    pub(crate) settings: watch::Receiver<NetworkSettings>,
    /// Says what has become of the settings.
    pub(crate) applied: watch::Sender<AppliedSettings>,
    pub(crate) shards: Arc<Shards>,
    pub(crate) clients: Service,
    pub(crate) ports: Arc<ClientPorts>,
    pub(crate) http: tracker_http::Adapter,
    pub(crate) computers: Computers,
    /// It ends with the tracker, not with this.
    pub(crate) own_peer: Option<Weak<tracker_peer::Service>>,
    pub(crate) page: Option<Page>,
    /// The name that the page takes.
    pub(crate) page_name: Option<PageName>,
    /// `false` while the name is being taken.
    pub(crate) is_named: watch::Sender<bool>,
}

impl Follower {
    /// Follows until it is dropped. What changed before is found, too.
    pub(crate) async fn run(mut self) -> Infallible {
        let mut changes = NetworkChanges::new();
        loop {
            self.look();
            tokio::select! {
                () = changes.next() => {}
                // Not once they cannot change any more.
                Ok(()) = self.settings.changed() => {}
                Some(()) = next_name(&mut self.page_name) => {}
            }
        }
    }

    fn look(&mut self) {
        let settings = self.settings.borrow_and_update().clone();
        let addresses = Addresses::find().unwrap_or_else(|error| {
            tracing::debug!(%error, "cannot list the addresses of this machine");
            self.addresses.clone()
        });
        let is_new = addresses != self.addresses || settings.allow != self.allow;
        let are_in_force = !is_new || self.move_to(addresses, &settings.allow);
        if let Some(page_name) = &mut self.page_name {
            page_name.set_addresses(&self.addresses);
        }
        self.set_names(machine_names(&settings.host_names));
        // Also if it was started with earlier addresses just now.
        self.clients.set_announce_urls(self.ports.announce_urls().all().collect());
        self.applied.send_replace(AppliedSettings { settings, are_in_force });
    }

    /// Goes on with these names, and the one that the page has taken.
    fn set_names(&mut self, mut names: Vec<String>) {
        let taken = self.page_name.as_ref().and_then(PageName::taken);
        names.extend(taken.map(ToOwned::to_owned));
        if let Some(page) = &mut self.page {
            page.set_name(taken);
        }
        if names != self.names {
            self.http.set_host_names(names.clone());
            if let Some(page) = &self.page {
                page.dashboard().set_host_names(names.clone());
            }
            self.names = names;
        }
        // After the URLs.
        self.is_named.send_replace(!self.page_name.as_ref().is_some_and(PageName::is_pending));
    }

    /// Returns `false`, and changes nothing, if they cannot be used. Then it is tried again with the next look.
    fn move_to(&mut self, addresses: Addresses, allow: &[Allow]) -> bool {
        if let Err(error) = self.shards.set_network(&network_config(allow, &addresses)) {
            tracing::error!(
                %error,
                "the new addresses of this machine, or the clients that `allow` names, cannot be used; those before stay in force"
            );
            return false;
        }
        allow.clone_into(&mut self.allow);
        self.ports.set_addresses(addresses.clone());
        set_network(&self.computers, &addresses);
        if let Some(own_peer) = self.own_peer.as_ref().and_then(Weak::upgrade) {
            own_peer.set_network(&addresses, Allow::access(allow, &addresses));
        }
        if let Some(page) = &mut self.page {
            page.set_addresses(addresses.clone());
        }
        let (before, now) = (list(self.addresses.for_urls()), list(addresses.for_urls()));
        if before == now {
            tracing::debug!(?addresses, "networks of this machine changed");
        } else if now.is_empty() {
            tracing::warn!(before, "this machine has no address any more by which others reach it");
        } else {
            tracing::info!(
                addresses = now,
                before,
                "the addresses of this machine changed: announce URLs, torrents and magnet links have the new ones from now on"
            );
        }
        self.addresses = addresses;
        true
    }
}

/// Waits until the page has another name; `None` if it takes none.
async fn next_name(page_name: &mut Option<PageName>) -> Option<()> {
    page_name.as_mut()?.changed().await;
    Some(())
}

/// The part of the core's configuration that depends on the machine's addresses.
pub(crate) fn network_config(allow: &[Allow], addresses: &Addresses) -> NetworkConfig {
    NetworkConfig::from(&Config::default()).with(|network| {
        network.access = Allow::access(allow, addresses);
        network.host_addresses = addresses.host();
        network.own_addresses.clone_from(&addresses.all);
        network.container_networks.clone_from(&addresses.containers);
        network.gateways.clone_from(&addresses.gateways);
    })
}

/// Tells which computer is this machine, and how fast its best link is.
pub(crate) fn set_network(computers: &Computers, addresses: &Addresses) {
    computers.set_network(&addresses.all, addresses.lan.first().and_then(|&address| link_speed(address)));
}

/// The names of the machine: those of the setting, and those that it knows itself.
pub(crate) fn machine_names(setting: &[String]) -> Vec<String> {
    setting.iter().cloned().chain(host_names()).collect()
}

fn list(addresses: &[IpAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
