//! Comparing content with its torrent.

use std::cmp::Ordering;
use std::convert::Infallible;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{self, AtomicBool};

use sha1_lanes::Engine;
use thiserror::Error;

use crate::hash::{self, Content, Progress, ReadFailure, Source};
use crate::{File, Hazard, Info, Metainfo, name};

/// The number of files that are looked for to find the folder that holds the content.
const LOCATE_FILES: usize = 100;

/// Content to compare with the torrent that describes it.
///
/// Nothing is written. Files are looked for at their [local paths](File::local_path): their safe paths and, where the operating
/// system allows it, names that only another cannot have (`What?.mp4`), in either Unicode form. No name in a torrent leads out
/// of the folder. Symbolic links on disk are followed, wherever they lead, because they do not come from the torrent.
///
/// ```
/// use std::sync::atomic::AtomicBool;
/// use metainfo::{Create, FileStatus, Metainfo, Verify};
///
/// # let folder = tempfile::tempdir()?;
/// let path = folder.path().join("notes.txt");
/// std::fs::write(&path, [1; 50_000])?;
/// let never = AtomicBool::new(false);
/// let created = Create::new(&path).plan()?.hash(&never, |_| ())?;
/// let metainfo = Metainfo::parse(created.as_bytes())?;
/// assert!(Verify::new(&metainfo, &path).run(&never, |_| ())?.is_complete());
///
/// std::fs::write(&path, [[1; 25_000], [2; 25_000]].concat())?;
/// let report = Verify::new(&metainfo, &path).run(&never, |_| ())?;
/// assert_eq!(report.bad_pieces, [1, 2, 3]);
/// assert_eq!(report.files[0].status, FileStatus::Bad);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Verify<'m> {
    info: &'m Info,
    path: PathBuf,
    threads: NonZeroUsize,
    engine: Option<Engine>,
}

impl<'m> Verify<'m> {
    /// Compares what is at `path` with a torrent.
    ///
    /// The path may be that of the content itself, or of the folder that holds it under the
    /// torrent's name. If both are possible, the folder with more files of the right length is used. For a torrent of a folder
    /// it may also be a file of it, if exactly one has this name; the others are missing then.
    pub fn new(metainfo: &'m Metainfo, path: impl Into<PathBuf>) -> Self {
        Self { info: metainfo.info(), path: path.into(), threads: hash::default_threads(), engine: None }
    }

    /// The number of threads that hash, at most 256; the default is one for each core.
    ///
    /// See [`Create::threads`](crate::Create::threads).
    pub fn threads(mut self, threads: NonZeroUsize) -> Self {
        self.threads = threads;
        self
    }

    /// The engine that hashes the pieces; [`Engine::fastest`] by default. The report is the same with each.
    pub fn engine(mut self, engine: Engine) -> Self {
        self.engine = Some(engine);
        self
    }

    /// Reads and compares everything.
    ///
    /// `progress` is called on this thread, about once for each MiB or piece, whichever is more.
    /// Once `cancel` is `true`, hashing stops with [`VerifyError::Cancelled`].
    ///
    /// # Errors
    /// Returns a [`VerifyError`] if the path itself cannot be read, or if the run is cancelled. Problems
    /// with single files are in the report.
    pub fn run(&self, cancel: &AtomicBool, mut progress: impl FnMut(Progress)) -> Result<Report, VerifyError> {
        let mut checks = self.look()?;
        let content = Content::new(
            u64::from(self.info.piece_length()),
            checks.iter().map(|check| (check.file.length, check.source())),
        );
        let mut report = Report { files: Vec::new(), bad_pieces: Vec::new(), unchecked_pieces: Vec::new() };
        let total = self.info.total_length();
        let mut hashed = 0;
        let engine = self.engine.unwrap_or_else(Engine::fastest);
        let result: Result<(), Infallible> = hash::hash_pieces(&content, engine, self.threads, cancel, |run| {
            for (number, outcome) in (run.first..).zip(run.outcomes) {
                // At most 2^21 pieces are read.
                let piece = number as u32;
                match outcome {
                    Ok(digest) if self.info.pieces().get(number) == Some(&digest) => {}
                    Ok(_) => {
                        report.bad_pieces.push(piece);
                        self.touched(&mut checks, number).for_each(|check| check.bad_pieces.push(piece));
                    }
                    Err(failure) => {
                        report.unchecked_pieces.push(piece);
                        self.touched(&mut checks, number).for_each(|check| check.unchecked = true);
                        checks[failure.file].failed(failure);
                    }
                }
            }
            hashed += run.bytes;
            progress(Progress { hashed, total });
            Ok(())
        });
        let Ok(()) = result;
        if cancel.load(atomic::Ordering::Relaxed) {
            return Err(VerifyError::Cancelled);
        }
        report.bad_pieces.sort_unstable();
        report.unchecked_pieces.sort_unstable();
        report.files = checks.into_iter().enumerate().filter_map(|(index, check)| check.report(index)).collect();
        Ok(report)
    }

    /// Checks the metadata of every file without reading it.
    fn look(&self) -> Result<Vec<Check<'m>>, VerifyError> {
        let metadata =
            fs::metadata(&self.path).map_err(|source| VerifyError::Unreadable { path: self.path.clone(), source })?;
        let files = self.info.files();
        if !metadata.is_dir() {
            let given = self.given_file()?;
            return Ok(files
                .iter()
                .enumerate()
                .map(|(index, file)| match index == given {
                    true => Check::new(file, Ok(self.path.clone())),
                    false => Check::missing(file),
                })
                .collect());
        }
        let root = self.root();
        Ok(files.iter().map(|file| Check::new(file, place(&root, file))).collect())
    }

    /// The index of the file that the path is, which is no folder.
    fn given_file(&self) -> Result<usize, VerifyError> {
        if self.info.is_single_file() {
            return Ok(0);
        }
        let given = self.path.file_name();
        let has_name = |file: &File| {
            let name = file.path.last().filter(|_| !file.attributes.pad && !file.attributes.symlink);
            let names = name.and_then(|name| name::local_names(name).ok());
            names.is_some_and(|names| names.iter().any(|name| Some(name.as_os_str()) == given))
        };
        let mut named = self.info.files().iter().enumerate().filter(|(_, file)| has_name(file)).map(|(index, _)| index);
        match (named.next(), named.next()) {
            (Some(index), None) => Ok(index),
            (first, _) => Err(VerifyError::FolderWanted { path: self.path.clone(), is_ambiguous: first.is_some() }),
        }
    }

    /// The folder that the files' paths are relative to.
    fn root(&self) -> PathBuf {
        if self.info.is_single_file() {
            return self.path.clone();
        }
        let names = self.info.local_names().unwrap_or_default();
        let Some(inner) = names.iter().map(|name| self.path.join(name)).find(|inner| inner.is_dir()) else {
            return self.path.clone();
        };
        let is_name = |name: &OsStr| names.iter().any(|known| known == name);
        let is_named = fs::canonicalize(&self.path).is_ok_and(|path| path.file_name().is_some_and(is_name));
        match self.fit(&inner).cmp(&self.fit(&self.path)) {
            Ordering::Less => self.path.clone(),
            Ordering::Equal if is_named => self.path.clone(),
            Ordering::Equal | Ordering::Greater => inner,
        }
    }

    /// The number of the first files that the folder has with the right length, and the number that it has at all.
    ///
    /// A single file does not decide: a parent folder may have a `README.txt` of its own.
    fn fit(&self, folder: &Path) -> (usize, usize) {
        let files = self.info.files().iter().filter(|file| !file.attributes.pad).take(LOCATE_FILES);
        let found: Vec<_> = files
            .filter_map(|file| {
                let metadata = fs::metadata(place(folder, file).ok()?).ok()?;
                Some(metadata.is_file() && metadata.len() == file.length)
            })
            .collect();
        (found.iter().filter(|fits| **fits).count(), found.len())
    }

    /// The files that have bytes in a piece.
    fn touched<'a, 'f>(&self, checks: &'a mut [Check<'f>], piece: usize) -> impl Iterator<Item = &'a mut Check<'f>> {
        let start = piece as u64 * u64::from(self.info.piece_length());
        let end = start + u64::from(self.info.piece_length());
        let first = checks.partition_point(|check| check.file.offset + check.file.length <= start);
        checks[first..]
            .iter_mut()
            .take_while(move |check| check.file.offset < end)
            .filter(|check| check.file.length > 0)
    }
}

/// The path on disk at which to look for a file.
fn place(root: &Path, file: &File) -> Result<PathBuf, Hazard> {
    let path = file.local_path(|path| fs::symlink_metadata(root.join(path)).is_ok());
    path.map(|path| root.join(path)).map_err(|error| error.hazard)
}

/// A file while it is being compared.
#[derive(Debug)]
struct Check<'f> {
    file: &'f File,
    place: Option<PathBuf>,
    status: FileStatus,
    bad_pieces: Vec<u32>,
    unchecked: bool,
}

impl<'f> Check<'f> {
    fn new(file: &'f File, place: Result<PathBuf, Hazard>) -> Self {
        let (place, status) = match place {
            Ok(path) => {
                let status = status_on_disk(&path, file.length);
                (Some(path), status)
            }
            Err(hazard) => (None, FileStatus::Unsafe { hazard }),
        };
        Self { file, place, status, bad_pieces: Vec::new(), unchecked: false }
    }

    fn missing(file: &'f File) -> Self {
        Self { file, place: None, status: FileStatus::Missing, bad_pieces: Vec::new(), unchecked: false }
    }

    fn source(&self) -> Source {
        if self.file.attributes.pad {
            return Source::Zeros;
        }
        match (&self.status, &self.place) {
            (FileStatus::Ok | FileStatus::WrongLength { .. }, Some(path)) => Source::Path(path.clone()),
            _ => Source::Absent,
        }
    }

    /// Records why a piece of the file could not be read, unless the metadata check already found a reason.
    fn failed(&mut self, failure: ReadFailure) {
        if let (FileStatus::Ok, Some(error)) = (&self.status, failure.error) {
            self.status = FileStatus::Unreadable { reason: error.to_string() };
        }
    }

    /// `None` for what has no content of its own.
    fn report(self, index: usize) -> Option<FileReport> {
        if self.file.attributes.pad || self.file.attributes.symlink || self.file.is_placeholder() {
            return None;
        }
        let status = match self.status {
            FileStatus::Ok if !self.bad_pieces.is_empty() => FileStatus::Bad,
            FileStatus::Ok if self.unchecked => FileStatus::Unchecked,
            status => status,
        };
        let mut bad_pieces = self.bad_pieces;
        bad_pieces.sort_unstable();
        Some(FileReport { index, path: self.file.display_path(), length: self.file.length, status, bad_pieces })
    }
}

/// The status of a file by its metadata.
fn status_on_disk(path: &Path, length: u64) -> FileStatus {
    match fs::metadata(path) {
        // Opening a pipe would block until a writer opens it.
        Ok(metadata) if !metadata.is_file() => FileStatus::Unreadable { reason: "it is not a file".to_owned() },
        Ok(metadata) if metadata.len() != length => FileStatus::WrongLength { found: metadata.len() },
        Ok(_) => FileStatus::Ok,
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => FileStatus::Missing,
            _ => FileStatus::Unreadable { reason: error.to_string() },
        },
    }
}

/// The result of comparing content with its torrent.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The files in the order of the torrent, without padding files, symlinks and [placeholders](File::is_placeholder).
    pub files: Vec<FileReport>,
    /// The pieces whose bytes are wrong, ascending.
    pub bad_pieces: Vec<u32>,
    /// The pieces that could not be read in full, because a file they have bytes of is missing,
    /// too short, unreadable or has no safe path; ascending.
    pub unchecked_pieces: Vec<u32>,
}

impl Report {
    /// Returns `true` if all files are present and correct.
    pub fn is_complete(&self) -> bool {
        self.bad_pieces.is_empty()
            && self.unchecked_pieces.is_empty()
            && self.files.iter().all(|file| file.status == FileStatus::Ok)
    }
}

/// The result of comparing one file with its torrent.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileReport {
    /// The index of the file in [`Info::files`].
    pub index: usize,
    /// The path as [`File::display_path`] gives it, which may be hostile.
    pub path: String,
    /// The length it should have, in bytes.
    pub length: u64,
    /// The status of the file.
    pub status: FileStatus,
    /// The pieces whose bytes are wrong and that have bytes of this file, ascending.
    ///
    /// A piece can have bytes of several files; it is not known which of them is wrong.
    pub bad_pieces: Vec<u32>,
}

/// The status of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileStatus {
    /// It is correct.
    Ok,
    /// It does not exist.
    Missing,
    /// It is longer or shorter than it should be.
    WrongLength {
        /// The length it has, in bytes.
        found: u64,
    },
    /// It cannot be read.
    Unreadable {
        /// The error of the operating system.
        reason: String,
    },
    /// The torrent gives it a path that must not be used, so it was not looked for.
    Unsafe {
        /// The reason why the path is unsafe.
        hazard: Hazard,
    },
    /// It has the right length, but some of its pieces are wrong.
    Bad,
    /// No error was found, but it shares a piece with an incomplete file, so this piece could not be
    /// compared.
    Unchecked,
}

/// The reason why content could not be compared with its torrent at all.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The path does not exist or cannot be accessed.
    #[error("cannot read {path:?}")]
    Unreadable {
        /// The path as given.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The path is that of a file, but the torrent is of a folder.
    #[error(
        "{path:?} is a file, but the torrent is of a folder, {}: give the folder",
        if *is_ambiguous { "in which several files have this name" } else { "in which no file has this name" }
    )]
    FolderWanted {
        /// The path as given.
        path: PathBuf,
        /// `true` if several files of the torrent have this name, `false` if none has.
        is_ambiguous: bool,
    },
    /// The flag to cancel was set.
    #[error("cancelled")]
    Cancelled,
}
