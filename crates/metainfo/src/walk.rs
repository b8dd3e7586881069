//! The selection and order of the files of a torrent.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::{CreateError, CreateWarning, name};

/// The maximum nesting of folders: with a file name, the 100 components that libtorrent and the parser accept.
const MAX_DEPTH: usize = 99;

/// The maximum number of files in one torrent.
///
/// Their names alone make a .torrent of more than the 10 MB that libtorrent reads by default.
const MAX_FILES: usize = 1_000_000;

/// Names of files that operating systems leave behind, in lower case.
const JUNK: &[&str] = &[
    "$recycle.bin",
    ".appledouble",
    ".ds_store",
    ".fseventsd",
    ".lsoverride",
    ".spotlight-v100",
    ".trashes",
    "@eadir",
    "__macosx",
    "desktop.ini",
    "ehthumbs.db",
    "system volume information",
    "thumbs.db",
];

/// The groups of files to include.
#[derive(Debug, Clone, Default)]
pub(crate) struct WalkOptions {
    pub(crate) include_hidden: bool,
    pub(crate) include_junk: bool,
    pub(crate) follow_symlinks: bool,
}

/// A file that goes into the torrent.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlannedFile {
    /// The path on disk.
    pub source: PathBuf,
    /// Its path in the torrent, relative to the torrent's folder; its name alone for a single file.
    pub path: Vec<String>,
    /// Length in bytes.
    pub length: u64,
    /// The modification time, if the file system has it.
    pub(crate) modified: Option<SystemTime>,
}

impl PlannedFile {
    pub(crate) fn new(source: PathBuf, path: Vec<String>, metadata: &Metadata) -> Self {
        Self { source, path, length: metadata.len(), modified: metadata.modified().ok() }
    }
}

/// Something below the given folder that does not go into the torrent.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SkippedFile {
    /// The path on disk; everything below it is left out too.
    pub source: PathBuf,
    /// The reason why it is left out.
    pub reason: SkipReason,
}

/// The reason why a file does not go into a torrent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SkipReason {
    /// The name begins with a dot.
    Hidden,
    /// A name that operating systems leave behind: `.DS_Store`, `Thumbs.db`, `desktop.ini` …
    Junk,
    /// A symbolic link, and links are not followed.
    Symlink,
    /// A symbolic link whose target does not exist.
    DanglingSymlink,
    /// A symbolic link to a folder that contains it.
    SymlinkLoop,
    /// Neither a file nor a folder nor a link: a pipe, socket or device.
    Special,
}

impl SkipReason {
    /// The reason to leave out a file or folder by its name alone, unless its group is included.
    ///
    /// Junk whose name begins with a dot counts as junk, not as hidden.
    ///
    /// ```
    /// use metainfo::SkipReason;
    ///
    /// assert_eq!(SkipReason::of_name(".ssh"), Some(SkipReason::Hidden));
    /// assert_eq!(SkipReason::of_name("Thumbs.db"), Some(SkipReason::Junk));
    /// assert_eq!(SkipReason::of_name("notes.txt"), None);
    /// ```
    pub fn of_name(name: &str) -> Option<Self> {
        if is_junk(name) {
            Some(Self::Junk)
        } else if name.starts_with('.') {
            Some(Self::Hidden)
        } else {
            None
        }
    }
}

/// The files below a folder.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    /// In component-wise order of raw bytes, which is the order of a v2 file tree as well.
    pub(crate) files: Vec<PlannedFile>,
    pub(crate) skipped: Vec<SkippedFile>,
    pub(crate) warnings: Vec<CreateWarning>,
}

impl Walk {
    /// Everything below `root`, which is a folder or a link to one.
    pub(crate) fn folder(root: &Path, options: &WalkOptions) -> Result<Self, CreateError> {
        let mut walker = Walker { options, components: Vec::new(), ancestors: Vec::new(), found: Self::default() };
        walker.folder(root)?;
        Ok(walker.found)
    }
}

struct Walker<'o> {
    options: &'o WalkOptions,
    /// The path in the torrent of the folder that is being read.
    components: Vec<String>,
    /// The folders around it with links resolved; kept only where links are followed.
    ancestors: Vec<PathBuf>,
    found: Walk,
}

impl Walker<'_> {
    fn folder(&mut self, folder: &Path) -> Result<(), CreateError> {
        if self.components.len() > MAX_DEPTH {
            return Err(CreateError::TooDeep { path: folder.to_owned(), limit: MAX_DEPTH });
        }
        if self.options.follow_symlinks {
            let real = fs::canonicalize(folder).map_err(CreateError::unreadable(folder))?;
            if self.ancestors.contains(&real) {
                self.skip(folder, SkipReason::SymlinkLoop);
                return Ok(());
            }
            self.ancestors.push(real);
        }
        self.entries(folder)?;
        self.ancestors.pop();
        Ok(())
    }

    fn entries(&mut self, folder: &Path) -> Result<(), CreateError> {
        let mut names: Vec<OsString> = fs::read_dir(folder)
            .and_then(|entries| entries.map(|entry| Ok(entry?.file_name())).collect())
            .map_err(CreateError::unreadable(folder))?;
        names.sort_unstable_by(|a, b| a.as_encoded_bytes().cmp(b.as_encoded_bytes()));

        let mut folded: HashMap<String, String> = HashMap::new();
        for name in names {
            let source = folder.join(&name);
            if let Some(reason) = self.unwanted(&name.to_string_lossy()) {
                self.skip(&source, reason);
                continue;
            }
            let metadata = match self.metadata(&source)? {
                Ok(metadata) => metadata,
                Err(reason) => {
                    self.skip(&source, reason);
                    continue;
                }
            };
            let name = name.into_string().map_err(|_| CreateError::NotUtf8 { path: source.clone() })?;
            name::check(&name).map_err(|hazard| CreateError::UnsafeName { path: source.clone(), hazard })?;
            (self.found.warnings).extend(CreateWarning::of_name(&name, &source));
            if let Some(other) = folded.insert(name.to_lowercase(), name.clone()) {
                self.found.warnings.push(CreateWarning::CaseConflict { path: source.clone(), other });
            }
            self.components.push(name);
            if metadata.is_dir() {
                self.folder(&source)?;
            } else {
                self.file(source, &metadata)?;
            }
            self.components.pop();
        }
        Ok(())
    }

    fn file(&mut self, source: PathBuf, metadata: &Metadata) -> Result<(), CreateError> {
        if self.found.files.len() == MAX_FILES {
            return Err(CreateError::TooManyFiles { limit: MAX_FILES });
        }
        let file = PlannedFile::new(source, self.components.clone(), metadata);
        self.found.files.push(file);
        Ok(())
    }

    fn unwanted(&self, name: &str) -> Option<SkipReason> {
        SkipReason::of_name(name).filter(|reason| match reason {
            SkipReason::Junk => !self.options.include_junk,
            _ => !self.options.include_hidden,
        })
    }

    /// The metadata of the file or folder; links are followed only if requested.
    fn metadata(&self, source: &Path) -> Result<Result<Metadata, SkipReason>, CreateError> {
        let mut metadata = fs::symlink_metadata(source).map_err(CreateError::unreadable(source))?;
        if metadata.is_symlink() {
            if !self.options.follow_symlinks {
                return Ok(Err(SkipReason::Symlink));
            }
            metadata = match fs::metadata(source) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Err(SkipReason::DanglingSymlink)),
                outcome => outcome.map_err(CreateError::unreadable(source))?,
            };
        }
        if metadata.is_file() || metadata.is_dir() { Ok(Ok(metadata)) } else { Ok(Err(SkipReason::Special)) }
    }

    fn skip(&mut self, source: &Path, reason: SkipReason) {
        self.found.skipped.push(SkippedFile { source: source.to_owned(), reason });
    }
}

fn is_junk(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    JUNK.contains(&name.as_str()) || name.starts_with("._")
}
