//! `make-torrent magnet`.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Result;
use metainfo::Magnet;

use crate::cli::MagnetArgs;
use crate::input;

pub(crate) fn run(args: &MagnetArgs) -> Result<ExitCode> {
    let metainfo = input::read(&args.file)?;
    writeln!(io::stdout(), "{}", Magnet::from(&metainfo))?;
    Ok(ExitCode::SUCCESS)
}
