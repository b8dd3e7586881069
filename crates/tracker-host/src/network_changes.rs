//! When to look at the network again.

use std::time::Duration;

use tokio::time::sleep;

/// The longest time between two looks. Where the system does not tell of changes, they are found after this time.
const PERIOD: Duration = Duration::from_secs(30);

/// The time for which the first of several changes waits for the others: a network that is left and another that is joined are
/// many, and the name server comes after the address.
#[cfg(target_os = "linux")]
const SETTLE: Duration = Duration::from_millis(500);

/// Says when the [addresses](crate::Addresses) and the [names](crate::host_names()) of the machine may have changed: within a
/// second on Linux, which tells of changes, and every 30 s in any case.
///
/// ```no_run
/// use tracker_host::{Addresses, NetworkChanges};
///
/// # async fn example() -> std::io::Result<()> {
/// let mut changes = NetworkChanges::new();
/// let mut known = Addresses::find()?;
/// loop {
///     changes.next().await;
///     let addresses = Addresses::find()?;
///     if addresses != known {
///         println!("now this machine is {:?}", addresses.lan);
///         known = addresses;
///     }
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct NetworkChanges {
    #[cfg(target_os = "linux")]
    netlink: Option<netlink::Netlink>,
}

impl NetworkChanges {
    /// Begins to listen for changes. Must be called within a Tokio runtime with I/O enabled.
    pub fn new() -> Self {
        #[cfg(target_os = "linux")]
        let netlink = netlink::Netlink::open()
            .inspect_err(|error| tracing::debug!(%error, "the system does not tell of changes of the network"))
            .ok();
        Self {
            #[cfg(target_os = "linux")]
            netlink,
        }
    }

    /// Waits until it is worth looking again.
    pub async fn next(&mut self) {
        #[cfg(target_os = "linux")]
        if let Some(netlink) = &self.netlink {
            if tokio::time::timeout(PERIOD, netlink.changed()).await.is_ok() {
                sleep(SETTLE).await;
                if let Err(error) = netlink.take_all() {
                    tracing::debug!(%error, "the system does not tell of changes of the network any more");
                    self.netlink = None;
                }
            }
            return;
        }
        sleep(PERIOD).await;
    }
}

impl Default for NetworkChanges {
    fn default() -> Self {
        Self::new()
    }
}

/// A netlink socket that gets a message at each change of the network. It is a door bell only: what has changed is found by a
/// look at everything, so that a message that was lost does no harm.
#[cfg(target_os = "linux")]
mod netlink {
    use std::io;
    use std::os::unix::net::UnixDatagram as StdUnixDatagram;

    use rustix::io::Errno;
    use rustix::net::netlink::SocketAddrNetlink;
    use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with};
    use tokio::net::UnixDatagram;

    /// RTMGRP_LINK, RTMGRP_IPV4_IFADDR, RTMGRP_IPV4_ROUTE, RTMGRP_IPV6_IFADDR and RTMGRP_IPV6_ROUTE of linux/rtnetlink.h.
    const GROUPS: u32 = 0x1 | 0x10 | 0x40 | 0x100 | 0x400;

    /// The type is that of another family: what is called here is the same for all sockets of datagrams.
    #[derive(Debug)]
    pub(super) struct Netlink(UnixDatagram);

    impl Netlink {
        pub(super) fn open() -> io::Result<Self> {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            // The protocol is NETLINK_ROUTE, which is 0.
            let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
            bind(&socket, &SocketAddrNetlink::new(0, GROUPS))?;
            UnixDatagram::from_std(StdUnixDatagram::from(socket)).map(Self)
        }

        /// Waits for a message, and leaves it there.
        pub(super) async fn changed(&self) {
            // An error is found by the one who reads.
            _ = self.0.readable().await;
        }

        /// Throws all messages away that are there.
        pub(super) fn take_all(&self) -> io::Result<()> {
            loop {
                match self.0.try_recv(&mut [0; 1]) {
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    // Messages were lost, and others are there.
                    Err(error) if Errno::from_io_error(&error) == Some(Errno::NOBUFS) => {}
                    Err(error) => return Err(error),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_look_is_due_at_least_every_half_minute() {
        let mut changes = NetworkChanges::new();
        for _ in 0..3 {
            let before = tokio::time::Instant::now();
            changes.next().await;
            assert!(before.elapsed() <= PERIOD + Duration::from_secs(1));
        }
    }
}
