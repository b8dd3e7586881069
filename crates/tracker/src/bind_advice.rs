//! What to do when the tracker cannot listen.

use std::env;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::path::PathBuf;

use tracker_host::{BindError, PortHolder};

use crate::protocol::Protocol;
use crate::servers::ListenError;

/// Ports below this one are for privileged programs, on most systems.
const FIRST_FREE_PORT: u16 = 1024;

/// One line that says what is the matter, and what to do. `lan` are the machine's addresses.
pub(crate) fn bind_advice(error: &ListenError, lan: &[IpAddr]) -> String {
    let &ListenError { protocol, error: BindError { address, ref source } } = error;
    let (ip, port) = (address.ip(), address.port());
    let cannot = match protocol {
        Protocol::Http => format!("cannot listen on {address}"),
        Protocol::Udp => format!("cannot listen on {address} over UDP"),
    };
    match source.kind() {
        ErrorKind::AddrInUse => {
            let holder = match protocol {
                Protocol::Http => PortHolder::of_tcp(address),
                Protocol::Udp => PortHolder::of_udp(address),
            };
            let holder = holder.map_or_else(|| "another program".to_owned(), |holder| holder.to_string());
            let without = match protocol {
                Protocol::Http => "",
                Protocol::Udp => ", or do without UDP with --udp=false",
            };
            format!("{cannot}: {holder} has the port; stop it, or choose another port with --listen{without}")
        }
        ErrorKind::PermissionDenied if port < FIRST_FREE_PORT => {
            let capability = env::current_exe().unwrap_or_else(|_| PathBuf::from("tracker"));
            let allow = if cfg!(target_os = "linux") {
                format!(", or allow it: sudo setcap cap_net_bind_service=+ep {}", capability.display())
            } else {
                String::new()
            };
            format!(
                "{cannot}: ports below {FIRST_FREE_PORT} are for privileged programs; choose a higher \
                 one with --listen{allow}"
            )
        }
        ErrorKind::AddrNotAvailable => {
            let all = if ip.is_ipv4() { "0.0.0.0" } else { "[::]" };
            let own: Vec<_> = lan.iter().map(ToString::to_string).collect();
            let own = if own.is_empty() { String::new() } else { format!("one of {}, or ", own.join(", ")) };
            format!("{cannot}: this machine does not have the address; use {own}{all} for all with --listen")
        }
        _ => format!("{cannot}: {source}; choose another address or port with --listen"),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn advice(protocol: Protocol, address: &str, kind: ErrorKind) -> String {
        let error = BindError { address: address.parse().unwrap(), source: io::Error::from(kind) };
        bind_advice(&ListenError { protocol, error }, &[[192, 168, 1, 5].into(), "fd77::5".parse().unwrap()])
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
            let line = advice(Protocol::Http, address, kind);
            assert!(line.starts_with(&format!("cannot listen on {address}: ")), "{line}");
            assert!(line.contains(words) && line.contains("--listen") && !line.contains('\n'), "{line}");
            assert!(!line.contains("UDP"), "{line}");
        }
    }

    #[test]
    fn udp_is_named() {
        let line = advice(Protocol::Udp, "127.0.0.1:1", ErrorKind::AddrInUse);
        assert!(line.starts_with("cannot listen on 127.0.0.1:1 over UDP: another program has the port"), "{line}");
        assert!(line.contains("--listen") && line.contains("--udp=false"), "{line}");
    }
}
