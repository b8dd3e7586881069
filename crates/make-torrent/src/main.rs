//! `make-torrent`: makes, shows and verifies .torrent files.

mod cli;
mod create;
mod input;
mod magnet;
mod output;
mod progress;
mod safe_json;
mod show;
mod text;
mod url;
mod verify;

use std::env;
use std::io::{self, Write};
use std::process::ExitCode;

use crate::cli::{Action, Command};

fn main() -> ExitCode {
    let action = Action::parse(env::args_os()).unwrap_or_else(|error| error.exit());
    match run(action) {
        Ok(code) => code,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("make-torrent: {}", text::one_line(&format!("{error:#}")));
            ExitCode::from(progress::exit_code_of(&error))
        }
    }
}

fn run(action: Action) -> anyhow::Result<ExitCode> {
    let cli = match action {
        Action::Run(cli) => *cli,
        Action::Generate(generate) => {
            io::stdout().write_all(&generate.bytes()?)?;
            return Ok(ExitCode::SUCCESS);
        }
    };
    match cli.command {
        Some(Command::Show(args)) => show::run(&args),
        Some(Command::Verify(args)) => verify::run(&args),
        Some(Command::Magnet(args)) => magnet::run(&args),
        None => create::run(cli.create),
    }
}

/// Returns `true` if the reader of the output closed the pipe, which is not a failure.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}
