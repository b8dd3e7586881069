//! The servers for clients as one service, which the dashboard can stop and start.

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tracker_host::{Addresses, Bind, Bound, ServiceError};
use tracker_monitor::Failures;

use crate::error::StartError;
use crate::protocol::Listening;
use crate::servers::Servers;
use crate::urls::AnnounceUrls;

/// Takes the ports for clients, for all protocols.
#[derive(Debug)]
pub(crate) struct ClientPorts {
    ports: Mutex<Ports>,
    http: tracker_http::Adapter,
    udp: Option<tracker_udp::Adapter>,
}

/// The state of the ports.
#[derive(Debug)]
struct Ports {
    /// The addresses to listen on. A free port that was drawn for port 0 is kept, since it is in torrents from then on.
    listen: Vec<SocketAddr>,
    /// The addresses that were listened on last.
    listening: Listening,
    /// The machine's addresses.
    addresses: Addresses,
}

impl ClientPorts {
    /// The servers of these adapters at all of `listen`, on a machine with these addresses.
    pub(crate) fn new(
        listen: Vec<SocketAddr>,
        http: tracker_http::Adapter,
        udp: Option<tracker_udp::Adapter>,
        addresses: Addresses,
    ) -> Self {
        Self { ports: Mutex::new(Ports { listen, listening: Vec::new(), addresses }), http, udp }
    }

    /// Goes on with other addresses of the machine.
    pub(crate) fn set_addresses(&self, addresses: Addresses) {
        self.ports().addresses = addresses;
    }

    /// The announce URLs by which others reach what is listened on, or was before the service was stopped.
    pub(crate) fn announce_urls(&self) -> AnnounceUrls {
        self.ports().announce_urls()
    }

    /// The addresses that are listened on, or were before the service was stopped.
    pub(crate) fn listening(&self) -> Listening {
        self.ports().listening.clone()
    }

    /// Counts the requests so far that the adapters could not read, or refused.
    pub(crate) fn failures(&self) -> impl Fn() -> Failures + Send + 'static {
        let (http, udp) = (self.http.clone(), self.udp.clone());
        move || Failures {
            http: http.failures(),
            udp: udp.as_ref().map_or(0, tracker_udp::Adapter::failures),
            closed_connections: http.closed_connections(),
        }
    }

    fn ports(&self) -> MutexGuard<'_, Ports> {
        self.ports.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ports {
    fn announce_urls(&self) -> AnnounceUrls {
        AnnounceUrls::of_machine(&self.listening, &self.addresses)
    }
}

impl Bind for ClientPorts {
    fn bind(&self) -> Result<Bound, ServiceError> {
        let mut ports = self.ports();
        let servers = Servers::bind(&ports.listen, &self.http, self.udp.as_ref()).map_err(StartError::clients)?;
        ports.listening = servers.listening();
        for (protocol, addresses) in &ports.listening {
            for address in addresses {
                tracing::info!(%address, protocol = protocol.name(), "listening");
            }
        }
        let announce_urls = ports.announce_urls().all().collect();
        let addresses = servers.http_addrs().to_vec();
        keep_ports(&mut ports.listen, &addresses);
        let serve = Box::new(|stop| Box::pin(async { servers.run(stop).await.map_err(Into::into) }) as _);
        Ok(Bound { addresses, announce_urls, serve })
    }
}

/// Puts the ports that were drawn into the addresses that were asked for. If the machine lacks an address family, its addresses
/// are not bound; they stay, since the machine may have the family the next time.
fn keep_ports(asked: &mut [SocketAddr], bound: &[SocketAddr]) {
    let mut bound = bound.iter().peekable();
    for asked in asked {
        if let Some(bound) = bound.next_if(|bound| bound.ip() == asked.ip()) {
            asked.set_port(bound.port());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};
    use std::num::NonZeroUsize;
    use std::sync::Arc;

    use tracker_core::{Config, Shards};
    use tracker_host::Clock;
    use tracker_host::{Service, ServiceState};
    use tracker_http::HttpConfig;
    use tracker_udp::UdpConfig;

    use super::*;

    #[tokio::test]
    async fn a_port_that_was_drawn_stays() {
        let shards = Arc::new(Shards::new(Config::default(), NonZeroUsize::MIN, &mut rand::rng()).unwrap());
        let clock = Clock::start();
        let threads = NonZeroUsize::MIN;
        let http = HttpConfig::default().with(|config| config.threads = threads);
        let http = tracker_http::Adapter::new(Arc::clone(&shards), clock, http).unwrap();
        let udp =
            tracker_udp::Adapter::new(shards, clock, UdpConfig::default().with(|config| config.threads = threads))
                .unwrap();
        // An address of its own: what is given up no other test takes.
        let service =
            Service::new(ClientPorts::new(vec!["127.0.7.4:0".parse().unwrap()], http, Some(udp), Addresses::default()));

        let mut drawn = None;
        for _ in 0..3 {
            service.start().await.unwrap();
            let ServiceState::Running { addresses, announce_urls, .. } = service.state() else { panic!("{service:?}") };
            let address = *drawn.get_or_insert(addresses[0]);
            assert_eq!(addresses, [address]);
            assert_eq!(announce_urls, ["http", "udp"].map(|scheme| format!("{scheme}://{address}/announce")));
            TcpListener::bind(address).unwrap_err();
            UdpSocket::bind(address).unwrap_err();
            service.stop().await;
            TcpListener::bind(address).unwrap();
            UdpSocket::bind(address).unwrap();
        }

        let holder = UdpSocket::bind(drawn.unwrap()).unwrap();
        let error = service.start().await.unwrap_err().to_string();
        assert!(error.contains("over UDP") && error.contains("choose another port"), "{error}");
        drop(holder);
        service.start().await.unwrap();
        service.stop().await;
    }

    #[test]
    fn a_family_that_was_absent_is_asked_for_again() {
        let addresses = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<SocketAddr>>();
        for (asked, bound, kept) in [
            (["0.0.0.0:6969", "[::]:6969"], &["0.0.0.0:6969"][..], ["0.0.0.0:6969", "[::]:6969"]),
            (["0.0.0.0:0", "[::]:0"], &["[::]:50000"], ["0.0.0.0:0", "[::]:50000"]),
            (["127.0.0.1:0", "127.0.0.1:0"], &["127.0.0.1:5", "127.0.0.1:6"], ["127.0.0.1:5", "127.0.0.1:6"]),
        ] {
            let mut listen = addresses(&asked);
            keep_ports(&mut listen, &addresses(bound));
            assert_eq!(listen, addresses(&kept));
        }
    }
}
