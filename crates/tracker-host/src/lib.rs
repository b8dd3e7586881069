//! The machine that a tracker runs on: its clock, its addresses, its ports.
//!
//! [`tracker_core`] reads no clock and knows no network interface; this crate is what its embedders need, whatever
//! protocol they speak:
//!
//! - [`Clock`] is the time of all adapters of one tracker, and [`expire_swarms`] drops the peers that fell silent;
//! - [`Addresses`] are those by which other machines reach this one, [`host_names()`] are what they may call it, and
//!   [`NetworkChanges`] says when to look again, [`link_speed()`] is that of a link, and [`addresses_of`]
//!   finds hosts, also in a static binary;
//! - [`MdnsService`] takes a name in `.local` by multicast DNS;
//! - [`bind()`] takes the ports of a server, the same way for every protocol, [`BindError`] says which program has one that
//!   cannot be taken, and [`LogThrottle`] keeps a server's log short;
//! - [`run_threads`] runs the workers of a server until one fails, [`Refusals`] counts and logs the requests that it refused,
//!   [`AnswerTimes`] how long it took to answer, and [`ClaimedAddresses`] logs who announces another address than its own;
//! - [`AddressGroup`] is what counts as one address, for servers that know nothing else of the core, and [`UploadLimit`] the
//!   rate that all servers which send shared files keep to together;
//! - [`Pages`] says where people find the page that is beside a server for clients, and [`user_key()`] finds the key of a user in a
//!   tracker URL;
//! - [`Events`] hands the core's events to several listeners;
//! - [`Health`] knows what is wrong with which part of a tracker, and [`OpenFiles`] how near the limit of the system is;
//! - [`Service`] takes ports, serves them, and can be stopped and started again; [`WallClock`] gives the time of day at a moment
//!   of the tracker's clock.
//!
//! ```no_run
//! use std::num::NonZeroUsize;
//! use std::sync::Arc;
//! use tracker_core::{Access, Config, Shards};
//! use tracker_host::{Addresses, Clock, expire_swarms};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let addresses = Addresses::find()?;
//! let host_addresses = addresses.host();
//! let config = Config::default().with(|config| {
//!     config.host_addresses = host_addresses;
//!     config.own_addresses = addresses.all;
//!     config.container_networks = addresses.containers;
//!     config.gateways = addresses.gateways;
//!     config.access = Access::Lan { own: addresses.networks };
//! });
//! let shards = Arc::new(Shards::new(config, NonZeroUsize::new(16).unwrap(), &mut rand::rng())?);
//! let clock = Clock::start();
//! tokio::spawn(expire_swarms(Arc::clone(&shards), clock));
//! // Adapters get the swarms and a copy of the clock.
//! # Ok(())
//! # }
//! ```

mod addresses;
mod answer_times;
mod bind;
mod bind_error;
mod claimed_addresses;
mod clock;
mod events;
mod expiry;
mod gateways;
mod health;
mod host_names;
mod interface;
mod link_speed;
mod log_throttle;
mod mdns_name;
mod mdns_service;
// The one place that tells a static binary with glibc from others.
#[cfg_attr(all(target_os = "linux", target_env = "gnu", target_feature = "crt-static"), path = "names_without_nss.rs")]
mod names;
mod network_changes;
mod open_files;
mod pages;
mod refusals;
mod reverse_names;
mod service;
mod start_time;
mod upload_limit;
mod user_key;
mod wall_clock;
mod workers;

pub use addresses::Addresses;
pub use answer_times::{AnswerCounts, AnswerTimes};
pub use bind::{Transport, all_addresses, bind};
pub use bind_error::BindError;
pub use claimed_addresses::ClaimedAddresses;
pub use clock::Clock;
pub use events::{EventListener, Events};
pub use expiry::expire_swarms;
pub use health::{Health, HealthPart, HealthReport, PartHealth};
pub use host_names::host_names;
pub use link_speed::link_speed;
pub use log_throttle::LogThrottle;
pub use mdns_name::{MdnsName, ParseMdnsNameError};
pub use mdns_service::{MdnsError, MdnsService};
pub use names::{HAS_SYSTEM_RESOLVER, addresses_of};
pub use network_changes::NetworkChanges;
pub use open_files::OpenFiles;
pub use pages::Pages;
pub use refusals::Refusals;
pub use reverse_names::host_name;
pub use service::{Bind, Bound, Serve, Service, ServiceError, ServiceStartError, ServiceState, StopSignal};
pub use start_time::StartTime;
pub use tracker_core::AddressGroup;
pub use upload_limit::UploadLimit;
pub use user_key::user_key;
pub use wall_clock::{WallClock, unix_seconds};
pub use workers::{run_threads, run_until_one_ends};
