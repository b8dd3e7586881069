//! Who looks at a page for everybody.

use std::net::{IpAddr, SocketAddr};

use axum::extract::rejection::ExtensionRejection;
use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;

use super::device::Device;
use crate::web::reached_at::ReachedAt;
use crate::web::role::Role;

/// Who looks at a page for everybody, and how.
#[derive(Debug, Clone, Copy)]
pub(super) struct Viewer {
    pub(super) role: Role,
    pub(super) address: IpAddr,
    pub(super) reached_at: ReachedAt,
    pub(super) device: Device,
}

impl<S: Send + Sync> FromRequestParts<S> for Viewer {
    type Rejection = ExtensionRejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ExtensionRejection> {
        let ConnectInfo(remote) = ConnectInfo::<SocketAddr>::from_request_parts(parts, state).await?;
        let Ok(role) = Role::from_request_parts(parts, state).await;
        let Ok(reached_at) = ReachedAt::from_request_parts(parts, state).await;
        let Ok(device) = Device::from_request_parts(parts, state).await;
        Ok(Self { role, address: remote.ip(), reached_at, device })
    }
}
