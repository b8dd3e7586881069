//! A transfer in progress.

use std::io;
use std::time::Duration;

use http_server::ConnectionPermit;
use tracker_host::AddressGroup;
use tracker_monitor::TransferHandle;

use super::Transfers;
use super::disk::Disk;
use super::pace::Pace;

/// A transfer in progress: its place within the limits, held until it is dropped.
#[derive(Debug)]
pub(crate) struct Outgoing {
    _permit: ConnectionPermit,
    transfers: Transfers,
    group: AddressGroup,
    /// Bytes that may be sent at once.
    credit: u64,
    pace: Pace,
    /// Tells the monitor of it.
    handle: Option<TransferHandle>,
}

impl Outgoing {
    pub(super) fn new(permit: ConnectionPermit, transfers: Transfers, group: AddressGroup) -> Self {
        Self { _permit: permit, transfers, group, credit: 0, pace: Pace::default(), handle: None }
    }

    /// Where its file is read.
    pub(super) fn disk(&self) -> Disk {
        self.transfers.sending.clone()
    }

    /// Waits until some bytes may be sent, and returns how many: from 1 to `want`. `left` bytes are left to be sent in all.
    /// Neither must be 0.
    pub(crate) async fn may_send(&mut self, want: usize, left: u64) -> usize {
        let Some(limit) = &self.transfers.upload_limit else { return want };
        if self.credit == 0 {
            self.credit = limit.take(self.group, left).await;
        }
        let granted = want.min(usize::try_from(self.credit).unwrap_or(usize::MAX));
        self.credit -= granted as u64;
        granted
    }

    /// Bytes of a file or an archive are sent from now on. The monitor counts them by this handle.
    pub(crate) fn begin(&mut self, handle: TransferHandle) {
        self.handle = Some(handle);
    }

    /// So many more bytes were sent, or given to the connection to be sent.
    pub(crate) fn sent(&mut self, bytes: u64) {
        self.pace.sent(bytes);
        if let Some(handle) = &self.handle {
            handle.sent(bytes);
        }
    }

    /// The client was waited for until it took what it was sent.
    ///
    /// # Errors
    ///
    /// Returns an error if the client is [too slow](Pace) to keep its place, and there is none left for others.
    pub(crate) fn waited(&mut self, time: Duration) -> io::Result<()> {
        self.pace.waited(time);
        if self.pace.is_too_slow() && self.transfers.are_all_taken() {
            return Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the client is too slow, and others wait for its place",
            ));
        }
        Ok(())
    }
}
