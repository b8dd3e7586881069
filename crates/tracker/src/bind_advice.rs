//! The error message when the tracker cannot listen: which flag chooses another address or port.

use std::env;
use std::fmt::{self, Display};
use std::io::ErrorKind;
use std::net::IpAddr;
use std::path::PathBuf;

use tracker_host::{BindError, Transport};

use crate::text::list;

/// An error of listening, and what to do. As text it is one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BindAdvice {
    pub(crate) error: String,
    pub(crate) advice: String,
}

impl Display for BindAdvice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.error, self.advice)
    }
}

/// The advice for a port for clients that cannot be bound: that of the error, and the flags. `lan` are the machine's addresses.
pub(crate) fn bind_advice(error: &BindError, advice: &str, lan: &[IpAddr]) -> BindAdvice {
    let without = match error.transport {
        Transport::Tcp { .. } => "",
        Transport::Udp => ", or do without UDP with --udp=false",
    };
    with_flags(error, advice, "", "--listen", without, lan)
}

/// The advice for a port of the dashboard that cannot be bound.
pub(crate) fn dashboard_advice(error: &BindError, advice: &str, lan: &[IpAddr]) -> BindAdvice {
    let without = ", or do without the dashboard with --dashboard=false";
    with_flags(error, advice, " for the dashboard", "--dashboard-listen", without, lan)
}

/// The advice for a port of the tracker's own peer that cannot be bound.
pub(crate) fn peer_advice(error: &BindError, advice: &str, lan: &[IpAddr]) -> BindAdvice {
    with_flags(error, advice, "", "--peer-listen", "", lan)
}

/// `what` the port is for, by which `flag` another one is chosen, and how to do `without` it.
fn with_flags(error: &BindError, advice: &str, what: &str, flag: &str, without: &str, lan: &[IpAddr]) -> BindAdvice {
    let advice = match error.source.kind() {
        ErrorKind::AddrInUse => format!("{advice} with {flag}{without}"),
        ErrorKind::PermissionDenied if error.is_privileged() && cfg!(target_os = "linux") => {
            let program = env::current_exe().unwrap_or_else(|_| PathBuf::from("tracker"));
            format!("{advice} with {flag}, or allow it: sudo setcap cap_net_bind_service=+ep {}", program.display())
        }
        ErrorKind::AddrNotAvailable if !lan.is_empty() => format!("{advice}, with {flag}; it has {}", list(lan)),
        _ => format!("{advice} with {flag}"),
    };
    BindAdvice { error: format!("{error}{what}"), advice }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TCP: Transport = Transport::Tcp { backlog: 16 };

    fn error(transport: Transport, address: &str, kind: ErrorKind) -> BindError {
        BindError { address: address.parse().unwrap(), transport, source: kind.into() }
    }

    fn advice(transport: Transport, address: &str, kind: ErrorKind) -> String {
        let error = error(transport, address, kind);
        bind_advice(&error, &error.advice(), &[[192, 168, 1, 5].into(), "fd77::5".parse().unwrap()]).to_string()
    }

    #[test]
    fn each_error_has_its_advice() {
        for (address, kind, words) in [
            ("127.0.0.1:1", ErrorKind::AddrInUse, "another program has the port; stop it, or choose another port"),
            (
                "0.0.0.0:80",
                ErrorKind::PermissionDenied,
                "ports below 1024 are for privileged programs; choose a higher",
            ),
            (
                "203.0.113.9:6969",
                ErrorKind::AddrNotAvailable,
                "or 0.0.0.0 for all, with --listen; it has 192.168.1.5, fd77::5",
            ),
            ("[2001:db8::9]:6969", ErrorKind::AddrNotAvailable, "or [::] for all"),
            ("0.0.0.0:6969", ErrorKind::PermissionDenied, "choose another address or port"),
        ] {
            let line = advice(TCP, address, kind);
            assert!(line.starts_with(&format!("cannot listen on {address}: ")), "{line}");
            assert!(line.contains(words) && line.contains("--listen") && !line.contains('\n'), "{line}");
            assert!(!line.contains("UDP"), "{line}");
        }
    }

    #[test]
    fn udp_is_named() {
        let line = advice(Transport::Udp, "127.0.0.1:1", ErrorKind::AddrInUse);
        assert!(line.starts_with("cannot listen on 127.0.0.1:1 over UDP: another program has the port"), "{line}");
        assert!(line.contains("--listen") && line.contains("--udp=false"), "{line}");
    }

    #[test]
    fn the_dashboard_has_flags_of_its_own() {
        for kind in [ErrorKind::AddrInUse, ErrorKind::PermissionDenied, ErrorKind::AddrNotAvailable] {
            let error = error(TCP, "127.0.0.1:1", kind);
            let line = dashboard_advice(&error, &error.advice(), &[]).to_string();
            assert!(line.starts_with("cannot listen on 127.0.0.1:1 for the dashboard: "), "{line}");
            assert!(line.contains("--dashboard-listen") && !line.contains(" --listen"), "{line}");
            assert_eq!(line.contains("--dashboard=false"), kind == ErrorKind::AddrInUse, "{line}");
        }
    }
}
