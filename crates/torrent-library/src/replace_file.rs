//! Writing files that outlive the program.

use std::ffi::OsStr;
use std::io;
use std::path::Path;

use metainfo::{Existing, write_file, write_secret_file};

/// The beginning of the names of temporary files: hidden, so that a look passes over them.
pub(crate) const TEMPORARY: &str = ".tracker-";

/// Returns `true` for the name of a temporary file of [`replace_file`] or of the library, which a killed process leaves behind.
pub fn is_temporary(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(TEMPORARY.as_bytes())
}

/// Writes a file in place of the one that may be there, atomically, as [`write_file`] does.
///
/// # Errors
///
/// Returns the error of the operating system. The file is as it was before, then.
pub fn replace_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_file(path, bytes, Existing::Replace, TEMPORARY)
}

/// Writes a file with secrets in it in place of the one that may be there, atomically, as [`write_secret_file`] does.
///
/// # Errors
///
/// Returns the error of the operating system. The file is as it was before, then.
pub fn replace_secret_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_secret_file(path, bytes, TEMPORARY)
}

/// Writes a file that people edit, too, in place of the one that may be there, atomically, if it `is_current` still, as
/// [`metainfo::rewrite_file`] does. Returns whether it was.
///
/// # Errors
///
/// Returns the error of the operating system. The file is as it was before, then.
pub fn rewrite_file(path: &Path, bytes: &[u8], is_current: impl FnOnce() -> bool) -> io::Result<bool> {
    metainfo::rewrite_file(path, bytes, TEMPORARY, is_current)
}
