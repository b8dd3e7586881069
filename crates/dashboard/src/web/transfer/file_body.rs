//! The bytes of a file as the body of a response.

use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::{Body, Bytes};
use bytes::BytesMut;
use futures_util::{Stream, TryFutureExt, stream};
use tokio::task::spawn_blocking;
use torrent_library::SharedFile;

use super::Outgoing;

/// Bytes of one read. A connection holds two chunks at most: one that is being sent, and the next.
const CHUNK: usize = 256 << 10;

/// A part of a file, on its way to a client.
#[derive(Debug)]
pub(crate) struct FileTransfer {
    pub(crate) file: SharedFile,
    /// The bytes that are still to be sent; at least one.
    pub(crate) rest: Range<u64>,
    pub(crate) outgoing: Outgoing,
}

/// The file transfer of a response: an extension of it. A server that can send a file by itself takes it, and leaves the body;
/// others send the body, which has the same bytes.
#[derive(Debug, Clone)]
pub(crate) struct Handover(Arc<Mutex<Option<FileTransfer>>>);

impl Handover {
    pub(super) fn new(transfer: FileTransfer) -> Self {
        Self(Arc::new(Mutex::new(Some(transfer))))
    }

    /// The transfer, unless it was taken already.
    pub(crate) fn take(&self) -> Option<FileTransfer> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// A body that begins the transfer when it is first polled.
    ///
    /// It fails when the file changes meanwhile, so that the connection is cut, and the client does not take a mixture for the file.
    pub(super) fn body(&self) -> Body {
        let handover = self.clone();
        let begin = async move {
            let transfer = handover.take().ok_or_else(|| io::Error::other("the transfer was taken by the server"))?;
            Ok::<_, io::Error>(transfer.chunks())
        };
        Body::from_stream(begin.try_flatten_stream())
    }
}

impl FileTransfer {
    fn chunks(self) -> impl Stream<Item = io::Result<Bytes>> {
        stream::try_unfold((self, BytesMut::new()), async |(mut transfer, mut buffer)| {
            let left = transfer.rest.end - transfer.rest.start;
            if left == 0 {
                return Ok(None);
            }
            let want = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
            let len = transfer.outgoing.may_send(want, left).await;
            let read = spawn_blocking(move || {
                // The memory is that of the chunk before, if it was sent.
                buffer.reserve(CHUNK);
                transfer.read(&mut buffer, len)?;
                transfer.outgoing.sent(len as u64);
                let chunk = buffer.split().freeze();
                Ok(Some((chunk, (transfer, buffer))))
            });
            read.await.map_err(io::Error::other)?
        })
    }

    /// Reads the next `len` bytes, of those that are left.
    fn read(&mut self, buffer: &mut BytesMut, len: usize) -> io::Result<()> {
        buffer.resize(len, 0);
        let Self { file, rest, .. } = self;
        file.file.seek(SeekFrom::Start(rest.start))?;
        file.file.read_exact(buffer)?;
        rest.start += len as u64;
        // With the last bytes it turns out whether all of them were of one file.
        if rest.is_empty() && !file.is_unchanged()? {
            return Err(io::Error::other("the file has changed while it was sent"));
        }
        Ok(())
    }
}
