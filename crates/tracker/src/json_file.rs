//! A JSON file in the data folder.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use torrent_library::replace_file;
use tracker_monitor::ParseSavedError;

use crate::keeper_thread::chain;

/// Bytes of a file that are read, at most. The tracker writes less than half of it.
const MAX_LEN: u64 = 128 << 20;

/// A file that is read once and then replaced as a whole. One that cannot be used is kept under another name.
#[derive(Debug, Default)]
pub(crate) struct JsonFile {
    path: PathBuf,
    /// The name under which a file is to be kept that was not read, before another one takes its place.
    aside: Option<PathBuf>,
}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("it cannot be read")]
    Read(#[from] io::Error),
    #[error("it is larger than {MAX_LEN} bytes")]
    TooLarge,
    #[error(transparent)]
    Parse(#[from] ParseSavedError),
}

/// A file cannot be written, or not be kept aside before that.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}", path.display())]
pub(crate) struct WriteJsonError {
    path: PathBuf,
    source: io::Error,
}

impl JsonFile {
    /// Reads the file, if there is one. If it cannot be used, a line in the log says so, and what is `lost`.
    pub(crate) fn read<T: Default>(
        path: PathBuf,
        lost: &str,
        parse: impl FnOnce(&[u8]) -> Result<T, ParseSavedError>,
    ) -> (Self, T) {
        let fault = match read(&path).and_then(|json| json.map(|json| Ok(parse(&json)?)).transpose()) {
            Ok(saved) => return (Self { path, aside: None }, saved.unwrap_or_default()),
            Err(fault) => fault,
        };
        let ending = match fault {
            Fault::Parse(ParseSavedError::Newer { .. }) => "newer",
            Fault::Read(_) => "unreadable",
            _ => "damaged",
        };
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{ending}"));
        tracing::warn!(
            file = %path.display(),
            error = %chain(&fault),
            "cannot use {}: {}; {lost}, and it is kept as {}",
            path.display(),
            chain(&fault),
            Path::new(&name).display()
        );
        (Self { path, aside: Some(name.into()) }, T::default())
    }

    /// Puts a file with this in its place.
    pub(crate) fn write(&mut self, json: &[u8]) -> Result<(), WriteJsonError> {
        let error = |source| WriteJsonError { path: self.path.clone(), source };
        if let Some(name) = &self.aside {
            match fs::rename(&self.path, name) {
                Err(source) if source.kind() != ErrorKind::NotFound => return Err(error(source)),
                _ => self.aside = None,
            }
        }
        let written = match json.len() as u64 > MAX_LEN {
            // It could not be read again.
            true => Err(io::Error::other(format!("it would have more than {MAX_LEN} bytes"))),
            false => replace_file(&self.path, json),
        };
        written.map_err(error)
    }
}

/// The bytes of a file; `None` if there is none.
fn read(path: &Path) -> Result<Option<Vec<u8>>, Fault> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        // Opening a named pipe may block forever.
        Ok(metadata) if !metadata.is_file() => return Err(io::Error::other("it is not a file").into()),
        _ => {}
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_LEN + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_LEN { Err(Fault::TooLarge) } else { Ok(Some(bytes)) }
}
