//! A transfer in progress.

use http_server::ConnectionPermit;
use tracker_host::AddressGroup;
use tracker_monitor::TransferHandle;

use super::pacer::Pacer;

/// A transfer in progress: its place within the limits, held until it is dropped.
#[derive(Debug)]
pub(crate) struct Outgoing {
    _permit: ConnectionPermit,
    pacer: Option<Pacer>,
    group: AddressGroup,
    /// Bytes that may be sent at once.
    credit: u64,
    /// Tells the monitor of it.
    handle: Option<TransferHandle>,
}

impl Outgoing {
    pub(super) fn new(permit: ConnectionPermit, pacer: Option<Pacer>, group: AddressGroup) -> Self {
        Self { _permit: permit, pacer, group, credit: 0, handle: None }
    }

    /// Waits until some bytes may be sent, and returns how many: from 1 to `want`. `left` bytes are left to be sent in all. Neither
    /// must be 0.
    pub(crate) async fn may_send(&mut self, want: usize, left: u64) -> usize {
        let Some(pacer) = &self.pacer else { return want };
        if self.credit == 0 {
            self.credit = pacer.take(self.group, left).await;
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
    pub(crate) fn sent(&self, bytes: u64) {
        if let Some(handle) = &self.handle {
            handle.sent(bytes);
        }
    }
}
