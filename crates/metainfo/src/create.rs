//! Making a torrent of a file or folder.

mod error;
mod plan;

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use bencode::Limits;
use sha1_lanes::Engine;

use crate::info::Layout;
use crate::keys::Keys;
use crate::walk::{PlannedFile, Walk, WalkOptions};
use crate::{Pattern, PieceLength, hash, name};

pub use error::{CreateError, CreateWarning};
pub use plan::{Created, Plan};

/// Room for the values of a torrent besides its files: keys, trackers, web seeds and nodes.
const OTHER_VALUES: usize = 10_000;

/// The settings of a new torrent: its content, and the keys to write.
///
/// Making a torrent takes three steps, so that its contents can be shown before the slow one:
/// [`Create`] collects the settings, [`plan`](Self::plan) lists the files, and [`Plan::hash`] reads
/// them.
///
/// Equal files and settings always make equal bytes: files are sorted component-wise by the
/// bytes of their names, and only the given keys are written; in particular there is no creation
/// date unless one is given.
///
/// Below a folder these are left out, and reported by [`Plan::skipped`]: files whose names begin
/// with a dot, files that operating systems leave behind (`.DS_Store`, `Thumbs.db`, `desktop.ini`
/// …), symbolic links, pipes, sockets and devices, and empty folders. The first three groups can be included; others can be
/// left out by [`exclude`](Self::exclude) and [`include`](Self::include). The given file or folder itself is always included,
/// even if it is a link.
///
/// See [BEP 3](https://www.bittorrent.org/beps/bep_0003.html).
///
/// ```
/// use std::sync::atomic::AtomicBool;
/// use metainfo::{Create, Metainfo};
///
/// # let folder = tempfile::tempdir()?;
/// let path = folder.path().join("lecture.mp4");
/// std::fs::write(&path, [0; 100_000])?;
///
/// let plan = Create::new(&path)
///     .trackers(&[vec!["http://192.168.1.10:6969/announce".to_owned()]])
///     .plan()?;
/// assert_eq!(plan.piece_count(), 7);
///
/// let never = AtomicBool::new(false);
/// let created = plan.hash(&never, |progress| assert!(progress.hashed <= progress.total))?;
/// let metainfo = Metainfo::parse(created.as_bytes())?;
/// assert_eq!(metainfo.info().name(), "lecture.mp4");
/// assert_eq!(metainfo.info_hashes().v1, Some(created.info_hash()));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Create {
    path: PathBuf,
    name: Option<String>,
    piece_length: Option<PieceLength>,
    threads: Option<NonZeroUsize>,
    engine: Option<Engine>,
    walk: WalkOptions,
    private: bool,
    source: Option<String>,
    web_seeds: Vec<String>,
    keys: Keys,
}

impl Create {
    /// A torrent of the file or folder at `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            name: None,
            piece_length: None,
            threads: None,
            engine: None,
            walk: WalkOptions::default(),
            private: false,
            source: None,
            web_seeds: Vec::new(),
            keys: Keys::default(),
        }
    }

    /// The name of the file or folder in the torrent; the default is its name on disk.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The piece length; the default is [`PieceLength::for_total`].
    pub fn piece_length(mut self, piece_length: PieceLength) -> Self {
        self.piece_length = Some(piece_length);
        self
    }

    /// Restricts clients to peers from the torrent's trackers if `true`; the default is `false`.
    ///
    /// Turns off DHT, peer exchange and local discovery in every client, and changes the
    /// info-hash. See [BEP 27](https://www.bittorrent.org/beps/bep_0027.html).
    pub fn private(mut self, private: bool) -> Self {
        self.private = private;
        self
    }

    /// A tag that changes the info-hash, by which private trackers make a torrent their own. A blank one is none.
    pub fn source(mut self, source: impl Into<String>) -> Self {
        self.source = Some(source.into()).filter(|source| !source.trim().is_empty());
        self
    }

    /// A comment for people.
    pub fn comment(mut self, comment: &str) -> Self {
        self.keys.comment(Some(comment));
        self
    }

    /// The announce URLs in tiers: clients use the first tier that answers, and any URL within a tier.
    ///
    /// A single URL is written as `announce` alone, several as `announce-list` with the first of them as `announce`
    /// too. URLs are trimmed; empty ones and repeated ones are left out, and so are empty tiers. See
    /// [BEP 12](https://www.bittorrent.org/beps/bep_0012.html).
    pub fn trackers(mut self, tiers: &[Vec<String>]) -> Self {
        self.keys.trackers(tiers);
        self
    }

    /// URLs of web servers that have the content.
    ///
    /// URLs are trimmed; empty ones and repeated ones are left out. For a folder each names the folder that it is in, so a
    /// final `/` is added where it is missing. See [BEP 19](https://www.bittorrent.org/beps/bep_0019.html).
    pub fn web_seeds(mut self, urls: &[String]) -> Self {
        self.web_seeds = urls.to_vec();
        self
    }

    /// DHT nodes (host and port) to start from; repeated ones are left out.
    ///
    /// See [BEP 5](https://www.bittorrent.org/beps/bep_0005.html).
    pub fn nodes(mut self, nodes: &[(String, u16)]) -> Self {
        self.keys.nodes(nodes);
        self
    }

    /// The program that made the torrent, with its version.
    pub fn created_by(mut self, program: &str) -> Self {
        self.keys.created_by(Some(program));
        self
    }

    /// The time at which the torrent was made, in seconds since 1970; none by default.
    pub fn creation_date(mut self, date: Option<u64>) -> Self {
        self.keys.creation_date(date);
        self
    }

    /// Includes files and folders whose names begin with a dot if `true`; the default is `false`.
    pub fn include_hidden(mut self, include: bool) -> Self {
        self.walk.include_hidden = include;
        self
    }

    /// Includes files that operating systems leave behind if `true`; the default is `false`.
    pub fn include_junk(mut self, include: bool) -> Self {
        self.walk.include_junk = include;
        self
    }

    /// Follows symbolic links and includes their targets if `true`; the default is `false`.
    ///
    /// Links to a folder that contains them, and links without a target, are left out and reported.
    pub fn follow_symlinks(mut self, follow: bool) -> Self {
        self.walk.follow_symlinks = follow;
        self
    }

    /// Leaves out the files and folders that match one of the patterns; a folder with all that is in it.
    ///
    /// What is excluded is not looked at: its name and its permissions do not matter. The patterns say nothing about the given
    /// file or folder itself. A pattern that matches nothing that would otherwise go in gives a
    /// [`CreateWarning::ExcludesNothing`].
    pub fn exclude(mut self, patterns: &[Pattern]) -> Self {
        self.walk.exclude = patterns.to_vec();
        self
    }

    /// Leaves out all files that do not match one of the patterns, and are in no folder that does; none by default, which
    /// includes all.
    ///
    /// What is left out for another reason stays so: what [`exclude`](Self::exclude) matches, and hidden files, junk and
    /// links unless they are included, too. A pattern that matches nothing gives a [`CreateWarning::IncludesNothing`].
    pub fn include(mut self, patterns: &[Pattern]) -> Self {
        self.walk.include = patterns.to_vec();
        self
    }

    /// The number of threads that hash, at most 256; the default is one for each core.
    ///
    /// Each thread reads its own part of the files. A single thread reads them from the first to the last, which is fastest
    /// from a hard disk.
    pub fn threads(mut self, threads: NonZeroUsize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// The engine that hashes the pieces; [`Engine::fastest`] by default. The torrent is the same with each.
    pub fn engine(mut self, engine: Engine) -> Self {
        self.engine = Some(engine);
        self
    }

    /// Lists the files, and determines everything but the piece hashes.
    ///
    /// # Errors
    /// Returns a [`CreateError`] if there is nothing to share, or if a file cannot go into a torrent.
    pub fn plan(self) -> Result<Plan, CreateError> {
        let Self { path, mut keys, .. } = self;
        let metadata = fs::metadata(&path).map_err(CreateError::unreadable(&path))?;
        let mut warnings = Vec::new();
        let name = match self.name {
            Some(name) => name,
            None => name_of(&path)?,
        };
        let named = Path::new(&name);
        name::check(&name).map_err(|hazard| CreateError::UnsafeName { path: named.to_owned(), hazard })?;
        warnings.extend(CreateWarning::of_name(&name, || named.to_owned()));

        let (layout, files, skipped, unused) = if metadata.is_dir() {
            let walk = Walk::folder(&path, &self.walk)?;
            warnings.extend(walk.warnings);
            (Layout::MultiFile, walk.files, walk.skipped, walk.unused)
        } else if metadata.is_file() {
            let file = PlannedFile::new(path.clone(), vec![name.clone()], &metadata)?;
            let unused = CreateWarning::of_unused_patterns(&self.walk.exclude, &self.walk.include).collect();
            (Layout::SingleFile, vec![file], Vec::new(), unused)
        } else {
            return Err(CreateError::NotAFile { path });
        };

        check_values(&files)?;
        let total_length = total_length(&files);
        if total_length == 0 {
            return Err(CreateError::Empty { path, skipped, unused });
        }
        warnings.extend(unused);
        let piece_length = self.piece_length.unwrap_or_else(|| PieceLength::for_total(total_length));
        if piece_length.pieces(total_length) > PieceLength::MAX_PIECES {
            return Err(CreateError::TooManyPieces {
                piece_length,
                pieces: piece_length.pieces(total_length),
                limit: PieceLength::MAX_PIECES,
            });
        }
        keys.web_seeds(&self.web_seeds, layout == Layout::MultiFile);
        Ok(Plan {
            name,
            layout,
            files,
            skipped,
            warnings,
            total_length,
            piece_length,
            threads: self.threads.unwrap_or_else(hash::default_threads),
            engine: self.engine.unwrap_or_else(Engine::fastest),
            private: self.private,
            source: self.source,
            keys,
        })
    }
}

/// The last component of the path; `.` and `..` are resolved first.
fn name_of(path: &Path) -> Result<String, CreateError> {
    let absolute = match path.file_name() {
        Some(_) => path.to_owned(),
        None => fs::canonicalize(path).map_err(CreateError::unreadable(path))?,
    };
    let name = absolute.file_name().ok_or_else(|| CreateError::NoName { path: path.to_owned() })?;
    let name = name.to_str().ok_or_else(|| CreateError::NotUtf8 { path: path.to_owned() })?;
    Ok(name.to_owned())
}

/// Refuses files whose torrent [`Metainfo::parse`](crate::Metainfo::parse) would refuse.
fn check_values(files: &[PlannedFile]) -> Result<(), CreateError> {
    let values = files.iter().map(values).sum();
    let limit = Limits::default().tokens - OTHER_VALUES;
    if values > limit { Err(CreateError::TooManyValues { files: files.len(), values, limit }) } else { Ok(()) }
}

/// The number of bencode values of a file: a dictionary, its keys `length` and `path`, a number, a list, and its elements.
fn values(file: &PlannedFile) -> usize {
    5 + file.path.len()
}

/// Bytes in all files together, saturating. Sparse files can claim more than 64 bits hold; the maximum already makes too many
/// pieces.
fn total_length(files: &[PlannedFile]) -> u64 {
    files.iter().fold(0, |total, file| total.saturating_add(file.length))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A torrent with as many values as there may be can be read again.
    #[test]
    fn values_up_to_what_is_read() {
        let depth = 100;
        let limit = Limits::default().tokens - OTHER_VALUES;
        let count = limit / (5 + depth);
        let mut files: Vec<_> = (0..count).map(|number| file_at(depth, number)).collect();
        files.push(file_at(limit % (5 + depth) - 5, count));
        assert!(check_values(&files).is_ok());

        let plan = Plan {
            name: "share".to_owned(),
            layout: Layout::MultiFile,
            total_length: files.len() as u64,
            files,
            skipped: Vec::new(),
            warnings: Vec::new(),
            piece_length: PieceLength::MAX,
            threads: NonZeroUsize::MIN,
            engine: Engine::fastest(),
            private: true,
            source: Some("source".to_owned()),
            keys: Keys::default(),
        };
        let bytes = plan.encode(&plan.encode_info(&[0; 20]));
        let mut tokens = Limits { tokens: limit + 20, ..Limits::default() };
        let decodes = |limits| bencode::Decoder::strict().with_limits(limits).decode(&bytes).is_ok();
        assert!(decodes(tokens));
        tokens.tokens = limit;
        assert!(!decodes(tokens));

        let mut files = plan.files;
        files.push(file_at(1, count + 1));
        let error = check_values(&files).unwrap_err();
        assert!(matches!(error, CreateError::TooManyValues { values, .. } if values == limit + 6), "{error}");
    }

    fn file_at(depth: usize, number: usize) -> PlannedFile {
        let mut path = vec!["d".to_owned(); depth];
        path[depth - 1] = number.to_string();
        PlannedFile { source: PathBuf::new(), path, length: 1, modified: None }
    }

    #[test]
    fn lengths_beyond_64_bits_are_too_many_pieces() {
        let file = |length| PlannedFile { source: PathBuf::new(), path: Vec::new(), length, modified: None };
        assert_eq!(total_length(&[file(1), file(2)]), 3);
        // Three times the largest length that a sparse file can claim.
        let total = total_length(&[file(i64::MAX as u64), file(i64::MAX as u64), file(i64::MAX as u64)]);
        assert!(PieceLength::MAX.pieces(total) > PieceLength::MAX_PIECES);
    }
}
