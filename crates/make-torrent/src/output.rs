//! Writing the .torrent file atomically, without overwriting other files.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use metainfo::Plan;
use tempfile::NamedTempFile;

use crate::progress::Interrupt;

/// The destination of the .torrent file.
#[derive(Debug)]
pub(crate) enum Output {
    Stdout,
    File { path: PathBuf, force: bool },
}

impl Output {
    /// The destination given by `-o`, or beside the content.
    pub(crate) fn new(wanted: Option<PathBuf>, content: &Path, force: bool) -> Result<Self> {
        Ok(match wanted {
            Some(path) if path == Path::new("-") => Self::Stdout,
            Some(path) => Self::File { path, force },
            None => Self::File { path: beside(content)?, force },
        })
    }

    /// Checks before hashing that the result can be written.
    pub(crate) fn check(&self, content: &Path, plan: &Plan) -> Result<()> {
        let Self::File { path, force } = self else {
            return Ok(());
        };
        if let Ok(metadata) = fs::metadata(path) {
            if !metadata.is_file() {
                bail!("{path:?} is there and is not a file");
            }
            if !force {
                bail!("{path:?} is there already; --force overwrites it");
            }
            if is_content(path, content, plan) {
                bail!("{path:?} is part of what the torrent describes; write it elsewhere with -o");
            }
        }
        // The file is removed at once, and has no name on most systems.
        tempfile::tempfile_in(folder(path)).map(drop).with_context(|| format!("cannot write into {:?}", folder(path)))
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
                let written = interrupt.hold_off(|| write_file(path, bytes, *force))?;
                written.with_context(|| format!("cannot write {path:?}"))
            }
        }
    }
}

/// Returns `PATH.torrent`; a path that ends in `.` or `..` is resolved first.
fn beside(content: &Path) -> Result<PathBuf> {
    let content = match content.file_name() {
        Some(_) => content.to_owned(),
        None => fs::canonicalize(content).with_context(|| format!("cannot read {content:?}"))?,
    };
    let Some(name) = content.file_name() else {
        bail!("there is no place beside {content:?}; say with -o where the .torrent file goes");
    };
    let mut name = name.to_owned();
    name.push(".torrent");
    Ok(content.with_file_name(name))
}

/// Writes the bytes to a temporary file first and then renames it, so that a partial torrent is
/// never visible.
fn write_file(path: &Path, bytes: &[u8], force: bool) -> io::Result<()> {
    let mut file = temporary_beside(path)?;
    file.write_all(bytes)?;
    // Otherwise the name may survive a power cut without the bytes.
    file.as_file().sync_all()?;
    if force {
        file.persist(path)?;
    } else {
        file.persist_noclobber(path)?;
    }
    Ok(())
}

fn temporary_beside(path: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".make-torrent-");
    // A torrent is no secret: it gets the permissions of any new file, by the umask.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder(path))
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// Returns `true` if writing to `path` would change the content that was hashed.
fn is_content(path: &Path, content: &Path, plan: &Plan) -> bool {
    let (Ok(path), Ok(content)) = (fs::canonicalize(path), fs::canonicalize(content)) else {
        return false;
    };
    path.starts_with(content)
        && plan.files().iter().any(|file| fs::canonicalize(&file.source).is_ok_and(|source| source == path))
}
