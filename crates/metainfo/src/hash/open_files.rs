//! Reading content from its files.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;

use super::content::{Content, ReadFailure, Source};

/// `true` if the system can be asked to read ahead.
pub(super) const READS_AHEAD: bool = cfg!(all(target_os = "linux", not(portable)));

/// The bytes that the system is asked to read ahead at once. Linux cuts a longer range to the device's read-ahead, 128 KiB
/// by default, or its longest request, whichever is more.
const READ_AHEAD_STEP: u64 = 128 << 10;

/// The files that a worker has read last, but not to their end: the next parts are most often in them.
#[derive(Debug)]
pub(super) struct OpenFiles {
    /// The most recently used one is last.
    files: Vec<OpenFile>,
    max: usize,
}

#[derive(Debug)]
struct OpenFile {
    segment: usize,
    handle: File,
    position: u64,
}

impl OpenFiles {
    /// No files yet, and later at most `max`, which is at least 1.
    pub(super) fn new(max: usize) -> Self {
        Self { files: Vec::new(), max }
    }

    /// Asks the system to read this range of the content ahead. Short parts of files are left out. Errors are ignored,
    /// since the read that follows reports them.
    pub(super) fn read_ahead(&mut self, content: &Content, range: Range<u64>) {
        let segments = &content.segments;
        let first = segments.partition_point(|segment| segment.offset + segment.length <= range.start);
        for (number, segment) in segments.iter().enumerate().skip(first) {
            if segment.offset >= range.end {
                break;
            }
            let start = range.start.saturating_sub(segment.offset);
            let end = (range.end - segment.offset).min(segment.length);
            if end - start > READ_AHEAD_STEP
                && let Source::Path(path) = &segment.source
                && let Ok(file) = self.take(number, path)
            {
                will_need(&file.handle, start..end);
                self.files.push(file);
            }
        }
    }

    /// Reads the content at `start` into the buffer.
    pub(super) fn read(&mut self, content: &Content, mut start: u64, mut buffer: &mut [u8]) -> Result<(), ReadFailure> {
        let segments = &content.segments;
        let first = segments.partition_point(|segment| segment.offset + segment.length <= start);
        for (number, segment) in segments.iter().enumerate().skip(first) {
            let from = start - segment.offset;
            let length = usize::try_from(segment.length - from).map_or(buffer.len(), |left| left.min(buffer.len()));
            let (bytes, others) = buffer.split_at_mut(length);
            let read = match &segment.source {
                Source::Path(path) => self.read_file(number, path, from..segment.length, bytes).map_err(Some),
                Source::Zeros => {
                    bytes.fill(0);
                    Ok(())
                }
                Source::Absent => Err(None),
            };
            read.map_err(|error| ReadFailure { file: segment.file, error })?;
            if others.is_empty() {
                break;
            }
            start += length as u64;
            buffer = others;
        }
        Ok(())
    }

    /// Fills `bytes` from the start of the range of the file that is left to read.
    fn read_file(&mut self, segment: usize, path: &Path, left: Range<u64>, bytes: &mut [u8]) -> io::Result<()> {
        let mut file = self.take(segment, path)?;
        if file.position != left.start {
            file.handle.seek(SeekFrom::Start(left.start))?;
        }
        file.handle.read_exact(bytes)?;
        file.position = left.start + bytes.len() as u64;
        if file.position < left.end {
            self.files.push(file);
        }
        Ok(())
    }

    /// Takes the file out, or opens it.
    fn take(&mut self, segment: usize, path: &Path) -> io::Result<OpenFile> {
        if let Some(place) = self.files.iter().rposition(|file| file.segment == segment) {
            return Ok(self.files.remove(place));
        }
        if self.files.len() == self.max {
            self.files.remove(0);
        }
        Ok(OpenFile { segment, handle: File::open(path)?, position: 0 })
    }
}

#[cfg(all(target_os = "linux", not(portable)))]
fn will_need(file: &File, range: Range<u64>) {
    use std::num::NonZeroU64;

    for start in range.clone().step_by(READ_AHEAD_STEP as usize) {
        let length = NonZeroU64::new(READ_AHEAD_STEP.min(range.end - start));
        // Some file systems do not support it, and read as without it.
        _ = rustix::fs::fadvise(file, start, length, rustix::fs::Advice::WillNeed);
    }
}

#[cfg(any(not(target_os = "linux"), portable))]
fn will_need(_: &File, _: Range<u64>) {}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;

    /// More files than a worker has open.
    #[test]
    fn files_are_closed_for_others() {
        let folder = tempfile::tempdir().unwrap();
        let files: Vec<_> = (0..40_u8).map(|i| (folder.path().join(i.to_string()), vec![i; 50_000])).collect();
        files.iter().for_each(|(path, bytes)| fs::write(path, bytes).unwrap());
        let whole: Vec<u8> = files.iter().flat_map(|(_, bytes)| bytes.clone()).collect();
        let content =
            Content::new(1, files.iter().map(|(path, bytes)| (bytes.len() as u64, Source::Path(path.clone()))));
        for max in [1, 3, 16] {
            let mut open = OpenFiles::new(max);
            let mut buffer = vec![0; 120_000];
            // From both ends in turns, so that no file is the one before.
            for start in (0..18).flat_map(|i| [i * 50_000 + 7, 1_850_003 - i * 50_000]) {
                open.read(&content, start as u64, &mut buffer).unwrap();
                assert!(buffer == whole[start..start + buffer.len()]);
                assert!(open.files.len() <= max);
            }
        }
    }

    /// Reading ahead opens no more files either, and leaves errors to reading.
    #[test]
    fn reading_ahead_changes_nothing_that_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let length = 2 * READ_AHEAD_STEP + 1;
        let paths: Vec<PathBuf> = (0..5).map(|i| folder.path().join(i.to_string())).collect();
        for (i, path) in (0..4_u8).zip(&paths) {
            fs::write(path, vec![i; length as usize]).unwrap();
        }
        let content = Content::new(1, paths.iter().map(|path| (length, Source::Path(path.clone()))));
        let mut open = OpenFiles::new(2);
        open.read_ahead(&content, 7..content.total);
        assert!(open.files.len() <= 2);
        let mut buffer = vec![0xff; 1000];
        for i in 0..4_u8 {
            open.read(&content, u64::from(i) * length + 7, &mut buffer).unwrap();
            assert_eq!(buffer, [i; 1000]);
        }
        let failure = open.read(&content, 4 * length, &mut buffer).unwrap_err();
        assert_eq!((failure.file, failure.error.unwrap().kind()), (4, io::ErrorKind::NotFound));
    }

    #[test]
    fn a_file_that_shrinks_while_it_is_open() {
        let folder = tempfile::tempdir().unwrap();
        let (whole, shrinking) = (folder.path().join("whole"), folder.path().join("shrinking"));
        fs::write(&whole, [1; 1000]).unwrap();
        fs::write(&shrinking, [2; 1000]).unwrap();
        let content = Content::new(100, [&whole, &shrinking].map(|path| (1000, Source::Path(path.clone()))));
        let mut open = OpenFiles::new(16);
        let mut buffer = [0; 300];
        open.read(&content, 1000, &mut buffer).unwrap();
        File::options().write(true).open(&shrinking).unwrap().set_len(400).unwrap();
        let failure = open.read(&content, 1300, &mut buffer).unwrap_err();
        assert_eq!((failure.file, failure.error.unwrap().kind()), (1, io::ErrorKind::UnexpectedEof));
        // What is still there is read from its right place.
        open.read(&content, 900, &mut buffer).unwrap();
        assert_eq!((&buffer[..100], &buffer[100..]), (&[1; 100][..], &[2; 200][..]));
    }
}
