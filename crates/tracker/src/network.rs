//! A network, as it is written in settings.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

/// A network in CIDR notation. An address alone is a network of one machine, and the bits after the prefix are cleared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network(pub IpNet);

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A text that is not a network.
#[derive(Debug, thiserror::Error)]
#[error("write a network such as 10.1.0.0/16 or fd00::/8, or a single address")]
pub struct ParseNetworkError;

impl FromStr for Network {
    type Err = ParseNetworkError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let network = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        network.map(|network| Self(network.trunc())).map_err(|_| ParseNetworkError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_networks_are_networks() {
        for (text, network) in [
            ("10.1.0.0/16", "10.1.0.0/16"),
            ("10.1.2.3/16", "10.1.0.0/16"),
            ("10.1.2.3", "10.1.2.3/32"),
            ("fd77::1", "fd77::1/128"),
            ("fd77::1/64", "fd77::/64"),
            ("0.0.0.0/0", "0.0.0.0/0"),
        ] {
            assert_eq!(text.parse::<Network>().unwrap().to_string(), network);
        }
        for text in ["", "10.0.0.1/33", "fd77::/129", "10.0.0.1:80", "localhost", "10.0.0.0/255.0.0.0"] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }
}
