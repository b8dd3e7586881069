//! What to do when the tracker cannot listen.

use std::env;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use tracker_host::{BindError, PortHolder};

use crate::servers::ListenError;
use tracker::Protocol;

/// Ports below this one are for privileged programs, on most systems.
const FIRST_FREE_PORT: u16 = 1024;

/// One line that says what is the matter with a port for clients, and what to do. `lan` are the machine's addresses.
pub(crate) fn bind_advice(ListenError { protocol, error }: &ListenError, lan: &[IpAddr]) -> String {
    match protocol {
        Protocol::Http => advice(error, "", PortHolder::of_tcp, "--listen", "", lan),
        Protocol::Udp => {
            advice(error, " over UDP", PortHolder::of_udp, "--listen", ", or do without UDP with --udp=false", lan)
        }
    }
}

/// The same of a port for the dashboard.
pub(crate) fn dashboard_advice(error: &BindError, lan: &[IpAddr]) -> String {
    let without = ", or do without the dashboard with --dashboard=false";
    advice(error, " for the dashboard", PortHolder::of_tcp, "--dashboard-listen", without, lan)
}

/// `what` the port is for, by which `flag` another one is chosen, and how to do `without`.
fn advice(
    BindError { address, source }: &BindError,
    what: &str,
    holder: impl Fn(SocketAddr) -> Option<PortHolder>,
    flag: &str,
    without: &str,
    lan: &[IpAddr],
) -> String {
    let cannot = format!("cannot listen on {address}{what}");
    match source.kind() {
        ErrorKind::AddrInUse => {
            let holder = holder(*address).map_or_else(|| "another program".to_owned(), |holder| holder.to_string());
            format!("{cannot}: {holder} has the port; stop it, or choose another port with {flag}{without}")
        }
        ErrorKind::PermissionDenied if address.port() < FIRST_FREE_PORT => {
            let capability = env::current_exe().unwrap_or_else(|_| PathBuf::from("tracker"));
            let allow = if cfg!(target_os = "linux") {
                format!(", or allow it: sudo setcap cap_net_bind_service=+ep {}", capability.display())
            } else {
                String::new()
            };
            format!(
                "{cannot}: ports below {FIRST_FREE_PORT} are for privileged programs; choose a higher one with {flag}{allow}"
            )
        }
        ErrorKind::AddrNotAvailable => {
            let all = if address.is_ipv4() { "0.0.0.0" } else { "[::]" };
            let own: Vec<_> = lan.iter().map(ToString::to_string).collect();
            let own = if own.is_empty() { String::new() } else { format!("one of {}, or ", own.join(", ")) };
            format!("{cannot}: this machine does not have the address; use {own}{all} for all with {flag}")
        }
        _ => format!("{cannot}: {source}; choose another address or port with {flag}"),
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

    #[test]
    fn the_dashboard_has_flags_of_its_own() {
        for kind in [ErrorKind::AddrInUse, ErrorKind::PermissionDenied, ErrorKind::AddrNotAvailable] {
            let error = BindError { address: "127.0.0.1:1".parse().unwrap(), source: io::Error::from(kind) };
            let line = dashboard_advice(&error, &[]);
            assert!(line.starts_with("cannot listen on 127.0.0.1:1 for the dashboard: "), "{line}");
            assert!(line.contains("--dashboard-listen") && !line.contains(" --listen"), "{line}");
            assert_eq!(line.contains("--dashboard=false"), kind == ErrorKind::AddrInUse, "{line}");
        }
    }
}
