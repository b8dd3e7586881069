//! The command line.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use metainfo::{Pattern, PieceLength, PieceLengthError};

use crate::url::{AnnounceTier, Node, WebSeeds};

/// Makes a .torrent file of a file or folder, or shows and verifies one.
#[derive(Debug, Parser)]
#[command(
    version,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "A file or folder that has the name of a command is given as ./show.\n\n\
                  Exit codes: 0 done; 1 it failed, or what was verified is not whole; 2 wrong usage; \
                  130 interrupted."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    #[command(flatten)]
    pub(crate) create: CreateArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Print what is in a .torrent file.
    Show(ShowArgs),
    /// Compare a file or folder with the .torrent file that describes it.
    Verify(VerifyArgs),
    /// Print the magnet link of a .torrent file.
    Magnet(MagnetArgs),
}

#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// The file or folder to share.
    #[arg(required = true)]
    pub(crate) path: Option<PathBuf>,

    /// Surplus arguments, accepted only to report them.
    #[arg(hide = true)]
    pub(crate) more: Vec<PathBuf>,

    /// Announce URL of the tracker, or several separated by commas; each further -a is a tier of
    /// backup trackers.
    #[arg(short, long, value_name = "URL[,URL]…")]
    pub(crate) announce: Vec<AnnounceTier>,

    /// A comment for people.
    #[arg(short, long, value_name = "TEXT")]
    pub(crate) comment: Option<String>,

    /// Leave out the creation date, so that the same files always make the same .torrent file.
    #[arg(short = 'd', long)]
    pub(crate) no_date: bool,

    /// The creation date in seconds since 1970; the default is now.
    #[arg(long, value_name = "SECONDS", conflicts_with = "no_date")]
    pub(crate) date: Option<u64>,

    /// Overwrite an existing .torrent file.
    #[arg(short, long)]
    pub(crate) force: bool,

    /// Piece length: the exponent n of 2^n from 14 to 27, or bytes, or as 256KiB or 4MiB; the
    /// default makes 1024 to 2047 pieces of 16 KiB to 16 MiB.
    #[arg(short = 'l', long, value_name = "LENGTH", value_parser = piece_length)]
    pub(crate) piece_length: Option<PieceLength>,

    /// Name of the file or folder in the torrent; the default is its name on disk. The .torrent
    /// file keeps its own name.
    #[arg(short, long)]
    pub(crate) name: Option<String>,

    /// The .torrent file to write, - for standard output; the default is PATH.torrent, beside the
    /// file or folder. With a slash at the end it is the folder that NAME.torrent goes into.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    /// Find peers through the trackers only: no DHT, peer exchange or local discovery.
    #[arg(short, long)]
    pub(crate) private: bool,

    /// A tag that makes the info-hash a different one.
    #[arg(short, long, value_name = "TEXT")]
    pub(crate) source: Option<String>,

    /// Number of threads that hash; the default is one for each core. For a hard disk, one is
    /// fastest.
    #[arg(short, long, value_name = "N", value_parser = threads)]
    pub(crate) threads: Option<NonZeroUsize>,

    /// List the files, and what is left out.
    #[arg(short, long)]
    pub(crate) verbose: bool,

    /// URL of a web server that has the content, or several separated by commas.
    #[arg(short, long, value_name = "URL[,URL]…")]
    pub(crate) web_seed: Vec<WebSeeds>,

    /// A DHT node to start from.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) node: Vec<Node>,

    /// Leave out files and folders that match; a folder with all that is in it.
    #[arg(short, long, value_name = "GLOB")]
    pub(crate) exclude: Vec<Pattern>,

    /// Leave out files that do not match, and are in no folder that does.
    #[arg(long, value_name = "GLOB")]
    pub(crate) include: Vec<Pattern>,

    /// Include files and folders whose names begin with a dot.
    #[arg(long)]
    pub(crate) include_hidden: bool,

    /// Include files that operating systems leave behind: .DS_Store, Thumbs.db, desktop.ini …
    #[arg(long)]
    pub(crate) include_junk: bool,

    /// Include the targets of symbolic links.
    #[arg(long)]
    pub(crate) follow_symlinks: bool,

    /// Print one JSON object: that of `show`, with `output`, `skipped` and `warnings`.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The .torrent file, - for standard input.
    pub(crate) file: PathBuf,

    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The .torrent file, - for standard input.
    pub(crate) file: PathBuf,

    /// The content, or the folder that it is in.
    pub(crate) path: PathBuf,

    /// Number of threads that hash; the default is one for each core.
    #[arg(short, long, value_name = "N", value_parser = threads)]
    pub(crate) threads: Option<NonZeroUsize>,

    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct MagnetArgs {
    /// The .torrent file, - for standard input.
    pub(crate) file: PathBuf,
}

/// Parses a piece length. Small numbers are exponents, as for mktorrent: no piece is that short.
fn piece_length(text: &str) -> Result<PieceLength, String> {
    let length = match text.trim().parse() {
        Ok(exponent @ 14..=27) => PieceLength::try_from(1_u64 << exponent),
        // Too small for either.
        Ok(0..16_384) => Err(PieceLengthError::OutOfRange { bytes: 0 }),
        _ => text.parse(),
    };
    length.map_err(|error| match error {
        PieceLengthError::OutOfRange { .. } => {
            "a piece length is from 16 KiB to 128 MiB: give the exponent n of 2^n from \
                                                14 to 27, a number of bytes, or a size such as 256KiB or 4MiB"
                .to_owned()
        }
        error => error.to_string(),
    })
}

fn threads(text: &str) -> Result<NonZeroUsize, String> {
    text.parse()
        .ok()
        .filter(|threads: &NonZeroUsize| threads.get() <= 256)
        .ok_or_else(|| "it must be a number from 1 to 256".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_holds() {
        Cli::command().debug_assert();
    }

    #[test]
    fn piece_lengths() {
        for (text, bytes) in [("14", 1 << 14), ("18", 1 << 18), ("27", 1 << 27), ("262144", 1 << 18), ("4MiB", 1 << 22)]
        {
            assert_eq!(piece_length(text).map(PieceLength::bytes).unwrap(), bytes, "{text}");
        }
        for text in ["0", "1", "13", "28", "63", "64", "1000", "16383", "8KiB", "268435456"] {
            let error = piece_length(text).unwrap_err();
            assert!(
                error.starts_with("a piece length is from 16 KiB to 128 MiB: give the exponent"),
                "{text}: {error}"
            );
        }
        for (text, error) in [
            ("100000", "a piece length must be a power of two, which 100000 is not"),
            ("4GB", "\"4GB\" is not a piece length, try 256KiB or 4MiB"),
        ] {
            assert_eq!(piece_length(text).unwrap_err(), error);
        }
    }
}
