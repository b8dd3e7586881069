//! The networks that may use the tracker, as written in settings.

use std::fmt;
use std::str::FromStr;

use ipnet::IpNet;
use tracker_core::Access;
use tracker_host::Addresses;

use crate::network::Network;

/// Clients that may use the tracker. Several values add up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allow {
    /// Clients on the LAN: see [`Access::Lan`].
    Lan,
    /// All clients.
    All,
    /// Clients in this network.
    Network(Network),
}

impl Allow {
    /// The access policy of a tracker on `machine`: clients that match one of the values are served, and so is the machine
    /// itself.
    pub fn access(values: &[Self], machine: &Addresses) -> Access {
        let networks = values.iter().filter_map(|value| match value {
            Self::Network(Network(network)) => Some(*network),
            Self::Lan | Self::All => None,
        });
        if values.contains(&Self::All) {
            Access::All
        } else if values.contains(&Self::Lan) {
            Access::Lan { own: machine.networks.iter().copied().chain(networks).collect() }
        } else {
            // Clients on this machine that use the announce URL come from the address in it.
            Access::Networks(networks.chain(machine.lan.iter().copied().map(IpNet::from)).collect())
        }
    }
}

impl fmt::Display for Allow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lan => f.write_str("lan"),
            Self::All => f.write_str("all"),
            Self::Network(network) => network.fmt(f),
        }
    }
}

/// A text that is not an [`Allow`].
#[derive(Debug, thiserror::Error)]
#[error("write `lan`, `all`, or a network such as 192.168.0.0/16 or fd00::/8")]
pub struct ParseAllowError;

impl FromStr for Allow {
    type Err = ParseAllowError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "lan" => Ok(Self::Lan),
            "all" => Ok(Self::All),
            network => network.parse().map(Self::Network).map_err(|_| ParseAllowError),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(values: &[&str]) -> Access {
        let values: Vec<Allow> = values.iter().map(|value| value.parse().unwrap()).collect();
        let lan = vec!["203.0.113.5".parse().unwrap(), "fd77::5".parse().unwrap()];
        let machine = Addresses { lan, networks: networks(&["203.0.113.0/24"]), ..Addresses::default() };
        Allow::access(&values, &machine)
    }

    fn networks(texts: &[&str]) -> Vec<IpNet> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn values_add_up() {
        assert_eq!(access(&["lan"]), Access::Lan { own: networks(&["203.0.113.0/24"]) });
        assert_eq!(
            access(&["lan", "198.51.100.0/24"]),
            Access::Lan { own: networks(&["203.0.113.0/24", "198.51.100.0/24"]) }
        );
        assert_eq!(
            access(&["10.1.0.0/16", "fd78::/64"]),
            Access::Networks(networks(&["10.1.0.0/16", "fd78::/64", "203.0.113.5/32", "fd77::5/128"]))
        );
        assert_eq!(access(&["10.1.0.0/16", "lan", "all"]), Access::All);
    }

    #[test]
    fn texts_run_both_ways() {
        for text in ["lan", "all", "10.1.0.0/16", "fd77::/64"] {
            assert_eq!(text.parse::<Allow>().unwrap().to_string(), text);
        }
        for text in ["", "LAN", "everybody", "10.0.0.1/33", "10.0.0/8"] {
            assert!(text.parse::<Allow>().is_err(), "{text}");
        }
    }
}
