//! How a static binary finds the host of a URL, without the libraries of the system (see [`tracker_host::addresses_of`]).

use std::net::SocketAddr;

use tracker_host::addresses_of;
use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// The maximum number of addresses of a host that are tried, as many as [`ResolvedSocketAddrs`] has room for.
const MAX_ADDRESSES: usize = 16;

/// The port of a URL that names none.
const HTTP_PORT: u16 = 80;

/// Finds hosts by the hosts file and the name servers of the system.
#[derive(Debug)]
pub(crate) struct StaticResolver;

impl Resolver for StaticResolver {
    fn resolve(&self, uri: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let host = uri.host().ok_or(Error::HostNotFound)?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = uri.port_u16().unwrap_or(HTTP_PORT);
        let mut found = self.empty();
        for address in addresses_of(host).into_iter().take(MAX_ADDRESSES) {
            found.push(SocketAddr::new(address, port));
        }
        if found.is_empty() { Err(Error::HostNotFound) } else { Ok(found) }
    }
}
