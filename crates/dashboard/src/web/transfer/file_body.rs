//! The bytes of a file as the body of a response.

use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use futures_util::TryFutureExt;
use torrent_library::{Content, Contents, SharedFile};
use tracker_monitor::Way;

use super::Outgoing;
use super::chunks::{Source, chunks};

/// A part of a file, on its way to a client.
#[derive(Debug)]
pub(crate) struct FileTransfer {
    pub(crate) file: SharedFile,
    /// What it belongs to.
    pub(crate) content: Arc<Content>,
    pub(crate) way: Way,
    pub(crate) contents: Contents,
    /// The bytes that are still to be sent; at least one.
    pub(crate) rest: Range<u64>,
    pub(crate) outgoing: Outgoing,
}

impl FileTransfer {
    /// Fails if the file has been written to since it was opened, and reports that to those who look after what is shared; or if its
    /// content was found to be damaged, or is not given to BitTorrent clients any more and this is one. If it succeeds, what was read before is of the file as it was shared, as far as is known.
    pub(crate) fn check(&self) -> io::Result<()> {
        if self.contents.is_damaged(self.content.id()) {
            return Err(io::Error::other("the file is damaged"));
        }
        let torrent = || self.contents.info_hash_of(self.content.id());
        if self.way == Way::WebSeed && torrent().is_some_and(|info_hash| self.contents.is_stopped(&info_hash)) {
            return Err(io::Error::other("the operator has stopped giving the file"));
        }
        if self.file.is_unchanged()? {
            return Ok(());
        }
        self.contents.report_changed(self.content.id());
        Err(io::Error::other("the file has changed while it was sent"))
    }

    /// Reads the next bytes that are to be sent, as many as the buffer has room for. Fails if they may be of a changed file.
    pub(crate) fn read_next(&self, buffer: &mut [u8]) -> io::Result<()> {
        let mut file = &self.file.file;
        file.seek(SeekFrom::Start(self.rest.start))?;
        let read = file.read_exact(buffer);
        // One that was cut off is a change, too.
        self.check()?;
        read
    }
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
    /// It fails when the file changes meanwhile, so that the connection is cut, and the client does not take a mixture for the
    /// file.
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
        self.read_next(buffer)?;
        self.rest.start += buffer.len() as u64;
        Ok(())
    }
}
