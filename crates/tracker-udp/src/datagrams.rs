//! Taking requests from a socket and sending the answers, in batches where the system has such calls.

#[cfg(target_os = "linux")]
#[path = "datagrams/linux.rs"]
mod system;
#[cfg(not(target_os = "linux"))]
#[path = "datagrams/portable.rs"]
mod system;

pub(crate) use system::{Datagrams, prepare};
