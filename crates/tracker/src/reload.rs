//! Reading the settings again while the tracker runs.

use std::collections::BTreeSet;

use torrent_library::OPERATOR_LOG;
use tracker::TrackerHandle;

use crate::cli::Cli;
use crate::log::Log;
use crate::service_manager;
use crate::settings::Settings;
use crate::text::list;

/// Reads the settings again, and changes what can be changed in the tracker that runs: `allow`, `host-name`, `log-level`, and
/// `upload-limit` if there was one and still is. Of all others it says that they need a restart. So does a log level that lets lines of
/// events in, if there is nobody who listens to the events: that is decided at the start.
///
/// The files that settings name (lists of torrents, names, accounts) are read again on change anyway.
#[derive(Debug)]
pub(crate) struct Reload<'a> {
    cli: &'a Cli,
    /// The settings that were put in force last.
    settings: Settings,
    tracker: TrackerHandle,
    log: &'a Log,
}

impl<'a> Reload<'a> {
    /// For a tracker that was started with these settings.
    pub(crate) fn new(cli: &'a Cli, settings: Settings, tracker: TrackerHandle, log: &'a Log) -> Self {
        Self { cli, settings, tracker, log }
    }

    /// Reads and applies the settings. If they cannot be read, or do not go together, those in force stay.
    pub(crate) async fn run(&mut self) {
        service_manager::reloading();
        if let Err(error) = self.try_run().await {
            // Viewers see the log: not where the file lies.
            tracing::error!(target: OPERATOR_LOG, "SIGHUP: the settings stay as they were: {error:#}");
        }
        service_manager::ready(&self.tracker.state());
    }

    async fn try_run(&mut self) -> anyhow::Result<()> {
        let new = self.cli.settings()?;
        let changed = new.changed(&self.settings)?;
        let (mut in_force, restart): (BTreeSet<_>, BTreeSet<_>) = changed.iter().partition(|key| self.apply(key, &new));
        if !self.tracker.apply().await {
            in_force.retain(|key| *key != "allow");
        }
        if !in_force.is_empty() {
            tracing::info!("SIGHUP: the settings were read again; in force now: {}", quoted(&in_force));
        }
        if !restart.is_empty() {
            tracing::warn!("SIGHUP: these settings have changed, and need a restart: {}", quoted(&restart));
        }
        if changed.is_empty() {
            tracing::info!(
                "SIGHUP: no setting has changed; lists of torrents, names and accounts are read again on change anyway"
            );
        }
        Ok(())
    }

    /// Puts one setting that has changed in force, or sets about it. Returns `false` if that needs a restart.
    fn apply(&mut self, key: &str, new: &Settings) -> bool {
        match key {
            "allow" => {
                self.tracker.set_allow(new.allow.iter().copied());
                self.settings.allow.clone_from(&new.allow);
                true
            }
            "host-name" => {
                self.tracker.set_host_names(new.host_name.iter().map(|name| name.0.clone()));
                self.settings.host_name.clone_from(&new.host_name);
                true
            }
            "log-level" if new.logs_events() && !self.tracker.logs_events() => false,
            "log-level" => {
                self.log.set_level(new.log_level);
                self.settings.log_level = new.log_level;
                true
            }
            "upload-limit" => {
                let is_set = new.upload_limit.is_some_and(|limit| self.tracker.set_upload_limit(limit.0));
                if is_set {
                    self.settings.upload_limit = new.upload_limit;
                }
                is_set
            }
            _ => false,
        }
    }
}

fn quoted(keys: &BTreeSet<&String>) -> String {
    list(keys.iter().map(|key| format!("`{key}`")))
}
