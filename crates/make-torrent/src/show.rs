//! `make-torrent show`.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Result;
use metainfo::{File, Metainfo};
use serde::Serialize;

use crate::cli::ShowArgs;
use crate::safe_json::{self, Head, PathJson, hex, is_false};
use crate::{input, text};

/// The maximum number of unsafe paths to list.
const MAX_PATHS: usize = 10;

pub(crate) fn run(args: &ShowArgs) -> Result<ExitCode> {
    let metainfo = input::read(&args.file)?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    if args.json {
        print_json(&mut out, &Torrent::new(&metainfo))?;
    } else {
        print_text(&mut out, &metainfo)?;
    }
    out.flush()?;
    for warning in warnings(&metainfo) {
        eprintln!("make-torrent: warning: {}", text::one_line(&warning));
    }
    Ok(ExitCode::SUCCESS)
}

fn warnings(metainfo: &Metainfo) -> Vec<String> {
    let info = metainfo.info();
    let mut warnings: Vec<_> = metainfo.warnings().iter().map(ToString::to_string).collect();
    // The only path of a single file is the name.
    if info.is_single_file() {
        warnings.extend(info.files()[0].safe_path().err().map(|error| error.to_string()));
        return warnings;
    }
    warnings.extend(info.safe_name().err().map(|error| error.to_string()));
    let mut errors = info.content_files().filter_map(|file| file.safe_path().err());
    warnings.extend(errors.by_ref().take(MAX_PATHS).map(|error| error.to_string()));
    match errors.count() {
        0 => {}
        more => {
            warnings.push(format!("{} not safe to use either", text::count(more, "more path is", "more paths are")))
        }
    }
    warnings
}

/// The JSON output for a torrent; absent text and dates are null.
#[derive(Debug, Serialize)]
pub(crate) struct Torrent {
    #[serde(flatten)]
    head: Head,
    piece_length: u64,
    piece_count: usize,
    /// Bytes of the files, padding left out.
    total_length: u64,
    private: bool,
    files: Vec<TorrentFile>,
    trackers: Vec<Vec<String>>,
    web_seeds: Vec<String>,
    nodes: Vec<(String, u16)>,
    comment: Option<String>,
    created_by: Option<String>,
    creation_date: Option<u64>,
    source: Option<String>,
}

/// A file of a torrent. What few files have is left out where it is not so.
#[derive(Debug, Serialize)]
struct TorrentFile {
    #[serde(flatten)]
    path: PathJson,
    length: u64,
    #[serde(skip_serializing_if = "is_false")]
    pad: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    attr: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    symlink_target: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    raw_symlink_target: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha1: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    md5sum: Option<String>,
}

impl Torrent {
    pub(crate) fn new(metainfo: &Metainfo) -> Self {
        let info = metainfo.info();
        let paths = PathJson::of_files(info);
        Self {
            head: Head::new(metainfo, &paths),
            piece_length: info.piece_length().into(),
            piece_count: info.pieces().len(),
            total_length: info.content_length(),
            private: info.private(),
            files: info.files().iter().zip(paths).map(|(file, path)| TorrentFile::new(file, path)).collect(),
            trackers: metainfo.trackers().to_vec(),
            web_seeds: metainfo.web_seeds().to_vec(),
            nodes: metainfo.nodes().to_vec(),
            comment: metainfo.comment().map(str::to_owned),
            created_by: metainfo.created_by().map(str::to_owned),
            creation_date: metainfo.creation_date(),
            source: info.source().map(str::to_owned),
        }
    }
}

impl TorrentFile {
    fn new(file: &File, path: PathJson) -> Self {
        Self {
            length: file.length,
            pad: file.attributes.pad,
            attr: file.attributes.letters(),
            symlink_target: file.sanitized_symlink_target().map(|target| safe_json::with_slashes(&target)),
            raw_symlink_target: file.display_symlink_target().filter(|_| path.is_unsafe),
            sha1: file.sha1.map(|digest| hex(&digest)),
            md5sum: file.md5sum.clone(),
            path,
        }
    }
}

pub(crate) fn print_json(out: &mut impl Write, object: &impl Serialize) -> Result<()> {
    serde_json::to_writer_pretty(&mut *out, object).map_err(io::Error::from)?;
    writeln!(out)?;
    Ok(())
}

fn print_text(out: &mut impl Write, metainfo: &Metainfo) -> Result<()> {
    let info = metainfo.info();
    let mut line = |label: &str, value: &str| writeln!(out, "{label:<13} {}", text::one_line(value));
    line("name", &info.name())?;
    if let Some(hash) = metainfo.info_hashes().v1 {
        line("info-hash", &hash.to_string())?;
    }
    if let Some(hash) = metainfo.info_hashes().v2 {
        line("info-hash v2", &hash.to_string())?;
    }
    line("size", &text::size(info.content_length()))?;
    let pieces = text::count(info.pieces().len(), "piece", "pieces");
    let piece_length = text::size(info.piece_length().into());
    line("pieces", &format!("{pieces} of {piece_length}"))?;
    line("private", if info.private() { "yes" } else { "no" })?;
    for tier in metainfo.trackers() {
        line("trackers", &tier.join(", "))?;
    }
    for url in metainfo.web_seeds() {
        line("web seed", url)?;
    }
    for (host, port) in metainfo.nodes() {
        line("node", &format!("{host} port {port}"))?;
    }
    for (label, value) in [
        ("comment", metainfo.comment()),
        ("created by", metainfo.created_by()),
        ("created", metainfo.creation_date().map(text::utc).as_deref()),
        ("source", info.source()),
    ] {
        if let Some(value) = value {
            line(label, value)?;
        }
    }
    line("files", &text::count(info.content_files().count(), "file", "files"))?;
    for file in info.files() {
        writeln!(out, "{:>15}  {}", file.length, text::one_line(&file_in_words(file)))?;
    }
    Ok(())
}

/// The path of a file, and what else the torrent says of it: `bin/run [executable]`, `latest -> 2024/notes.txt [symlink]`.
fn file_in_words(file: &File) -> String {
    let attributes = file.attributes;
    let named = [
        (attributes.pad, "padding"),
        (file.is_placeholder(), "mark of an empty folder"),
        (attributes.symlink, "symlink"),
        (attributes.executable, "executable"),
        (attributes.hidden, "hidden"),
    ];
    let mut notes: Vec<_> = named.iter().filter(|(is_set, _)| *is_set).map(|(_, name)| (*name).to_owned()).collect();
    notes.extend(file.sha1.map(|digest| format!("sha1 {}", hex(&digest))));
    notes.extend(file.md5sum.as_ref().map(|digest| format!("md5sum {digest}")));

    let target = file.display_symlink_target().map_or_else(String::new, |target| format!(" -> {target}"));
    let notes = if notes.is_empty() { String::new() } else { format!(" [{}]", notes.join(", ")) };
    format!("{}{target}{notes}", file.display_path())
}
