//! The machine's addresses, as the planner needs them.

use std::net::IpAddr;

use tracker_core::Access;
use tracker_host::Addresses;

use crate::planner::{Network, Sharing, Source};

/// What the planner has to know of a machine with these addresses. `exclusive` are those that only the tracker's own peer uses.
pub(crate) fn network(addresses: &Addresses, access: Access, exclusive: &[IpAddr]) -> Network {
    // Not the ends of the containers' networks: others come to a container by a proxy on this machine, from that very address, and a
    // client keeps one connection for each.
    let shared = addresses.lan.iter().filter(|ip| !exclusive.contains(ip));
    let sources = exclusive.iter().map(|ip| (ip, Sharing::Exclusive)).chain(shared.map(|ip| (ip, Sharing::Shared)));
    Network {
        sources: sources
            .filter_map(|(&ip, sharing)| addresses.network_of(ip).map(|&network| Source { ip, network, sharing }))
            .collect(),
        own_addresses: addresses.all.clone(),
        container_networks: addresses.containers.clone(),
        lan: addresses.networks.clone(),
        access,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses() -> Addresses {
        let ip = |text: &str| text.parse().unwrap();
        Addresses {
            lan: vec![ip("10.0.0.1"), ip("10.0.0.2")],
            networks: vec!["10.0.0.0/24".parse().unwrap()],
            all: vec![ip("10.0.0.1"), ip("10.0.0.2"), ip("172.17.0.1")],
            containers: vec!["172.17.0.0/16".parse().unwrap()],
            ..Addresses::default()
        }
    }

    #[test]
    fn peers_are_dialled_from_the_addresses_on_the_lan() {
        let network = network(&addresses(), Access::All, &["10.0.0.2".parse().unwrap()]);
        let sources = network.sources.iter().map(|it| format!("{} {} {:?}", it.ip, it.network, it.sharing));
        assert_eq!(sources.collect::<Vec<_>>(), ["10.0.0.2 10.0.0.0/24 Exclusive", "10.0.0.1 10.0.0.0/24 Shared"]);
        assert_eq!((network.own_addresses.len(), network.lan.len(), network.access), (3, 1, Access::All));
    }
}
