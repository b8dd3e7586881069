//! The command line.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::ensure;
use clap::error::{ContextKind, ErrorKind};
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command, Error, FromArgMatches, Subcommand};
use clap_complete::Shell;
use clap_mangen::Man;

use crate::archive::{Backup, Restore};
use crate::check::Check;
use crate::operators::Operators;
use crate::report::Report;
use crate::settings::Settings;
use crate::users::Users;

/// Share a folder with your network, as in `tracker ~/Lessons`: a BitTorrent tracker with a page
///
/// `tracker FOLDER` shares a folder. Without any argument the tracker serves the LAN on port 6969, over HTTP and UDP, IPv4 and
/// IPv6, and a dashboard for browsers on port 6970, and has a peer of its own on port 6968. It prints the URL of the dashboard, and
/// the announce URLs to put into torrents.
///
/// Everybody who may use the tracker may view the dashboard. To stop and start the tracker there, to make torrents, and to
/// register and remove them, open it on this machine, or by the URL with the token that is printed at the start. Programs send
/// that token in a header `Authorization: Bearer TOKEN`. A reverse proxy on this machine must add a Forwarded or
/// X-Forwarded-For header, since all requests that it passes on count as this machine's own otherwise (unless you set
/// --dashboard-token-always), and must decide itself whom it serves.
///
/// Every setting can also come from the environment or from a file. A flag takes precedence over the environment, and the
/// environment over the file. The variable of --log-level is TRACKER_LOG_LEVEL, and so on. In it several values are separated by
/// commas, and a variable that is set must not be empty.
///
/// The tracker follows the addresses of the machine: when they change, so do the announce URLs.
///
/// Ctrl-C and SIGTERM stop the tracker, and so does SIGHUP if the log goes to a terminal; otherwise SIGHUP reads the settings file
/// again: --allow, --host-name, --log-level and --upload-limit change at once, and the log names what needs a restart. The exit code
/// is 2 if the tracker could not start, and 1 if it failed later or got a second signal while it stopped. If the servers for clients
/// fail and there is a dashboard, the program goes on and the dashboard shows the error.
#[derive(Debug, Args)]
#[command(version, disable_help_subcommand = true, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    /// Share this folder, as --share does
    ///
    /// As the first argument, `check`, `report`, `backup`, `restore`, `operators`, `users` and `generate` are commands: for a folder
    /// with such a name write ./report.
    pub(crate) folder: Option<PathBuf>,

    /// Read settings from this TOML file; --print-config prints an example
    #[arg(long, value_name = "FILE", env = "TRACKER_CONFIG", hide_env_values = true)]
    pub(crate) config: Option<PathBuf>,

    /// Open the dashboard in a browser on this machine
    ///
    /// With --dashboard-token-always, other users of this machine may see the token while the browser starts.
    #[arg(long)]
    pub(crate) open: bool,

    /// Print the settings in effect as a file for --config, and exit
    #[arg(long)]
    pub(crate) print_config: bool,

    /// Print how to open the ports in common firewalls, and exit
    #[arg(long)]
    pub(crate) firewall: bool,

    /// What to do instead of running the tracker.
    #[command(subcommand)]
    pub(crate) action: Option<Action>,

    /// The flags and the environment.
    #[arg(skip)]
    matches: ArgMatches,
}

/// What the program does instead of running the tracker.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Action {
    /// Say in plain words what is right and what is wrong with a set-up
    ///
    /// Checks ports, addresses, firewall, clock, folders and limits of this machine for a tracker with these settings: write the
    /// same flags as for the tracker itself, which `tracker --help` lists. It may run meanwhile. Run the check with the account of
    /// the tracker, since another one may read other files; root sees more of the firewall. The exit code is 1 if something keeps
    /// the tracker from working.
    Check(Check),
    Report(Report),
    Backup(Backup),
    Restore(Restore),
    Operators(Operators),
    Users(Users),
    /// Print completions or the man page
    #[command(hide = true)]
    Generate(Generate),
}

/// What packages install beside the program.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Generate {
    #[command(subcommand)]
    what: Generated,
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum Generated {
    /// Print the completions for a shell
    Completions { shell: Shell },
    /// Print the man page
    Man,
}

impl Generate {
    /// The text to print.
    pub(crate) fn bytes(self) -> io::Result<Vec<u8>> {
        let mut command = Cli::command();
        let mut bytes = Vec::new();
        match self.what {
            Generated::Completions { shell } => clap_complete::generate(shell, &mut command, "tracker", &mut bytes),
            Generated::Man => Man::new(command).render(&mut bytes)?,
        }
        Ok(bytes)
    }
}

impl Cli {
    /// Takes the command line apart. The first argument is the program's name.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> Result<Self, Error> {
        let command = Self::command();
        let matches = command.clone().try_get_matches_from(arguments).map_err(|error| {
            // After a folder, clap takes another argument for a command.
            let given = error.get(ContextKind::InvalidSubcommand).map(ToString::to_string);
            match given.filter(|given| command.find_subcommand(given).is_none()) {
                Some(given) => {
                    let advice = format!(
                        "unexpected argument '{given}'; the tracker shares one folder: put all that you want to share into it"
                    );
                    Self::command().error(ErrorKind::UnknownArgument, advice)
                }
                None => error,
            }
        })?;
        let cli = Self { matches: matches.clone(), ..Self::from_arg_matches(&matches)? };
        // Many programs have commands such as `help` and `version`.
        let missing = cli.folder.as_deref().filter(|folder| !folder.exists()).and_then(Path::to_str);
        let is_flag = |name: &&str| {
            matches!(*name, "help" | "version") || command.get_arguments().any(|arg| arg.get_long() == Some(*name))
        };
        match missing.filter(is_flag) {
            Some(name) => {
                Err(Self::command()
                    .error(ErrorKind::UnknownArgument, format!("there is no folder {name}; write --{name}")))
            }
            None => Ok(cli),
        }
    }

    /// The settings: a flag takes precedence over the environment, that over the file, and that over the default.
    pub(crate) fn settings(&self) -> anyhow::Result<Settings> {
        settings(self.config.as_deref(), self.folder.as_ref(), &self.matches)
    }

    fn command() -> Command {
        Self::augment_args(Settings::arguments(Command::new("tracker")))
    }
}

/// The settings of a file, of the flags and the environment, and of the folder that is named without a flag.
pub(crate) fn settings(
    config: Option<&Path>,
    folder: Option<&PathBuf>,
    matches: &ArgMatches,
) -> anyhow::Result<Settings> {
    let mut settings = config.map(Settings::read).transpose()?.unwrap_or_default();
    settings.update_from_arg_matches(matches)?;
    if let Some(folder) = folder {
        let has_flag = matches.value_source("share") == Some(ValueSource::CommandLine);
        ensure!(!has_flag, "two folders to share: write {} or --share, not both", folder.display());
        settings.share = Some(folder.clone());
    }
    settings.checked()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }
}
