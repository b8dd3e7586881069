//! Errors of starting and running a tracker.

use std::io;

use dashboard::ReadClientListError;
use tokio::task::JoinError;
use torrent_library::{LibraryError, ListError};
use tracker_core::ConfigError;
use tracker_host::{BindError, ServiceStartError};
use tracker_http::HttpConfigError;
use tracker_monitor::NamesFileError;
use tracker_udp::UdpConfigError;

use crate::certificate_files::CertificateFileError;
use crate::share_folder::ShareFolderError;

/// A tracker that cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A value of the core's configuration is out of bounds.
    #[error("a setting cannot be used")]
    Core(#[from] ConfigError),
    /// A value of the HTTP adapter's configuration is out of bounds.
    #[error("a setting cannot be used")]
    Http(#[from] HttpConfigError),
    /// A value of the UDP adapter's configuration is out of bounds.
    #[error("a setting cannot be used")]
    Udp(#[from] UdpConfigError),
    /// The folder of .torrent files cannot be used.
    #[error(transparent)]
    Library(#[from] LibraryError),
    /// The allow list or the deny list cannot be used.
    #[error(transparent)]
    List(#[from] ListError),
    /// The list of clients cannot be used.
    #[error(transparent)]
    ClientList(#[from] ReadClientListError),
    /// The file with the names of computers cannot be used.
    #[error(transparent)]
    Names(#[from] NamesFileError),
    /// The share folder cannot be used.
    #[error(transparent)]
    Share(#[from] ShareFolderError),
    /// The tracker's own peer cannot be started.
    #[error(transparent)]
    Peer(#[from] tracker_peer::StartError),
    /// An address for clients cannot be listened on.
    #[error("{error}: {advice}")]
    Clients {
        /// The error.
        error: BindError,
        /// [`BindError::advice`].
        advice: String,
    },
    /// An address for the dashboard cannot be listened on.
    #[error("{error} for the dashboard: {advice}")]
    Dashboard {
        /// The error.
        error: BindError,
        /// [`BindError::advice`].
        advice: String,
    },
    /// The tracker is for [users](crate::Builder::users), and has no data folder, or cannot read the accounts in it.
    #[error("there is no file of users that can be read: see the log, or name a data folder")]
    NoUsers,
    /// The certificate or its key cannot be used.
    #[error(transparent)]
    Certificate(#[from] CertificateFileError),
    /// The servers for clients cannot start for another reason.
    #[error(transparent)]
    Service(ServiceStartError),
    /// A thread cannot be started.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
}

impl StartError {
    /// May block: see [`BindError::advice`].
    pub(crate) fn clients(error: BindError) -> Self {
        Self::Clients { advice: error.advice(), error }
    }

    /// May block: see [`BindError::advice`].
    pub(crate) fn dashboard(error: BindError) -> Self {
        Self::Dashboard { advice: error.advice(), error }
    }
}

impl From<ServiceStartError> for StartError {
    fn from(error: ServiceStartError) -> Self {
        match error {
            ServiceStartError::Bind(error) => match error.downcast() {
                Ok(error) => *error,
                Err(error) => Self::Service(ServiceStartError::Bind(error)),
            },
            error => Self::Service(error),
        }
    }
}

/// A tracker that failed while it ran.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The servers for clients failed, and there is no dashboard from which they could be started again, or they failed while
    /// the tracker stopped.
    #[error("{reason}")]
    Clients {
        /// The error, with its sources.
        reason: String,
    },
    /// The dashboard's server failed.
    #[error("the server of the dashboard failed")]
    Dashboard(#[source] io::Error),
    /// The task that drops silent peers ended. Only a bug ends it, and without it swarms fill up with peers that are gone.
    #[error("the expiry task ended unexpectedly")]
    Expiry {
        /// The panic, if that is what ended it.
        source: Option<JoinError>,
    },
    /// A task panicked.
    #[error(transparent)]
    Panicked(#[from] JoinError),
    /// The thread that takes in the last events cannot be started.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
}
