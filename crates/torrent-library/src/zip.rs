//! A shared folder as a zip archive, which is made while it is read.

mod names;

use std::cell::Cell;
use std::io::{self, Read, Write};
use std::mem;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crc32fast::Hasher;
use metainfo::portable_name;
use rawzip::extra_fields::ExtraFieldId;
use rawzip::time::UtcDateTime;
use rawzip::{DataDescriptorOutput, Header, ZipArchiveWriter};

use names::portable_paths;

use crate::{Content, ContentFile, OpenError, SharedFile};

/// The permissions of files where an archive is unpacked: a plain file that its owner may write, and everybody may read.
const PERMISSIONS: u32 = 0o100_644;

/// Bytes from which on the length of a file is written with 64 bits.
const LARGE_FILE: u64 = u32::MAX as u64;

/// Bytes of zeros that are written at once where only the length of a file matters.
const ZEROS: u64 = 1 << 20;

/// A zip archive of a folder, or of some files of it, which is made while it is [read](Self::reader).
///
/// Its files are in the order of the [content](Content::files), below a folder with the content's name, as a BitTorrent client
/// arranges them. They are stored without compression, since what is large is compressed already; so the length of the archive is
/// known before. The checksum of each file follows its data. Archives of more than 4 GiB, with larger files or with 65,535 files
/// and more are in the ZIP64 format. Names that not every system can have are changed, in the same way whatever files are chosen.
#[derive(Debug)]
pub struct Zip {
    content: Arc<Content>,
    file_name: String,
    entries: Vec<Entry>,
    len: u64,
}

/// A file in an archive.
#[derive(Debug)]
struct Entry {
    /// Of the file in the content.
    index: usize,
    path: String,
    size: u64,
    modified: UtcDateTime,
}

/// Reads a [`Zip`] from its beginning to its end. Beside the list of files it holds four bytes for each, and in the end the
/// archive's directory: about 60 bytes and a path for each file.
#[derive(Debug)]
pub struct ZipReader {
    zip: Zip,
    /// The checksums of the files that were read.
    checksums: Vec<u32>,
    /// The file that is being read.
    file: Option<OpenFile>,
    /// What is read next, before the file: parts of the format.
    pending: Vec<u8>,
    /// Bytes of it that were read.
    pending_read: usize,
    /// `true` if nothing follows `pending`.
    is_at_end: bool,
}

/// A file that is being read.
#[derive(Debug)]
struct OpenFile {
    shared: SharedFile,
    left: u64,
    checksum: Hasher,
}

/// A file cannot be put into an archive. What was read of the archive so far is none.
#[derive(Debug, thiserror::Error)]
#[error("{path:?}: {source}")]
pub struct ZipError {
    /// The path of the file in its folder.
    pub path: String,
    /// The reason.
    pub source: OpenError,
}

impl Zip {
    /// An archive of all files.
    ///
    /// # Errors
    ///
    /// A path is longer than the format allows, which is 65,535 bytes.
    pub fn whole(content: Arc<Content>) -> Result<Self, ZipError> {
        let all = 0..content.files().len();
        Self::of(content, all)
    }

    /// An archive of the files with these indices, in any order. Repeated ones count once.
    ///
    /// # Errors
    ///
    /// As [`whole`](Self::whole).
    ///
    /// # Panics
    ///
    /// Panics if there is no file of an index.
    pub fn of(content: Arc<Content>, files: impl IntoIterator<Item = usize>) -> Result<Self, ZipError> {
        let mut files: Vec<usize> = files.into_iter().collect();
        files.sort_unstable();
        files.dedup();
        let name = portable_name(content.name());
        let mut paths = if content.is_folder() {
            portable_paths(content.name(), content.files().iter().map(ContentFile::path))
        } else {
            vec![name.clone()]
        };
        let entry = |index: usize| Entry {
            index,
            path: mem::take(&mut paths[index]),
            size: content.files()[index].size(),
            modified: UtcDateTime::from_unix(unix_seconds(content.files()[index].modified())),
        };
        let entries = files.into_iter().map(entry).collect();
        let mut zip = Self { content, file_name: format!("{name}.zip"), entries, len: 0 };
        (zip.len, _) = zip.write(|_| 0)?;
        Ok(zip)
    }

    /// What it is an archive of.
    pub fn content(&self) -> &Arc<Content> {
        &self.content
    }

    /// The name of the archive, which every system can have: that of the folder, and `.zip`.
    pub fn file_name(&self) -> &str {
        &self.file_name
    }

    /// The indices of its files, ascending.
    pub fn files(&self) -> impl Iterator<Item = usize> {
        self.entries.iter().map(|entry| entry.index)
    }

    /// Bytes of the archive.
    #[expect(clippy::len_without_is_empty, reason = "no archive is empty")]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Opens all of its files once, while `is_wanted`: a broken archive helps nobody, so what has changed already is an error
    /// now. Waits for the disk.
    ///
    /// # Errors
    ///
    /// The first file that is not the one that was listed, or that cannot be read.
    pub fn check(&self, is_wanted: impl Fn() -> bool) -> Result<(), ZipError> {
        self.entries.iter().take_while(|_| is_wanted()).try_for_each(|entry| self.open(entry).map(drop))
    }

    /// Its reader.
    pub fn reader(self) -> ZipReader {
        let checksums = Vec::with_capacity(self.entries.len());
        let (pending, pending_read) = (Vec::new(), 0);
        ZipReader { zip: self, checksums, file: None, pending, pending_read, is_at_end: false }
    }

    fn open(&self, entry: &Entry) -> Result<SharedFile, ZipError> {
        self.content.open(entry.index).map_err(|source| self.error(entry, source))
    }

    fn error(&self, entry: &Entry, source: OpenError) -> ZipError {
        ZipError { path: self.content.files()[entry.index].path().to_owned(), source }
    }

    /// Writes the archive with these checksums. Returns its length, and what follows the last file: its directory.
    ///
    /// The library writes archives from beginning to end, and is borrowed while it writes a file, so that a reader could not keep
    /// it from one read to the next. Everything but the checksums is known before: so each part of the format is written when it
    /// is needed, with zeros instead of data, which cost next to nothing and are dropped.
    fn write(&self, checksum: impl Fn(usize) -> u32) -> Result<(u64, Vec<u8>), ZipError> {
        let sink = Sink::default();
        let keeps = Rc::clone(&sink.keeps);
        let mut archive = ZipArchiveWriter::builder().with_capacity(self.entries.len()).build(sink);
        for (position, entry) in self.entries.iter().enumerate() {
            entry.write(&mut archive, checksum(position), &keeps).map_err(|error| self.unwritable(entry, error))?;
        }
        keeps.set(true);
        let Sink { kept, len, .. } =
            archive.finish().expect("the directory is counted in 64 bits, and the sink takes all");
        Ok((len, kept))
    }

    /// What is before the data of a file, and what is after it.
    fn frame(&self, entry: &Entry, checksum: u32) -> Result<(Vec<u8>, Vec<u8>), ZipError> {
        let sink = Sink::default();
        let keeps = Rc::clone(&sink.keeps);
        keeps.set(true);
        let mut archive = ZipArchiveWriter::new(sink);
        let header_len =
            entry.write(&mut archive, checksum, &keeps).map_err(|error| self.unwritable(entry, error))? as usize;
        let end = (archive.stream_offset() - entry.size) as usize;
        let mut header = archive.finish().map_err(|error| self.unwritable(entry, error))?.kept;
        header.truncate(end);
        let descriptor = header.split_off(header_len);
        Ok((header, descriptor))
    }

    fn unwritable(&self, entry: &Entry, error: rawzip::Error) -> ZipError {
        self.error(entry, OpenError::Read(io::Error::other(error)))
    }
}

impl Entry {
    /// Writes a file of zeros, and does not keep these. Returns the length of its header.
    fn write(
        &self,
        archive: &mut ZipArchiveWriter<Sink>,
        checksum: u32,
        keeps: &Cell<bool>,
    ) -> Result<u64, rawzip::Error> {
        let begin = archive.stream_offset();
        let mut file = archive.new_file(&*self.path).last_modified(self.modified).unix_permissions(PERMISSIONS);
        if self.size >= LARGE_FILE {
            // Says those who read from a pipe that the descriptor has 64-bit lengths.
            let lengths = [self.size.to_le_bytes(); 2].concat();
            file = file.extra_field(ExtraFieldId::ZIP64, &lengths, Header::LOCAL)?;
        }
        let (mut file, _) = file.start()?;
        let header_len = file.stream_offset() - begin;
        let kept = keeps.replace(false);
        let zeros = vec![0; self.size.min(ZEROS) as usize];
        let mut left = self.size;
        while left > 0 {
            let part = left.min(ZEROS);
            file.write_all(&zeros[..part as usize])?;
            left -= part;
        }
        keeps.set(kept);
        file.finish(DataDescriptorOutput::new(checksum, self.size))?;
        Ok(header_len)
    }
}

/// Counts what is written, and keeps some of it.
#[derive(Debug, Default)]
struct Sink {
    len: u64,
    kept: Vec<u8>,
    /// `true` to keep what is written from now on. Shared with the writer.
    keeps: Rc<Cell<bool>>,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.len += bytes.len() as u64;
        if self.keeps.get() {
            self.kept.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl ZipReader {
    /// Reads the next bytes, as many as there is room for; fewer only at the end, after which there are none. Waits for the disk.
    ///
    /// # Errors
    ///
    /// A file is not the one that was listed any more, changes while it is read, or cannot be read. The archive cannot be
    /// completed then: the receiver must learn that it was cut off.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ZipError> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read_some(&mut buffer[filled..])? {
                0 => break,
                read => filled += read,
            }
        }
        Ok(filled)
    }

    /// What it is the reader of.
    pub fn zip(&self) -> &Zip {
        &self.zip
    }

    /// The file that is being read, or comes next, is `entries[checksums.len()]`.
    fn read_some(&mut self, buffer: &mut [u8]) -> Result<usize, ZipError> {
        loop {
            let pending = &self.pending[self.pending_read..];
            if !pending.is_empty() {
                let read = pending.len().min(buffer.len());
                buffer[..read].copy_from_slice(&pending[..read]);
                self.pending_read += read;
                return Ok(read);
            }
            let Some(entry) = self.zip.entries.get(self.checksums.len()) else {
                if self.is_at_end {
                    return Ok(0);
                }
                self.is_at_end = true;
                let (_, directory) = self.zip.write(|position| self.checksums[position])?;
                self.set_pending(directory);
                continue;
            };
            match &mut self.file {
                None => {
                    let shared = self.zip.open(entry)?;
                    let (header, _) = self.zip.frame(entry, 0)?;
                    self.file = Some(OpenFile { shared, left: entry.size, checksum: Hasher::new() });
                    self.set_pending(header);
                }
                Some(file) if file.left > 0 => return file.read(buffer).map_err(|error| self.zip.error(entry, error)),
                Some(file) => {
                    file.check().map_err(|error| self.zip.error(entry, error))?;
                    let checksum = file.checksum.clone().finalize();
                    let (_, descriptor) = self.zip.frame(entry, checksum)?;
                    self.file = None;
                    self.checksums.push(checksum);
                    self.set_pending(descriptor);
                }
            }
        }
    }

    fn set_pending(&mut self, pending: Vec<u8>) {
        self.pending = pending;
        self.pending_read = 0;
    }
}

impl OpenFile {
    /// Reads at least one byte of those that are left.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, OpenError> {
        let wanted = self.left.min(buffer.len() as u64) as usize;
        let read = loop {
            match self.shared.file.read(&mut buffer[..wanted]) {
                Ok(0) => return Err(OpenError::Changed),
                Ok(read) => break read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(OpenError::Read(error)),
            }
        };
        self.checksum.update(&buffer[..read]);
        self.left -= read as u64;
        Ok(read)
    }

    /// Its checksum would be that of a mixture if it had been written to meanwhile.
    fn check(&self) -> Result<(), OpenError> {
        match self.shared.is_unchanged() {
            Ok(true) => Ok(()),
            Ok(false) => Err(OpenError::Changed),
            Err(error) => Err(OpenError::Read(error)),
        }
    }
}

/// Negative before 1970.
fn unix_seconds(time: SystemTime) -> i64 {
    let seconds = |duration: Duration| duration.as_secs() as i64;
    time.duration_since(SystemTime::UNIX_EPOCH).map_or_else(|error| -seconds(error.duration()), seconds)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::path::Path;

    use rawzip::ZipArchive;

    use super::*;
    use crate::Share;

    /// What is in the archive: paths and data, in order.
    type Files = Vec<(String, Vec<u8>)>;

    fn share() -> (tempfile::TempDir, Share) {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("share");
        fs::create_dir_all(folder.join("Übung 1/b")).unwrap();
        for (path, data) in [("Übung 1/b/x", "one"), ("Übung 1/a.txt", ""), ("Übung 1/b.c", "three"), ("film", "four")]
        {
            fs::write(folder.join(path), data).unwrap();
        }
        let share = Share::open(folder).unwrap();
        (place, share)
    }

    fn content(share: &Share, path: &str) -> Arc<Content> {
        Arc::new(Content::list(share, path).unwrap())
    }

    /// Reads in parts of this many bytes.
    fn read(zip: Zip, part: usize) -> Vec<u8> {
        let (len, mut reader, mut archive) = (zip.len(), zip.reader(), Vec::new());
        let mut buffer = vec![0; part];
        loop {
            let read = reader.read(&mut buffer).unwrap();
            archive.extend_from_slice(&buffer[..read]);
            if read < part {
                break;
            }
        }
        assert_eq!(reader.read(&mut buffer).unwrap(), 0);
        assert_eq!(archive.len() as u64, len);
        archive
    }

    /// Every checksum is compared.
    fn unpack(archive: &[u8]) -> Files {
        let archive = ZipArchive::from_slice(archive).unwrap();
        let mut entries = archive.entries();
        let mut files = Vec::new();
        while let Some(entry) = entries.next_entry().unwrap() {
            let path = entry.file_path().try_normalize().unwrap().as_ref().to_owned();
            let local = archive.get_entry(entry.wayfinder()).unwrap();
            let mut data = Vec::new();
            local.verifying_reader(local.data()).read_to_end(&mut data).unwrap();
            files.push((path, data));
        }
        files
    }

    fn files(files: &[(&str, &str)]) -> Files {
        files.iter().map(|(path, data)| ((*path).to_owned(), data.as_bytes().to_vec())).collect()
    }

    #[test]
    fn an_archive_has_the_files_of_the_folder_in_order() {
        let (_place, share) = share();
        let content = content(&share, "Übung 1");
        let expected = files(&[("Übung 1/a.txt", ""), ("Übung 1/b/x", "one"), ("Übung 1/b.c", "three")]);
        let archives: Vec<_> = [1, 7, 100_000].map(|part| read(Zip::whole(Arc::clone(&content)).unwrap(), part)).into();
        assert_eq!(unpack(&archives[0]), expected);
        assert!(archives.iter().all(|archive| *archive == archives[0]), "it is the same however it is read");
        assert_eq!(Zip::whole(content).unwrap().file_name(), "Übung 1.zip");
    }

    #[test]
    fn chosen_files_have_the_names_that_they_have_among_all() {
        let (_place, share) = share();
        let folder = share.folder().join("Übung 1");
        fs::write(folder.join("B.c"), "twin").unwrap();
        let content = content(&share, "Übung 1");
        let all = unpack(&read(Zip::whole(Arc::clone(&content)).unwrap(), 1000));
        let names: Vec<_> = all.iter().map(|(path, _)| &**path).collect();
        assert_eq!(names, ["Übung 1/B.c", "Übung 1/a.txt", "Übung 1/b/x", "Übung 1/b (2).c"]);
        let zip = Zip::of(Arc::clone(&content), [3, 0, 3]).unwrap();
        assert_eq!(zip.files().collect::<Vec<_>>(), [0, 3]);
        assert_eq!(unpack(&read(zip, 1000)), [all[0].clone(), all[3].clone()]);
    }

    #[test]
    fn a_file_is_an_archive_of_one() {
        let (_place, share) = share();
        assert_eq!(unpack(&read(Zip::whole(content(&share, "film")).unwrap(), 10)), files(&[("film", "four")]));
    }

    #[test]
    fn a_file_that_changes_leaves_no_whole_archive() {
        let (_place, share) = share();
        let folder = share.folder().join("Übung 1");
        fs::write(folder.join("large"), vec![7; 100_000]).unwrap();
        type Change = fn(&Path);
        type Expected = fn(&OpenError) -> bool;
        let changes: [(Change, Expected); 4] = [
            (|path| fs::remove_file(path).unwrap(), |error| matches!(error, OpenError::Gone)),
            (|path| fs::write(path, "another").unwrap(), |error| matches!(error, OpenError::Changed)),
            (
                |path| File::options().write(true).open(path).unwrap().set_len(60_000).unwrap(),
                |error| matches!(error, OpenError::Changed),
            ),
            (
                |path| File::options().append(true).open(path).unwrap().write_all(b"more").unwrap(),
                |error| matches!(error, OpenError::Changed),
            ),
        ];
        for (number, (change, is_expected)) in changes.iter().enumerate() {
            let path = folder.join("large");
            // Before it is opened, and in the middle of it.
            for begun in [0, 50_000] {
                fs::write(&path, vec![7; 100_000]).unwrap();
                let zip = Zip::whole(content(&share, "Übung 1")).unwrap();
                zip.check(|| true).unwrap();
                let len = zip.len();
                let mut reader = zip.reader();
                let mut read = reader.read(&mut vec![0; begun]).unwrap();
                change(&path);
                // A file that is open stays, wherever its name is.
                if number == 0 && begun > 0 {
                    continue;
                }
                let error = loop {
                    match reader.read(&mut [0; 1000]) {
                        Ok(some) => read += some,
                        Err(error) => break error,
                    }
                    assert!((read as u64) < len, "{number} {begun}");
                };
                assert!(error.path == "large" && is_expected(&error.source), "{number} {begun}: {error}");
                let check = reader.zip().check(|| true).unwrap_err();
                assert_eq!(check.path, "large");
            }
        }
    }

    /// Files of zeros that take no space on the disk: the format changes at 4 GiB, at which a file is, and another begins.
    #[test]
    fn the_length_of_a_large_archive_is_known() {
        let (_place, share) = share();
        let folder = share.folder().join("Übung 1");
        File::create(folder.join("c")).unwrap().set_len(5 << 30).unwrap();
        File::create(folder.join("d")).unwrap().set_len(u64::from(u32::MAX) - 1).unwrap();
        let content = content(&share, "Übung 1");
        let data: u64 = content.size();
        let zip = Zip::whole(Arc::clone(&content)).unwrap();
        let small = Zip::of(content, [0, 1, 2]).unwrap();
        // Two files with a header, a descriptor and a line in the directory; the length of one, in three places, and the place of
        // the other in 64 bits; and an end in 64 bits, too.
        let frames = 2 * (30 + 16 + 46 + 9 + 2 * "Übung 1/c".len() as u64);
        assert_eq!(zip.len(), data - 8 + small.len() + frames + 8 + 2 * (4 + 16) + (4 + 8) + 56 + 20);
    }
}
