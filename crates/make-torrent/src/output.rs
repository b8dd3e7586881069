//! Writing the .torrent file atomically, without overwriting other files.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use metainfo::{Existing, Plan, folder_of, write_file};

use crate::progress::Interrupt;
use crate::text;

/// The destination of the .torrent file.
#[derive(Debug)]
pub(crate) enum Output {
    Stdout,
    File { path: PathBuf, force: bool },
}

impl Output {
    /// The destination given by `-o`, or beside the content. What ends in a separator is a folder.
    pub(crate) fn new(wanted: Option<PathBuf>, content: &Path, force: bool) -> Result<Self> {
        let path = match wanted {
            Some(path) if path == Path::new("-") => return Ok(Self::Stdout),
            Some(folder) if is_marked_as_folder(&folder) => {
                if !folder.is_dir() {
                    bail!("{folder:?} is not a folder; make it first, or give a file name to -o");
                }
                folder.join(file_name(content)?)
            }
            Some(path) => path,
            None => named(content)?.with_file_name(file_name(content)?),
        };
        Ok(Self::File { path, force })
    }

    /// Checks before hashing that the result can be written.
    pub(crate) fn check(&self, content: &Path, plan: &Plan) -> Result<()> {
        let Self::File { path, force } = self else {
            return Ok(());
        };
        // A link to nothing is there, too.
        match fs::metadata(path).or_else(|_| fs::symlink_metadata(path)) {
            Ok(metadata) => {
                if metadata.is_dir() {
                    let name = file_name(content)?;
                    bail!(
                        "{path:?} is there and is not a file; -o {} puts {} into it",
                        text::argument(&path.join("")),
                        text::one_line(&name.to_string_lossy())
                    );
                }
                if !metadata.is_file() && !metadata.is_symlink() {
                    bail!("{path:?} is there and is not a file");
                }
                if !force {
                    bail!("{path:?} is there already; --force overwrites it");
                }
                if is_content(path, content, plan) {
                    bail!("{path:?} is part of what the torrent describes; write it elsewhere with -o");
                }
                try_folder(path)
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                try_folder(path)?;
                // Only the name itself shows whether the file system takes it.
                File::create_new(path).and_then(|_| fs::remove_file(path)).with_context(|| unusable(path))
            }
            Err(error) => Err(error).with_context(|| unusable(path)),
        }
    }

    pub(crate) fn write(&self, bytes: &[u8], interrupt: &Interrupt) -> Result<()> {
        match self {
            Self::Stdout => {
                let mut out = io::stdout().lock();
                out.write_all(bytes)?;
                out.flush()?;
                Ok(())
            }
            Self::File { path, force } => {
                let existing = if *force { Existing::Replace } else { Existing::Keep };
                let written = interrupt.hold_off(|| write_file(path, bytes, existing, ".make-torrent-"))?;
                written.with_context(|| format!("cannot write {path:?}"))
            }
        }
    }
}

/// Checks that files can be made beside `path`.
fn try_folder(path: &Path) -> Result<()> {
    let folder = folder_of(path);
    match fs::metadata(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            bail!("cannot write into {folder:?}: there is no such folder; make the folder first");
        }
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            bail!("cannot write into {folder:?}: a part of this path is a file; give another place with -o");
        }
        Ok(metadata) if !metadata.is_dir() => {
            bail!("cannot write into {folder:?}: it is not a folder; give another place with -o");
        }
        // What else is wrong shows when a file is made. It is removed at once, and has no name on most systems.
        _ => tempfile::tempfile_in(folder)
            .map(drop)
            .with_context(|| format!("cannot write into {folder:?} (-o gives the .torrent file another place)")),
    }
}

fn unusable(path: &Path) -> String {
    format!("cannot write {path:?} (-o gives the .torrent file another place or a shorter name)")
}

/// The content's path with a last component that is a name; `.` and `..` are resolved.
fn named(content: &Path) -> Result<PathBuf> {
    match content.file_name() {
        Some(_) => Ok(content.to_owned()),
        None => fs::canonicalize(content).with_context(|| format!("cannot read {content:?}")),
    }
}

/// The content's name with `.torrent` appended.
fn file_name(content: &Path) -> Result<OsString> {
    let named = named(content)?;
    let Some(name) = named.file_name() else {
        bail!("{content:?} has no name that the .torrent file could have; give it one with -o");
    };
    let mut name = name.to_owned();
    name.push(".torrent");
    Ok(name)
}

/// Returns `true` if the path can only be a folder: it ends in a separator, or in `.` or `..`.
fn is_marked_as_folder(path: &Path) -> bool {
    let last = path.as_os_str().as_encoded_bytes().rsplit(|&byte| std::path::is_separator(byte.into())).next();
    last.is_some_and(|last| matches!(last, b"" | b"." | b".."))
}

/// Returns `true` if writing to `path` would change the content that was hashed.
fn is_content(path: &Path, content: &Path, plan: &Plan) -> bool {
    let (Ok(path), Ok(content)) = (fs::canonicalize(path), fs::canonicalize(content)) else {
        return false;
    };
    path.starts_with(content)
        && plan.files().iter().any(|file| fs::canonicalize(&file.source).is_ok_and(|source| source == path))
}
