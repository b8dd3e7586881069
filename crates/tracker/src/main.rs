//! A BitTorrent tracker for networks somebody is responsible for: a classroom, an office, a LAN party.
//!
//! The program puts together `tracker-core`, which knows what a tracker does, and its adapters, which talk to clients.
//! What is here: settings, the doors for clients and for people, lists of torrents, logging, signals.

mod allow;
mod bind_advice;
mod cli;
mod client_door;
mod failure;
mod firewall;
mod host_name;
mod listen_address;
mod lists;
mod log;
mod network;
mod open_files;
mod protocol;
mod run;
mod servers;
mod settings;
mod signals;
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
            // There may be nobody to tell.
            _ = writeln!(stderr(), "error: {failure}");
            ExitCode::from(&failure)
        }
    }
}
