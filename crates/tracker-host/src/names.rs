//! Names of hosts, by the resolver of the system. `names_without_nss.rs` takes the place of this file in a static binary with glibc.

use std::net::IpAddr;

/// `true` if the resolver of the system finds names. In a static binary with glibc it would crash: there use
/// [`addresses_of`], which does without.
pub const HAS_SYSTEM_RESOLVER: bool = true;

/// The name of an address, if it has one.
pub(crate) fn name_of(address: IpAddr) -> Option<String> {
    // Without a name it is the address as text, which is no name either.
    dns_lookup::getnameinfo(&(address, 0).into(), 0).ok().map(|(name, _)| name)
}

/// The addresses of a host; none if it is not known. It may take as long as the name servers do.
pub fn addresses_of(host: &str) -> Vec<IpAddr> {
    dns_lookup::lookup_host(host).map(Iterator::collect).unwrap_or_default()
}
