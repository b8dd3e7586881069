//! Names of hosts in a static binary: by the hosts file and the name servers of the system.
//!
//! For names glibc loads the libraries that /etc/nsswitch.conf lists, also in a static binary. There it crashes if they are for another
//! version of glibc, as on most systems but the one that built it. So a static binary must not ask glibc; what is here does not.
//! Multicast DNS, and what else such libraries know, it does without. musl has no such libraries, and needs none of this.
//!
//! One way to them is left: the home folder of a user who has neither `HOME` nor a line in /etc/passwd. systemd and sudo set `HOME`.

use std::net::IpAddr;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::ResolverConfig;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;
use tokio::runtime::{Builder, Runtime};

/// `true` if the resolver of the system finds names. In a static binary with glibc it would crash: there use
/// [`addresses_of`], which does without.
pub const HAS_SYSTEM_RESOLVER: bool = false;

/// The name of an address, if it has one.
pub(crate) fn name_of(address: IpAddr) -> Option<String> {
    let (runtime, resolver) = resolver()?;
    let found = runtime.block_on(resolver.reverse_lookup(address)).ok()?;
    found.answers().iter().find_map(|record| match &record.data {
        RData::PTR(name) => Some(name.to_utf8()),
        _ => None,
    })
}

/// The addresses of a host; none if it is not known. It may take as long as the name servers do.
pub fn addresses_of(host: &str) -> Vec<IpAddr> {
    let Some((runtime, resolver)) = resolver() else { return Vec::new() };
    runtime.block_on(resolver.lookup_ip(host)).map(|found| found.iter().collect()).unwrap_or_default()
}

/// A resolver by what the system's files say now, and the runtime that its lookups need. Lookups are few.
fn resolver() -> Option<(Runtime, TokioResolver)> {
    let runtime = Builder::new_current_thread().enable_io().enable_time().build().ok()?;
    // Without name servers there is still the hosts file.
    let builder = TokioResolver::builder_tokio().unwrap_or_else(|_| {
        TokioResolver::builder_with_config(ResolverConfig::default(), TokioRuntimeProvider::default())
    });
    let resolver = builder.build().ok()?;
    Some((runtime, resolver))
}
