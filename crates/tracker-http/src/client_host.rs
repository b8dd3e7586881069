//! By which names clients may know the tracker's machine.
//!
//! A page of another site whose name was turned to this machine (DNS rebinding) can send what a browser otherwise would not,
//! such as another user agent. It cannot send another host, so that names which such a site may have are refused.

use std::ops::Deref;

use http_server::Host;

/// Why a request for this host is not answered. The texts are fit for the user of a client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ClientHostError {
    /// The name may be that of another site.
    #[error(
        "this tracker does not know its machine by the name {name}: use an announce URL with the machine's address, or have \
         its operator start it with --host-name {name}"
    )]
    Unknown { name: String },
    /// The text is not a host, or there are two.
    #[error("the request does not say for which host it is: use an announce URL with the tracker's address")]
    Unreadable,
}

/// Checks the text of a `Host` header. Addresses, the names of the local network and those in `names` pass.
pub(crate) fn check<N: Deref<Target = Vec<String>>>(
    host: &[u8],
    names: impl FnOnce() -> N,
) -> Result<(), ClientHostError> {
    match Host::parse(host) {
        Ok(host) if host.unknown_name(&[]).is_none() || host.is_of_local_network() => Ok(()),
        Ok(host) => match host.unknown_name(&names()) {
            Some(name) => Err(ClientHostError::Unknown { name: name.to_owned() }),
            None => Ok(()),
        },
        // An IPv6 address without its brackets, as no browser writes it.
        Err(_) if host.iter().filter(|&&byte| byte == b':').count() > 1 => Ok(()),
        Err(_) => Err(ClientHostError::Unreadable),
    }
}
