//! Making a torrent of a file or folder.

mod error;

use std::fs;
use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

pub use self::error::{CreateError, CreateWarning};
use crate::InfoHashV1;
use crate::hash::{self, Content, Progress, ReadFailure, Source};
use crate::name;
use crate::piece_length::PieceLength;
use crate::walk::{PlannedFile, SkippedFile, Walk, WalkOptions};

/// What to make a torrent of, and what to write into it.
///
/// Making one takes three steps, so that a person can be shown what will be in it before the long
/// one: [`Create`] collects the wishes, [`plan`](Self::plan) looks at the files, and
/// [`Plan::hash`] reads them.
///
/// The same files and wishes always make the same bytes: files stand in component-wise order of
/// the bytes of their names, and nothing is written that was not asked for; in particular there is
/// no creation date unless one is given.
///
/// Below a folder these are left out, and reported by [`Plan::skipped`]: files whose names begin
/// with a dot, what operating systems leave behind (`.DS_Store`, `Thumbs.db`, `desktop.ini` …),
/// symbolic links, and pipes, sockets and devices. All but the last can be asked for. The given
/// file or folder itself is always taken, through a link as well.
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
///     .announce_tiers(vec![vec!["http://192.168.1.10:6969/announce".into()]])
///     .plan()?;
/// assert_eq!(plan.piece_count(), 7);
///
/// let never = AtomicBool::new(false);
/// let created = plan.hash(&never, |progress| assert!(progress.hashed <= progress.total))?;
/// let metainfo = Metainfo::parse(created.bytes())?;
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
    walk: WalkOptions,
    keys: Keys,
}

/// What is written as it was asked for.
#[derive(Debug, Clone, Default)]
struct Keys {
    private: bool,
    source: Option<String>,
    comment: Option<String>,
    created_by: Option<String>,
    creation_date: Option<u64>,
    announce_tiers: Vec<Vec<String>>,
    web_seeds: Vec<String>,
    nodes: Vec<(String, u16)>,
}

impl Create {
    /// A torrent of the file or folder at `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            name: None,
            piece_length: None,
            threads: None,
            walk: WalkOptions::default(),
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

    /// Whether clients may find peers through the torrent's trackers only; the default is no.
    ///
    /// Turns off DHT, peer exchange and local discovery in every client, and changes the
    /// info-hash. See [BEP 27](https://www.bittorrent.org/beps/bep_0027.html).
    pub fn private(mut self, private: bool) -> Self {
        self.keys.private = private;
        self
    }

    /// A tag that changes the info-hash, by which private trackers make a torrent their own.
    pub fn source(mut self, source: impl Into<String>) -> Self {
        self.keys.source = Some(source.into());
        self
    }

    /// A comment for people.
    pub fn comment(mut self, comment: impl Into<String>) -> Self {
        self.keys.comment = Some(comment.into());
        self
    }

    /// The announce URLs: clients use the first tier that answers, and any URL within a tier.
    ///
    /// Empty tiers are dropped. A single URL is written as `announce`, several as `announce-list`
    /// too. See [BEP 12](https://www.bittorrent.org/beps/bep_0012.html).
    pub fn announce_tiers(mut self, tiers: Vec<Vec<String>>) -> Self {
        self.keys.announce_tiers = tiers;
        self.keys.announce_tiers.retain(|tier| !tier.is_empty());
        self
    }

    /// URLs of web servers that have the content.
    ///
    /// For a folder they name the folder that it is in, and end in `/`. See
    /// [BEP 19](https://www.bittorrent.org/beps/bep_0019.html).
    pub fn web_seeds(mut self, urls: Vec<String>) -> Self {
        self.keys.web_seeds = urls;
        self
    }

    /// DHT nodes (host and port) to start from.
    ///
    /// See [BEP 5](https://www.bittorrent.org/beps/bep_0005.html).
    pub fn nodes(mut self, nodes: Vec<(String, u16)>) -> Self {
        self.keys.nodes = nodes;
        self
    }

    /// The program that made the torrent, with its version.
    pub fn created_by(mut self, program: impl Into<String>) -> Self {
        self.keys.created_by = Some(program.into());
        self
    }

    /// When the torrent was made, in seconds since 1970; none by default.
    pub fn creation_date(mut self, date: Option<u64>) -> Self {
        self.keys.creation_date = date;
        self
    }

    /// Whether to take along files and folders whose names begin with a dot; the default is no.
    pub fn include_hidden(mut self, include: bool) -> Self {
        self.walk.include_hidden = include;
        self
    }

    /// Whether to take along what operating systems leave behind; the default is no.
    pub fn include_junk(mut self, include: bool) -> Self {
        self.walk.include_junk = include;
        self
    }

    /// Whether to take along what symbolic links point to, as if it were there; the default is no.
    ///
    /// A link to a folder around it is left out and reported, so that the walk ends.
    pub fn follow_symlinks(mut self, follow: bool) -> Self {
        self.walk.follow_symlinks = follow;
        self
    }

    /// How many threads hash, at most 256; the default is one for each core.
    ///
    /// Each of them reads for itself. One thread reads strictly in order, which is fastest from a
    /// disk that turns.
    pub fn threads(mut self, threads: NonZeroUsize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// Looks at the files, and decides on everything that hashing does not.
    ///
    /// # Errors
    /// When there is nothing to share, or something that must not go into a torrent: see
    /// [`CreateError`].
    pub fn plan(self) -> Result<Plan, CreateError> {
        let path = self.path;
        let metadata = fs::metadata(&path).map_err(CreateError::unreadable(&path))?;
        let mut warnings = Vec::new();
        let name = match self.name {
            Some(name) => name,
            None => name_of(&path)?,
        };
        let named = Path::new(&name);
        name::check(&name).map_err(|hazard| CreateError::UnsafeName { path: named.to_owned(), hazard })?;
        warnings.extend(CreateWarning::of_name(&name, named));

        let (layout, files, skipped) = if metadata.is_dir() {
            let walk = Walk::folder(&path, &self.walk)?;
            warnings.extend(walk.warnings);
            (Layout::MultiFile, walk.files, walk.skipped)
        } else if metadata.is_file() {
            let file = PlannedFile::new(path.clone(), vec![name.clone()], &metadata);
            (Layout::SingleFile, vec![file], Vec::new())
        } else {
            return Err(CreateError::NotAFile { path });
        };

        let total_length: u64 = files.iter().map(|file| file.length).sum();
        if total_length == 0 {
            return Err(CreateError::Empty { path });
        }
        let piece_length = self.piece_length.unwrap_or_else(|| PieceLength::for_total(total_length));
        if piece_length.pieces(total_length) > PieceLength::MAX_PIECES {
            return Err(CreateError::TooManyPieces {
                piece_length,
                pieces: piece_length.pieces(total_length),
                limit: PieceLength::MAX_PIECES,
            });
        }
        Ok(Plan {
            name,
            layout,
            files,
            skipped,
            warnings,
            total_length,
            piece_length,
            threads: self.threads.unwrap_or_else(hash::default_threads),
            keys: self.keys,
        })
    }
}

/// The last component of the path, which for `.` and `..` means looking where they lead.
fn name_of(path: &Path) -> Result<String, CreateError> {
    let absolute = match path.file_name() {
        Some(_) => path.to_owned(),
        None => fs::canonicalize(path).map_err(CreateError::unreadable(path))?,
    };
    let name = absolute.file_name().ok_or_else(|| CreateError::NoName { path: path.to_owned() })?;
    let name = name.to_str().ok_or_else(|| CreateError::NotUtf8 { path: path.to_owned() })?;
    Ok(name.to_owned())
}

/// Whether the torrent gets `length` or `files`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    SingleFile,
    MultiFile,
}

/// The torrent that [`Plan::hash`] will make.
#[derive(Debug)]
pub struct Plan {
    name: String,
    layout: Layout,
    files: Vec<PlannedFile>,
    skipped: Vec<SkippedFile>,
    warnings: Vec<CreateWarning>,
    total_length: u64,
    piece_length: PieceLength,
    threads: NonZeroUsize,
    keys: Keys,
}

impl Plan {
    /// The name of the file or folder.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The files in the order of the torrent; at least one.
    pub fn files(&self) -> &[PlannedFile] {
        &self.files
    }

    /// What was found below the folder and is left out.
    pub fn skipped(&self) -> &[SkippedFile] {
        &self.skipped
    }

    /// What will give trouble on some machine.
    pub fn warnings(&self) -> &[CreateWarning] {
        &self.warnings
    }

    /// Bytes in all files together; at least 1.
    pub fn total_length(&self) -> u64 {
        self.total_length
    }

    /// The piece length, as asked for or chosen.
    pub fn piece_length(&self) -> PieceLength {
        self.piece_length
    }

    /// How many pieces there will be: 1 to [`PieceLength::MAX_PIECES`].
    pub fn piece_count(&self) -> u64 {
        self.piece_length.pieces(self.total_length)
    }

    /// Reads and hashes the files, and makes the torrent.
    ///
    /// `progress` is called on this thread, about once for each MiB or piece, whichever is more.
    /// When `cancel` becomes true hashing stops at once with [`CreateError::Cancelled`].
    ///
    /// Takes 128 KiB of memory for each thread and 20 bytes for each piece.
    ///
    /// # Errors
    /// When a file cannot be read, or is no longer as [`Create::plan`] found it: each file's
    /// length and time of change are compared again after all have been read.
    pub fn hash(&self, cancel: &AtomicBool, mut progress: impl FnMut(Progress)) -> Result<Created, CreateError> {
        let content = Content::new(
            self.piece_length.bytes(),
            (self.files.iter()).map(|file| (file.length, Source::Path(file.source.clone()))),
        );
        let mut pieces = vec![0; 20 * content.piece_count()];
        let mut hashed = 0;
        hash::hash_pieces(&content, self.threads, cancel, |run| {
            let digests = pieces[20 * run.first..].chunks_exact_mut(20);
            for (digest, outcome) in digests.zip(run.outcomes) {
                let bytes = outcome.map_err(|failure| self.read_error(failure))?;
                digest.copy_from_slice(&bytes);
            }
            hashed += run.bytes;
            progress(Progress { hashed, total: self.total_length });
            Ok(())
        })?;
        if cancel.load(Ordering::Relaxed) {
            return Err(CreateError::Cancelled);
        }
        self.files.iter().try_for_each(unchanged)?;

        let info = self.encode_info(&pieces);
        Ok(Created { info_hash: InfoHashV1::of_info(&info), bytes: self.encode(&info) })
    }

    fn encode_info(&self, pieces: &[u8]) -> Vec<u8> {
        bencode::encode(|value| {
            value.dict(|info| {
                match self.layout {
                    Layout::SingleFile => info.int("length", self.total_length),
                    Layout::MultiFile => info.list("files", |files| {
                        for file in &self.files {
                            files.dict(|entry| {
                                entry.int("length", file.length);
                                entry.list("path", |path| {
                                    file.path.iter().for_each(|part| path.bytes(part));
                                });
                            });
                        }
                    }),
                }
                info.bytes("name", &self.name);
                info.int("piece length", self.piece_length.bytes());
                info.bytes("pieces", pieces);
                // `private` = 0 would say the same as no key, and change the info-hash.
                if self.keys.private {
                    info.int("private", 1);
                }
                if let Some(source) = &self.keys.source {
                    info.bytes("source", source);
                }
            });
        })
        .expect("every key is given once")
    }

    fn encode(&self, info: &[u8]) -> Vec<u8> {
        let keys = &self.keys;
        bencode::encode(|value| {
            value.dict(|root| {
                if let Some(first) = keys.announce_tiers.iter().flatten().next() {
                    root.bytes("announce", first);
                }
                if keys.announce_tiers.iter().flatten().count() > 1 {
                    root.list("announce-list", |tiers| {
                        for tier in &keys.announce_tiers {
                            tiers.list(|urls| tier.iter().for_each(|url| urls.bytes(url)));
                        }
                    });
                }
                if let Some(comment) = &keys.comment {
                    root.bytes("comment", comment);
                }
                if let Some(program) = &keys.created_by {
                    root.bytes("created by", program);
                }
                if let Some(date) = keys.creation_date {
                    root.int("creation date", date);
                }
                root.raw("info", info);
                if !keys.nodes.is_empty() {
                    root.list("nodes", |nodes| {
                        for (host, port) in &keys.nodes {
                            nodes.list(|node| {
                                node.bytes(host);
                                node.int(*port);
                            });
                        }
                    });
                }
                if !keys.web_seeds.is_empty() {
                    root.list("url-list", |urls| {
                        keys.web_seeds.iter().for_each(|url| urls.bytes(url));
                    });
                }
            });
        })
        .expect("every key is given once")
    }

    /// Says what is wrong with a file that could not be read as planned.
    fn read_error(&self, failure: ReadFailure) -> CreateError {
        let file = &self.files[failure.file];
        let error = failure.error.expect("a plan has no absent files");
        match error.kind() {
            io::ErrorKind::NotFound => CreateError::Vanished { path: file.source.clone() },
            // Shorter than it was, unless it has grown again since.
            io::ErrorKind::UnexpectedEof => match unchanged(file) {
                Err(error) => error,
                Ok(()) => CreateError::Modified { path: file.source.clone() },
            },
            _ => CreateError::unreadable(&file.source)(error),
        }
    }
}

/// Compares a file with what it was when the plan was made.
fn unchanged(file: &PlannedFile) -> Result<(), CreateError> {
    let path = || file.source.clone();
    let metadata = match fs::metadata(&file.source) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(CreateError::Vanished { path: path() });
        }
        Err(error) => return Err(CreateError::unreadable(&file.source)(error)),
    };
    if metadata.len() != file.length {
        return Err(CreateError::LengthChanged { path: path(), planned: file.length, found: metadata.len() });
    }
    if metadata.modified().ok() != file.modified {
        return Err(CreateError::Modified { path: path() });
    }
    Ok(())
}

/// The torrent that was made.
#[derive(Debug, Clone)]
pub struct Created {
    bytes: Vec<u8>,
    info_hash: InfoHashV1,
}

impl Created {
    /// The .torrent file; canonical bencode.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The name of the torrent.
    pub fn info_hash(&self) -> InfoHashV1 {
        self.info_hash
    }
}
