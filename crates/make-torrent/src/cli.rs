//! The command line.

use std::ffi::OsString;
use std::io;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, CommandFactory, Error, FromArgMatches, Parser, Subcommand};
use clap_complete::Shell;
use clap_mangen::Man;
use metainfo::{Pattern, PieceLength, PieceLengthError};

use crate::url::{AnnounceTier, Node, WebSeeds};

/// Makes a .torrent file of a file or folder, or shows and verifies one
#[derive(Debug, Parser)]
#[command(
    version,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "Example: make-torrent -a http://192.168.1.5:6969/announce lecture.mp4",
    after_long_help = "Example: make-torrent -a http://192.168.1.5:6969/announce lecture.mp4\n\n\
                  A GLOB is a pattern as in .gitignore files: one without / is compared with names at any depth (*.tmp), one \
                  with / with the path below the given folder (sub/*.mp4, /notes.txt), and one that ends in / stands for \
                  folders only. Case matters. Put it into quotes, so that the shell leaves it alone. Excluding wins over \
                  including.\n\n\
                  A file or folder that has the name of a command is given as ./show, and one that begins with - as ./-name.\n\n\
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
    /// Print what is in a .torrent file
    Show(ShowArgs),
    /// Compare a file or folder with the .torrent file that describes it
    Verify(VerifyArgs),
    /// Print the magnet link of a .torrent file
    Magnet(MagnetArgs),
}

/// What the command line asks for.
#[derive(Debug)]
pub(crate) enum Action {
    Run(Box<Cli>),
    Generate(Generate),
}

impl Action {
    /// Takes the command line apart. The first argument is the program's name.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> Result<Self, Error> {
        let generate = Generate::augment_args(clap::Command::new(GENERATE).hide(true));
        let matches = Cli::command().subcommand(generate).try_get_matches_from(arguments)?;
        Ok(match matches.subcommand() {
            Some((GENERATE, matches)) => Self::Generate(Generate::from_arg_matches(matches)?),
            _ => Self::Run(Box::new(Cli::from_arg_matches(&matches)?)),
        })
    }
}

/// The hidden command for packagers.
const GENERATE: &str = "generate";

/// What packages install beside the program.
#[derive(Debug, Args)]
pub(crate) struct Generate {
    #[command(subcommand)]
    what: Generated,
}

#[derive(Debug, Subcommand)]
enum Generated {
    /// Print the completions for a shell
    Completions { shell: Shell },
    /// Print the man page, or that of a command
    Man {
        #[arg(value_parser = ["show", "verify", "magnet"])]
        command: Option<String>,
    },
}

impl Generate {
    /// The text to print.
    pub(crate) fn bytes(self) -> io::Result<Vec<u8>> {
        let mut program = Cli::command().disable_help_subcommand(true);
        let mut bytes = Vec::new();
        let man = |command| Man::new(command).source(concat!("make-torrent ", env!("CARGO_PKG_VERSION")));
        match self.what {
            Generated::Completions { shell } => {
                clap_complete::generate(shell, &mut program, "make-torrent", &mut bytes);
            }
            Generated::Man { command: None } => man(program).render(&mut bytes)?,
            Generated::Man { command: Some(name) } => {
                // Now its usage has the name of the program.
                program.build();
                let command = program.find_subcommand(&name).expect("one of those that are accepted").clone();
                man(command).render(&mut bytes)?;
            }
        }
        Ok(bytes)
    }
}

#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// The file or folder to share
    #[arg(required = true)]
    pub(crate) path: Option<PathBuf>,

    /// Surplus arguments, accepted only to report them.
    #[arg(hide = true)]
    pub(crate) more: Vec<PathBuf>,

    /// Announce URL of the tracker; repeatable
    ///
    /// Several URLs separated by commas are of equal rank, and each further -a has backup trackers: clients try them when
    /// those before do not answer.
    #[arg(short, long, help_heading = "Peers", value_name = "URL[,URL]…")]
    pub(crate) announce: Vec<AnnounceTier>,

    /// Find peers through the trackers only
    ///
    /// Clients use no DHT, no peer exchange and no local discovery. This changes the info-hash.
    #[arg(short, long, help_heading = "Peers")]
    pub(crate) private: bool,

    /// URL of a web server that has the content; repeatable
    ///
    /// Several URLs can be separated by commas, too. For a folder it is the URL of the folder that it is in.
    #[arg(short, long, help_heading = "Peers", value_name = "URL[,URL]…")]
    pub(crate) web_seed: Vec<WebSeeds>,

    /// A DHT node to start from; repeatable
    #[arg(long, help_heading = "Peers", value_name = "HOST:PORT")]
    pub(crate) node: Vec<Node>,

    /// Leave out files and folders that match; repeatable
    ///
    /// A folder is left out with all that is in it. What is excluded is not looked at, so that neither its name nor its
    /// permissions are in the way. A GLOB that matches nothing that would otherwise go in gives a warning.
    #[arg(short, long, help_heading = "Files", value_name = "GLOB", allow_hyphen_values = true)]
    pub(crate) exclude: Vec<Pattern>,

    /// Leave out files that do not match; repeatable
    ///
    /// Files below a folder that matches go in, too. Hidden files, junk and links go in only if they are included by the options
    /// below as well.
    #[arg(long, help_heading = "Files", value_name = "GLOB", allow_hyphen_values = true)]
    pub(crate) include: Vec<Pattern>,

    /// Include files and folders whose names begin with a dot
    #[arg(long, help_heading = "Files")]
    pub(crate) include_hidden: bool,

    /// Include files that operating systems leave behind, such as .DS_Store and Thumbs.db
    #[arg(long, help_heading = "Files")]
    pub(crate) include_junk: bool,

    /// Include the targets of symbolic links
    #[arg(long, help_heading = "Files")]
    pub(crate) follow_symlinks: bool,

    /// Name of the file or folder in the torrent
    ///
    /// The default is its name on disk. The .torrent file keeps its own name.
    #[arg(short, long, help_heading = "Contents of the .torrent file", value_parser = name)]
    pub(crate) name: Option<String>,

    /// Piece length, such as 18 (for 2^18 bytes), 262144, 256KiB or 4MiB
    ///
    /// A power of two from 16 KiB to 128 MiB: as its exponent from 14 to 27, in bytes, or with a unit. The default makes 1024 to
    /// 2047 pieces of 64 KiB to 16 MiB, fewer and shorter ones below 64 MiB, and more above 32 GiB.
    #[arg(short = 'l', long, help_heading = "Contents of the .torrent file", value_name = "LENGTH", value_parser = piece_length)]
    pub(crate) piece_length: Option<PieceLength>,

    /// A comment for people
    #[arg(short, long, help_heading = "Contents of the .torrent file", value_name = "TEXT")]
    pub(crate) comment: Option<String>,

    /// A tag that makes the info-hash a different one
    #[arg(short, long, help_heading = "Contents of the .torrent file", value_name = "TEXT")]
    pub(crate) source: Option<String>,

    /// Leave out the creation date
    ///
    /// The same files and options always make the same .torrent file, then.
    #[arg(short = 'd', long, help_heading = "Contents of the .torrent file")]
    pub(crate) no_date: bool,

    /// The creation date in seconds since 1970; the default is now
    #[arg(long, help_heading = "Contents of the .torrent file", value_name = "SECONDS", conflicts_with = "no_date")]
    pub(crate) date: Option<u64>,

    /// The .torrent file to write; the default is PATH.torrent, beside the file or folder
    ///
    /// With a slash at the end it is the folder that the file goes into, which has PATH's name with .torrent, also with -n.
    /// - is standard output.
    #[arg(short, long, help_heading = "Output", value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    /// Overwrite an existing .torrent file
    #[arg(short, long, help_heading = "Output")]
    pub(crate) force: bool,

    /// List the files, and what is left out
    #[arg(short, long, help_heading = "Output")]
    pub(crate) verbose: bool,

    /// Print one JSON object
    ///
    /// It is that of `show`, with `output`, `skipped` and `warnings`.
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,

    /// Number of threads that hash; the default is one for each core
    ///
    /// For a hard disk, one is fastest.
    #[arg(short, long, help_heading = "Performance", value_name = "N", value_parser = threads)]
    pub(crate) threads: Option<NonZeroUsize>,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The .torrent file, - for standard input
    pub(crate) file: PathBuf,

    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The .torrent file, - for standard input
    pub(crate) file: PathBuf,

    /// The content, or the folder that it is in
    pub(crate) path: PathBuf,

    /// Number of threads that hash; the default is one for each core
    #[arg(short, long, value_name = "N", value_parser = threads)]
    pub(crate) threads: Option<NonZeroUsize>,

    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct MagnetArgs {
    /// The .torrent file, - for standard input
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

fn name(text: &str) -> Result<String, &'static str> {
    if text.is_empty() { Err("a name must not be empty") } else { Ok(text.to_owned()) }
}

fn threads(text: &str) -> Result<NonZeroUsize, String> {
    text.parse()
        .ok()
        .filter(|threads: &NonZeroUsize| threads.get() <= 256)
        .ok_or_else(|| "it must be a number from 1 to 256".to_owned())
}

#[cfg(test)]
mod tests {
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
