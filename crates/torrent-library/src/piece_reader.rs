//! Reading the pieces of a torrent from the content that it was made of.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sha1::{Digest, Sha1};

use crate::{Content, KnownTorrent, OpenError, SharedFile};

/// Bytes that are hashed at a time when a piece is checked.
const CHUNK_BYTES: u64 = 256 * 1024;

/// Reads blocks of a torrent's pieces from a [`Content`], and never returns a byte that is not the torrent's.
///
/// A piece is compared with its digest before the first block of it is returned, which reads the whole piece. After that the
/// stamps of its files tell whether it is still the same. Takes a bit of memory for each piece, and four bytes for each file.
///
/// Methods wait for the disk. Any number of threads may read at a time.
#[derive(Debug)]
pub struct PieceReader {
    torrent: Arc<KnownTorrent>,
    content: Arc<Content>,
    /// For each file of the torrent the index of that of the content; `None` for padding, which is zeros, and for what has no bytes.
    sources: Box<[Option<u32>]>,
    /// A bit for each piece that was compared with its digest.
    verified: Box<[AtomicU64]>,
    opened: opened::OpenedFile,
}

/// Why a block cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The torrent does not have this block.
    #[error("there are no {length} bytes at {begin} in piece {piece}")]
    NoSuchBlock {
        /// The index of the piece.
        piece: u32,
        /// The offset in the piece, in bytes.
        begin: u32,
        /// The length in bytes.
        length: usize,
    },
    /// A file is not there as it was when it was shared.
    #[error("{path}: {source}")]
    File {
        /// The file's path below the content; empty for a single file.
        path: String,
        /// What is wrong with it.
        source: OpenError,
    },
    /// The files are unchanged by their stamps, but the piece is not the torrent's.
    #[error("piece {piece} is not what the torrent says: check the file, or make its torrent again")]
    Damaged {
        /// The index of the piece.
        piece: u32,
    },
}

/// The torrent was not made of the content: its files have other names or lengths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the torrent has other files than the content")]
pub struct OtherFilesError;

impl PieceReader {
    /// A reader of the content that this torrent was made of. Nothing is read yet.
    ///
    /// # Errors
    ///
    /// Returns [`OtherFilesError`] if the torrent has other files than the content.
    pub fn new(torrent: Arc<KnownTorrent>, content: Arc<Content>) -> Result<Self, OtherFilesError> {
        let info = torrent.metainfo.info();
        let mut listed = content.files().iter().zip(0..);
        let source = |file: &metainfo::File| {
            if file.attributes.pad || file.attributes.symlink || file.is_placeholder() {
                return Ok(None);
            }
            let (listed, index) = listed.next().ok_or(OtherFilesError)?;
            let is_same_path = info.is_single_file() || listed.path().as_bytes() == file.path.join(&b'/');
            if is_same_path && listed.size() == file.length { Ok(Some(index)) } else { Err(OtherFilesError) }
        };
        let sources = info.files().iter().map(source).collect::<Result<_, _>>()?;
        if listed.next().is_some() || info.is_single_file() == content.is_folder() {
            return Err(OtherFilesError);
        }
        let words = info.pieces().len().div_ceil(64);
        let verified = std::iter::repeat_with(AtomicU64::default).take(words).collect();
        Ok(Self { torrent, content, sources, verified, opened: opened::OpenedFile::new() })
    }

    /// The torrent.
    pub fn torrent(&self) -> &Arc<KnownTorrent> {
        &self.torrent
    }

    /// The content.
    pub fn content(&self) -> &Arc<Content> {
        &self.content
    }

    /// Reads a block into `into`, which is as long as the block, at least a byte. Padding is zeros.
    ///
    /// # Errors
    ///
    /// Returns [`ReadError`] if the torrent has no such block, or if the content is not the torrent's any more. What is in `into`
    /// then must not be used.
    pub fn read(&self, piece: u32, begin: u32, into: &mut [u8]) -> Result<(), ReadError> {
        let no_such_block = || ReadError::NoSuchBlock { piece, begin, length: into.len() };
        let of_piece = self.range_of(piece).ok_or_else(no_such_block)?;
        let start = of_piece.start + u64::from(begin);
        if into.is_empty() || of_piece.end.checked_sub(start).is_none_or(|left| left < into.len() as u64) {
            return Err(no_such_block());
        }
        if !self.is_verified(piece) {
            self.verify(piece, of_piece)?;
        }
        self.fill(start, into)
    }

    /// Closes the file that was read last, if nothing was read since the last call: it would keep a handle, and the room of a file
    /// that is removed. To be called from time to time.
    pub fn close_unused(&self) {
        self.opened.close_unused();
    }

    /// Compares a piece with its digest, also if that was done before. Reads all of it.
    ///
    /// # Errors
    ///
    /// Returns [`ReadError`] if the torrent has no such piece, or if the content is not the torrent's any more.
    pub fn check(&self, piece: u32) -> Result<(), ReadError> {
        let range = self.range_of(piece).ok_or(ReadError::NoSuchBlock { piece, begin: 0, length: 0 })?;
        self.verify(piece, range)
    }

    /// Compares a piece with its digest.
    fn verify(&self, piece: u32, range: Range<u64>) -> Result<(), ReadError> {
        let mut digest = Sha1::new();
        let mut chunk = vec![0; CHUNK_BYTES.min(range.end - range.start) as usize];
        for start in range.clone().step_by(CHUNK_BYTES as usize) {
            chunk.truncate((range.end - start).min(CHUNK_BYTES) as usize);
            self.fill(start, &mut chunk)?;
            digest.update(&chunk);
        }
        let expected = self.torrent.metainfo.info().pieces().get(piece as usize).expect("there is such a piece");
        if digest.finalize().as_slice() != expected {
            return Err(ReadError::Damaged { piece });
        }
        // Only the bit counts: what a reader of it reads next is checked by the stamps.
        self.verified[piece as usize / 64].fetch_or(1 << (piece % 64), Ordering::Relaxed);
        Ok(())
    }

    fn is_verified(&self, piece: u32) -> bool {
        self.verified[piece as usize / 64].load(Ordering::Relaxed) & (1 << (piece % 64)) != 0
    }

    /// The bytes of a piece among all of the torrent.
    fn range_of(&self, piece: u32) -> Option<Range<u64>> {
        let info = self.torrent.metainfo.info();
        let start = u64::from(piece) * u64::from(info.piece_length());
        let end = (start + u64::from(info.piece_length())).min(info.total_length());
        ((piece as usize) < info.pieces().len()).then_some(start..end)
    }

    /// Reads all bytes from this offset among all of the torrent.
    fn fill(&self, start: u64, mut into: &mut [u8]) -> Result<(), ReadError> {
        let files = self.torrent.metainfo.info().files();
        let first = files.partition_point(|file| file.offset + file.length <= start);
        for (file, source) in files[first..].iter().zip(&self.sources[first..]) {
            if into.is_empty() {
                break;
            }
            let offset = start.saturating_sub(file.offset);
            let length = (file.length - offset).min(into.len() as u64) as usize;
            let (part, rest) = into.split_at_mut(length);
            match source {
                Some(index) if length > 0 => self.read_file(*index as usize, offset, part)?,
                _ => part.fill(0),
            }
            into = rest;
        }
        Ok(())
    }

    fn read_file(&self, index: usize, offset: u64, into: &mut [u8]) -> Result<(), ReadError> {
        let mut read = || {
            let file = self.opened.open(&self.content, index)?;
            opened::read_exact_at(&file, into, offset).map_err(|error| match error.kind() {
                std::io::ErrorKind::UnexpectedEof => OpenError::Changed,
                _ => OpenError::Read(error),
            })?;
            // Before this it may have been written to while it was read.
            if file.is_unchanged().map_err(OpenError::Read)? { Ok(()) } else { Err(OpenError::Changed) }
        };
        read().map_err(|source| ReadError::File { path: self.content.files()[index].path().to_owned(), source })
    }
}

/// The file that was read last stays open, since the next block is likely to be in it, too.
#[cfg(all(unix, not(portable)))]
mod opened {
    use std::io;
    use std::mem;
    use std::os::unix::fs::FileExt as _;
    use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

    use super::{Content, OpenError, SharedFile};

    #[derive(Debug)]
    pub(super) struct OpenedFile(Mutex<Option<Opened>>);

    #[derive(Debug)]
    struct Opened {
        index: usize,
        file: Arc<SharedFile>,
        /// `true` if it was read since somebody asked.
        is_used: bool,
    }

    impl OpenedFile {
        pub(super) const fn new() -> Self {
            Self(Mutex::new(None))
        }

        pub(super) fn open(&self, content: &Content, index: usize) -> Result<Arc<SharedFile>, OpenError> {
            let mut opened = self.opened();
            if let Some(opened) = opened.as_mut().filter(|opened| opened.index == index) {
                opened.is_used = true;
                return Ok(Arc::clone(&opened.file));
            }
            *opened = None;
            let file = Arc::new(content.open(index)?);
            *opened = Some(Opened { index, file: Arc::clone(&file), is_used: true });
            Ok(file)
        }

        pub(super) fn close_unused(&self) {
            let mut opened = self.opened();
            let used = opened.take_if(|opened| !mem::replace(&mut opened.is_used, false));
            // Closing may wait for the disk, and others for the lock.
            drop(opened);
            drop(used);
        }

        fn opened(&self) -> MutexGuard<'_, Option<Opened>> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }

    pub(super) fn read_exact_at(file: &SharedFile, into: &mut [u8], offset: u64) -> io::Result<()> {
        file.file.read_exact_at(into, offset)
    }
}

/// Each read opens the file anew, with a position of its own.
#[cfg(any(not(unix), portable))]
mod opened {
    use std::io::{self, Read as _, Seek as _, SeekFrom};

    use super::{Content, OpenError, SharedFile};

    #[derive(Debug)]
    pub(super) struct OpenedFile;

    impl OpenedFile {
        pub(super) const fn new() -> Self {
            Self
        }

        pub(super) fn open(&self, content: &Content, index: usize) -> Result<SharedFile, OpenError> {
            content.open(index)
        }

        pub(super) const fn close_unused(&self) {}
    }

    pub(super) fn read_exact_at(file: &SharedFile, into: &mut [u8], offset: u64) -> io::Result<()> {
        let mut file = &file.file;
        file.seek(SeekFrom::Start(offset))?;
        file.read_exact(into)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::Share;

    const PIECE: usize = 16384;

    /// The bytes of a file, or of padding.
    enum Part {
        File(&'static str, Vec<u8>),
        Padding(usize),
    }

    fn bytes(seed: u8, len: usize) -> Vec<u8> {
        (0..len).map(|index| (index / 3) as u8 ^ seed).collect()
    }

    /// A .torrent of a folder, with all of its bytes.
    fn folder(parts: &[Part]) -> (Arc<KnownTorrent>, Vec<u8>) {
        let mut files = Vec::new();
        let mut all = Vec::new();
        for part in parts {
            match part {
                Part::File(path, content) => {
                    let names: String = path.split('/').map(|name| format!("{}:{name}", name.len())).collect();
                    files.push(format!("d6:lengthi{}e4:pathl{names}ee", content.len()));
                    all.extend(content);
                }
                Part::Padding(len) => {
                    files.push(format!("d4:attr1:p6:lengthi{len}e4:pathl4:.pad{}:{len}ee", len.to_string().len()));
                    all.resize(all.len() + len, 0);
                }
            }
        }
        (known(&format!("5:filesl{}e", files.concat()), &all), all)
    }

    fn known(files: &str, all: &[u8]) -> Arc<KnownTorrent> {
        let pieces: Vec<u8> = all.chunks(PIECE).flat_map(|piece| Sha1::digest(piece).to_vec()).collect();
        let before = format!("d4:infod{files}4:name6:course12:piece lengthi{PIECE}e6:pieces{}:", pieces.len());
        let torrent = [before.as_bytes(), &pieces, b"ee"].concat();
        Arc::new(KnownTorrent::parse(&torrent).unwrap())
    }

    struct Fixture {
        _place: tempfile::TempDir,
        share: Share,
    }

    impl Fixture {
        fn new(parts: &[Part]) -> Self {
            let place = tempfile::tempdir().unwrap();
            let root = place.path().join("share");
            for part in parts {
                if let Part::File(path, content) = part {
                    let path = root.join("course").join(path);
                    fs::create_dir_all(path.parent().unwrap()).unwrap();
                    fs::write(path, content).unwrap();
                }
            }
            Self { share: Share::open(root).unwrap(), _place: place }
        }

        fn content(&self) -> Arc<Content> {
            Arc::new(Content::list(&self.share, "course").unwrap())
        }

        /// Writes into a file until its stamp tells: the clock of file systems ticks.
        fn overwrite(&self, path: &str, content: &[u8]) {
            let path = self.share.folder().join("course").join(path);
            let before = fs::metadata(&path).unwrap().modified().unwrap();
            let deadline = Instant::now() + Duration::from_secs(60);
            while fs::metadata(&path).unwrap().modified().unwrap() == before {
                assert!(Instant::now() < deadline);
                fs::write(&path, content).unwrap();
            }
        }
    }

    /// A block, read over bytes that are none of it.
    fn read(reader: &PieceReader, piece: u32, begin: u32, length: usize) -> Result<Vec<u8>, ReadError> {
        let mut block = vec![0xa5; length];
        reader.read(piece, begin, &mut block).map(|()| block)
    }

    fn parts() -> Vec<Part> {
        vec![
            Part::File("a", bytes(1, 20_000)),
            Part::Padding(12_768),
            Part::File("b/c", bytes(2, 7)),
            Part::File("b/empty", Vec::new()),
            Part::File("d", bytes(3, 40_000)),
        ]
    }

    #[test]
    fn blocks_go_over_files_and_padding() {
        let (torrent, all) = folder(&parts());
        let fixture = Fixture::new(&parts());
        let reader = PieceReader::new(torrent, fixture.content()).unwrap();
        for (piece, whole) in all.chunks(PIECE).enumerate() {
            let piece = piece as u32;
            for (begin, length) in [(0, whole.len()), (5, whole.len() - 5), (whole.len() - 1, 1), (3, 4)] {
                let block = read(&reader, piece, begin as u32, length).unwrap();
                assert!(block == whole[begin..begin + length], "{piece} {begin} {length}");
            }
        }
        let last = all.len() / PIECE;
        let end = (all.len() % PIECE) as u32;
        for (piece, begin, length) in [
            (0, 0, 0),
            (0, 1, PIECE),
            (0, u32::MAX, PIECE),
            (last as u32, end, 1),
            (last as u32, end + 1, 1),
            (last as u32, 0, end as usize + 1),
            (last as u32 + 1, 0, 1),
            (u32::MAX, 0, 1),
        ] {
            let error = read(&reader, piece, begin, length).unwrap_err();
            assert!(matches!(error, ReadError::NoSuchBlock { .. }), "{error}");
        }
    }

    #[test]
    fn a_single_file_is_read() {
        let all = bytes(9, 40_000);
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("course"), &all).unwrap();
        let share = Share::open(place.path().to_owned()).unwrap();
        let content = Arc::new(Content::list(&share, "course").unwrap());
        let reader = PieceReader::new(known("6:lengthi40000e", &all), content).unwrap();
        assert!(read(&reader, 1, 0, PIECE).unwrap() == all[PIECE..2 * PIECE]);
    }

    #[test]
    fn a_damaged_piece_is_not_read() {
        let (torrent, all) = folder(&parts());
        let fixture = Fixture::new(&parts());
        // Listed with a byte in the last piece that is not the torrent's.
        let mut damaged = bytes(3, 40_000);
        *damaged.last_mut().unwrap() ^= 1;
        fs::write(fixture.share.folder().join("course/d"), damaged).unwrap();
        let reader = PieceReader::new(torrent, fixture.content()).unwrap();
        let last = (all.len() / PIECE) as u32;
        let error = read(&reader, last, 0, 1).unwrap_err();
        assert!(matches!(error, ReadError::Damaged { piece } if piece == last), "{error}");
        assert!(read(&reader, 0, 0, 1).is_ok());
        let bad: Vec<_> = (0..=last).filter(|piece| reader.check(*piece).is_err()).collect();
        assert_eq!(bad, [last]);
        assert!(matches!(reader.check(last + 1), Err(ReadError::NoSuchBlock { .. })));
    }

    #[test]
    fn what_changed_after_it_was_checked_is_not_read() {
        let (torrent, _) = folder(&parts());
        let fixture = Fixture::new(&parts());
        let reader = PieceReader::new(torrent, fixture.content()).unwrap();
        assert!(read(&reader, 0, 0, 10).is_ok());
        fixture.overwrite("a", &bytes(7, 20_000));
        let error = read(&reader, 0, 0, 10).unwrap_err();
        assert!(matches!(&error, ReadError::File { path, source: OpenError::Changed } if path == "a"), "{error}");
        assert_eq!(error.to_string(), "a: the file has changed since it was shared");
        fixture.overwrite("d", b"short");
        assert!(matches!(read(&reader, 3, 0, 10).unwrap_err(), ReadError::File { source: OpenError::Changed, .. }));
    }

    #[cfg(all(target_os = "linux", not(portable)))]
    #[test]
    fn a_file_that_is_not_read_any_more_is_closed() {
        let (torrent, _) = folder(&parts());
        let fixture = Fixture::new(&parts());
        let path = fixture.share.folder().join("course/d");
        let is_open = || {
            let handles = fs::read_dir("/proc/self/fd").unwrap();
            handles.filter_map(|handle| fs::read_link(handle.ok()?.path()).ok()).any(|open| open == path)
        };
        let reader = PieceReader::new(torrent, fixture.content()).unwrap();
        assert!(read(&reader, 3, 0, 10).is_ok() && is_open());
        reader.close_unused();
        assert!(is_open(), "it was read since the last call");
        reader.close_unused();
        assert!(!is_open());
        assert!(read(&reader, 3, 0, 10).is_ok() && is_open());
    }

    #[test]
    fn a_torrent_of_other_files_is_refused() {
        let fixture = Fixture::new(&parts());
        let others: [fn(&mut Vec<Part>); 4] = [
            |parts| _ = parts.pop(),
            |parts| parts.push(Part::File("e", Vec::new())),
            |parts| parts[0] = Part::File("a", bytes(1, 19_999)),
            |parts| parts[0] = Part::File("aa", bytes(1, 20_000)),
        ];
        for other in others {
            let mut parts = parts();
            other(&mut parts);
            let reader = PieceReader::new(folder(&parts).0, fixture.content());
            assert_eq!(reader.err(), Some(OtherFilesError));
        }
    }
}
