//! Opening the operator's page in a browser.

use std::env;
use std::ffi::OsString;
use std::thread;

use tracker::DashboardUrls;

/// The path of the operator's pages.
const OPERATOR_PAGE: &str = "manage";

/// Opens the operator's page in the browser of this machine, or logs why not. The program goes on in both cases.
///
/// The URL has the token only where it is needed, since other users of this machine may see it in the list of processes.
pub(crate) fn open(urls: &DashboardUrls, needs_token: bool) {
    let local = urls.local().filter(|_| !needs_token).map(|local| format!("{local}{OPERATOR_PAGE}"));
    let Some(url) = local.or_else(|| urls.operator().last().cloned()) else { return };
    if let Some(reason) = no_display(|name| env::var_os(name)) {
        tracing::warn!("no browser is opened: {reason}; open the URL of the dashboard yourself");
        return;
    }
    // Some programs that open a browser wait for it.
    let open = move || {
        if let Err(error) = open::that_detached(&url) {
            tracing::warn!(%error, "no browser can be opened; open the URL of the dashboard yourself");
        }
    };
    if let Err(error) = thread::Builder::new().name("browser".into()).spawn(open) {
        tracing::warn!(%error, "cannot start a thread that opens a browser");
    }
}

/// The reason why a browser would not be seen: this session has no display, or that of another machine.
fn no_display(variable: impl Fn(&str) -> Option<OsString>) -> Option<&'static str> {
    let is_set = |name: &&str| variable(name).is_some_and(|value| !value.is_empty());
    if ["SSH_CONNECTION", "SSH_TTY"].iter().any(is_set) {
        return Some("you are at another machine, over SSH");
    }
    let has_display = !cfg!(target_os = "linux") || ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(is_set);
    (!has_display).then_some("there is no display")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_needs_a_display_of_this_machine() {
        let reason = |set: &[(&str, &str)]| {
            no_display(|name| set.iter().find(|(set, _)| *set == name).map(|(_, value)| OsString::from(value)))
        };
        assert_eq!(reason(&[("DISPLAY", ":0")]), None);
        assert_eq!(reason(&[("WAYLAND_DISPLAY", "wayland-0")]), None);
        assert!(reason(&[("DISPLAY", "localhost:10.0"), ("SSH_CONNECTION", "10.0.0.1 2 10.0.0.2 22")]).is_some());
        assert_eq!(reason(&[]).is_some(), cfg!(target_os = "linux"));
        assert_eq!(reason(&[("DISPLAY", "")]).is_some(), cfg!(target_os = "linux"));
    }
}
