//! What to do when the tracker cannot listen.

use std::env;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::path::PathBuf;

use tracker_http::BindError;

use crate::port_holder::PortHolder;

/// Ports below this one are for privileged programs, on most systems.
const FIRST_FREE_PORT: u16 = 1024;

/// One line that says what is the matter, and what to do. `lan` are the machine's addresses.
pub(crate) fn bind_advice(error: &BindError, lan: &[IpAddr]) -> String {
    let BindError { address, source } = error;
    let (ip, port) = (address.ip(), address.port());
    match source.kind() {
        ErrorKind::AddrInUse => {
            let holder = PortHolder::find(*address).map_or_else(|| "another program".to_owned(), |h| h.to_string());
            format!("cannot listen on {address}: {holder} has the port; stop it, or choose another port with --listen")
        }
        ErrorKind::PermissionDenied if port < FIRST_FREE_PORT => {
            let capability = env::current_exe().unwrap_or_else(|_| PathBuf::from("tracker"));
            let allow = if cfg!(target_os = "linux") {
                format!(", or allow it: sudo setcap cap_net_bind_service=+ep {}", capability.display())
            } else {
                String::new()
            };
            format!(
                "cannot listen on {address}: ports below {FIRST_FREE_PORT} are for privileged programs; choose a higher \
                 one with --listen{allow}"
            )
        }
        ErrorKind::AddrNotAvailable => {
            let all = if ip.is_ipv4() { "0.0.0.0" } else { "[::]" };
            let own: Vec<_> = lan.iter().map(ToString::to_string).collect();
            let own = if own.is_empty() { String::new() } else { format!("one of {}, or ", own.join(", ")) };
            format!(
                "cannot listen on {address}: this machine does not have the address; use {own}{all} for all with --listen"
            )
        }
        _ => format!("cannot listen on {address}: {source}; choose another address or port with --listen"),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn advice(address: &str, kind: ErrorKind) -> String {
        let error = BindError { address: address.parse().unwrap(), source: io::Error::from(kind) };
        bind_advice(&error, &[[192, 168, 1, 5].into(), "fd77::5".parse().unwrap()])
    }

    #[test]
    fn each_trouble_has_its_advice() {
        for (address, kind, words) in [
            ("127.0.0.1:1", ErrorKind::AddrInUse, "another program has the port; stop it, or choose another port"),
            (
                "0.0.0.0:80",
                ErrorKind::PermissionDenied,
                "ports below 1024 are for privileged programs; choose a higher",
            ),
            ("203.0.113.9:6969", ErrorKind::AddrNotAvailable, "use one of 192.168.1.5, fd77::5, or 0.0.0.0 for all"),
            ("[2001:db8::9]:6969", ErrorKind::AddrNotAvailable, "or [::] for all"),
            ("0.0.0.0:6969", ErrorKind::PermissionDenied, "choose another address or port"),
        ] {
            let line = advice(address, kind);
            assert!(line.starts_with(&format!("cannot listen on {address}: ")), "{line}");
            assert!(line.contains(words) && line.contains("--listen") && !line.contains('\n'), "{line}");
        }
    }
}
