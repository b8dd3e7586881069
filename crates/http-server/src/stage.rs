//! What may come on a connection before requests, and how far that has come.

use crate::foreign::ForeignProtocol;
use crate::handler::Connection;
use crate::proxy_header::{ProxyHeader, ProxyHeaderError};
use crate::shared::Shared;

/// What may come before requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// A header of the PROXY protocol, or TLS.
    Beginning,
    /// TLS.
    AfterHeader,
    /// Nothing.
    WithinTls,
}

/// What comes before requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layer {
    ProxyHeader,
    Tls,
}

impl Stage {
    /// What a connection begins with that sent these bytes, which are no request that is answered here.
    pub(crate) fn layer(self, bytes: &[u8], is_first: bool, connection: Connection, shared: &Shared) -> Option<Layer> {
        if !is_first || bytes.is_empty() {
            return None;
        }
        let is_header = || !matches!(ProxyHeader::parse(bytes), Err(ProxyHeaderError::Missing));
        if self == Self::Beginning && is_header() && shared.handler.sends_proxy_header(connection.remote().ip()) {
            return Some(Layer::ProxyHeader);
        }
        let is_tls = || ForeignProtocol::of(bytes) == Some(ForeignProtocol::Tls);
        (self != Self::WithinTls && shared.config.tls.is_some() && is_tls()).then_some(Layer::Tls)
    }
}
