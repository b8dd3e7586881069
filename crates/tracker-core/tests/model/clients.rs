//! Which clients the model serves.

use std::net::IpAddr;

use tracker_core::{ClientPolicy, PeerId};

pub(super) fn admits_address(policy: &ClientPolicy, address: IpAddr) -> bool {
    let address = address.to_canonical();
    if address.is_loopback() || policy.allowed_networks.is_empty() && policy.denied_networks.is_empty() {
        return true;
    }
    let allowed = policy.allowed_networks.iter().filter(|network| network.contains(&address)).count();
    let denied = policy.denied_networks.iter().filter(|network| network.contains(&address)).count();
    denied == 0 && (allowed > 0 || policy.allowed_networks.is_empty())
}

pub(super) fn admits_client(policy: &ClientPolicy, peer_id: PeerId) -> bool {
    let begins = |prefix: &[u8]| prefix.iter().zip(peer_id.as_bytes()).all(|(one, other)| one == other);
    let allowed = policy.allowed.iter().filter(|prefix| begins(prefix.as_bytes())).count();
    let denied = policy.denied.iter().filter(|prefix| begins(prefix.as_bytes())).count();
    denied == 0 && (allowed > 0 || policy.allowed.is_empty())
}
