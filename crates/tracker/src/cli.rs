//! The command line.

use std::path::PathBuf;

use clap::Parser;

use crate::settings::Layer;

/// A BitTorrent tracker for networks somebody is responsible for.
///
/// Started without any flag it serves the LAN on port 6969, over HTTP and UDP, IPv4 and IPv6, and prints the announce URLs to
/// put into torrents. Every setting can also come from the environment or from a file; a flag goes before the environment, and that
/// before the file. In the environment several values are separated by commas, and a variable that is set must not be empty.
/// The addresses are those that the machine has at the start: start the tracker again when they change.
///
/// Ctrl-C and SIGTERM stop the tracker, and so does SIGHUP where the log goes to a terminal; elsewhere SIGHUP changes nothing.
/// Exit code 2 says that the tracker could not start, and 1 that it failed later or was told twice to stop.
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
