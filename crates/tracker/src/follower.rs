//! Following the machine from network to network.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::{Arc, Weak};

use tracker_core::{Config, NetworkConfig, Shards};
use tracker_host::{Addresses, NetworkChanges, Service, host_names, link_speed};
use tracker_monitor::Computers;

use crate::allow::Allow;
use crate::client_service::ClientPorts;
use crate::page::Page;

/// Keeps the parts of a tracker up to date with the addresses and names of its machine.
#[derive(Debug)]
pub(crate) struct Follower {
    /// The addresses that the parts have.
    pub(crate) addresses: Addresses,
    /// The names that the parts have.
    pub(crate) names: Vec<String>,
    /// The setting.
    pub(crate) allow: Vec<Allow>,
    /// The setting.
    pub(crate) host_names: Vec<String>,
    pub(crate) shards: Arc<Shards>,
    pub(crate) clients: Service,
    pub(crate) ports: Arc<ClientPorts>,
    pub(crate) http: tracker_http::Adapter,
    pub(crate) computers: Computers,
    /// It ends with the tracker, not with this.
    pub(crate) own_peer: Option<Weak<tracker_peer::Service>>,
    pub(crate) page: Option<Page>,
}

impl Follower {
    /// Follows until it is dropped. What changed before is found, too.
    pub(crate) async fn run(mut self) -> Infallible {
        let mut changes = NetworkChanges::new();
        loop {
            self.look();
            changes.next().await;
        }
    }

    fn look(&mut self) {
        let names = machine_names(&self.host_names);
        if names != self.names {
            self.http.set_host_names(names.clone());
            if let Some(page) = &self.page {
                page.dashboard().set_host_names(names.clone());
            }
            self.names = names;
        }
        match Addresses::find() {
            Ok(addresses) if addresses != self.addresses => self.move_to(addresses),
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "cannot list the addresses of this machine"),
        }
        // Also if it was started with earlier addresses just now.
        self.clients.set_announce_urls(self.ports.announce_urls().all().collect());
    }

    fn move_to(&mut self, addresses: Addresses) {
        if let Err(error) = self.shards.set_network(&network_config(&self.allow, &addresses)) {
            tracing::error!(%error, "the new addresses of this machine cannot be used");
            return;
        }
        self.ports.set_addresses(addresses.clone());
        set_network(&self.computers, &addresses);
        if let Some(own_peer) = self.own_peer.as_ref().and_then(Weak::upgrade) {
            own_peer.set_network(&addresses, Allow::access(&self.allow, &addresses));
        }
        if let Some(page) = &self.page {
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
    }
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
