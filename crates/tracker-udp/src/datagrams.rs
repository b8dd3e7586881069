//! Taking requests from a socket and sending the answers, in batches where the system has such calls.

#[cfg(all(target_os = "linux", not(portable)))]
#[path = "datagrams/linux.rs"]
mod system;
#[cfg(any(not(target_os = "linux"), portable))]
#[path = "datagrams/portable.rs"]
mod system;

pub(crate) use system::{Datagrams, prepare};
