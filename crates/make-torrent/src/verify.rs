//! `make-torrent verify`.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Result;
use metainfo::{FileReport, FileStatus, Metainfo, Report, Verify};
use serde::Serialize;

use crate::cli::VerifyArgs;
use crate::progress::{Bar, Interrupt};
use crate::safe_json::{Head, PathJson};
use crate::{input, show, text};

pub(crate) fn run(args: &VerifyArgs) -> Result<ExitCode> {
    let metainfo = input::read(&args.file)?;
    let mut verify = Verify::new(&metainfo, &args.path);
    if let Some(threads) = args.threads {
        verify = verify.threads(threads);
    }
    let interrupt = Interrupt::listen()?;
    let bar = Bar::new(metainfo.info().total_length());
    let report = verify.run(interrupt.flag(), |progress| bar.show(progress))?;
    drop(bar);

    let mut out = io::BufWriter::new(io::stdout().lock());
    if args.json {
        show::print_json(&mut out, &ReportJson::new(&metainfo, &report))?;
    } else {
        print_text(&mut out, &metainfo, &report)?;
    }
    out.flush()?;
    Ok(if report.is_complete() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print_text(out: &mut impl Write, metainfo: &Metainfo, report: &Report) -> io::Result<()> {
    for file in report.files.iter().filter(|file| file.status != FileStatus::Ok) {
        let path = text::one_line(&file.path);
        writeln!(out, "{path}: {}", text::one_line(&in_words(file)))?;
    }
    let name = metainfo.info().name();
    let name = text::one_line(&name);
    let pieces = text::count(metainfo.info().pieces().len(), "piece", "pieces");
    if report.is_complete() {
        let files = text::count(report.files.len(), "file", "files");
        return writeln!(out, "{name} is whole: {files}, {pieces}. A BitTorrent client can seed it from where it is.");
    }
    let whole = report.files.iter().filter(|file| file.status == FileStatus::Ok).count();
    let files = text::count(report.files.len(), "file is", "files are");
    writeln!(out, "{name} is not whole: {whole} of {files} whole")?;
    for (label, numbers) in [("wrong", &report.bad_pieces), ("could not be compared", &report.unchecked_pieces)] {
        if !numbers.is_empty() {
            let number = numbers.len();
            writeln!(out, "{number} of {pieces} {label}: {}", piece_numbers(numbers))?;
        }
    }
    writeln!(
        out,
        "To get the rest, open the .torrent file in a BitTorrent client, and choose the folder that {name} is in as the folder \
         to save to: the client checks what is there, and downloads only what is missing or wrong."
    )
}

/// Pieces by their numbers, which count from 0.
fn piece_numbers(numbers: &[u32]) -> String {
    let noun = if numbers.len() == 1 { "piece" } else { "pieces" };
    format!("{noun} {}", text::ranges(numbers))
}

fn in_words(file: &FileReport) -> String {
    let what = match &file.status {
        FileStatus::Missing => "missing".to_owned(),
        FileStatus::WrongLength { found } => {
            format!("has {found} bytes instead of {}", file.length)
        }
        FileStatus::Unreadable { reason } => format!("cannot be read: {reason}"),
        FileStatus::Unsafe { hazard } => format!("not looked for, its path is unsafe: {hazard}"),
        FileStatus::Unchecked => "shares a piece with a file that is not all there".to_owned(),
        _ => String::new(),
    };
    match (what.as_str(), file.bad_pieces.as_slice()) {
        (_, []) => what,
        ("", pieces) => format!("wrong: {}", piece_numbers(pieces)),
        (what, pieces) => format!("{what}, wrong: {}", piece_numbers(pieces)),
    }
}

/// The JSON output of the comparison.
#[derive(Debug, Serialize)]
struct ReportJson<'r> {
    #[serde(flatten)]
    head: Head,
    complete: bool,
    piece_count: usize,
    bad_pieces: &'r [u32],
    unchecked_pieces: &'r [u32],
    files: Vec<FileJson<'r>>,
}

#[derive(Debug, Serialize)]
struct FileJson<'r> {
    #[serde(flatten)]
    path: PathJson,
    length: u64,
    status: &'static str,
    /// A description of the problem for people.
    detail: Option<String>,
    bad_pieces: &'r [u32],
}

impl<'r> ReportJson<'r> {
    fn new(metainfo: &Metainfo, report: &'r Report) -> Self {
        let paths = PathJson::of_files(metainfo.info());
        Self {
            head: Head::new(metainfo, &paths),
            complete: report.is_complete(),
            piece_count: metainfo.info().pieces().len(),
            bad_pieces: &report.bad_pieces,
            unchecked_pieces: &report.unchecked_pieces,
            files: report.files.iter().map(|file| FileJson::new(file, paths[file.index].clone())).collect(),
        }
    }
}

impl<'r> FileJson<'r> {
    fn new(file: &'r FileReport, path: PathJson) -> Self {
        Self {
            path,
            length: file.length,
            status: match file.status {
                FileStatus::Ok => "ok",
                FileStatus::Missing => "missing",
                FileStatus::WrongLength { .. } => "wrong_length",
                FileStatus::Unsafe { .. } => "unsafe_path",
                FileStatus::Bad => "bad",
                FileStatus::Unchecked => "unchecked",
                _ => "unreadable",
            },
            detail: (file.status != FileStatus::Ok).then(|| in_words(file)),
            bad_pieces: &file.bad_pieces,
        }
    }
}
