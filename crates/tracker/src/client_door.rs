//! The door for clients: what is opened and shut from the dashboard.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};

use dashboard::{Failures, OpenError, Opened, Opener};

use crate::bind_advice::bind_advice;
use crate::servers::Servers;
use tracker::AnnounceUrls;
use tracker::Listening;

/// Takes the ports for clients, for all protocols.
#[derive(Debug)]
pub(crate) struct ClientDoor {
    place: Mutex<Place>,
    http: tracker_http::Adapter,
    udp: Option<tracker_udp::Adapter>,
    /// The machine's addresses.
    lan: Vec<IpAddr>,
}

/// Where to listen.
#[derive(Debug)]
struct Place {
    /// As asked for, with the free ports that were drawn, which stand in torrents from then on.
    listen: Vec<SocketAddr>,
    /// What came of it the last time.
    listening: Listening,
}

impl ClientDoor {
    /// It serves these adapters at all of `listen`, on a machine with these LAN addresses.
    pub(crate) fn new(
        listen: Vec<SocketAddr>,
        http: tracker_http::Adapter,
        udp: Option<tracker_udp::Adapter>,
        lan: Vec<IpAddr>,
    ) -> Self {
        Self { place: Mutex::new(Place { listen, listening: Vec::new() }), http, udp, lan }
    }

    /// Where it listens, or did.
    pub(crate) fn listening(&self) -> Listening {
        self.place().listening.clone()
    }

    /// Counts the requests so far that the adapters could not read, or refused.
    pub(crate) fn failures(&self) -> impl Fn() -> Failures + Send + 'static {
        let (http, udp) = (self.http.clone(), self.udp.clone());
        move || Failures { http: http.failures(), udp: udp.as_ref().map_or(0, tracker_udp::Adapter::failures) }
    }

    fn place(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Opener for ClientDoor {
    fn open(&self) -> Result<Opened, OpenError> {
        let mut place = self.place();
        let servers = Servers::bind(&place.listen, &self.http, self.udp.as_ref());
        let servers = servers.map_err(|error| OpenError(bind_advice(&error, &self.lan)))?;
        place.listening = servers.listening();
        for (protocol, addresses) in &place.listening {
            for address in addresses {
                tracing::info!(%address, protocol = protocol.name(), "listening");
            }
        }
        let announce_urls = AnnounceUrls::new(&place.listening, &self.lan).all().collect();
        let addresses = servers.http_addrs().to_vec();
        keep_ports(&mut place.listen, &addresses);
        let serve = Box::new(|stop| Box::pin(async { servers.run(stop).await.map_err(Into::into) }) as _);
        Ok(Opened { addresses, announce_urls, serve })
    }
}

/// Puts the ports that were drawn into what was asked for. Of these addresses those of a family that the machine does not
/// have at the time were left out, and may be had the next time.
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

    use dashboard::{Door, DoorState};
    use tracker_core::{Config, Shards};
    use tracker_host::Clock;
    use tracker_http::HttpConfig;
    use tracker_udp::UdpConfig;

    use super::*;

    #[tokio::test]
    async fn a_port_that_was_drawn_stays() {
        let shards = Arc::new(Shards::new(Config::default(), NonZeroUsize::MIN, &mut rand::rng()).unwrap());
        let clock = Clock::start();
        let threads = NonZeroUsize::MIN;
        let http = HttpConfig { threads, ..HttpConfig::default() };
        let http = tracker_http::Adapter::new(Arc::clone(&shards), clock, http).unwrap();
        let udp = tracker_udp::Adapter::new(shards, clock, UdpConfig { threads, ..UdpConfig::default() }).unwrap();
        // An address of its own: what is given up no other test takes.
        let door = Door::new(ClientDoor::new(vec!["127.0.7.4:0".parse().unwrap()], http, Some(udp), Vec::new()));

        let mut drawn = None;
        for _ in 0..3 {
            door.open().await.unwrap();
            let DoorState::Open { addresses, announce_urls, .. } = door.state() else { panic!("{door:?}") };
            let address = *drawn.get_or_insert(addresses[0]);
            assert_eq!(addresses, [address]);
            assert_eq!(announce_urls, ["http", "udp"].map(|scheme| format!("{scheme}://{address}/announce")));
            TcpListener::bind(address).unwrap_err();
            UdpSocket::bind(address).unwrap_err();
            door.shut().await;
            TcpListener::bind(address).unwrap();
            UdpSocket::bind(address).unwrap();
        }

        let holder = UdpSocket::bind(drawn.unwrap()).unwrap();
        let error = door.open().await.unwrap_err().to_string();
        assert!(error.contains("over UDP") && error.contains("--listen"), "{error}");
        drop(holder);
        door.open().await.unwrap();
        door.shut().await;
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
