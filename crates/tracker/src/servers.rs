//! The servers of all protocols, run together.

use std::future::Future;
use std::io;
use std::net::SocketAddr;

use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tracker_host::{BindError, run_until_one_ends};

use crate::protocol::{Listening, Protocol};

/// The maximum number of attempts to find a free port: another program may have it for the other protocol.
const DRAWS: usize = 16;

/// A server for each protocol, on the same addresses and ports.
#[derive(Debug)]
pub(crate) struct Servers {
    http: tracker_http::Server,
    udp: Option<tracker_udp::Server>,
}

/// A server that failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServerError {
    #[error("the HTTP server failed")]
    Http(#[source] io::Error),
    #[error("the UDP server failed")]
    Udp(#[source] io::Error),
    #[error(transparent)]
    Panicked(#[from] JoinError),
}

impl Servers {
    /// Listens on all the addresses. For port 0, which is any free one, both protocols get the same.
    pub(crate) fn bind(
        addresses: &[SocketAddr],
        http: &tracker_http::Adapter,
        udp: Option<&tracker_udp::Adapter>,
    ) -> Result<Self, BindError> {
        let bind_http = || tracker_http::Server::bind(addresses, http.clone());
        let Some(udp) = udp else { return Ok(Self { http: bind_http()?, udp: None }) };
        let (http, udp) =
            on_same_ports(addresses, bind_http, |http| tracker_udp::Server::bind(http.local_addrs(), udp.clone()))?;
        Ok(Self { http, udp: Some(udp) })
    }

    /// The addresses that are listened on, for each protocol.
    pub(crate) fn listening(&self) -> Listening {
        let udp = self.udp.as_ref().map(|udp| (Protocol::Udp, udp.local_addrs().to_vec()));
        [(Protocol::Http, self.http.local_addrs().to_vec())].into_iter().chain(udp).collect()
    }

    /// The addresses of the HTTP server, which all protocols have in common.
    pub(crate) fn http_addrs(&self) -> &[SocketAddr] {
        self.http.local_addrs()
    }

    /// Serves until `shutdown` is ready, and stops all servers gracefully then.
    ///
    /// # Errors
    ///
    /// Returns [`ServerError`] if one of them fails; the others are stopped.
    pub(crate) async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), ServerError> {
        let (stop, stopped) = watch::channel(());
        let stopped = || {
            let mut stopped = stopped.clone();
            // An error says that `stop` is gone, which is the sign.
            async move { _ = stopped.changed().await }
        };
        let mut servers = JoinSet::new();
        let http = self.http.run(stopped());
        servers.spawn(async { http.await.map_err(ServerError::Http) });
        if let Some(udp) = self.udp {
            let udp = udp.run(stopped());
            servers.spawn(async { udp.await.map_err(ServerError::Udp) });
        }
        run_together(servers, stop, shutdown).await
    }
}

/// Binds two servers to the same addresses. If port 0 is asked for, the system draws a free port for the first server; if that
/// port is not free for the second one, another is drawn.
fn on_same_ports<A, B>(
    addresses: &[SocketAddr],
    first: impl Fn() -> Result<A, BindError>,
    second: impl Fn(&A) -> Result<B, BindError>,
) -> Result<(A, B), BindError> {
    let mut draws = 1;
    loop {
        let one = first()?;
        match second(&one) {
            Ok(other) => return Ok((one, other)),
            Err(error) => {
                let port = error.address.port();
                let was_asked_for = addresses.iter().any(|address| address.port() == port);
                if was_asked_for || draws == DRAWS {
                    return Err(error);
                }
                draws += 1;
            }
        }
    }
}

/// Runs all of them until `shutdown` is ready or one of them ends. The others end when `stop` is dropped.
async fn run_together<S>(
    mut servers: JoinSet<Result<(), ServerError>>,
    stop: S,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServerError> {
    let ended = |ended: Result<Result<(), ServerError>, JoinError>| ended?;
    run_until_one_ends(|cx| servers.poll_join_next(cx).map(|next| next.map(ended)), stop, shutdown).await
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::future::{pending, ready};
    use std::io::ErrorKind;

    use tracker_host::Transport;

    use super::*;

    fn taken(port: u16) -> BindError {
        let source = ErrorKind::AddrInUse.into();
        BindError { address: ([127, 0, 0, 1], port).into(), transport: Transport::Udp, source }
    }

    /// The port that both get when `asked` is asked for, these are drawn, and the second server can have only some.
    fn same_port(asked: u16, drawn: &[u16], free: &[u16]) -> Result<u16, u16> {
        let draws = RefCell::new(drawn.iter().copied());
        let first = || Ok(if asked == 0 { draws.borrow_mut().next().expect("no more draws than that") } else { asked });
        let second = |&port: &u16| if free.contains(&port) { Ok(port) } else { Err(taken(port)) };
        match on_same_ports(&[([127, 0, 0, 1], asked).into()], first, second) {
            Ok((one, other)) => {
                assert_eq!(one, other);
                Ok(one)
            }
            Err(error) => Err(error.address.port()),
        }
    }

    #[test]
    fn a_free_port_is_free_for_both() {
        assert_eq!(same_port(0, &[4000], &[4000]), Ok(4000));
        assert_eq!(same_port(0, &[4000, 4001, 4002], &[4002]), Ok(4002));
        assert_eq!(same_port(7000, &[], &[7000]), Ok(7000));
        assert_eq!(same_port(7000, &[], &[]), Err(7000), "it was asked for, so that no other is tried");
        assert_eq!(same_port(0, &[4000; DRAWS], &[]), Err(4000), "it gives up");
    }

    /// A server that serves until it is stopped, and tells `ended` by dropping it.
    fn serving(
        servers: &mut JoinSet<Result<(), ServerError>>,
        mut stopped: watch::Receiver<()>,
        ended: watch::Sender<()>,
    ) {
        servers.spawn(async move {
            _ = stopped.changed().await;
            drop(ended);
            Ok(())
        });
    }

    #[tokio::test]
    async fn a_failed_server_stops_the_others_and_is_reported() {
        let (stop, stopped) = watch::channel(());
        let (ended, others) = watch::channel(());
        let mut servers = JoinSet::new();
        serving(&mut servers, stopped, ended);
        servers.spawn(async { Err(ServerError::Udp(io::Error::other("the socket is gone"))) });
        let error = run_together(servers, stop, pending()).await.unwrap_err();
        assert!(matches!(error, ServerError::Udp(_)), "{error}");
        assert!(others.has_changed().is_err(), "the other one has ended");
    }

    #[tokio::test]
    async fn a_failure_while_they_stop_is_reported() {
        let (stop, mut stopped) = watch::channel(());
        let (ended, _) = watch::channel(());
        let mut servers = JoinSet::new();
        serving(&mut servers, stopped.clone(), ended);
        servers.spawn(async move {
            _ = stopped.changed().await;
            Err(ServerError::Http(io::Error::other("a thread panicked")))
        });
        let error = run_together(servers, stop, ready(())).await.unwrap_err();
        assert!(matches!(error, ServerError::Http(_)), "{error}");
    }

    #[tokio::test]
    async fn a_requested_stop_is_no_failure() {
        let (stop, stopped) = watch::channel(());
        let (ended, others) = watch::channel(());
        let mut servers = JoinSet::new();
        serving(&mut servers, stopped, ended);
        run_together(servers, stop, ready(())).await.unwrap();
        assert!(others.has_changed().is_err());
    }
}
