//! How much is done at the same time, since clients of the tracker come before those who look.

use std::convert::Infallible;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::available_parallelism;

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use futures_util::stream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;

use super::problem::Problem;

/// Requests that wait for a processor, at most. What a page needs takes some milliseconds.
const MAX_WAITING: usize = 256;

/// Large answers at the same time, at most.
const MAX_LARGE: usize = 8;

/// From so many bytes on an answer is a large one.
const LARGE: usize = 1 << 20;

/// Bytes of a large answer that are sent at once.
const PIECE: usize = 64 << 10;

/// Places for work, and for what takes much memory.
#[derive(Debug)]
pub(super) struct Room {
    working: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    large: Arc<Semaphore>,
}

/// The place of a large answer, which is one until it is sent.
#[derive(Debug)]
pub(super) struct Place(OwnedSemaphorePermit);

impl Room {
    /// Half of the processors are for those who look, and one at least.
    pub(super) fn new() -> Self {
        let processors = available_parallelism().map_or(1, NonZeroUsize::get);
        Self::of(processors.div_ceil(2), MAX_WAITING, MAX_LARGE)
    }

    fn of(working: usize, waiting: usize, large: usize) -> Self {
        let [working, waiting, large] = [working, waiting, large].map(|places| Arc::new(Semaphore::new(places)));
        Self { working, waiting, large }
    }

    /// Does what takes long for everybody who asks: beside the event loop, and only so much of it at a time.
    pub(super) async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let place = Arc::clone(&self.waiting).try_acquire_owned().map_err(|_| {
            let why = "too many requests; try again in a few seconds";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, why)
        })?;
        let turn = Arc::clone(&self.working).acquire_owned().await.expect("it is never closed");
        drop(place);
        blocking(move || {
            // Also when nobody waits for it any more.
            let _turn = turn;
            work()
        })
        .await
    }

    /// A place for an answer of so many bytes, if it needs one.
    pub(super) fn place_for(&self, len: usize) -> Result<Option<Place>, Problem> {
        (len >= LARGE).then(|| self.large()).transpose()
    }

    /// A place for a large answer, if there is one.
    pub(super) fn large(&self) -> Result<Place, Problem> {
        Arc::clone(&self.large).try_acquire_owned().map(Place).map_err(|_| {
            let why = "too many downloads at once; try again in a few seconds";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, why)
        })
    }
}

impl Place {
    /// An answer that keeps the place until the last of these is sent.
    pub(super) fn body(self, chunks: impl Iterator<Item = Bytes> + Send + 'static) -> Body {
        Body::from_stream(stream::iter(chunks.map(move |chunk| {
            _ = &self.0;
            Ok::<_, Infallible>(chunk)
        })))
    }
}

/// These bytes as an answer.
pub(super) fn body(place: Option<Place>, bytes: Vec<u8>) -> Body {
    let Some(place) = place else { return bytes.into() };
    let mut rest = Bytes::from(bytes);
    let pieces = std::iter::from_fn(move || {
        let piece = rest.split_to(rest.len().min(PIECE));
        (!piece.is_empty()).then_some(piece)
    });
    place.body(pieces)
}

/// Does what waits for a disk, beside the event loop. For operators: of others there may be too many.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    spawn_blocking(work).await.map_err(|error| {
        tracing::error!(%error, "a request could not be answered");
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "this is a bug in the tracker: its log says more")
    })
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use http_body_util::BodyExt;
    use tokio::task::yield_now;

    use super::*;

    #[tokio::test]
    async fn so_many_work_and_wait() {
        let room = Arc::new(Room::of(1, 2, 0));
        let (go, goes) = mpsc::channel::<()>();
        let work = |room: &Arc<Room>, work: Box<dyn FnOnce() + Send>| {
            let room = Arc::clone(room);
            tokio::spawn(async move { room.work(work).await.map_err(|problem| problem.status) })
        };
        let first = work(&room, Box::new(move || goes.recv().unwrap()));
        while room.working.available_permits() > 0 {
            yield_now().await;
        }
        let others = [work(&room, Box::new(|| {})), work(&room, Box::new(|| {}))];
        while room.waiting.available_permits() > 0 {
            yield_now().await;
        }
        assert_eq!(work(&room, Box::new(|| {})).await.unwrap(), Err(StatusCode::SERVICE_UNAVAILABLE));
        go.send(()).unwrap();
        assert_eq!(first.await.unwrap(), Ok(()));
        for other in others {
            assert_eq!(other.await.unwrap(), Ok(()));
        }
        assert_eq!((room.working.available_permits(), room.waiting.available_permits()), (1, 2));
        let bug = room.work(|| panic!("a bug in a handler")).await;
        assert_eq!(bug.unwrap_err().status, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(room.working.available_permits(), 1);
    }

    #[tokio::test]
    async fn large_answers_have_their_place_until_they_are_sent() {
        let room = Room::of(1, 1, 1);
        let mut body = room.large().unwrap().body(["a", "b"].map(Bytes::from).into_iter());
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "a");
        assert_eq!(room.large().unwrap_err().status, StatusCode::SERVICE_UNAVAILABLE);
        drop(body);
        let body = room.large().unwrap().body(["a", "b"].map(Bytes::from).into_iter());
        assert_eq!(body.collect().await.unwrap().to_bytes(), "ab");

        assert!(room.place_for(LARGE - 1).unwrap().is_none());
        let place = room.place_for(3 * PIECE + LARGE).unwrap();
        assert!(room.place_for(LARGE).is_err() && room.place_for(1).is_ok());
        let bytes: Vec<_> = (0..3 * PIECE + LARGE).map(|byte| byte as u8).collect();
        assert_eq!(super::body(place, bytes.clone()).collect().await.unwrap().to_bytes(), bytes);
        room.large().unwrap();
    }
}
