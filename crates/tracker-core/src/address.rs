//! Address truth: which address of a peer is right for whom.
//!
//! A tracker sees where a request came from, and that is not always where others can reach the sender. The rules:
//!
//! - A peer is kept under the address its announce came from. `ip=` counts only from trusted sources.
//! - A peer that announced over loopback is on the tracker's own machine. A client that asks from the network gets it
//!   under the address by which *that client* reached the tracker, which is right on a machine with several networks, too.
//! - A client that asks over loopback gets 127.0.0.1 and ::1 as the machine's LAN address where one is known, since Transmission
//!   never dials loopback; any other 127/8 address stays as it is.
//! - Addresses that nobody can dial are never handed out.

use std::net::IpAddr;

use crate::{AnnounceRequest, Config, HostAddresses};

/// The client that asks for peers, and the way by which it reached the tracker.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asker {
    /// The address that the request came from, never v4-mapped.
    pub(crate) remote: IpAddr,
    /// The address of this machine that the request was sent to, never v4-mapped.
    pub(crate) local: IpAddr,
}

impl Asker {
    pub(crate) fn of(request: &AnnounceRequest) -> Self {
        Self { remote: request.remote(), local: request.local() }
    }

    /// The address the asker's peer is kept under.
    pub(crate) fn announced_ip(&self, request: &AnnounceRequest, config: &Config) -> IpAddr {
        match request.claimed_ip() {
            Some(claimed) if is_claimable(claimed) && config.trusts(self.remote) => claimed,
            _ => self.remote,
        }
    }

    /// The address by which this asker can reach the peer kept under `ip`, if there is one.
    pub(crate) fn sees(&self, ip: IpAddr, host: &HostAddresses) -> Option<IpAddr> {
        if ip.is_loopback() {
            return if !self.remote.is_loopback() {
                let local = Some(self.local).filter(|&local| is_reachable(local) && !local.is_loopback());
                local.or_else(|| host.prefer(self.remote))
            } else if is_localhost(ip) {
                host.prefer(ip).or(Some(ip))
            } else {
                Some(ip)
            };
        }
        (!is_v4_link_local(ip) || is_v4_link_local(self.remote)).then_some(ip)
    }

    /// Returns `true` if a peer that this asker sees under `ip` may be on the tracker's machine.
    pub(crate) fn is_here(&self, ip: IpAddr, host: &HostAddresses) -> bool {
        ip == self.local || host.prefer(ip) == Some(ip)
    }
}

/// Returns `true` if anybody at all can dial the peer. The others are counted, and never handed out.
pub(crate) fn is_dialable(ip: IpAddr, port: u16) -> bool {
    port != 0 && is_reachable(ip)
}

pub(crate) fn is_v4_link_local(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V4(v4) if v4.is_link_local())
}

pub(crate) fn is_v6_link_local(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local())
}

/// Returns `true` if the address can be that of a machine which others dial.
pub(crate) fn is_reachable(ip: IpAddr) -> bool {
    let broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast() || v4.octets()[0] == 0);
    !(ip.is_unspecified() || ip.is_multicast() || broadcast || is_v6_link_local(ip))
}

fn is_claimable(ip: IpAddr) -> bool {
    is_reachable(ip) && !ip.is_loopback()
}

fn is_localhost(ip: IpAddr) -> bool {
    ip == IpAddr::from([127, 0, 0, 1]) || ip.is_ipv6()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn host() -> HostAddresses {
        HostAddresses { v4: Some([10, 77, 0, 1].into()), v6: Some("fd77::1".parse().unwrap()) }
    }

    /// compatibility.md, section 5: kept under, asker's remote, asker's local, handed out as.
    #[test]
    fn each_asker_gets_an_address_it_can_dial() {
        for (kept, remote, local, seen) in [
            // On the tracker's own machine: by the way the asker came.
            ("127.0.0.1", "10.77.0.9", "10.77.0.1", Some("10.77.0.1")),
            ("127.0.0.1", "192.168.5.9", "192.168.5.1", Some("192.168.5.1")),
            ("127.4.5.6", "10.77.0.9", "10.77.0.1", Some("10.77.0.1")),
            ("::1", "fd77::9", "fd77::1", Some("fd77::1")),
            ("127.0.0.1", "fd77::9", "fd77::1", Some("fd77::1")),
            ("::1", "10.77.0.9", "10.77.0.1", Some("10.77.0.1")),
            // By a way that tells nothing: link-local, or through a proxy on the machine.
            ("127.0.0.1", "fe80::9", "fe80::1", Some("fd77::1")),
            ("127.0.0.1", "10.77.0.9", "127.0.0.1", Some("10.77.0.1")),
            // Both on the tracker's own machine.
            ("127.0.0.1", "127.0.0.1", "127.0.0.1", Some("10.77.0.1")),
            ("::1", "127.0.0.1", "127.0.0.1", Some("fd77::1")),
            ("127.0.0.2", "127.0.0.1", "127.0.0.1", Some("127.0.0.2")),
            ("127.0.0.2", "127.0.0.3", "127.0.0.1", Some("127.0.0.2")),
            // The addresses of ordinary peers are the same for every asker.
            ("10.77.0.8", "10.77.0.9", "10.77.0.1", Some("10.77.0.8")),
            ("10.77.0.8", "127.0.0.1", "127.0.0.1", Some("10.77.0.8")),
            ("fd77::8", "10.77.0.9", "10.77.0.1", Some("fd77::8")),
            // 169.254/16 is for those in it.
            ("169.254.1.1", "169.254.2.2", "169.254.3.3", Some("169.254.1.1")),
            ("169.254.1.1", "10.77.0.9", "10.77.0.1", None),
            ("169.254.1.1", "fd77::9", "fd77::1", None),
        ] {
            let asker = Asker { remote: ip(remote), local: ip(local) };
            assert_eq!(asker.sees(ip(kept), &host()), seen.map(ip), "{kept} for {remote} by {local}");
        }
    }

    #[test]
    fn without_a_lan_address_loopback_stays() {
        let asker = Asker { remote: ip("127.0.0.1"), local: ip("127.0.0.1") };
        assert_eq!(asker.sees(ip("127.0.0.1"), &HostAddresses::default()), Some(ip("127.0.0.1")));
        let behind_proxy = Asker { remote: ip("10.0.0.9"), local: ip("127.0.0.1") };
        assert_eq!(behind_proxy.sees(ip("127.0.0.1"), &HostAddresses::default()), None);
    }

    #[test]
    fn addresses_that_nobody_can_dial_are_known() {
        for (address, dialable) in [
            ("10.0.0.1", true),
            ("127.0.0.1", true),
            ("169.254.1.1", true),
            ("fd77::1", true),
            ("2001:db8::1", true),
            ("0.0.0.0", false),
            ("0.1.2.3", false),
            ("255.255.255.255", false),
            ("224.0.0.1", false),
            ("::", false),
            ("ff02::1", false),
            ("fe80::1", false),
        ] {
            assert_eq!(is_dialable(ip(address), 6881), dialable, "{address}");
        }
        assert!(!is_dialable(ip("10.0.0.1"), 0));
    }
}
