//! `tracker check`: says what is right and what is wrong with a set-up.
//!
//! Each part looks at the system first, and then judges what it found: the latter is a function of its own, which tests give what no
//! machine of theirs has.

mod clock;
mod data;
mod files;
mod finding;
mod firewall;
mod limits;
mod network;
mod ports;
mod share;

use std::io;
use std::path::{Path, PathBuf};

use clap::{ArgMatches, Args, Command, Error, FromArgMatches, ValueEnum};
use tracker_host::Addresses;

use self::finding::{Finding, Findings};
use crate::cli::settings;
use crate::settings::Settings;

/// The command: its own arguments, and the settings to check.
#[derive(Debug, Clone)]
pub(crate) struct Check {
    arguments: Arguments,
    /// The flags and the environment.
    matches: ArgMatches,
}

#[derive(Debug, Clone, Args)]
struct Arguments {
    /// Share this folder, as --share does
    folder: Option<PathBuf>,

    /// Read settings from this TOML file
    #[arg(long, value_name = "FILE", env = "TRACKER_CONFIG", hide_env_values = true)]
    config: Option<PathBuf>,

    /// Print text for people, or JSON for programs
    #[arg(long, value_name = "text|json", value_enum, default_value_t, hide_possible_values = true)]
    format: Format,
}

/// The format of the findings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    #[default]
    Text,
    Json,
}

impl Args for Check {
    fn augment_args(command: Command) -> Command {
        // They are in the help of the program itself.
        Arguments::augment_args(Settings::arguments(command).mut_args(|arg| arg.hide(true)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Check {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        Ok(Self { arguments: Arguments::from_arg_matches(matches)?, matches: matches.clone() })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Check {
    /// What to print, and the number of findings that keep the tracker from working.
    pub(crate) fn run(&self) -> (String, usize) {
        let findings = Findings::new(self.findings());
        let text = match self.arguments.format {
            Format::Text => findings.to_string(),
            Format::Json => findings.to_json(),
        };
        (text, findings.wrong())
    }

    fn findings(&self) -> Vec<Finding> {
        let Arguments { folder, config, .. } = &self.arguments;
        let settings = match settings(config.as_deref(), folder.as_ref(), &self.matches) {
            Ok(settings) => settings,
            Err(error) => return vec![Finding::wrong("settings", format!("{error:#}"), "correct it and check again")],
        };
        let from = config.as_ref().map(|file| format!(", from {}", file.display())).unwrap_or_default();
        let mut findings = vec![Finding::good("settings", format!("the settings can be used{from}"))];
        let machine = Addresses::find().unwrap_or_default();
        let ports = ports::look(&settings, &machine);
        let is_served = ports.is_served();
        findings.extend(ports.judge());
        findings.push(network::judge(&settings, &machine));
        findings.extend(firewall::judge(&firewall::look(), &settings, &machine));
        findings.push(clock::judge(&clock::look()));
        findings.extend(share::judge(&share::look(&settings)));
        findings.extend(files::judge(&settings));
        findings.push(data::judge(&data::look(&settings), is_served));
        findings.extend(limits::judge(&limits::look(), &settings));
        findings
    }
}

/// The folder, or the one in which it would be made, if files can be written there. Leaves nothing behind.
fn writable(folder: &Path) -> io::Result<&Path> {
    let existing = folder.ancestors().find(|folder| folder.exists()).unwrap_or(folder);
    tempfile::tempfile_in(existing)?;
    Ok(existing)
}

#[cfg(test)]
mod tests {
    use super::finding::Kind;
    use super::*;
    use crate::cli::{Action, Cli};

    fn findings(arguments: &[&str]) -> Vec<Finding> {
        let cli = Cli::parse([&["tracker", "check"], arguments].concat()).unwrap();
        let Some(Action::Check(check)) = cli.action else { panic!("it is a command") };
        check.findings()
    }

    #[test]
    fn settings_that_do_not_go_together_are_the_only_finding() {
        let found = findings(&["--listen", "127.0.0.1:7000", "--dashboard-listen", "127.0.0.1:7000"]);
        assert_eq!(found.len(), 1);
        assert!(found[0].kind() == Kind::Wrong && found[0].text().contains("same port"), "{found:?}");
    }
}
