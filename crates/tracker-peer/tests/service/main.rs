//! The service against peers that the test plays: real sockets, the real protocol.

mod hostile;
#[cfg(target_os = "linux")]
mod lan;
mod looking;
mod seeding;
mod starting;
mod support;
