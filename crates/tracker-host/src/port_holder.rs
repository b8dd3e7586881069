//! Which program has a port, as far as Linux' /proc tells.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

/// The program that has a port which a server wanted, for an error message that says more than that it is taken.
///
/// ```
/// use std::net::TcpListener;
/// use tracker_host::PortHolder;
///
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// if let Some(holder) = PortHolder::of_tcp(listener.local_addr()?) {
///     println!("{holder} has the port");
///     assert_eq!(holder.process(), std::process::id());
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortHolder {
    name: String,
    process: u32,
}

/// What the port is one of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Tcp,
    Udp,
}

impl PortHolder {
    /// The program that listens for connections to this address, or to one that includes it. `None` when it cannot be found:
    /// programs of other users are hidden from all but root, and only Linux has a `/proc` that tells.
    pub fn of_tcp(address: SocketAddr) -> Option<Self> {
        Self::find(address, Protocol::Tcp)
    }

    /// The program that has a socket for datagrams to this address, or to one that includes it; `None` as above.
    pub fn of_udp(address: SocketAddr) -> Option<Self> {
        Self::find(address, Protocol::Udp)
    }

    /// What the system calls the program, escaped: programs name themselves.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The id of its process.
    pub fn process(&self) -> u32 {
        self.process
    }

    fn find(address: SocketAddr, protocol: Protocol) -> Option<Self> {
        let names = match protocol {
            Protocol::Tcp => ["tcp", "tcp6"],
            Protocol::Udp => ["udp", "udp6"],
        };
        let tables = names.map(|name| fs::read_to_string(format!("/proc/net/{name}")).unwrap_or_default());
        let sockets: BTreeSet<String> = tables
            .iter()
            .flat_map(|table| sockets_in_the_way(table, address, protocol))
            .map(|inode| format!("socket:[{inode}]"))
            .collect();
        if sockets.is_empty() {
            return None;
        }
        fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
            let process = entry.file_name().to_str()?.parse().ok()?;
            holds(&entry.path(), &sockets).then(|| {
                let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
                Self { name: name.trim_end().escape_debug().to_string(), process }
            })
        })
    }
}

/// Such as `nginx (process 815)`.
impl fmt::Display for PortHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (process {})", self.name, self.process)
    }
}

/// Whether the process whose folder this is has one of the sockets open.
fn holds(process: &Path, sockets: &BTreeSet<String>) -> bool {
    let open = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
    open.filter_map(|entry| fs::read_link(entry.path()).ok())
        .any(|target| target.to_str().is_some_and(|target| sockets.contains(target)))
}

/// The inodes of the sockets in the text of /proc/net/tcp, tcp6, udp or udp6 that are in the way of `address`. Of those of
/// TCP it is they that listen, of UDP all.
fn sockets_in_the_way(table: &str, address: SocketAddr, protocol: Protocol) -> impl Iterator<Item = u64> {
    const LISTEN: &str = "0A";
    table.lines().filter_map(move |line| {
        let mut fields = line.split_ascii_whitespace();
        let (ip, port) = fields.nth(1)?.split_once(':')?;
        let (ip, port) = (parse_ip(ip)?, u16::from_str_radix(port, 16).ok()?);
        // Unspecified IPv6 may stand for both families.
        let overlaps = ip == address.ip() || ip.is_unspecified() || address.ip().is_unspecified();
        let is_listening = fields.nth(1)? == LISTEN;
        let inode = fields.nth(5)?.parse().ok()?;
        let takes = is_listening || protocol == Protocol::Udp;
        (takes && port == address.port() && overlaps).then_some(inode)
    })
}

/// An address as the kernel prints it: words of 32 bits in the machine's own order of bytes.
fn parse_ip(text: &str) -> Option<IpAddr> {
    let word = |index: usize| {
        let digits = text.get(index * 8..index * 8 + 8)?;
        u32::from_str_radix(digits, 16).ok().map(u32::to_ne_bytes)
    };
    match text.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let words = [word(0)?, word(1)?, word(2)?, word(3)?];
            let bytes: [u8; 16] = words.as_flattened().try_into().ok()?;
            Some(Ipv6Addr::from(bytes).to_canonical())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_endian = "little")]
    #[test]
    fn tables_of_the_kernel_are_understood() {
        let tcp = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1B39 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1001 1 0 100 0 0 10 0
   1: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1002 1 0 100 0 0 10 0
   2: 0501A8C0:1B39 0901A8C0:C001 01 00000000:00000000 00:00000000 00000000     0        0 1003 1 0 100 0 0 10 0
";
        let tcp6 = "\
  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000000000000:0016 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1004 1 0 100 0 0 10 0
   1: 000077FD000000000000000001000000:1B39 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1005 1 0 100 0 0 10 0
";
        for (table, address, expected) in [
            (tcp, "127.0.0.1:6969", &[1001][..]),
            (tcp, "0.0.0.0:6969", &[1001]),
            (tcp, "192.168.1.5:6969", &[]),
            (tcp, "192.168.1.5:80", &[1002]),
            (tcp6, "0.0.0.0:22", &[1004]),
            (tcp6, "[fd77::1]:6969", &[1005]),
            (tcp6, "[fd77::2]:6969", &[]),
            (tcp6, "[::]:6969", &[1005]),
        ] {
            let found: Vec<_> = sockets_in_the_way(table, address.parse().unwrap(), Protocol::Tcp).collect();
            assert_eq!(found, expected, "{address}");
        }
        let udp = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  101: 0100007F:1B39 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1006 2 0000000000000000 0
  102: 0501A8C0:1B39 0901A8C0:C001 01 00000000:00000000 00:00000000 00000000     0        0 1007 2 0000000000000000 0
";
        for (address, expected) in
            [("127.0.0.1:6969", &[1006][..]), ("0.0.0.0:6969", &[1006, 1007]), ("0.0.0.0:80", &[])]
        {
            let found: Vec<_> = sockets_in_the_way(udp, address.parse().unwrap(), Protocol::Udp).collect();
            assert_eq!(found, expected, "{address}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_program_finds_itself() {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let socket = std::net::UdpSocket::bind(("127.0.0.1", 0)).unwrap();
        let of_tcp = PortHolder::of_tcp(listener.local_addr().unwrap());
        let of_udp = PortHolder::of_udp(socket.local_addr().unwrap());
        for holder in [of_tcp, of_udp].map(Option::unwrap) {
            assert_eq!(holder.process(), std::process::id());
            assert!(!holder.name().is_empty());
        }
    }
}
