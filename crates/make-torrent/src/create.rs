//! `make-torrent PATH`.

use std::collections::HashSet;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::{Result, anyhow, bail};
use clap::CommandFactory;
use clap::error::ErrorKind;
use metainfo::{
    Create, CreateError, CreateWarning, Metainfo, Plan, PlannedFile, SkipReason, SkippedFile, is_invisible,
};
use serde::Serialize;

use crate::cli::{Cli, CreateArgs};
use crate::output::Output;
use crate::progress::{Bar, Interrupt};
use crate::show::{self, Torrent};
use crate::url::{AnnouncePath, Reach, Url};
use crate::{text, url};

const PROGRAM: &str = concat!("make-torrent/", env!("CARGO_PKG_VERSION"));

/// The largest .torrent file that libtorrent reads by default, in bytes.
const LARGE_TORRENT: usize = 10_000_000;

/// The maximum number of warnings to print.
const MAX_WARNINGS: usize = 20;

pub(crate) fn run(args: CreateArgs) -> Result<ExitCode> {
    let path = args.path.clone().expect("clap demands it");
    if !args.more.is_empty() {
        let message = "a torrent is made of one file or folder: put several into a folder and give that";
        Cli::command().error(ErrorKind::TooManyValues, message).exit();
    }
    if path == Path::new("-") {
        bail!("a torrent is made of a file or folder, not of standard input");
    }
    if args.json && args.output.as_deref() == Some(Path::new("-")) {
        Cli::command().error(ErrorKind::ArgumentConflict, "--json and -o - both write to standard output").exit();
    }
    let (json, verbose) = (args.json, args.verbose);
    let mut warnings = announce_warnings(&args);
    let has_web_seeds = !args.web_seed.is_empty();
    let (wanted, force, include_hidden) = (args.output.clone(), args.force, args.include_hidden);

    let plan = wishes(&path, args).plan().map_err(|error| advise(error, &path, include_hidden))?;
    let output = Output::new(wanted, &path, force)?;
    output.check(&path, &plan)?;
    if has_web_seeds && path.is_dir() {
        warnings.extend(unfetchable(&plan));
    }
    warnings.extend(plan.warnings().iter().map(|warning| in_words(warning, include_hidden)));

    let interrupt = Interrupt::listen()?;
    let bar = Bar::new(plan.total_length());
    let created = plan.hash(interrupt.flag(), |progress| bar.show(progress));
    let created = created.map_err(|error| advise(error, &path, include_hidden))?;
    drop(bar);
    if created.as_bytes().len() > LARGE_TORRENT {
        warnings.push(format!(
            "the .torrent file has {} bytes, and many clients read no more than {LARGE_TORRENT}; \
             share fewer files at once or choose larger pieces",
            created.as_bytes().len(),
        ));
    }
    output.write(created.as_bytes(), &interrupt)?;

    report(&plan, &warnings, verbose);
    if let Output::File { path: output, .. } = output {
        let mut out = io::stdout().lock();
        if json {
            let metainfo = Metainfo::parse(created.as_bytes())?;
            show::print_json(&mut out, &CreatedJson::new(output, &metainfo, &plan, warnings))?;
        } else {
            // A line as the tracker's lists of torrents take it.
            writeln!(out, "{}  {}", created.info_hash(), text::undashed(&output))?;
            if io::stderr().is_terminal() {
                eprintln!("{}", advice(&output, &path, plan.name()));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn wishes(path: &Path, args: CreateArgs) -> Create {
    let now = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok();
    let date = args.date.or_else(|| now().map(|since| since.as_secs()));
    let mut known = HashSet::new();
    let trackers: Vec<_> = args.announce.iter().map(|tier| url::texts(&tier.0, &mut known)).collect();
    known.clear();
    let web_seeds: Vec<_> = args.web_seed.iter().flat_map(|seeds| url::texts(&seeds.0, &mut known)).collect();
    let nodes: Vec<_> = args.node.into_iter().map(|node| (node.host, node.port)).collect();

    let mut create = Create::new(path)
        .trackers(&trackers)
        .web_seeds(&web_seeds)
        .nodes(&nodes)
        .private(args.private)
        .created_by(PROGRAM)
        .creation_date(date.filter(|_| !args.no_date))
        .include_hidden(args.include_hidden)
        .include_junk(args.include_junk)
        .follow_symlinks(args.follow_symlinks)
        .exclude(&args.exclude)
        .include(&args.include);
    if let Some(name) = args.name {
        create = create.name(name);
    }
    if let Some(length) = args.piece_length {
        create = create.piece_length(length);
    }
    if let Some(comment) = args.comment {
        create = create.comment(&comment);
    }
    if let Some(source) = args.source {
        create = create.source(source);
    }
    if let Some(threads) = args.threads {
        create = create.threads(threads);
    }
    create
}

fn announce_warnings(args: &CreateArgs) -> Vec<String> {
    let mut warnings = Vec::new();
    if args.announce.is_empty() {
        warnings.push(if args.private {
            "without an announce URL (-a) nobody finds a private torrent's peers".to_owned()
        } else {
            "without an announce URL (-a) peers are found by DHT and local discovery only".to_owned()
        });
    }
    if args.private && !args.node.is_empty() {
        warnings.push("clients do not use DHT for a private torrent, so its --node is of no use".to_owned());
    }
    for url in args.announce.iter().flat_map(|tier| &tier.0) {
        warnings.extend(host_warnings(url, "tracker"));
        let doubt = match url.announce_path() {
            AnnouncePath::Usual => None,
            AnnouncePath::EmptyComponent => Some("there is an empty name between two slashes of its path"),
            AnnouncePath::Port => Some("a port stands behind the host, not in the path"),
            AnnouncePath::Unusual => Some("the usual path is /announce"),
        };
        warnings.extend(doubt.map(|doubt| format!("{} may not be an announce URL: {doubt}", url.as_str())));
        if url.as_str().contains("?token=") {
            warnings.push(
                "that is the operator's URL of the tracker's dashboard, and its token is now in the torrent: make the torrent \
                 again with an announce URL, which the tracker prints at its start"
                    .to_owned(),
            );
        }
    }
    let web_seeds = args.web_seed.iter().flat_map(|seeds| &seeds.0);
    warnings.extend(web_seeds.flat_map(|url| host_warnings(url, "web server")));
    warnings
}

/// A warning of names in a folder that WebTorrent appends to the URL of a web seed as they are, so that the path ends there.
fn unfetchable(plan: &Plan) -> Option<String> {
    let ends_a_path = |file: &PlannedFile| file.path.iter().any(|name| name.contains(['#', '?']));
    let mut files = plan.files().iter().filter(|file| ends_a_path(file));
    let first = files.next()?.path.join("/");
    Some(match files.count() {
        0 => format!("WebTorrent cannot download {first:?} from a web server, since there is a # or ? in its name"),
        more => format!(
            "WebTorrent cannot download {first:?} and {} from a web server, since there is a # or ? in their names",
            text::count(more, "other file", "other files")
        ),
    })
}

/// Warnings of a host that others cannot use; `server` is what it is.
fn host_warnings(url: &Url, server: &str) -> impl Iterator<Item = String> {
    let trouble = match url.reach() {
        Reach::Network => None,
        Reach::Loopback => Some("is a loopback address, which leads every machine to itself"),
        Reach::Unspecified => Some("is a listening address, to which clients cannot connect"),
        Reach::LinkLocal => Some("is a link-local address, which works only on one network segment, if at all"),
    };
    let unreachable =
        trouble.map(|trouble| format!("{} {trouble}: others need the {server}'s address on the network", url.as_str()));
    let dropped = url.unusual_host().map(|host| {
        format!(
            "clients such as qBittorrent drop {}, since the name {host} holds other characters than letters, digits, \
             hyphens and dots: give the {server}'s address, or another name of it",
            url.as_str(),
        )
    });
    unreachable.into_iter().chain(dropped)
}

/// What to do with the torrent, in sentences for people.
fn advice(output: &Path, content: &Path, name: &str) -> String {
    let torrent = text::argument(output);
    let name_on_disk = content.file_name();
    let name = text::one_line(name);
    let mut advice = format!(
        "Open {torrent} in a BitTorrent client on this machine, and choose the folder that {name} is in already as the \
         folder to save to: the client checks what is there and seeds it. Then give the .torrent file to the others, or the \
         link that `make-torrent magnet {torrent}` prints."
    );
    if name_on_disk.is_some_and(|on_disk| text::one_line(&on_disk.to_string_lossy()) != name) {
        advice += &format!(" On disk it has another name: rename it to {name} first, or the client does not find it.");
    }
    advice
}

/// Prints skipped files and warnings to standard error.
fn report(plan: &Plan, warnings: &[String], verbose: bool) {
    if verbose {
        for file in plan.files() {
            eprintln!("{:>15}  {}", file.length, text::one_line(&file.path.join("/")));
        }
        let pieces = text::count(plan.piece_count() as usize, "piece", "pieces");
        eprintln!("{} in {pieces} of {}", text::size(plan.total_length()), plan.piece_length());
        for skipped in plan.skipped() {
            let path = skipped.source.to_string_lossy();
            let Reason { label, option, .. } = Reason::of(skipped.reason);
            let remedy = option.map(|option| format!(" ({option} includes it)")).unwrap_or_default();
            eprintln!("left out {}: {label}{remedy}", text::one_line(&path));
        }
    } else if !plan.skipped().is_empty() {
        eprintln!("make-torrent: left out {} (-v lists them)", skipped_in_short(plan.skipped(), false));
    }
    for warning in warnings.iter().take(MAX_WARNINGS) {
        eprintln!("make-torrent: warning: {}", text::one_line(warning));
    }
    if let Some(more) = warnings.len().checked_sub(MAX_WARNINGS).filter(|&more| more > 0) {
        eprintln!("make-torrent: {} (--json lists them)", text::count(more, "more warning", "more warnings"));
    }
}

/// What is left out, in numbers by its kind; `with_options` beside each the option that includes it.
fn skipped_in_short(skipped: &[SkippedFile], with_options: bool) -> String {
    let mut kinds: Vec<(Reason, usize)> = Vec::new();
    for skipped in skipped {
        let reason = Reason::of(skipped.reason);
        match kinds.iter_mut().find(|(known, _)| known.json == reason.json) {
            Some((_, number)) => *number += 1,
            None => kinds.push((reason, 1)),
        }
    }
    let kinds = kinds.into_iter().map(|(kind, number)| {
        let mut text = text::count(number, kind.one, kind.many);
        if let Some(option) = kind.option.filter(|_| with_options) {
            text += &format!(" ({option} includes {})", if number == 1 { "it" } else { "them" });
        }
        text
    });
    kinds.collect::<Vec<_>>().join(", ")
}

/// A warning with the option that helps, if there is one.
fn in_words(warning: &CreateWarning, include_hidden: bool) -> String {
    let mut text = warning.to_string();
    if let CreateWarning::IncludesNothing { pattern } = warning
        && !include_hidden
        && pattern.split('/').any(|name| name.starts_with('.'))
    {
        text += "; names that begin with a dot need --include-hidden";
    }
    text
}

/// Adds the option that helps to the error, if there is one. `root` is the given file or folder.
fn advise(error: CreateError, root: &Path, include_hidden: bool) -> anyhow::Error {
    let remedy = match &error {
        CreateError::Empty { skipped, unused, .. } => {
            let mut reasons = String::new();
            if !skipped.is_empty() {
                reasons += &format!(": left out {}", skipped_in_short(skipped, true));
            }
            for warning in unused {
                reasons += &format!("; {}", in_words(warning, include_hidden));
            }
            reasons
        }
        CreateError::NoName { .. } => "; give one with -n, and the .torrent file with -o".to_owned(),
        CreateError::NotUtf8 { path } | CreateError::UnsafeName { path, .. } => match pattern_of(path, root) {
            Some(pattern) => format!("; rename it, or leave it out with --exclude {pattern}"),
            None => "; give another name with -n".to_owned(),
        },
        CreateError::Unreadable { path, .. }
        | CreateError::Vanished { path }
        | CreateError::LengthChanged { path, .. }
        | CreateError::Modified { path }
        | CreateError::TooDeep { path, .. } => match pattern_of(path, root) {
            Some(pattern) => format!("; --exclude {pattern} leaves it out"),
            None => String::new(),
        },
        _ => String::new(),
    };
    if remedy.is_empty() { error.into() } else { anyhow!("{:#}{remedy}", anyhow::Error::from(error)) }
}

/// A pattern for a file below the given folder, in quotes for a shell.
///
/// It begins with a slash, so that it stands for this file only, not for all of that name, and is not taken for an option. What
/// means something in a pattern stands in brackets. For a byte that cannot be printed stands a group of all such bytes, since
/// `?` and `*` would match other files, too.
fn pattern_of(path: &Path, root: &Path) -> Option<String> {
    const UNPRINTABLE: &str = "[^ -~]";
    let mut pattern = String::new();
    for name in path.strip_prefix(root).ok()?.components() {
        pattern.push('/');
        for chunk in name.as_os_str().as_encoded_bytes().utf8_chunks() {
            for character in chunk.valid().chars() {
                if "*?[{}\\".contains(character) {
                    pattern.extend(['[', character, ']']);
                } else if character.is_control() || is_invisible(character) {
                    pattern += &UNPRINTABLE.repeat(character.len_utf8());
                } else {
                    pattern.push(character);
                }
            }
            pattern += &UNPRINTABLE.repeat(chunk.invalid().len());
        }
    }
    (!pattern.is_empty()).then(|| text::quoted(&pattern))
}

/// The reason why something is left out, in words.
struct Reason {
    json: &'static str,
    label: &'static str,
    one: &'static str,
    many: &'static str,
    /// The option that includes it.
    option: Option<&'static str>,
}

impl Reason {
    fn of(reason: SkipReason) -> Self {
        let (json, label, one, many) = match reason {
            SkipReason::Hidden => ("hidden", "hidden", "hidden file or folder", "hidden files or folders"),
            SkipReason::Junk => ("junk", "junk", "junk file", "junk files"),
            SkipReason::Symlink => ("symlink", "symbolic link", "symbolic link", "symbolic links"),
            SkipReason::DanglingSymlink => {
                let one = "symbolic link to nothing";
                ("dangling_symlink", one, one, "symbolic links to nothing")
            }
            SkipReason::SymlinkLoop => {
                let one = "symbolic link to a folder around it";
                ("symlink_loop", one, one, "symbolic links to folders around them")
            }
            SkipReason::EmptyFolder => ("empty_folder", "empty folder", "empty folder", "empty folders"),
            SkipReason::Excluded => ("excluded", "excluded", "excluded file or folder", "excluded files or folders"),
            SkipReason::NotIncluded => ("not_included", "not included", "file not included", "files not included"),
            _ => ("special", "neither file nor folder", "pipe, socket or device", "pipes, sockets or devices"),
        };
        let option = match reason {
            SkipReason::Hidden => Some("--include-hidden"),
            SkipReason::Junk => Some("--include-junk"),
            SkipReason::Symlink => Some("--follow-symlinks"),
            _ => None,
        };
        Self { json, label, one, many, option }
    }
}

/// The JSON output for a created torrent.
#[derive(Debug, Serialize)]
struct CreatedJson {
    output: String,
    #[serde(flatten)]
    torrent: Torrent,
    skipped: Vec<SkippedJson>,
    warnings: Vec<String>,
}

#[derive(Debug, Serialize)]
struct SkippedJson {
    path: String,
    reason: &'static str,
}

impl CreatedJson {
    fn new(output: PathBuf, metainfo: &Metainfo, plan: &Plan, warnings: Vec<String>) -> Self {
        Self {
            output: output.to_string_lossy().into_owned(),
            torrent: Torrent::new(metainfo),
            skipped: (plan.skipped().iter())
                .map(|skipped| SkippedJson {
                    path: skipped.source.to_string_lossy().into_owned(),
                    reason: Reason::of(skipped.reason).json,
                })
                .collect(),
            warnings,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_says_what_to_do_next() {
        let advice = |output: &str, content: &str, name| advice(Path::new(output), Path::new(content), name);
        assert_eq!(
            advice("shelf/course.torrent", "shelf/course/", "course"),
            "Open shelf/course.torrent in a BitTorrent client on this machine, and choose the folder that course is in \
             already as the folder to save to: the client checks what is there and seeds it. Then give the .torrent file to \
             the others, or the link that `make-torrent magnet shelf/course.torrent` prints."
        );
        let renamed = " On disk it has another name: rename it to b first, or the client does not find it.";
        assert!(advice("a.torrent", "a", "b").ends_with(renamed));
        assert!(!advice("a.torrent", ".", "b").contains("another name"));
        assert!(advice("-rf.torrent", "-rf", "-rf").contains("`make-torrent magnet ./-rf.torrent`"));
    }
}
