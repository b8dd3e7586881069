//! The file with the names of computers.

use std::collections::btree_map::Entry;
use std::fs::{self, File};
use std::io::{self, Read};
use std::mem;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use torrent_library::{Stamp, WatchedFile, displayable};

use super::{Listed, Names};

/// Bytes of the file, at most.
const MAX_BYTES: u64 = 4 << 20;

/// Lines that cannot be used of which it is said, at most. Others are counted.
const MAX_REPORTED: usize = 10;

/// The names file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NamesFileError {
    /// It cannot be read.
    #[error("cannot read the names file {}", path.display())]
    Read {
        /// Its path.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// It is too large.
    #[error("the names file {} is larger than {limit} bytes", path.display())]
    TooLarge {
        /// Its path.
        path: PathBuf,
        /// The maximum number of bytes.
        limit: u64,
    },
    /// The thread that follows it cannot be started.
    #[error("cannot start the thread that follows the names file")]
    Thread(#[source] io::Error),
}

/// A file with lines of an address and a name, that is read again when it has changed.
#[derive(Debug)]
pub(super) struct NamesFile {
    path: PathBuf,
    watched: WatchedFile,
}

impl NamesFile {
    pub(super) fn read(path: PathBuf) -> Result<(Self, Listed), NamesFileError> {
        let watched = WatchedFile::read(Stamp::of(&path));
        let names = read(&path)?;
        Ok((Self { path, watched }, names))
    }

    /// The names, if the file has changed and settled. While it cannot be read, the last ones stay.
    pub(super) fn changed(&mut self) -> Option<Listed> {
        self.watched.look(Stamp::of(&self.path))?;
        match read(&self.path) {
            Ok(names) => Some(names),
            Err(error) => {
                let file = base_name(&self.path);
                tracing::warn!(%file, "the names file cannot be read any more; the last names stay: {}", reason(&error));
                None
            }
        }
    }
}

/// The error without the path, which viewers of the log need not see.
fn reason(error: &NamesFileError) -> String {
    match error {
        NamesFileError::Read { source, .. } | NamesFileError::Thread(source) => source.to_string(),
        NamesFileError::TooLarge { limit, .. } => format!("it is larger than {limit} bytes"),
    }
}

fn base_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn read(path: &Path) -> Result<Listed, NamesFileError> {
    let cannot_read = |source| NamesFileError::Read { path: path.to_owned(), source };
    // Opening a named pipe may block forever.
    if !fs::metadata(path).map_err(cannot_read)?.is_file() {
        return Err(cannot_read(io::Error::other("it is not a file")));
    }
    let mut bytes = Vec::new();
    File::open(path).map_err(cannot_read)?.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(cannot_read)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(NamesFileError::TooLarge { path: path.to_owned(), limit: MAX_BYTES });
    }
    let (names, bad) = parse(&bytes);
    let file = base_name(path);
    for BadLine { line, reason } in bad.iter().take(MAX_REPORTED) {
        tracing::warn!(%file, line, "line {line} of the names file is left out: {reason}");
    }
    if bad.len() > MAX_REPORTED {
        let lines = bad.len() - MAX_REPORTED;
        tracing::warn!(%file, lines, "{lines} more lines of the names file are left out");
    }
    Ok(names)
}

/// A line that cannot be used.
#[derive(Debug, PartialEq, Eq)]
struct BadLine {
    /// From 1.
    line: u64,
    reason: &'static str,
}

/// Parses lines of an address, a comma (or a semicolon, as some spreadsheets write it) and a name. A first line that
/// begins with neither an address nor a bad one is a heading; `#` starts a comment line.
fn parse(bytes: &[u8]) -> (Listed, Vec<BadLine>) {
    // Some Windows editors begin a file with a byte order mark.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let first_line = bytes.split(|&byte| byte == b'\n').find(|line| !matches!(line.first(), None | Some(b'#')));
    let delimiter = if first_line.is_some_and(|line| line.contains(&b';')) { b';' } else { b',' };
    let (mut names, mut bad, mut is_first) = (Listed::new(), Vec::new(), true);
    for (line, text) in (1..).zip(bytes.split(|&byte| byte == b'\n')) {
        let Some(record) = fields(text, delimiter) else { continue };
        let field = |place| record.get(place).map(String::from_utf8_lossy).unwrap_or_default();
        let (address, name) = (field(0), displayable(&field(1)));
        let is_heading = mem::take(&mut is_first) && !address.contains(['.', ':']);
        let Ok(address) = address.parse::<IpAddr>().map(|address| address.to_canonical()) else {
            if !is_heading {
                bad.push(BadLine { line, reason: "it does not begin with an IP address" });
            }
            continue;
        };
        if name.is_empty() {
            bad.push(BadLine { line, reason: "it has no name" });
        } else if name.chars().count() > Names::MAX_LEN {
            bad.push(BadLine { line, reason: "the name is longer than 64 characters" });
        } else if names.len() >= Names::MAX_NAMES {
            bad.push(BadLine { line, reason: "there are 10,000 names before it" });
        } else {
            match names.entry(address) {
                Entry::Vacant(entry) => _ = entry.insert(name.into()),
                Entry::Occupied(_) => bad.push(BadLine { line, reason: "an earlier line has the same address" }),
            }
        }
    }
    (names, bad)
}

/// The fields of a line; `None` if it is blank, or a comment.
fn fields(line: &[u8], delimiter: u8) -> Option<csv::ByteRecord> {
    if line.trim_ascii().is_empty() || line.starts_with(b"#") {
        return None;
    }
    let mut reader = csv::ReaderBuilder::new();
    reader.has_headers(false).delimiter(delimiter).trim(csv::Trim::All).buffer_capacity(line.len());
    // Reading memory as bytes never fails.
    reader
        .from_reader(line)
        .into_byte_records()
        .next()?
        .ok()
        .filter(|record| record.iter().any(|field| !field.is_empty()))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    fn parsed(text: &str) -> (Vec<(String, String)>, Vec<u64>) {
        let (names, bad) = parse(text.as_bytes());
        let names = names.iter().map(|(address, name)| (address.to_string(), name.to_string())).collect();
        (names, bad.iter().map(|bad| bad.line).collect())
    }

    fn names(names: &[(&str, &str)]) -> Vec<(String, String)> {
        names.iter().map(|&(address, name)| (address.to_owned(), name.to_owned())).collect()
    }

    #[test]
    fn lines_of_address_and_name() {
        let expected = names(&[("192.168.1.7", "lab-07"), ("192.168.1.8", "Tür, links")]);
        for text in [
            "192.168.1.7,lab-07\n192.168.1.8,\"Tür, links\"\n",
            "\u{feff}address,name\r\n192.168.1.7,lab-07\r\n192.168.1.8,\"Tür, links\"",
            "IP;Name;Room\n192.168.1.7; lab-07 ;101\n\n# comment\n::ffff:192.168.1.8;Tür, links\n",
        ] {
            assert_eq!(parsed(text), (expected.clone(), vec![]), "{text}");
        }
        assert_eq!(parsed(""), (vec![], vec![]));
    }

    #[test]
    fn bad_lines_are_left_out_with_their_numbers() {
        let long = "x".repeat(65);
        let text = format!(
            "# class 7b\naddress,name\n192.168.1.7,lab-07\n192.168.1.300,lab-08\n192.168.1.9\n\n192.168.1.10,\n192.168.1.7,\
             lab-77\n192.168.1.11,{long}\nfd00::7,a\u{202e}b\n"
        );
        let (found, bad) = parsed(&text);
        assert_eq!(found, names(&[("192.168.1.7", "lab-07"), ("fd00::7", "a\u{fffd}b")]));
        assert_eq!(bad, [4, 5, 7, 8, 9]);
        assert_eq!(parse(b"\xff\xfe\0,\xc3\x28\n10.0.0.1,\xc3\x28\n").0.len(), 1);
    }

    #[test]
    fn there_is_a_limit() {
        let text: String = (0..Names::MAX_NAMES as u32 + 5)
            .map(|number| format!("{},x\n", std::net::Ipv4Addr::from(number)))
            .collect();
        let (names, bad) = parse(text.as_bytes());
        assert_eq!((names.len(), bad.len()), (Names::MAX_NAMES, 5));
    }

    #[test]
    fn a_file_is_read_again_when_it_has_changed_and_settled() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("names.csv");
        fs::write(&path, "192.168.1.7,lab-07\n").unwrap();
        let (mut file, names) = NamesFile::read(path.clone()).unwrap();
        assert_eq!((names.len(), file.changed()), (1, None));
        fs::write(&path, "192.168.1.7,lab-07\n192.168.1.8,lab-08\n").unwrap();
        assert_eq!(file.changed(), None, "it may still be written");
        assert_eq!(file.changed().map(|names| names.len()), Some(2));
        assert_eq!(file.changed(), None);
        // The same length at another time.
        fs::write(&path, "192.168.1.7,lab-70\n192.168.1.8,lab-80\n").unwrap();
        let later = SystemTime::now() + Duration::from_secs(10);
        File::options().write(true).open(&path).unwrap().set_modified(later).unwrap();
        assert!(file.changed().is_none() && file.changed().is_some());
        fs::remove_file(&path).unwrap();
        assert!(file.changed().is_none() && file.changed().is_none(), "the last names stay");
        assert!(matches!(NamesFile::read(path), Err(NamesFileError::Read { .. })));
        assert!(matches!(NamesFile::read(folder.path().to_owned()), Err(NamesFileError::Read { .. })));
    }
}
