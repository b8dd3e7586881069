//! The bytes of a file as the body of a response.

use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use futures_util::TryFutureExt;
use torrent_library::SharedFile;

use super::Outgoing;
use super::chunks::{Source, chunks};

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
            Ok::<_, io::Error>(chunks(transfer))
        };
        Body::from_stream(begin.try_flatten_stream())
    }
}

impl Source for FileTransfer {
    fn left(&self) -> u64 {
        self.rest.end - self.rest.start
    }

    fn outgoing(&mut self) -> &mut Outgoing {
        &mut self.outgoing
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        let Self { file, rest, .. } = self;
        file.file.seek(SeekFrom::Start(rest.start))?;
        file.file.read_exact(buffer)?;
        rest.start += buffer.len() as u64;
        // With the last bytes it turns out whether all of them were of one file.
        if rest.is_empty() && !file.is_unchanged()? {
            return Err(io::Error::other("the file has changed while it was sent"));
        }
        Ok(())
    }
}
