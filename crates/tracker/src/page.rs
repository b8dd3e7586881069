//! The page and where it is found.

use std::net::SocketAddr;

use dashboard::Dashboard;
use tokio::sync::watch;
use tracker_host::Addresses;

use crate::urls::DashboardUrls;

/// The dashboard of a tracker, and its URLs, which change with the addresses of the machine.
#[derive(Debug)]
pub(crate) struct Page {
    dashboard: Dashboard,
    /// The addresses that its server listens on.
    listening: Vec<SocketAddr>,
    urls: watch::Sender<DashboardUrls>,
}

impl Page {
    /// The dashboard with a server at these addresses, on this machine.
    pub(crate) fn new(dashboard: Dashboard, listening: Vec<SocketAddr>, machine: Addresses) -> Self {
        let (urls, _) = watch::channel(urls(&dashboard, &listening, &machine));
        dashboard.set_addresses(machine);
        Self { dashboard, listening, urls }
    }

    /// The dashboard.
    pub(crate) fn dashboard(&self) -> &Dashboard {
        &self.dashboard
    }

    /// Its URLs, as they are and as they change.
    pub(crate) fn urls(&self) -> watch::Receiver<DashboardUrls> {
        self.urls.subscribe()
    }

    /// Goes on with other addresses of the machine.
    pub(crate) fn set_addresses(&self, machine: Addresses) {
        let urls = urls(&self.dashboard, &self.listening, &machine);
        self.dashboard.set_addresses(machine);
        self.urls.send_replace(urls);
    }
}

fn urls(dashboard: &Dashboard, listening: &[SocketAddr], machine: &Addresses) -> DashboardUrls {
    DashboardUrls::of_machine(listening, machine, |address| dashboard.url(address))
        .with_base_path(dashboard.base_path())
        .with_code(dashboard.code())
        .with_tls(dashboard.has_tls())
}
