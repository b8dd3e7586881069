//! The network interfaces of the machine, and which of them lead to other machines.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::Ipv6Addr;
use std::path::Path;

use if_addrs::{IfAddr, get_if_addrs};
use ipnet::IpNet;

/// Names that managers of containers and virtual machines give to their bridges; in lower case, as Windows and macOS have some
/// with capitals.
const GUEST_PREFIXES: &[&str] = &[
    "bridge10",
    "cbr0",
    "cni",
    "crc",
    "docker",
    "incus",
    "lxc",
    "lxd",
    "mpqemubr",
    "nerdctl",
    "podman",
    "vboxnet",
    "veth",
    "virbr",
    "virtualbox",
    "vmnet",
    "vmware",
    "vnet",
    "waydroid",
];

/// Names of tunnels, of networks that span the containers of several machines, and of interfaces without a wire.
const TUNNEL_PREFIXES: &[&str] =
    &["cali", "cilium", "dummy", "flannel", "kube", "tailscale", "tap", "tun", "utun", "weave", "wg"];

/// The kind of network that an interface leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InterfaceKind {
    /// Other machines, over a wire or by radio.
    Lan,
    /// Containers and virtual machines on this machine, which other machines have no route to: a bridge without a wire, or one
    /// with the name that a manager of such gives.
    Guests,
    /// Other machines through a tunnel, or nothing at all.
    Tunnel,
}

/// One address of one interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Interface {
    pub(crate) name: String,
    /// The address, and how much of it names the network.
    pub(crate) network: IpNet,
    pub(crate) kind: InterfaceKind,
    /// `true` if the address is temporary, deprecated or not in use yet, as IPv6 addresses may be.
    pub(crate) is_temporary: bool,
}

/// The interfaces that are up.
pub(crate) fn interfaces() -> io::Result<Vec<Interface>> {
    // Linux has both; elsewhere the names must do.
    let temporary = temporary_addresses(&fs::read_to_string("/proc/net/if_inet6").unwrap_or_default());
    let system = Path::new("/sys/class/net");
    let interfaces = get_if_addrs()?.into_iter().filter(|interface| interface.is_oper_up()).filter_map(|interface| {
        let prefix = match &interface.addr {
            IfAddr::V4(v4) => v4.prefixlen,
            IfAddr::V6(v6) => v6.prefixlen,
        };
        Some(Interface {
            network: IpNet::new(interface.ip(), prefix).ok()?,
            kind: kind(system, &interface.name, interface.is_p2p()),
            is_temporary: matches!(&interface.addr, IfAddr::V6(v6) if temporary.contains(&v6.ip)),
            name: interface.name,
        })
    });
    Ok(interfaces.collect())
}

/// The kind of an interface. `system` is /sys/class/net, where Linux has it; elsewhere the name must do.
fn kind(system: &Path, name: &str, is_p2p: bool) -> InterfaceKind {
    if has_guest_name(name) || is_bridge_without_wire(system, name) {
        InterfaceKind::Guests
    } else if is_p2p || has_tunnel_name(name) || is_tunnel(system, name) {
        InterfaceKind::Tunnel
    } else {
        InterfaceKind::Lan
    }
}

fn has_guest_name(name: &str) -> bool {
    let name = name.to_lowercase();
    // Docker's own networks; `br-lan` is the LAN of an OpenWrt router.
    let of_docker =
        name.strip_prefix("br-").is_some_and(|id| id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_hexdigit()));
    if name.starts_with("vethernet") {
        // Hyper-V's switches, unless one that its owner made for the LAN.
        return name.contains("default switch") || name.contains("wsl");
    }
    of_docker || GUEST_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

fn has_tunnel_name(name: &str) -> bool {
    let name = name.to_lowercase();
    TUNNEL_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

fn is_tunnel(system: &Path, name: &str) -> bool {
    let folder = system.join(name);
    let kind = fs::read_to_string(folder.join("uevent")).unwrap_or_default();
    folder.join("tun_flags").exists() || kind.lines().any(|line| line == "DEVTYPE=wireguard")
}

fn is_bridge_without_wire(system: &Path, name: &str) -> bool {
    let folder = system.join(name);
    let ports = names(&folder.join("brif"));
    folder.join("bridge").exists() && !ports.iter().any(|port| is_wired(system, port))
}

/// Returns `true` if there is hardware behind an interface, or another interface, as with bonds and VLANs.
fn is_wired(system: &Path, name: &str) -> bool {
    let folder = system.join(name);
    folder.join("device").exists() || names(&folder).iter().any(|name| name.starts_with("lower_"))
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

/// The IPv6 addresses in the text of Linux' /proc/net/if_inet6 that are temporary, deprecated or not in use yet.
fn temporary_addresses(if_inet6: &str) -> BTreeSet<Ipv6Addr> {
    // IFA_F_TEMPORARY, IFA_F_DADFAILED, IFA_F_DEPRECATED and IFA_F_TENTATIVE of linux/if_addr.h.
    const FLAGS: u32 = 0x01 | 0x08 | 0x20 | 0x40;
    let temporary = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let address = u128::from_str_radix(fields.next()?, 16).ok()?;
        let flags = u32::from_str_radix(fields.nth(3)?, 16).ok()?;
        (flags & FLAGS != 0).then(|| address.into())
    };
    if_inet6.lines().filter_map(temporary).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_container_and_machine_managers_are_known() {
        for name in [
            "docker0",
            "br-0123456789ab",
            "veth1a2b3c",
            "virbr0",
            "vnet3",
            "lxcbr0",
            "lxdbr0",
            "incusbr0",
            "cni0",
            "cni-podman0",
            "podman1",
            "vmnet8",
            "vboxnet0",
            "bridge100",
            "vEthernet (WSL (Hyper-V firewall))",
            "vEthernet (Default Switch)",
            "VMware Network Adapter VMnet8",
        ] {
            assert_eq!(kind(Path::new(""), name, false), InterfaceKind::Guests, "{name}");
        }
        for name in ["flannel.1", "tun0", "tap0", "wg0", "utun3", "tailscale0", "dummy0"] {
            assert_eq!(kind(Path::new(""), name, false), InterfaceKind::Tunnel, "{name}");
        }
        for name in [
            "eth0",
            "enp3s0",
            "eno1",
            "wlan0",
            "wlp2s0",
            "en0",
            "br0",
            "br-lan",
            "vmbr0",
            "bond0",
            "bridge0",
            "eth0.20",
            "Ethernet",
            "Wi-Fi",
            "WLAN",
            "vEthernet (LAN)",
        ] {
            assert_eq!(kind(Path::new(""), name, false), InterfaceKind::Lan, "{name}");
            assert_eq!(kind(Path::new(""), name, true), InterfaceKind::Tunnel, "{name} from end to end");
        }
    }

    #[test]
    fn a_bridge_is_as_real_as_its_ports() {
        let system = tempfile::tempdir().unwrap();
        let system = system.path();
        for folder in [
            "eth0/device",
            "bond0/lower_eth0",
            "vm1",
            "with_nic/bridge",
            "with_nic/brif/eth0",
            "with_nic/brif/vm1",
            "with_bond/bridge",
            "with_bond/brif/bond0",
            "with_machine/bridge",
            "with_machine/brif/vm1",
            "empty/bridge",
            "empty/brif",
            "adapter",
            "guard",
        ] {
            fs::create_dir_all(system.join(folder)).unwrap();
        }
        fs::write(system.join("adapter/tun_flags"), "0x1001\n").unwrap();
        fs::write(system.join("guard/uevent"), "DEVTYPE=wireguard\nINTERFACE=guard\n").unwrap();
        for (name, expected) in [
            ("eth0", InterfaceKind::Lan),
            ("bond0", InterfaceKind::Lan),
            // In a container this is the way to the world.
            ("vm1", InterfaceKind::Lan),
            ("with_nic", InterfaceKind::Lan),
            ("with_bond", InterfaceKind::Lan),
            ("with_machine", InterfaceKind::Guests),
            ("empty", InterfaceKind::Guests),
            ("adapter", InterfaceKind::Tunnel),
            ("guard", InterfaceKind::Tunnel),
            ("unknown", InterfaceKind::Lan),
        ] {
            assert_eq!(kind(system, name, false), expected, "{name}");
        }
    }

    #[test]
    fn temporary_addresses_are_known_by_their_flags() {
        let if_inet6 = "\
fd770000000000000000000000000001 02 40 00 80     eth0
fd77000000000000abcdabcdabcdabcd 02 40 00 01     eth0
fd770000000000000000000000000002 02 40 00 20     eth0
fe80000000000000020000fffe000001 02 40 20 80     eth0
not an address
";
        let expected = ["fd77::abcd:abcd:abcd:abcd", "fd77::2"].map(|address| address.parse().unwrap());
        assert_eq!(temporary_addresses(if_inet6), BTreeSet::from(expected));
    }
}
