//! Addresses that cannot be listened on, and which program has a port, as far as Linux' /proc tells.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use crate::bind::Transport;

/// Ports below this one are for privileged programs, on most systems.
const FIRST_UNPRIVILEGED_PORT: u16 = 1024;

/// An address that cannot be listened on.
///
/// The kind of `source` is [`ErrorKind::AddrInUse`] when another program (or another server of this one) has the port,
/// [`ErrorKind::PermissionDenied`] for a privileged port, and [`ErrorKind::AddrNotAvailable`] when the machine does not have the
/// address. [`advice`](Self::advice) explains it to the operator.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}{}", match transport { Transport::Tcp { .. } => "", Transport::Udp => " over UDP" })]
pub struct BindError {
    /// The address.
    pub address: SocketAddr,
    /// The transport protocol.
    pub transport: Transport,
    /// The error of the system.
    pub source: io::Error,
}

impl BindError {
    /// The reason, and what the operator can do. It names the program that has the port, which may block while it is looked for.
    ///
    /// ```
    /// use std::{net::TcpListener, num::NonZeroUsize};
    /// use tracker_host::{Transport, bind};
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let tcp = Transport::Tcp { backlog: 128 };
    /// let error = bind(&[listener.local_addr()?], tcp, NonZeroUsize::MIN, |_, _| Ok(())).unwrap_err();
    /// // Such as "cannot listen on 127.0.0.1:6969: nginx (process 815) has the port; stop it, or choose another port".
    /// eprintln!("{error}: {}", error.advice());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn advice(&self) -> String {
        match self.source.kind() {
            ErrorKind::AddrInUse => {
                let holder = PortHolder::find(self.address, self.transport);
                let holder = holder.map_or_else(|| "another program".to_owned(), |holder| holder.to_string());
                format!("{holder} has the port; stop it, or choose another port")
            }
            ErrorKind::PermissionDenied if self.is_privileged() => {
                format!("ports below {FIRST_UNPRIVILEGED_PORT} are for privileged programs; choose a higher one")
            }
            ErrorKind::AddrNotAvailable => {
                let all = if self.address.is_ipv4() { "0.0.0.0" } else { "[::]" };
                format!("this machine does not have the address; choose one that it has, or {all} for all")
            }
            _ => format!("{}; choose another address or port", self.source),
        }
    }

    /// Returns `true` if the port is one of those that most systems reserve for privileged programs.
    pub fn is_privileged(&self) -> bool {
        self.address.port() < FIRST_UNPRIVILEGED_PORT
    }
}

/// The program that has a port.
#[derive(Debug, Clone, PartialEq, Eq)]
struct PortHolder {
    name: String,
    process: u32,
}

impl PortHolder {
    /// The program that listens for connections to this address, or to one that includes it, or, over UDP, that has a socket
    /// for datagrams to it. `None` when it cannot be found: programs of other users are hidden from all but root, and only
    /// Linux has a `/proc` with this information.
    fn find(address: SocketAddr, transport: Transport) -> Option<Self> {
        let names = match transport {
            Transport::Tcp { .. } => ["tcp", "tcp6"],
            Transport::Udp => ["udp", "udp6"],
        };
        let tables = names.map(|name| fs::read_to_string(format!("/proc/net/{name}")).unwrap_or_default());
        let sockets: BTreeSet<String> = tables
            .iter()
            .flat_map(|table| sockets_in_the_way(table, address, transport))
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

/// Returns `true` if the process with this folder in /proc has one of the sockets open.
fn holds(process: &Path, sockets: &BTreeSet<String>) -> bool {
    let open = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
    open.filter_map(|entry| fs::read_link(entry.path()).ok())
        .any(|target| target.to_str().is_some_and(|target| sockets.contains(target)))
}

/// The inodes of the sockets in the text of /proc/net/tcp, tcp6, udp or udp6 that occupy `address`: with TCP those that listen,
/// with UDP all.
fn sockets_in_the_way(table: &str, address: SocketAddr, transport: Transport) -> impl Iterator<Item = u64> {
    const LISTEN: &str = "0A";
    table.lines().filter_map(move |line| {
        let mut fields = line.split_ascii_whitespace();
        let (ip, port) = fields.nth(1)?.split_once(':')?;
        let (ip, port) = (parse_ip(ip)?, u16::from_str_radix(port, 16).ok()?);
        // Unspecified IPv6 may stand for both families.
        let overlaps = ip == address.ip() || ip.is_unspecified() || address.ip().is_unspecified();
        let is_listening = fields.nth(1)? == LISTEN;
        let inode = fields.nth(5)?.parse().ok()?;
        let takes = is_listening || transport == Transport::Udp;
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

    const TCP: Transport = Transport::Tcp { backlog: 16 };

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
            let found: Vec<_> = sockets_in_the_way(table, address.parse().unwrap(), TCP).collect();
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
            let found: Vec<_> = sockets_in_the_way(udp, address.parse().unwrap(), Transport::Udp).collect();
            assert_eq!(found, expected, "{address}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_program_finds_itself() {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let socket = std::net::UdpSocket::bind(("127.0.0.1", 0)).unwrap();
        let of_tcp = PortHolder::find(listener.local_addr().unwrap(), TCP);
        let of_udp = PortHolder::find(socket.local_addr().unwrap(), Transport::Udp);
        for holder in [of_tcp, of_udp].map(Option::unwrap) {
            assert_eq!(holder.process, std::process::id());
            assert!(!holder.name.is_empty());
        }
    }

    #[test]
    fn each_reason_has_its_advice() {
        for (address, kind, words) in [
            ("127.0.0.1:1", ErrorKind::AddrInUse, "another program has the port; stop it, or choose another port"),
            (
                "0.0.0.0:80",
                ErrorKind::PermissionDenied,
                "ports below 1024 are for privileged programs; choose a higher",
            ),
            ("203.0.113.9:6969", ErrorKind::AddrNotAvailable, "or 0.0.0.0 for all"),
            ("[2001:db8::9]:6969", ErrorKind::AddrNotAvailable, "or [::] for all"),
            ("0.0.0.0:6969", ErrorKind::PermissionDenied, "choose another address or port"),
        ] {
            let error = BindError { address: address.parse().unwrap(), transport: TCP, source: kind.into() };
            assert_eq!(error.to_string(), format!("cannot listen on {address}"));
            assert!(error.advice().contains(words), "{}", error.advice());
            let error = BindError { transport: Transport::Udp, ..error };
            assert_eq!(error.to_string(), format!("cannot listen on {address} over UDP"));
        }
    }
}
