//! The list of what is in a backup.

use std::io::{self, Read};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The name of the list in the archive. It is the last entry, so that an archive that was cut has none.
pub(crate) const MANIFEST: &str = "manifest.json";

/// What the list says it is.
const FORMAT: &str = "lan-tracker-backup";

/// The version that this program writes and reads. Another one is needed when an older program would restore something wrong.
const VERSION: u32 = 1;

/// The maximum number of files in a backup: as many torrents as the library takes, and some more.
pub(crate) const MAX_FILES: usize = 101_000;

/// The maximum size of a file in a backup, in bytes: 4 GiB, a snapshot of about 70 million peers.
pub(crate) const MAX_FILE_BYTES: u64 = 4 << 30;

/// The maximum size of all files in a backup together, in bytes: 16 GiB.
pub(crate) const MAX_BYTES: u64 = 16 << 30;

/// The maximum size of the list, in bytes: [`MAX_FILES`] with the longest names.
pub(crate) const MAX_MANIFEST_BYTES: u64 = 64 << 20;

/// The list of what is in a backup. Fields that are not known are ignored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    format: String,
    version: u32,
    /// When it was written, in seconds since the Unix epoch.
    pub(crate) written: u64,
    pub(crate) files: Vec<ManifestFile>,
}

/// A file in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ManifestFile {
    /// The path in the data folder, with `/`.
    pub(crate) path: String,
    pub(crate) bytes: u64,
    /// 64 hexadecimal digits.
    pub(crate) sha256: String,
}

/// A list that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ManifestError {
    /// It is no list of a backup.
    Invalid,
    /// A newer program wrote it.
    Newer(u32),
}

impl Manifest {
    /// The list of these files.
    pub(crate) fn new(written: u64, files: Vec<ManifestFile>) -> Self {
        Self { format: FORMAT.to_owned(), version: VERSION, written, files }
    }

    pub(crate) fn parse(json: &[u8]) -> Result<Self, ManifestError> {
        /// What stays the same in all versions.
        #[derive(Deserialize)]
        struct Head {
            format: String,
            version: u32,
        }

        let head: Head = serde_json::from_slice(json).map_err(|_| ManifestError::Invalid)?;
        match head {
            Head { format, version: VERSION } if format == FORMAT => {
                serde_json::from_slice(json).map_err(|_| ManifestError::Invalid)
            }
            Head { format, version } if format == FORMAT && version > VERSION => Err(ManifestError::Newer(version)),
            _ => Err(ManifestError::Invalid),
        }
    }
}

/// A reader that counts the bytes that were read, and computes their SHA-256.
#[derive(Debug)]
pub(crate) struct Hashing<R> {
    inner: R,
    bytes: u64,
    sha256: Sha256,
}

impl<R: Read> Hashing<R> {
    pub(crate) fn new(inner: R) -> Self {
        Self { inner, bytes: 0, sha256: Sha256::new() }
    }

    /// What was read, under this path.
    pub(crate) fn finish(self, path: &str) -> ManifestFile {
        let sha256 = self.sha256.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        ManifestFile { path: path.to_owned(), bytes: self.bytes, sha256 }
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.sha256.update(&buffer[..read]);
        self.bytes += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_it_was_written() {
        let mut reader = Hashing::new(&b"abc"[..]);
        io::copy(&mut reader, &mut io::sink()).unwrap();
        let file = reader.finish("share.json");
        assert_eq!(file.bytes, 3);
        assert_eq!(file.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        let manifest = Manifest::new(1_764_300_000, vec![file]);
        assert_eq!(Manifest::parse(&serde_json::to_vec(&manifest).unwrap()), Ok(manifest));
    }

    #[test]
    fn what_is_none_and_what_is_newer_are_told_apart() {
        for (json, expected) in [
            ("", ManifestError::Invalid),
            ("{}", ManifestError::Invalid),
            (r#"{"format": "another", "version": 2}"#, ManifestError::Invalid),
            (r#"{"format": "lan-tracker-backup", "version": 0}"#, ManifestError::Invalid),
            (r#"{"format": "lan-tracker-backup", "version": 1}"#, ManifestError::Invalid),
            (r#"{"format": "lan-tracker-backup", "version": 2, "else": []}"#, ManifestError::Newer(2)),
        ] {
            assert_eq!(Manifest::parse(json.as_bytes()), Err(expected), "{json}");
        }
        let later = r#"{"format": "lan-tracker-backup", "version": 1, "written": 1, "files": [], "else": 7}"#;
        assert_eq!(Manifest::parse(later.as_bytes()), Ok(Manifest::new(1, vec![])));
    }
}
