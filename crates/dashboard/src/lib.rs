//! The dashboard of a tracker: its live web page, its JSON API, and its stream of events.
//!
//! The dashboard observes. It has a [`tracker_core::ShardsView`], which cannot change a swarm. What an operator changes (start,
//! stop, which torrents are known) goes through a [`tracker_host::Service`] and a [`torrent_library::Library`], which the
//! embedder wires to the tracker. All that it keeps is bounded, and no viewer delays an announce, however slowly it reads.

mod accounts;
mod client_list;
mod web;

pub use accounts::{
    Account, AccountChange, AccountRole, Accounts, AddAccountError, ChangeAccountsError, EditAccountError,
    ReadAccountsError,
};
pub use client_list::{
    ChangeClientListError, ClientList, ClientRule, Clients, ParseRuleError, ReadClientListError, Verdict,
};
pub use http_server::{BasePath, ParseBasePathError, Tls};
pub use web::{Dashboard, DashboardConfig, Server, Viewers, conflicts_with_page};
