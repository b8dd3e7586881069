//! The file of accounts.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use torrent_library::replace_secret_file;
use tracker_core::UserKey;

use super::{Account, saved_key};

/// The version of the format. Those of version 1 have no keys.
const VERSION: u32 = 2;

/// The maximum size of the file in bytes.
const MAX_BYTES: u64 = 4 << 20;

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

impl ReadAccountsError {
    /// The file.
    pub fn path(&self) -> &Path {
        match self {
            Self::Read { file, .. } | Self::Damaged { file, .. } | Self::Newer { file, .. } => file,
        }
    }
}

/// What is in the file.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Contents {
    version: u32,
    /// The key of operators without an account.
    #[serde(default, with = "saved_key")]
    pub(super) operator_key: Option<UserKey>,
    pub(super) accounts: Vec<Account>,
}

impl Contents {
    /// Returns `true` if nobody lacks a key or a number.
    pub(super) fn has_keys(&self) -> bool {
        self.operator_key.is_some() && self.accounts.iter().all(|account| account.id != 0 && account.key.is_some())
    }

    /// Gives everybody a key and a number who has none.
    pub(super) fn give_keys(&mut self) {
        self.operator_key.get_or_insert_with(saved_key::draw);
        for place in 0..self.accounts.len() {
            let id = self.accounts[place].id;
            self.accounts[place].id = if id == 0 { self.free_id() } else { id };
            self.accounts[place].key.get_or_insert_with(saved_key::draw);
        }
    }

    /// A number that no account has, and that very likely none has had: what somebody has done is kept under it.
    fn free_id(&self) -> u32 {
        let is_free = |id: &u32| *id != 0 && self.accounts.iter().all(|account| account.id != *id);
        std::iter::repeat_with(rand::random).find(is_free).expect("there are more numbers than accounts")
    }
}

/// What is in a file; no accounts if there is no such file.
pub(super) fn read(path: &Path) -> Result<Contents, ReadAccountsError> {
    #[derive(Deserialize)]
    struct Head {
        version: u32,
    }

    let file = || path.to_owned();
    let bytes = match bytes(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Contents::default()),
        Err(source) => return Err(ReadAccountsError::Read { file: file(), source }),
    };
    let damaged = |source| ReadAccountsError::Damaged { file: file(), source };
    let Head { version } = serde_json::from_slice(&bytes).map_err(damaged)?;
    if version > VERSION {
        return Err(ReadAccountsError::Newer { file: file(), version });
    }
    serde_json::from_slice(&bytes).map_err(damaged)
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

/// Puts a file with this in the place of the one that may be there. Only its owner may read it.
pub(super) fn write(path: &Path, contents: &mut Contents) -> io::Result<()> {
    contents.version = VERSION;
    let mut json = serde_json::to_vec_pretty(contents).expect("texts and lists can be written as JSON");
    json.push(b'\n');
    replace_secret_file(path, &json)
}
