//! Whether addresses can be listened on together.

use std::net::SocketAddr;

use anyhow::{bail, ensure};
use tracker_host::all_addresses;

use crate::listen_address::ListenAddress;

/// These addresses, each once; all of the machine where nobody says, at the usual port.
pub(super) fn or_all<const PORT: u16>(listen: Option<Vec<ListenAddress<PORT>>>) -> Vec<ListenAddress<PORT>> {
    let mut distinct = Vec::new();
    for address in listen.unwrap_or_else(|| all_addresses(PORT).map(ListenAddress).to_vec()) {
        if !distinct.contains(&address) {
            distinct.push(address);
        }
    }
    distinct
}

/// The system would say of an address that all addresses include that its port is taken.
pub(super) fn check<const PORT: u16>(setting: &str, listen: &[ListenAddress<PORT>]) -> anyhow::Result<()> {
    ensure!(!listen.is_empty(), "`{setting}` is empty: name at least one address and port");
    for all in listen.iter().filter(|listen| listen.0.ip().is_unspecified()) {
        if let Some(one) = listen.iter().find(|one| *one != all && overlap(one.0, all.0)) {
            bail!("`{setting}`: {all} includes {one}; write one of the two");
        }
    }
    Ok(())
}

/// Both serve HTTP, each its own.
pub(super) fn check_both<const CLIENTS: u16, const PEOPLE: u16>(
    listen: &[ListenAddress<CLIENTS>],
    dashboard_listen: &[ListenAddress<PEOPLE>],
) -> anyhow::Result<()> {
    for clients in listen {
        if let Some(people) = dashboard_listen.iter().find(|people| overlap(people.0, clients.0)) {
            bail!(
                "`listen` has {clients} and `dashboard-listen` {people}, which is the same port; choose another for one of \
                 them with --listen or --dashboard-listen, or do without the dashboard with --dashboard=false"
            );
        }
    }
    Ok(())
}

/// Whether only one of them can be listened on. Port 0 is any free one.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let is_same_ip = one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() == other.port() && one.port() != 0 && one.is_ipv4() == other.is_ipv4() && is_same_ip
}
