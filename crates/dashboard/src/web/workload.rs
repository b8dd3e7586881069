//! Limits on concurrent work of the dashboard: clients of the tracker come before viewers.

use std::convert::Infallible;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::available_parallelism;

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use futures_util::stream;
use http_server::{ConnectionLimit, ConnectionPermit};
use tokio::sync::Semaphore;
use tokio::task::{JoinError, spawn_blocking};

use super::client::Client;
use super::problem::Problem;

/// The maximum number of requests that wait for a processor. A page takes some milliseconds.
const MAX_WAITING: usize = 256;

/// The maximum number of large responses at the same time.
const MAX_LARGE: usize = 8;

/// The maximum number of large responses to one address at the same time.
const MAX_LARGE_PER_ADDRESS: usize = 2;

/// The number of large responses that are reserved for this machine.
const LARGE_RESERVED: usize = 2;

/// The size in bytes from which a response is a large one.
const LARGE: usize = 1 << 20;

/// The number of bytes of a large response that are sent at once.
const PIECE: usize = 64 << 10;

/// Limits work that takes processor time, and responses that take much memory.
#[derive(Debug)]
pub(super) struct Workload {
    working: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    large: Arc<ConnectionLimit>,
}

/// The permit of a large response, held until it is sent.
#[derive(Debug)]
pub(super) struct Permit(ConnectionPermit);

impl Workload {
    /// Viewers get half of the processors, and at least one.
    pub(super) fn new() -> Self {
        let processors = available_parallelism().map_or(1, NonZeroUsize::get);
        let large = ConnectionLimit::new(MAX_LARGE, MAX_LARGE_PER_ADDRESS, LARGE_RESERVED);
        Self::of(processors.div_ceil(2), MAX_WAITING, large)
    }

    fn of(working: usize, waiting: usize, large: ConnectionLimit) -> Self {
        let [working, waiting] = [working, waiting].map(|permits| Arc::new(Semaphore::new(permits)));
        Self { working, waiting, large: Arc::new(large) }
    }

    /// Runs a closure off the event loop, at most as many at the same time as viewers get processors.
    pub(super) async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
        let permit = Arc::clone(&self.waiting).try_acquire_owned().map_err(|_| {
            let why = "too many requests; try again in a few seconds";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, why)
        })?;
        let turn = Arc::clone(&self.working).acquire_owned().await.expect("the semaphore is never closed");
        drop(permit);
        blocking(move || {
            // Held until the work is done, even if the request was dropped.
            let _turn = turn;
            work()
        })
        .await
    }

    /// A permit for a response of this size; `None` if it needs none.
    pub(super) fn permit_for(&self, len: usize, client: Client) -> Result<Option<Permit>, Problem> {
        (len >= LARGE).then(|| self.large(client)).transpose()
    }

    /// A permit for a large response to this client, if the limits allow one more.
    pub(super) fn large(&self, client: Client) -> Result<Permit, Problem> {
        self.large.acquire(client.group, client.is_this_machine).map(Permit).map_err(|_| {
            let why = "too many downloads at once; try again in a few seconds";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, why)
        })
    }
}

impl Permit {
    /// A body that holds the permit until its last chunk is sent.
    pub(super) fn body(self, chunks: impl Iterator<Item = Bytes> + Send + 'static) -> Body {
        Body::from_stream(stream::iter(chunks.map(move |chunk| {
            _ = &self.0;
            Ok::<_, Infallible>(chunk)
        })))
    }
}

/// A body of these bytes.
pub(super) fn body(permit: Option<Permit>, bytes: Vec<u8>) -> Body {
    let Some(permit) = permit else { return bytes.into() };
    let mut rest = Bytes::from(bytes);
    let pieces = std::iter::from_fn(move || {
        let piece = rest.split_to(rest.len().min(PIECE));
        (!piece.is_empty()).then_some(piece)
    });
    permit.body(pieces)
}

/// Runs a closure that waits for a disk off the event loop, without a limit: for operators only.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    spawn_blocking(work).await.map_err(bug)
}

/// The problem of a request whose work ended with a panic.
pub(super) fn bug(error: JoinError) -> Problem {
    tracing::error!(%error, "a request could not be answered");
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "this is a bug in the tracker: its log says more")
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;
    use std::sync::mpsc;

    use http_body_util::BodyExt;
    use rand::SeedableRng;
    use rand::rngs::StdRng;
    use tokio::task::yield_now;
    use tracker_core::{Config, Shards};

    use super::*;

    #[tokio::test]
    async fn so_many_run_and_wait() {
        let workload = Arc::new(Workload::of(1, 2, ConnectionLimit::new(0, 0, 0)));
        let (go, goes) = mpsc::channel::<()>();
        let work = |workload: &Arc<Workload>, work: Box<dyn FnOnce() + Send>| {
            let workload = Arc::clone(workload);
            tokio::spawn(async move { workload.run(work).await.map_err(|problem| problem.status) })
        };
        let first = work(&workload, Box::new(move || goes.recv().unwrap()));
        while workload.working.available_permits() > 0 {
            yield_now().await;
        }
        let others = [work(&workload, Box::new(|| {})), work(&workload, Box::new(|| {}))];
        while workload.waiting.available_permits() > 0 {
            yield_now().await;
        }
        assert_eq!(work(&workload, Box::new(|| {})).await.unwrap(), Err(StatusCode::SERVICE_UNAVAILABLE));
        go.send(()).unwrap();
        assert_eq!(first.await.unwrap(), Ok(()));
        for other in others {
            assert_eq!(other.await.unwrap(), Ok(()));
        }
        assert_eq!((workload.working.available_permits(), workload.waiting.available_permits()), (1, 2));
        let bug = workload.run(|| panic!("a bug in a handler")).await;
        assert_eq!(bug.unwrap_err().status, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(workload.working.available_permits(), 1);
    }

    #[tokio::test]
    async fn a_large_response_holds_its_permit_until_it_is_sent() {
        let workload = Workload::of(1, 1, ConnectionLimit::new(1, 1, 0));
        let client = client("10.0.0.2");
        let mut body = workload.large(client).unwrap().body(["a", "b"].map(Bytes::from).into_iter());
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "a");
        assert_eq!(workload.large(client).unwrap_err().status, StatusCode::SERVICE_UNAVAILABLE);
        drop(body);
        let body = workload.large(client).unwrap().body(["a", "b"].map(Bytes::from).into_iter());
        assert_eq!(body.collect().await.unwrap().to_bytes(), "ab");

        assert!(workload.permit_for(LARGE - 1, client).unwrap().is_none());
        let permit = workload.permit_for(3 * PIECE + LARGE, client).unwrap();
        assert!(workload.permit_for(LARGE, client).is_err() && workload.permit_for(1, client).is_ok());
        let bytes: Vec<_> = (0..3 * PIECE + LARGE).map(|byte| byte as u8).collect();
        assert_eq!(super::body(permit, bytes.clone()).collect().await.unwrap().to_bytes(), bytes);
        workload.large(client).unwrap();
    }

    #[test]
    fn one_address_does_not_hold_all_large_responses() {
        let workload = Workload::new();
        let of_one: Vec<_> = (0..8).map_while(|_| workload.large(client("10.0.0.2")).ok()).collect();
        assert_eq!(of_one.len(), 2);
        // Any addresses of one machine in another network are one.
        let of_another: Vec<_> =
            (1..9).map_while(|host| workload.large(client(&format!("2001:db8::{host}"))).ok()).collect();
        assert_eq!(of_another.len(), 2);
        let others: Vec<_> = (3..9).map_while(|host| workload.large(client(&format!("10.0.0.{host}"))).ok()).collect();
        assert_eq!(others.len(), 2);
        assert!(workload.large(client("127.0.0.1")).is_ok(), "the operator's own machine has a reserve");
    }

    #[test]
    fn hosts_of_any_own_64_are_each_one_address() {
        // By the other /64 of the machine, or through a proxy.
        for local in ["fd77::1", "10.0.0.1", "127.0.0.1"] {
            let group = |address: &str| client_by(address, local).group;
            assert_ne!(group("2001:db8:77::2"), group("2001:db8:77::3"), "{local}");
            assert_eq!(group("2001:db8:77::2").network(), Some("2001:db8:77::".parse().unwrap()), "{local}");
            assert_eq!(group("2001:db8:78::2"), group("2001:db8:78::3"), "{local}");
        }
    }

    /// A client whose request came to fd77::1.
    fn client(address: &str) -> Client {
        client_by(address, "fd77::1")
    }

    /// A client whose request came to `local`, on a machine that is in 2001:db8:77::/64 too.
    fn client_by(address: &str, local: &str) -> Client {
        let config = Config::default().with(|config| config.own_addresses = vec!["2001:db8:77::1".parse().unwrap()]);
        let shards = Shards::new(config, NonZeroUsize::MIN, &mut StdRng::seed_from_u64(1)).unwrap();
        Client::new(&Arc::new(shards).into(), address.parse().unwrap(), Some(local.parse().unwrap()))
    }
}
