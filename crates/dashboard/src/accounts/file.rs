//! The file of accounts.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use torrent_library::replace_secret_file;

use super::Account;

/// The version of the format.
const VERSION: u32 = 1;

/// The maximum size of the file in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// The file of accounts cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadAccountsError {
    /// The system cannot read it, or it is too large.
    #[error("cannot read the accounts in {}: {source}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// It is damaged.
    #[error("the accounts in {} are damaged: {source}; mend the file, or remove it and add the accounts anew", file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A newer program wrote it.
    #[error("the accounts in {} were written by a newer tracker (version {version})", file.display())]
    Newer {
        /// The file.
        file: PathBuf,
        /// Its version.
        version: u32,
    },
}

#[derive(Serialize)]
struct Contents<'a> {
    version: u32,
    accounts: &'a [Account],
}

/// The accounts in a file; none if there is no such file.
pub(super) fn read(path: &Path) -> Result<Vec<Account>, ReadAccountsError> {
    #[derive(Deserialize)]
    struct Head {
        version: u32,
    }

    #[derive(Deserialize)]
    struct Body {
        accounts: Vec<Account>,
    }

    let file = || path.to_owned();
    let bytes = match bytes(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(ReadAccountsError::Read { file: file(), source }),
    };
    let damaged = |source| ReadAccountsError::Damaged { file: file(), source };
    let Head { version } = serde_json::from_slice(&bytes).map_err(damaged)?;
    if version > VERSION {
        return Err(ReadAccountsError::Newer { file: file(), version });
    }
    let Body { accounts } = serde_json::from_slice(&bytes).map_err(damaged)?;
    Ok(accounts)
}

fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(io::Error::other(format!("it has more than {MAX_BYTES} bytes")));
    }
    Ok(bytes)
}

/// The lock of a file, for those who change it: a file of its own beside it, since the file itself is replaced. Held until it is
/// dropped.
pub(super) fn lock(path: &Path) -> io::Result<File> {
    let lock = File::options().write(true).create(true).truncate(false).open(path.with_extension("lock"))?;
    match lock.lock() {
        Err(error) if error.kind() != ErrorKind::Unsupported => Err(error),
        _ => Ok(lock),
    }
}

/// Puts a file with these accounts in the place of the one that may be there. Only its owner may read it.
pub(super) fn write(path: &Path, accounts: &[Account]) -> io::Result<()> {
    let contents = Contents { version: VERSION, accounts };
    let mut json = serde_json::to_vec_pretty(&contents).expect("texts and lists can be written as JSON");
    json.push(b'\n');
    replace_secret_file(path, &json)
}
