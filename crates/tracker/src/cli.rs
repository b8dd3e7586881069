//! The command line.

use std::path::PathBuf;

use clap::Parser;

use crate::settings::Layer;

/// A BitTorrent tracker for networks somebody is responsible for.
///
/// Started without any flag it serves the LAN on port 6969, over HTTP and UDP, IPv4 and IPv6, and a dashboard for browsers on
/// port 6970. It prints the dashboard's URL, and the announce URLs to put into torrents.
///
/// Who may use the tracker may look at the dashboard. Only who opens it on this machine, or by the URL with the token that is
/// printed at the start, can stop and start the tracker there, make torrents, and register and remove them. A program that sends
/// that token in a header `Authorization: Bearer TOKEN` can, too. A proxy on this machine must add one of the headers Forwarded
/// and X-Forwarded-For, or all that it passes on counts as this machine's own (--dashboard-token-always ends that), and must
/// decide itself whom it serves.
///
/// Every setting can also come from the environment or from a file; a flag goes before the environment, and that
/// before the file. In the environment several values are separated by commas, and a variable that is set must not be empty.
/// The addresses are those that the machine has at the start: start the tracker again when they change.
///
/// Ctrl-C and SIGTERM stop the tracker, and so does SIGHUP where the log goes to a terminal; elsewhere SIGHUP changes nothing.
/// Exit code 2 says that the tracker could not start, and 1 that it failed later or was told twice to stop. When its servers for
/// clients fail, and there is a dashboard, it goes on, and the dashboard says why.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) settings: Layer,

    /// Read settings from this TOML file; --print-config shows what one looks like
    #[arg(long, value_name = "FILE", env = "TRACKER_CONFIG", hide_env_values = true)]
    pub(crate) config: Option<PathBuf>,

    /// Print the settings in effect as a file for --config, and exit
    #[arg(long)]
    pub(crate) print_config: bool,

    /// Print how to open the port in common firewalls, and exit
    #[arg(long)]
    pub(crate) firewall: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }
}
