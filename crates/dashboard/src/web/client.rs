//! The sender of a request, as limits per address count it.

use std::net::{IpAddr, SocketAddr};

use axum::extract::rejection::ExtensionRejection;
use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::Extensions;
use axum::http::request::Parts;
use tracker_core::ShardsView;
use tracker_host::AddressGroup;

use super::Dashboard;
use super::server::is_this_machine;

/// The sender of a request, as limits per address count it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Client {
    /// Its address, canonical.
    pub(crate) address: IpAddr,
    /// What its address counts as.
    pub(crate) group: AddressGroup,
    pub(crate) is_this_machine: bool,
}

/// The address of this machine that a request came to, with the port of the listener: an extension of the requests of the
/// dashboard's own server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LocalAddress(pub(crate) SocketAddr);

/// What a request came through: an extension of the requests of the dashboard's own server. Without it, nothing is known of that.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct CameThrough {
    /// `true` for TLS.
    pub(crate) tls: bool,
    /// `true` for a proxy that sent a header of the PROXY protocol.
    pub(crate) proxy: bool,
}

impl CameThrough {
    pub(crate) fn of(extensions: &Extensions) -> Self {
        extensions.get().copied().unwrap_or_default()
    }
}

impl Client {
    /// The client at `remote`, which must be canonical. Without `local`, the address of this machine that its request came to,
    /// an IPv6 address counts by itself.
    pub(crate) fn new(shards: &ShardsView, remote: IpAddr, local: Option<IpAddr>) -> Self {
        let group = shards.address_group(remote, local.unwrap_or(remote));
        Self { address: remote, group, is_this_machine: is_this_machine(remote) }
    }
}

impl FromRequestParts<Dashboard> for Client {
    type Rejection = ExtensionRejection;

    async fn from_request_parts(parts: &mut Parts, dashboard: &Dashboard) -> Result<Self, ExtensionRejection> {
        let ConnectInfo(remote) = ConnectInfo::<SocketAddr>::from_request_parts(parts, dashboard).await?;
        let local = parts.extensions.get().map(|&LocalAddress(local)| local.ip());
        Ok(Self::new(&dashboard.0.config.shards, remote.ip(), local))
    }
}
