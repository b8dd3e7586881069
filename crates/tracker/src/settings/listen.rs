//! Checks that addresses can be listened on together.

use std::net::SocketAddr;

use anyhow::{bail, ensure};
use tracker_host::all_addresses;

use crate::listen_address::ListenAddress;

/// All addresses of the machine, at the default port.
pub(super) fn all<const PORT: u16>() -> Vec<ListenAddress<PORT>> {
    all_addresses(PORT).map(ListenAddress).to_vec()
}

pub(super) fn remove_duplicates<const PORT: u16>(listen: &mut Vec<ListenAddress<PORT>>) {
    let mut distinct = Vec::new();
    for address in listen.drain(..) {
        if !distinct.contains(&address) {
            distinct.push(address);
        }
    }
    *listen = distinct;
}

/// Checks the addresses of one server. Without this, the system would report that the port of an address is in use when it is
/// this program's own listener on all addresses that has it.
pub(super) fn check<const PORT: u16>(setting: &str, listen: &[ListenAddress<PORT>]) -> anyhow::Result<()> {
    ensure!(!listen.is_empty(), "`{setting}` is empty: name at least one address and port");
    for all in listen.iter().filter(|listen| listen.0.ip().is_unspecified()) {
        if let Some(one) = listen.iter().find(|one| *one != all && overlap(one.0, all.0)) {
            bail!("`{setting}`: {all} includes {one}; write one of the two");
        }
    }
    Ok(())
}

/// Checks that clients and the dashboard do not share a port: each has an HTTP server of its own.
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

/// Checks that the tracker's own peer has ports to itself.
pub(super) fn check_own_peer<const OTHER: u16, const PEER: u16>(
    setting: &str,
    listen: &[ListenAddress<OTHER>],
    peer_listen: &[ListenAddress<PEER>],
) -> anyhow::Result<()> {
    for other in listen {
        if let Some(peer) = peer_listen.iter().find(|peer| overlap(peer.0, other.0)) {
            bail!(
                "`{setting}` has {other} and `peer-listen` {peer}, which is the same port; choose another for one of them with \
                 --{setting} or --peer-listen, or do without the tracker's own peer with --peer=false"
            );
        }
    }
    Ok(())
}

/// The address that stands for all IPv6 addresses, if no other one is of IPv4. To many programs it stands for IPv4, too.
pub(super) fn ipv6_only<const PORT: u16>(listen: &[ListenAddress<PORT>]) -> Option<SocketAddr> {
    let all = listen.iter().find(|listen| listen.0.is_ipv6() && listen.0.ip().is_unspecified());
    all.filter(|_| !listen.iter().any(|listen| listen.0.is_ipv4())).map(|listen| listen.0)
}

/// Returns `true` if only one of them can be listened on. Port 0 stands for any free port.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let is_same_ip = one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() == other.port() && one.port() != 0 && one.is_ipv4() == other.is_ipv4() && is_same_ip
}
