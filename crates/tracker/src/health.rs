//! The parts of the tracker whose health is checked.
//!
//! The names of the parts are those of /health?verbose and of the metric `tracker_healthy`: docs/operations.md lists them.

use std::error::Error;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dashboard::{Accounts, ClientList};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use torrent_library::{ListProblems, Share};
use tracker_core::Shards;
use tracker_host::{Health, OpenFiles, Service, ServiceState};
use tracker_monitor::Computers;
use tracker_udp::Request;

use crate::client_service::ClientPorts;
use crate::handle::lock_each_shard;
use crate::keeper_thread::{chain_without_folders, without_folders};
use crate::port_check::{PortCheck, PortCheckError, check_ports, reachable_here};
use crate::protocol::Protocol;

/// The time that a port has for an answer. Monitoring waits five seconds for a part.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Datagrams that are sent before the port for UDP is taken for silent: the network may lose some.
const DATAGRAMS: usize = 2;

/// The problem of a tracker that ends while it is looked at.
const ENDED: &str = "the tracker has ended";

/// Looks at what serves clients: the locks of the swarms, which every announce needs, and the ports. The watchdog of the service manager
/// looks at the same.
pub(crate) fn watch_servers(
    health: &Health,
    shards: &Arc<Shards>,
    clients: &Service,
    ports: &Arc<ClientPorts>,
    has_udp: bool,
) {
    let shards = Arc::downgrade(shards);
    health.watch_vital("swarms", move || (!lock_each_shard(&shards)).then(|| ENDED.to_owned()));
    let (state, runtime) = (clients.changes(), Handle::current());
    let of_clients = state.clone();
    health.watch_vital("clients", move || {
        let state = of_clients.borrow().clone();
        match state {
            ServiceState::Stopped { error: None, .. } => Some("stopped on the dashboard".to_owned()),
            ServiceState::Stopped { error: Some(error), .. } => Some(error),
            running => {
                // A task, which ends with the runtime: asking from here would panic then.
                let (sender, checked) = oneshot::channel();
                runtime.spawn(async move { sender.send(check_ports(running, TIMEOUT).await) });
                checked.blocking_recv().map_or_else(|_| Some(ENDED.to_owned()), ports_problem)
            }
        }
    });
    if has_udp {
        let ports = Arc::downgrade(ports);
        health.watch("udp", move || {
            // Without servers there is no port; that is said above.
            let is_running = matches!(*state.borrow(), ServiceState::Running { .. });
            look_at_udp(ports.upgrade().as_deref().filter(|_| is_running)?)
        });
    }
}

/// Looks at the lists of torrents and clients.
pub(crate) fn watch_lists(
    health: &Health,
    has_allow: bool,
    has_deny: bool,
    problems: &ListProblems,
    clients: ClientList,
) {
    let (allow, deny) = (problems.clone(), problems.clone());
    if has_allow {
        health.watch("allow_list", move || allow.allow().map(|error| list_problem(&*error, error.path())));
    }
    if has_deny {
        health.watch("deny_list", move || deny.deny().map(|error| list_problem(&*error, error.path())));
    }
    health.watch("client_list", move || clients.problem().map(|error| list_problem(&*error, error.path())));
}

/// Looks at the names file.
pub(crate) fn watch_names(health: &Health, computers: Computers) {
    health.watch("names", move || computers.names_problem());
}

/// Looks at the accounts; `None` are those that could not be read at the start.
pub(crate) fn watch_accounts(health: &Health, accounts: Option<Accounts>) {
    health.watch("accounts", move || {
        let Some(accounts) = &accounts else {
            return Some("cannot be read: nobody can sign in until the tracker is started again".to_owned());
        };
        accounts.refresh();
        let error = accounts.problem()?;
        Some(format!("{}; the accounts stay as they were", without_folders(error.to_string(), &[error.path()])))
    });
}

/// Looks at the share folder.
pub(crate) fn watch_share(health: &Health, share: Share) {
    health.watch("share", move || {
        fs::read_dir(share.folder()).err().map(|error| format!("the share folder cannot be read: {error}"))
    });
}

/// Looks at the limit on open files.
pub(crate) fn watch_open_files(health: &Health) {
    health.watch("open_files", || {
        let files = OpenFiles::look().filter(OpenFiles::is_near_limit)?;
        Some(format!("{} of {} files and connections are open: raise the limit", files.open, files.limit))
    });
}

/// The problem that a check of the ports has found. A port that nobody on this machine can ask serves nobody.
fn ports_problem(checked: Result<PortCheck, PortCheckError>) -> Option<String> {
    match checked {
        Ok(PortCheck::Answered | PortCheck::NotRunning) => None,
        Ok(PortCheck::NoAddress) => Some("this machine has no address that is listened on".to_owned()),
        Err(error) => Some(error.to_string()),
    }
}

/// Asks for a connection id, which everybody gets.
fn look_at_udp(ports: &ClientPorts) -> Option<String> {
    let listening = ports.listening();
    let (_, addresses) = listening.iter().find(|(protocol, _)| *protocol == Protocol::Udp)?;
    let address = addresses.iter().copied().find_map(reachable_here)?;
    let answers = || (0..DATAGRAMS).any(|_| ask_for_connection_id(address).is_ok());
    (!answers()).then(|| format!("no answer from {address} within {:?}", TIMEOUT * DATAGRAMS as u32))
}

fn ask_for_connection_id(address: SocketAddr) -> io::Result<()> {
    let here = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind(SocketAddr::new(here, 0))?;
    socket.connect(address)?;
    socket.set_read_timeout(Some(TIMEOUT))?;
    let mut datagram = Vec::new();
    Request::connect(rand::random()).encode(&mut datagram);
    socket.send(&datagram)?;
    socket.recv(&mut datagram).map(drop)
}

/// The problem of a list that cannot be used, without its folder.
fn list_problem(error: &dyn Error, path: &Path) -> String {
    format!("{}; the last valid version stays in force", chain_without_folders(error, &[path]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_that_were_not_asked_are_not_healthy() {
        assert_eq!(ports_problem(Ok(PortCheck::Answered)), None);
        let problem = ports_problem(Ok(PortCheck::NoAddress));
        assert_eq!(problem.as_deref(), Some("this machine has no address that is listened on"));
        let (address, patience) = (SocketAddr::from(([127, 0, 0, 1], 7)), TIMEOUT);
        let problem = ports_problem(Err(PortCheckError::Timeout { address, patience }));
        assert_eq!(problem.as_deref(), Some("no answer from 127.0.0.1:7 within 1s"));
    }
}
