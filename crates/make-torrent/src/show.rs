//! `make-torrent show`.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Result;
use metainfo::Metainfo;
use serde::Serialize;

use crate::cli::ShowArgs;
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
    let mut errors = info.files().iter().filter(|file| !file.attributes.pad).filter_map(|file| file.safe_path().err());
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
    name: String,
    info_hash: Option<String>,
    info_hash_v2: Option<String>,
    piece_length: u64,
    piece_count: usize,
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

#[derive(Debug, Serialize)]
struct TorrentFile {
    path: String,
    length: u64,
}

impl Torrent {
    pub(crate) fn new(metainfo: &Metainfo) -> Self {
        let info = metainfo.info();
        let hashes = metainfo.info_hashes();
        Self {
            name: info.name().into_owned(),
            info_hash: hashes.v1.map(|hash| hash.to_string()),
            info_hash_v2: hashes.v2.map(|hash| hash.to_string()),
            piece_length: info.piece_length().into(),
            piece_count: info.pieces().len(),
            total_length: info.total_length(),
            private: info.private(),
            files: (info.files().iter())
                .map(|file| TorrentFile { path: file.display_path(), length: file.length })
                .collect(),
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
    line("size", &text::size(info.total_length()))?;
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
    line("files", &text::count(info.files().len(), "file", "files"))?;
    for file in info.files() {
        let path = text::one_line(&file.display_path());
        writeln!(out, "{:>15}  {path}", file.length)?;
    }
    Ok(())
}
