//! Writing files that outlive the program.

use std::io;
use std::path::Path;

use metainfo::{Existing, write_file};

/// The beginning of the names of temporary files, which a killed process leaves behind: hidden, so that a look passes over them.
pub(crate) const TEMPORARY: &str = ".tracker-";

/// Writes a file in place of the one that may be there, atomically, as [`write_file`] does.
///
/// # Errors
///
/// Returns the error of the operating system. The file is as it was before, then.
pub fn replace_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_file(path, bytes, Existing::Replace, TEMPORARY)
}
