//! Taking a name on the LAN by multicast DNS.

use std::fmt::{self, Debug};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use mdns_sd::{DaemonEvent, RRType, Receiver, ServiceDaemon, ServiceInfo};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::time::{Instant, timeout_at};

use crate::mdns_name::MdnsName;

/// The group and the port of multicast DNS.
const GROUP: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(224, 0, 0, 251), 5353);

/// What is announced: a page for browsers.
const SERVICE_TYPE: &str = "_http._tcp.local.";

/// The time from a name being free in one network until it is known to be free in all: the responder reports a conflict once it has
/// probed the next name, which takes as long as a name that is free, and up to 250 ms before it.
const OTHER_NETWORKS: Duration = Duration::from_millis(1500);

/// The maximum number of names that are tried: a machine that claims every one must not keep others busy.
const MAX_NAMES: usize = 10;

/// The time that dropping a service waits for its last messages to be sent.
const GOODBYE: Duration = Duration::from_millis(200);

/// A page that is announced on the LAN, by multicast DNS ([RFC 6762](https://www.rfc-editor.org/rfc/rfc6762)), until this is dropped:
/// browsers find it at `tracker.local`, say, where their system resolves such names, and programs that list what there is on the LAN
/// (DNS-SD, [RFC 6763](https://www.rfc-editor.org/rfc/rfc6763)) show it.
///
/// The name leads to IPv4 addresses only: a BitTorrent client that is given addresses of both families announces over IPv6 alone.
/// If another machine has the name already, it becomes `tracker-2.local`, and so on. That is found out when the name is taken: not
/// later, when two networks become one.
///
/// A thread of its own answers queries. It shares the port 5353 with other programs that answer them, such as Avahi.
#[derive(Debug)]
pub struct MdnsService {
    name: MdnsName,
    port: u16,
    addresses: Vec<Ipv4Addr>,
    /// The number of names that were tried, this one included.
    tried: usize,
    /// `true` if [`taken`](Self::taken) has returned the name.
    is_taken: bool,
    /// When a name that is free in one network is taken, unless there is a conflict in another one until then.
    taken_at: Option<Instant>,
    responder: Responder,
}

/// The reason why a name is not taken.
#[derive(Debug, thiserror::Error)]
pub enum MdnsError {
    /// The port is another program's, or the machine lets nobody use multicast.
    #[error("cannot use multicast on UDP port {}: {source}", GROUP.port())]
    Multicast {
        /// What the system says.
        source: io::Error,
    },
    /// Others have every name that was tried.
    #[error("other machines have this name and the next ones, {tried} in all")]
    Conflicts {
        /// The number of names that were tried, at most 10.
        tried: usize,
    },
    /// The thread that answers queries cannot be started, or has ended.
    #[error("cannot answer queries: {reason}")]
    Responder {
        /// The reason, as a text.
        reason: String,
    },
}

impl MdnsService {
    /// Starts to take the name, for a page at a port of these addresses of the machine.
    ///
    /// # Errors
    ///
    /// Multicast cannot be used on any of the addresses, or the thread cannot be started.
    pub fn start(name: MdnsName, port: u16, addresses: Vec<Ipv4Addr>) -> Result<Self, MdnsError> {
        check_multicast(&addresses).map_err(|source| MdnsError::Multicast { source })?;
        let responder = Responder::start(&name, port, &addresses)?;
        Ok(Self { name, port, addresses, tried: 1, is_taken: false, taken_at: None, responder })
    }

    /// The name that is being taken, or was.
    pub fn name(&self) -> &MdnsName {
        &self.name
    }

    /// Waits until [the name](Self::name) is taken; after that, until it is another one. It takes about a second, or three if the machine
    /// has several addresses, and as long again after each conflict. Nothing is lost if the future is dropped.
    ///
    /// # Errors
    ///
    /// The thread that answers queries has ended, or others have ten such names already.
    pub async fn taken(&mut self) -> Result<&MdnsName, MdnsError> {
        loop {
            let event = self.responder.events.recv_async();
            let event = match self.taken_at {
                None => event.await,
                Some(at) => match timeout_at(at, event).await {
                    Ok(event) => event,
                    Err(_) => {
                        (self.is_taken, self.taken_at) = (true, None);
                        return Ok(&self.name);
                    }
                },
            };
            match event.map_err(|error| MdnsError::Responder { reason: error.to_string() })? {
                DaemonEvent::NameChange(change) if change.rr_type == RRType::A => {
                    self.rename(&change.new_name)?;
                }
                DaemonEvent::Announce(..) if !self.is_taken && self.taken_at.is_none() => {
                    let may_conflict = self.addresses.len() > 1;
                    self.taken_at = Some(Instant::now() + if may_conflict { OTHER_NETWORKS } else { Duration::ZERO });
                }
                _ => {}
            }
        }
    }

    /// Starts again with the name that the responder chose because of a conflict in one of the networks. So it is the same in all
    /// networks; and the responder itself would go on to give the first name to those who ask for the service.
    fn rename(&mut self, domain_name: &str) -> Result<(), MdnsError> {
        let name = domain_name.split('.').next().and_then(MdnsName::of_label);
        let Some(name) = name.filter(|_| self.tried < MAX_NAMES) else {
            return Err(MdnsError::Conflicts { tried: self.tried });
        };
        self.tried += 1;
        // Before the next one asks who has which name.
        self.responder.stop();
        self.responder = Responder::start(&name, self.port, &self.addresses)?;
        (self.name, self.is_taken, self.taken_at) = (name, false, None);
        Ok(())
    }
}

/// The thread that answers queries. It ends when this is dropped.
struct Responder {
    daemon: ServiceDaemon,
    events: Receiver<DaemonEvent>,
}

impl Debug for Responder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Responder").finish_non_exhaustive()
    }
}

impl Responder {
    fn start(name: &MdnsName, port: u16, addresses: &[Ipv4Addr]) -> Result<Self, MdnsError> {
        let failed = |error: mdns_sd::Error| MdnsError::Responder { reason: error.to_string() };
        let addresses: Vec<_> = addresses.iter().map(|&address| IpAddr::V4(address)).collect();
        let host = format!("{}.", name.in_local());
        let service =
            ServiceInfo::new(SERVICE_TYPE, &name.to_string(), &host, &*addresses, port, None).map_err(failed)?;
        let daemon = ServiceDaemon::new().map_err(failed)?;
        // Before there are any.
        let events = daemon.monitor().map_err(failed)?;
        let responder = Self { daemon, events };
        responder.daemon.register(service).map_err(failed)?;
        Ok(responder)
    }

    /// Tells the network that the name is free, and ends the thread.
    fn stop(&self) {
        // An error says that it has ended.
        if let Ok(stopped) = self.daemon.shutdown() {
            _ = stopped.recv_timeout(GOODBYE);
        }
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Returns an error if multicast cannot be used on any of the addresses. The responder does not say so.
fn check_multicast(addresses: &[Ipv4Addr]) -> io::Result<()> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    #[cfg(unix)]
    socket.set_reuse_port(true)?;
    socket.bind(&SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, GROUP.port()).into())?;
    let mut result = Ok(());
    for address in addresses {
        match socket.join_multicast_v4(GROUP.ip(), address) {
            Ok(()) => return Ok(()),
            Err(error) => result = Err(error),
        }
    }
    result
}
