//! A tracker with its page, put together from `tracker-core` and its adapters.

mod allow;
mod network;
mod protocol;
mod urls;

pub use allow::{Allow, ParseAllowError};
pub use network::{Network, ParseNetworkError};
pub use protocol::{Listening, Protocol};
pub use urls::{AnnounceUrls, DashboardUrls};
