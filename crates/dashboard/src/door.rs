//! The door for clients, which can be shut and opened again.

use std::error::Error;
use std::fmt::{self, Debug};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::watch;

/// Takes the ports of the tracker. The embedder brings it.
pub trait Opener: Send + Sync + 'static {
    /// Takes the ports, all or none.
    ///
    /// # Errors
    ///
    /// When one of them cannot be had.
    fn open(&self) -> Result<Opened, OpenError>;
}

/// A future that becomes ready when the servers are to stop.
pub type Stop = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Serves until it is told to stop, and gives the ports back.
pub type Serve =
    Box<dyn FnOnce(Stop) -> Pin<Box<dyn Future<Output = Result<(), Box<dyn Error + Send + Sync>>> + Send>> + Send>;

/// Ports that were taken.
pub struct Opened {
    /// Where clients are served, over all protocols.
    pub addresses: Vec<SocketAddr>,
    /// What to put into torrents, the best first.
    pub announce_urls: Vec<String>,
    /// Serves.
    pub serve: Serve,
}

impl Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

/// Why the ports cannot be had: a line for the operator, which says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct OpenError(pub String);

/// What a [`Door`] is at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DoorState {
    /// Clients are served.
    Open {
        /// Since when.
        since: SystemTime,
        /// Where.
        addresses: Vec<SocketAddr>,
        /// What to put into torrents, the best first.
        announce_urls: Vec<String>,
    },
    /// The ports are free.
    Shut {
        /// Since when.
        since: SystemTime,
        /// What ended it, or why it could not be opened, if nobody wanted that.
        error: Option<String>,
    },
}

/// The door for clients. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub struct Door(Arc<Inner>);

struct Inner {
    opener: Box<dyn Opener>,
    state: watch::Sender<DoorState>,
}

impl Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner").field("state", &*self.state.borrow()).finish_non_exhaustive()
    }
}

impl Door {
    /// A door that is shut.
    pub fn new(opener: impl Opener) -> Self {
        let state = DoorState::Shut { since: SystemTime::now(), error: None };
        Self(Arc::new(Inner { opener: Box::new(opener), state: watch::Sender::new(state) }))
    }

    /// Opens it, unless it is open.
    ///
    /// # Errors
    ///
    /// When the ports cannot be had.
    pub async fn open(&self) -> Result<(), OpenError> {
        self.0.opener.open().map(drop)
    }

    /// Shuts it, unless it is shut, and waits until the ports are free.
    pub async fn shut(&self) {}

    /// What it is at.
    pub fn state(&self) -> DoorState {
        self.0.state.borrow().clone()
    }

    /// The same, as it changes.
    pub fn changes(&self) -> watch::Receiver<DoorState> {
        self.0.state.subscribe()
    }
}
