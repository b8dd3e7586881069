//! The selection and order of the files of a torrent.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use unicode_normalization::UnicodeNormalization;

use crate::pattern::{Pattern, Patterns};
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
    pub(crate) exclude: Vec<Pattern>,
    pub(crate) include: Vec<Pattern>,
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
    /// Opens the file, so that one that cannot be read is known before hours of hashing.
    pub(crate) fn new(source: PathBuf, path: Vec<String>, metadata: &Metadata) -> Result<Self, CreateError> {
        if metadata.len() > 0 {
            File::open(&source).map_err(CreateError::unreadable(&source))?;
        }
        Ok(Self { source, path, length: metadata.len(), modified: metadata.modified().ok() })
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
    /// It matches a pattern of [`Create::exclude`](crate::Create::exclude).
    Excluded,
    /// There are patterns of [`Create::include`](crate::Create::include), and neither the file nor a folder around it matches
    /// one.
    NotIncluded,
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
    /// A folder in which there is nothing: torrents hold files only.
    EmptyFolder,
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
    /// The patterns that match nothing.
    pub(crate) unused: Vec<CreateWarning>,
}

impl Walk {
    /// Everything below `root`, which is a folder or a link to one.
    pub(crate) fn folder(root: &Path, options: &WalkOptions) -> Result<Self, CreateError> {
        let mut walker = Walker {
            root,
            options,
            excludes: Patterns::new(&options.exclude),
            includes: Patterns::new(&options.include),
            names: Vec::new(),
            components: Vec::new(),
            folded: Vec::new(),
            ancestors: Vec::new(),
            found: Self::default(),
        };
        walker.folder(root, options.include.is_empty())?;
        let Walker { excludes, includes, mut found, .. } = walker;
        found.unused.extend(CreateWarning::of_unused_patterns(excludes.unused(), includes.unused()));
        Ok(found)
    }
}

/// Walks a folder depth first, names in the order of their bytes.
///
/// What is excluded is not looked at, so that neither its name nor its permissions are in the way. The name of a folder is
/// checked when the first file below it goes into the torrent, for the same reason: `components` has the checked part of
/// `names`, and may be shorter.
struct Walker<'o> {
    root: &'o Path,
    options: &'o WalkOptions,
    excludes: Patterns<'o>,
    includes: Patterns<'o>,
    /// The path below the root of what is being looked at.
    names: Vec<OsString>,
    /// The beginning of it, as it stands in the torrent.
    components: Vec<String>,
    /// For each folder of it, the names of the torrent in it as systems see them that ignore case and Unicode forms.
    folded: Vec<HashMap<String, String>>,
    /// The folders around it with links resolved; kept only where links are followed.
    ancestors: Vec<PathBuf>,
    found: Walk,
}

impl Walker<'_> {
    /// Files below the folder are all included if `is_included` is `true`.
    fn folder(&mut self, folder: &Path, is_included: bool) -> Result<(), CreateError> {
        if self.names.len() > MAX_DEPTH {
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
        self.folded.push(HashMap::new());
        self.entries(folder, is_included)?;
        self.folded.pop();
        self.ancestors.pop();
        Ok(())
    }

    fn entries(&mut self, folder: &Path, is_included: bool) -> Result<(), CreateError> {
        let mut names: Vec<OsString> = fs::read_dir(folder)
            .and_then(|entries| entries.map(|entry| Ok(entry?.file_name())).collect())
            .map_err(CreateError::unreadable(folder))?;
        names.sort_unstable_by(|a, b| a.as_encoded_bytes().cmp(b.as_encoded_bytes()));
        if names.is_empty() && folder != self.root {
            self.skip(folder, SkipReason::EmptyFolder);
        }

        for name in names {
            let source = folder.join(&name);
            let path = source.strip_prefix(self.root).expect("it is below the root");
            if self.excludes.matches(path, &source) {
                self.skip(&source, SkipReason::Excluded);
                continue;
            }
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
            // First, so that the pattern counts as used.
            let is_included = self.includes.matches(path, &source) || is_included;
            self.names.push(name);
            if metadata.is_dir() {
                self.folder(&source, is_included)?;
            } else if is_included {
                self.file(source, &metadata)?;
            } else {
                self.skip(&source, SkipReason::NotIncluded);
            }
            self.names.pop();
            self.components.truncate(self.names.len());
        }
        Ok(())
    }

    fn file(&mut self, source: PathBuf, metadata: &Metadata) -> Result<(), CreateError> {
        if self.found.files.len() == MAX_FILES {
            return Err(CreateError::TooManyFiles { limit: MAX_FILES });
        }
        self.check_names()?;
        let file = PlannedFile::new(source, self.components.clone(), metadata)?;
        self.found.files.push(file);
        Ok(())
    }

    /// Checks the names that are new since the last file.
    fn check_names(&mut self) -> Result<(), CreateError> {
        while let Some(name) = self.names.get(self.components.len()) {
            let depth = self.components.len();
            let path = || self.root.join(self.names[..=depth].iter().collect::<PathBuf>());
            let name = name.to_str().ok_or_else(|| CreateError::NotUtf8 { path: path() })?.to_owned();
            name::check(&name).map_err(|hazard| CreateError::UnsafeName { path: path(), hazard })?;
            self.found.warnings.extend(CreateWarning::of_name(&name, path));
            let folded: String = name.to_lowercase().nfc().collect();
            if let Some(other) = self.folded[depth].insert(folded, name.clone()) {
                self.found.warnings.push(CreateWarning::of_twins(path(), &name, other));
            }
            self.components.push(name);
        }
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
