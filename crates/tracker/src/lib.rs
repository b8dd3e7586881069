//! A BitTorrent tracker with its page, put together: what the `tracker` program runs, for programs that embed it.
//!
//! [`LanTracker::builder`] joins the swarms of `tracker-core`, the servers of `tracker-http` and `tracker-udp`, the dashboard,
//! the folder of known torrents, and the expiry of silent peers. Programs that need only some of them use these crates
//! themselves. The configurations that the [`Builder`] takes are re-exported here.
//!
//! ```no_run
//! use tracker::LanTracker;
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let tracker = LanTracker::builder().start().await?;
//!     for url in tracker.announce_urls().all() {
//!         println!("announce URL: {url}");
//!     }
//!     tracker.run(async { _ = tokio::signal::ctrl_c().await }).await?;
//!     Ok(())
//! }
//! ```
//!
//! # What it does not do
//!
//! It reads no settings, listens for no signals and starts no log: the program does.

mod allow;
mod backup;
mod builder;
mod certificate_files;
mod client_list_keeper;
mod client_service;
mod data_folder;
mod error;
mod follower;
mod handle;
mod health;
mod json_file;
mod keeper_thread;
mod kept_path;
mod lan_tracker;
mod learnt;
mod manifest;
mod monitor_keeper;
mod network;
mod own_peer;
mod page;
mod page_name;
mod port_check;
mod protocol;
mod reach;
mod restore;
mod seeded;
mod servers;
mod share_folder;
mod swarm_keeper;
mod urls;
mod user_keeper;

pub use allow::{Allow, ParseAllowError};
pub use backup::{BackupError, BackupSummary, back_up};
pub use builder::{Builder, DASHBOARD_PORT, PEER_PORT, TRACKER_PORT};
pub use certificate_files::{CertificateFileError, check_certificate};
pub use dashboard::BasePath;
pub use data_folder::{DataFolder, DataFolderError};
pub use error::{RunError, StartError};
pub use handle::TrackerHandle;
pub use lan_tracker::LanTracker;
pub use metainfo::Existing;
pub use network::{Network, ParseNetworkError};
pub use port_check::{PortCheckError, reachable_here};
pub use protocol::{Listening, Protocol};
pub use reach::PAGE_LOG;
pub use restore::{RestoreError, RestoreSummary, restore};
pub use share_folder::{ShareFolderError, check_share_folder};
pub use tracker_core::Config;
pub use tracker_host::MdnsName;
pub use tracker_http::HttpConfig;
pub use tracker_monitor::LogBuffer;
pub use tracker_udp::UdpConfig;
pub use urls::{AnnounceUrls, DashboardUrls};
pub use user_keeper::{SavedUser, SavedUsers};
