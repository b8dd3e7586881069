//! The settings as flags and environment variables.

use clap::builder::BoolishValueParser;
use clap::{Arg, ArgAction, Args, Command};
use toml::{Table, Value};

use super::Settings;

impl Settings {
    /// Adds the settings to a command. No value counts as set that the user did not set, so that
    /// [`FromArgMatches::update_from_arg_matches`](clap::FromArgMatches::update_from_arg_matches) leaves the values of a file
    /// alone.
    pub(crate) fn arguments(command: Command) -> Command {
        let defaults = Table::try_from(Self::default()).expect("the defaults can be written as TOML");
        Self::augment_args_for_update(command).mut_args(|arg| complete(arg, &defaults))
    }
}

/// Adds what follows from the name, the type and the default of a setting.
fn complete(arg: Arg, defaults: &Table) -> Arg {
    let variable = format!("TRACKER_{}", arg.get_id().as_str().to_uppercase());
    let arg = arg.env(variable).hide_env(true).hide_possible_values(true);
    // As it was derived: a switch from `bool`, and something to add to from `Vec`.
    let arg = match arg.get_action() {
        ArgAction::SetTrue => arg
            .action(ArgAction::Set)
            .value_name("true|false")
            .value_parser(BoolishValueParser::new())
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true"),
        ArgAction::Append => arg.value_delimiter(','),
        _ => arg,
    };
    match arg.get_long().and_then(|key| defaults.get(key)) {
        Some(default) => {
            let default = format!("[default: {}]", text(default));
            let short = format!("{} {default}", arg.get_help().unwrap_or_default());
            match arg.get_long_help().map(|long| format!("{long}\n\n{default}")) {
                Some(long) => arg.help(short).long_help(long),
                None => arg.help(short),
            }
        }
        None => arg,
    }
}

/// The value as it is written in a flag.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) if values.is_empty() => "none".to_owned(),
        Value::Array(values) => values.iter().map(text).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}
