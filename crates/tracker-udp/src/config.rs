//! The configuration.

use std::num::NonZeroUsize;
use std::thread;

use tracker_core::OutOfBounds;

/// Limits of the UDP adapter.
///
/// What a tracker does (intervals, limits on swarms and peers, who may announce) is [`tracker_core::Config`].
/// [`validate`](Self::validate) checks the bounds that are named here.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UdpConfig {
    /// Threads that serve each address, on Linux each with a socket of its own. Those of an address to which nothing comes
    /// sleep. Default: one per core, at most 1024.
    pub threads: NonZeroUsize,
    /// Bytes that requests may take up in the system while they wait for a thread, per socket. A request takes up about
    /// 1 kB; those that find no room are lost, and clients ask again after 15 s. Linux grants at most its `net.core.rmem_max`,
    /// 208 KiB unless somebody raised it; where a system refuses, the half is asked for, and so on. Default: 4 MiB, from 16 KiB
    /// to 1 GiB.
    pub receive_buffer_bytes: usize,
}

/// Why a configuration cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UdpConfigError {
    /// A number is too small or too large.
    #[error(transparent)]
    OutOfBounds(#[from] OutOfBounds),
}

impl UdpConfig {
    /// This configuration with some of its fields changed.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// Checks every field against its bounds. [`Adapter::new`](crate::Adapter::new) calls this.
    ///
    /// # Errors
    ///
    /// Returns [`UdpConfigError`] if a number is more than the server can keep.
    pub fn validate(&self) -> Result<(), UdpConfigError> {
        OutOfBounds::check([
            ("threads", self.threads.get() as u64, 1..=1024),
            ("receive_buffer_bytes", self.receive_buffer_bytes as u64, 16 << 10..=1 << 30),
        ])?;
        Ok(())
    }
}

impl Default for UdpConfig {
    fn default() -> Self {
        Self { threads: thread::available_parallelism().unwrap_or(NonZeroUsize::MIN), receive_buffer_bytes: 4 << 20 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid() {
        assert_eq!(UdpConfig::default().validate(), Ok(()));
    }

    #[test]
    fn each_bound_is_checked() {
        let base = UdpConfig::default;
        for (name, config) in [
            ("threads", UdpConfig { threads: NonZeroUsize::new(1025).unwrap(), ..base() }),
            ("receive_buffer_bytes", UdpConfig { receive_buffer_bytes: (16 << 10) - 1, ..base() }),
            ("receive_buffer_bytes", UdpConfig { receive_buffer_bytes: (1 << 30) + 1, ..base() }),
        ] {
            match config.validate() {
                Err(UdpConfigError::OutOfBounds(error)) => assert_eq!(error.name, name),
                Ok(()) => panic!("{name} was not checked: {config:?}"),
            }
        }
    }
}
