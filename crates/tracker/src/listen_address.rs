//! An address to listen on, as it is written in settings.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use tracker::TRACKER_PORT;

/// One value of `--listen` or, with another default port, of `--dashboard-listen`: an address of the machine and a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ListenAddress<const PORT: u16 = TRACKER_PORT>(pub(crate) SocketAddr);

impl<const PORT: u16> fmt::Display for ListenAddress<PORT> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A text that is not an address and a port.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ParseListenAddressError {
    #[error(
        "the address is missing; write 0.0.0.0:{port} for all IPv4 addresses of this machine, \
         and [::]:{port} for all IPv6 ones"
    )]
    AddressMissing { port: u16 },
    #[error("the port is missing; write {}", SocketAddr::new(*address, *usual))]
    PortMissing { address: IpAddr, usual: u16 },
    #[error("write an IP address and a port, such as 0.0.0.0:{usual} or [::]:{usual}")]
    Malformed { usual: u16 },
}

impl<const PORT: u16> FromStr for ListenAddress<PORT> {
    type Err = ParseListenAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(address) = text.parse() {
            return Ok(Self(address));
        }
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        if let Ok(port) = text.trim_start_matches(['*', ':']).parse() {
            Err(ParseListenAddressError::AddressMissing { port })
        } else if let Ok(address) = bare.parse() {
            Err(ParseListenAddressError::PortMissing { address, usual: PORT })
        } else {
            Err(ParseListenAddressError::Malformed { usual: PORT })
        }
    }
}

#[cfg(test)]
mod tests {
    use tracker::DASHBOARD_PORT;

    use super::*;

    #[test]
    fn texts_run_both_ways() {
        for text in ["0.0.0.0:6969", "[::]:6969", "192.168.1.5:80", "[fd77::1]:0"] {
            assert_eq!(text.parse::<ListenAddress>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        for (text, advice) in [
            ("6969", "write 0.0.0.0:6969"),
            (":6970", "write 0.0.0.0:6970"),
            ("*:6970", "write 0.0.0.0:6970"),
            ("192.168.1.5", "write 192.168.1.5:6969"),
            ("fd77::1", "write [fd77::1]:6969"),
            ("[fd77::1]", "write [fd77::1]:6969"),
            ("localhost:6969", "write an IP address"),
            ("0.0.0.0:70000", "write an IP address"),
            ("", "write an IP address"),
        ] {
            let error = text.parse::<ListenAddress>().unwrap_err().to_string();
            assert!(error.contains(advice), "{text}: {error}");
        }
        let error = "10.0.0.1".parse::<ListenAddress<DASHBOARD_PORT>>().unwrap_err().to_string();
        assert!(error.contains("write 10.0.0.1:6970"), "{error}");
    }
}
