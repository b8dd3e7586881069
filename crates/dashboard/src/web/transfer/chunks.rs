//! What is read to be sent, as the chunks of a body.

use std::io;
use std::time::Instant;

use axum::body::Bytes;
use bytes::BytesMut;
use futures_util::{Stream, stream};

use super::Outgoing;

/// Bytes of one read. A connection holds two chunks at most: one that is being sent, and the next.
const CHUNK: usize = 256 << 10;

/// What is read from beginning to end to be sent.
pub(super) trait Source: Send + 'static {
    /// Bytes that are still to be read.
    fn left(&self) -> u64;

    /// The transfer that they belong to.
    fn outgoing(&mut self) -> &mut Outgoing;

    /// Reads the next bytes, exactly as many as the buffer has room for, which are not more than are left. Waits for the disk.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<()>;
}

/// The chunks of a source, as fast as its transfer may send them. A read that fails ends them, and so does a client that is too
/// slow to keep its place.
pub(super) fn chunks(source: impl Source) -> impl Stream<Item = io::Result<Bytes>> + Send {
    let given: Option<Instant> = None;
    stream::try_unfold((source, BytesMut::new(), given), async |(mut source, mut buffer, given)| {
        if let Some(given) = given {
            source.outgoing().waited(given.elapsed())?;
        }
        let left = source.left();
        if left == 0 {
            return Ok(None);
        }
        let want = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
        let len = source.outgoing().may_send(want, left).await;
        let disk = source.outgoing().disk();
        let read = disk.run(move |_| {
            // The memory is that of the chunk before, if it was sent.
            buffer.reserve(CHUNK);
            buffer.resize(len, 0);
            source.read(&mut buffer)?;
            source.outgoing().sent(len as u64);
            let chunk = buffer.split().freeze();
            Ok::<_, io::Error>((chunk, source, buffer))
        });
        let (chunk, source, buffer) = read.await.map_err(io::Error::other)??;
        Ok(Some((chunk, (source, buffer, Some(Instant::now())))))
    })
}
