//! Reports to the service manager, such as systemd with `Type=notify`: see
//! [sd_notify(3)](https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html).
//!
//! Without `$NOTIFY_SOCKET`, and on other systems than Unix, nothing is sent.

use std::time::Duration;

use tracker::TrackerHandle;
use tracker_host::ServiceState;

/// Says that clients are served from now on.
pub(crate) fn ready(state: &ServiceState) {
    system::ready(&status(state));
}

/// Says that the settings are being read again, until it is [`ready`].
#[cfg(unix)]
pub(crate) fn reloading() {
    system::reloading();
}

/// Says that the tracker stops.
pub(crate) fn stopping() {
    system::stopping();
}

/// Says that the tracker works.
pub(crate) fn watchdog() {
    system::watchdog();
}

/// The time within which the service manager expects to hear each time that the tracker works, if it does.
pub(crate) fn watchdog_period() -> Option<Duration> {
    system::watchdog_period()
}

/// Says what the tracker does, each time that this changes, until it ends.
pub(crate) async fn report_changes(mut tracker: TrackerHandle) {
    while let Some(state) = tracker.changed().await {
        system::status(&status(&state));
    }
}

/// A sentence for `systemctl status`. Everybody on the machine may read it.
fn status(state: &ServiceState) -> String {
    let text = match state {
        ServiceState::Running { announce_urls, .. } => match announce_urls.first() {
            Some(url) => format!("Serving clients; the announce URL is {url}"),
            None => "Serving clients".to_owned(),
        },
        ServiceState::Stopped { error: None, .. } => "Clients are not served: stopped on the dashboard".to_owned(),
        ServiceState::Stopped { error: Some(error), .. } => format!("Clients are not served: {error}"),
    };
    // A line of its own would be another message.
    text.replace(['\n', '\r'], " ")
}

#[cfg(unix)]
mod system {
    use std::time::Duration;

    use sd_notify::NotifyState;

    pub(super) fn ready(status: &str) {
        send(&[NotifyState::Ready, NotifyState::Status(status)]);
    }

    pub(super) fn reloading() {
        let now = NotifyState::monotonic_usec_now();
        send(&[NotifyState::Reloading].into_iter().chain(now).collect::<Vec<_>>());
    }

    pub(super) fn stopping() {
        send(&[NotifyState::Stopping, NotifyState::Status("Stopping")]);
    }

    pub(super) fn watchdog() {
        send(&[NotifyState::Watchdog]);
    }

    pub(super) fn status(status: &str) {
        send(&[NotifyState::Status(status)]);
    }

    pub(super) fn watchdog_period() -> Option<Duration> {
        // Of no use without the socket, and no time to be within.
        std::env::var_os("NOTIFY_SOCKET")?;
        sd_notify::watchdog_enabled().filter(|period| !period.is_zero())
    }

    fn send(states: &[NotifyState<'_>]) {
        if let Err(error) = sd_notify::notify(states) {
            tracing::warn!(%error, "cannot tell the service manager the state of the tracker");
        }
    }
}

#[cfg(not(unix))]
mod system {
    use std::time::Duration;

    pub(super) fn ready(_status: &str) {}

    pub(super) fn stopping() {}

    pub(super) fn watchdog() {}

    pub(super) fn status(_status: &str) {}

    pub(super) fn watchdog_period() -> Option<Duration> {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn each_state_is_one_line() {
        let since = SystemTime::UNIX_EPOCH;
        let running = |urls: &[&str]| ServiceState::Running {
            since,
            addresses: Vec::new(),
            announce_urls: urls.iter().map(ToString::to_string).collect(),
        };
        let stopped = |error: Option<&str>| ServiceState::Stopped { since, error: error.map(str::to_owned) };
        for (state, expected) in [
            (
                running(&["http://10.0.0.1:6969/announce", "udp://10.0.0.1:6969/announce"]),
                "Serving clients; the announce URL is http://10.0.0.1:6969/announce",
            ),
            (running(&[]), "Serving clients"),
            (stopped(None), "Clients are not served: stopped on the dashboard"),
            (stopped(Some("the port\nREADY=1")), "Clients are not served: the port READY=1"),
        ] {
            assert_eq!(status(&state), expected);
        }
    }
}
