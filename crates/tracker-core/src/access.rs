//! Access control by client address and by torrent.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};

use crate::InfoHash;

/// From which addresses announces and scrapes are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// Loopback, private ([RFC 1918](https://www.rfc-editor.org/rfc/rfc1918)), unique local
    /// ([RFC 4193](https://www.rfc-editor.org/rfc/rfc4193)) and link-local addresses, and these networks of the machine's
    /// own. Safe on a LAN whose router forwards more than its owner knows.
    Lan {
        /// The networks that the machine is in, where they are not private: a campus with public addresses, say.
        own: Vec<IpNet>,
    },
    /// Loopback and these networks only.
    Networks(Vec<IpNet>),
    /// Everybody.
    All,
}

impl Access {
    /// Returns `true` if a request from this address is taken. A v4-mapped address counts as the IPv4 address in it.
    pub fn admits(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let within = |networks: &[IpNet]| networks.iter().any(|network| network.contains(&address));
        match self {
            Self::Lan { own } => is_local(address) || within(own),
            Self::Networks(networks) => address.is_loopback() || within(networks),
            Self::All => true,
        }
    }
}

impl Default for Access {
    fn default() -> Self {
        Self::Lan { own: Vec::new() }
    }
}

/// Loopback, private, unique local or link-local.
pub(crate) fn is_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

/// The options of the `tracker` program that admit an address which was refused, with the network that it is usually in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AllowAdvice(pub(crate) IpAddr);

impl fmt::Display for AllowAdvice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let network = usual_network(self.0);
        // Where such an address was refused, the LAN was not meant.
        let lan = if is_local(self.0) { "" } else { "--allow lan " };
        write!(f, "{lan}--allow {network}")
    }
}

/// The network that an address is usually in: a VPN that uses the shared address space
/// ([RFC 6598](https://www.rfc-editor.org/rfc/rfc6598)) has all of it, such as Tailscale; a LAN is a /24 or a /64.
pub fn usual_network(address: IpAddr) -> IpNet {
    const SHARED: IpNet = IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(100, 64, 0, 0), 10));
    let address = address.to_canonical();
    if SHARED.contains(&address) {
        return SHARED;
    }
    IpNet::new_assert(address, if address.is_ipv4() { 24 } else { 64 }).trunc()
}

/// The info-hashes that are served. The default serves all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TorrentPolicy {
    /// The torrents that are served; `None` means all.
    pub allowed: Option<BTreeSet<InfoHash>>,
    /// The torrents that are never served, even if they are in `allowed`.
    pub denied: BTreeSet<InfoHash>,
}

impl TorrentPolicy {
    /// The verdict of the lists on this info-hash.
    pub fn verdict(&self, info_hash: &InfoHash) -> Verdict {
        if self.denied.contains(info_hash) {
            Verdict::Denied
        } else if self.allowed.as_ref().is_some_and(|allowed| !allowed.contains(info_hash)) {
            Verdict::NotListed
        } else {
            Verdict::Served
        }
    }
}

/// The verdict of a [`TorrentPolicy`] on one info-hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is served.
    Served,
    /// There is an allow list, and it is not on it. It may be added later.
    NotListed,
    /// It is on the deny list.
    Denied,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(access: &Access, address: &str) -> bool {
        access.admits(address.parse().unwrap())
    }

    #[test]
    fn lan_takes_what_a_lan_has() {
        let access = Access::Lan { own: vec!["203.0.113.0/24".parse().unwrap()] };
        for address in [
            "127.0.0.1",
            "127.9.8.7",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.7.7",
            "::1",
            "fe80::1",
            "fd77::1",
            "::ffff:10.0.0.1",
            "203.0.113.9",
        ] {
            assert!(admitted(&access, address), "{address}");
        }
        for address in ["8.8.8.8", "172.32.0.1", "203.0.114.1", "2001:db8::1", "::ffff:8.8.8.8", "0.0.0.0"] {
            assert!(!admitted(&access, address), "{address}");
        }
    }

    #[test]
    fn named_networks_shut_out_the_rest_of_the_lan() {
        let access = Access::Networks(vec!["10.77.0.0/24".parse().unwrap(), "fd77::/64".parse().unwrap()]);
        for address in ["10.77.0.200", "fd77::9", "127.0.0.1", "::1"] {
            assert!(admitted(&access, address), "{address}");
        }
        for address in ["10.77.1.1", "192.168.1.1", "fd78::1"] {
            assert!(!admitted(&access, address), "{address}");
        }
    }

    #[test]
    fn the_advice_names_the_setting_and_the_network() {
        for (address, advice) in [
            ("100.101.102.103", "--allow lan --allow 100.64.0.0/10"),
            ("100.63.1.1", "--allow lan --allow 100.63.1.0/24"),
            ("203.0.113.9", "--allow lan --allow 203.0.113.0/24"),
            ("2001:db8::9", "--allow lan --allow 2001:db8::/64"),
            ("192.168.1.9", "--allow 192.168.1.0/24"),
            ("fd77::9", "--allow fd77::/64"),
        ] {
            assert_eq!(AllowAdvice(address.parse().unwrap()).to_string(), advice);
        }
    }

    #[test]
    fn the_deny_list_beats_the_allow_list() {
        let (listed, both, neither) = (InfoHash::new([1; 20]), InfoHash::new([2; 20]), InfoHash::new([3; 20]));
        let mut policy = TorrentPolicy::default();
        assert_eq!(policy.verdict(&neither), Verdict::Served);
        policy.allowed = Some([listed, both].into_iter().collect());
        policy.denied.insert(both);
        assert_eq!(policy.verdict(&listed), Verdict::Served);
        assert_eq!(policy.verdict(&both), Verdict::Denied);
        assert_eq!(policy.verdict(&neither), Verdict::NotListed);
    }
}
