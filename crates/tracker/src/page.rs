//! The page and where it is found.

use std::net::SocketAddr;

use dashboard::Dashboard;
use tokio::sync::watch;
use tracker_host::Addresses;

use crate::urls::{DashboardUrls, ipv4_on_lan};

/// The dashboard of a tracker, and its URLs, which change with the addresses of the machine.
#[derive(Debug)]
pub(crate) struct Page {
    dashboard: Dashboard,
    /// The addresses that its server listens on.
    listening: Vec<SocketAddr>,
    machine: Addresses,
    /// The name that it has on the LAN.
    name: Option<String>,
    urls: watch::Sender<DashboardUrls>,
}

impl Page {
    /// The dashboard with a server at these addresses, on this machine.
    pub(crate) fn new(dashboard: Dashboard, listening: Vec<SocketAddr>, machine: Addresses) -> Self {
        let (urls, _) = watch::channel(urls(&dashboard, &listening, &machine, None));
        dashboard.set_addresses(machine.clone());
        Self { dashboard, listening, machine, name: None, urls }
    }

    /// The dashboard.
    pub(crate) fn dashboard(&self) -> &Dashboard {
        &self.dashboard
    }

    /// The addresses that its server listens on.
    pub(crate) fn listening(&self) -> &[SocketAddr] {
        &self.listening
    }

    /// Its URLs, as they are and as they change.
    pub(crate) fn urls(&self) -> watch::Receiver<DashboardUrls> {
        self.urls.subscribe()
    }

    /// Goes on with other addresses of the machine.
    pub(crate) fn set_addresses(&mut self, machine: Addresses) {
        self.dashboard.set_addresses(machine.clone());
        self.machine = machine;
        self.update_urls();
    }

    /// Goes on with another name on the LAN.
    pub(crate) fn set_name(&mut self, name: Option<&str>) {
        if self.name.as_deref() != name {
            self.name = name.map(ToOwned::to_owned);
            self.update_urls();
        }
    }

    fn update_urls(&self) {
        self.urls.send_replace(urls(&self.dashboard, &self.listening, &self.machine, self.name.as_deref()));
    }
}

fn urls(dashboard: &Dashboard, listening: &[SocketAddr], machine: &Addresses, name: Option<&str>) -> DashboardUrls {
    DashboardUrls::of_machine(listening, machine, |address| dashboard.url(address))
        .with_name(name.zip(ipv4_on_lan(listening, machine)).map(|(name, (port, _))| format!("{name}:{port}")))
        .with_base_path(dashboard.base_path())
        .with_code(dashboard.code())
        .with_tls(dashboard.has_tls())
}
