//! A BitTorrent tracker for networks somebody is responsible for: a classroom, an office, a LAN party.
//!
//! The program runs what the library of this crate puts together. What is here: settings, signals, logging, and what the
//! operator sees on the terminal.

mod access_code;
mod archive;
mod base_path;
mod bind_advice;
mod browser;
mod byte_rate;
mod check;
mod cli;
mod failure;
mod firewall;
mod host_name;
mod listen_address;
mod log;
mod mdns_setting;
mod open_files;
mod operators;
mod preparing;
#[cfg(unix)]
mod reload;
mod report;
mod run;
mod service_manager;
mod settings;
mod signals;
mod static_resolver;
mod terminal;
mod text;
mod users;
mod watchdog;
mod welcome;

use std::env;
use std::io::{Write, stderr};
use std::process::ExitCode;

use crate::cli::Cli;

fn main() -> ExitCode {
    let cli = Cli::parse(env::args_os()).unwrap_or_else(|error| error.exit());
    match run::run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Standard error may be closed.
            _ = writeln!(stderr(), "error: {failure}");
            ExitCode::from(&failure)
        }
    }
}
