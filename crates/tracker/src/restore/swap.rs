//! Putting restored files in the place of those that are there.
//!
//! A crash at any moment leaves the folder so that [`finish`] can go on. The files are written and synced in a temporary folder
//! first, in its folder [`NEW`]. That is then renamed twice, and its name says what may have been done:
//!
//! 1. [`MOVING_ASIDE`]: files of before are moved from the data folder into it. Nothing new is in place.
//! 2. [`PUTTING_IN_PLACE`]: files are moved from its folder [`NEW`] into the data folder. Nothing of before is there.
//!
//! At the end only the files of before are in it, and it gets its last name.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use jiff::Zoned;
use tempfile::TempDir;

use crate::backup::sync_folder;
use crate::data_folder::DataFolder;
use crate::kept_path::{TORRENTS, is_kept};

/// The beginning of the name of the temporary folder.
pub(super) const STAGING: &str = ".tracker-restore-";

/// The folder of restored files in it.
pub(super) const NEW: &str = "new";

const MOVING_ASIDE: &str = "restore-moving-aside";

const PUTTING_IN_PLACE: &str = "restore-putting-in-place";

/// The beginning of the name of the folder that has the files of before in the end.
const BEFORE: &str = "before-restore-";

/// Returns `true` if a restore into this folder was begun and not completed.
pub(crate) fn is_interrupted(folder: &Path) -> bool {
    [MOVING_ASIDE, PUTTING_IN_PLACE].iter().any(|name| folder.join(name).is_dir())
}

/// Returns `true` for a name in the data folder that a restore gives.
#[cfg(unix)]
pub(crate) fn is_own_name(name: &std::ffi::OsStr) -> bool {
    name == MOVING_ASIDE || name == PUTTING_IN_PLACE || name.as_encoded_bytes().starts_with(BEFORE.as_bytes())
}

/// Removes what killed processes left that had not begun to move anything.
pub(super) fn remove_leftovers(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        if entry.file_name().as_encoded_bytes().starts_with(STAGING.as_bytes()) {
            // One that stays is in nobody's way.
            _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Makes the names of the files in the new folder survive a power failure.
pub(super) fn sync_staged(new: &Path) -> io::Result<()> {
    let torrents = new.join(TORRENTS);
    if torrents.is_dir() {
        sync_folder(&torrents);
    }
    sync_folder(new);
    new.parent().map(sync_folder);
    keep_owner(new)
}

/// Begins to replace: from now on [`finish`] does, even after a crash.
pub(super) fn begin(folder: &Path, staged: TempDir) -> io::Result<()> {
    fs::rename(staged.path(), folder.join(MOVING_ASIDE))?;
    // It is not there any more to be removed.
    _ = staged.keep();
    sync_folder(folder);
    Ok(())
}

/// Completes a restore that was begun, and returns the folder with the files of before. `None` if none was begun, or if there were no
/// files before. Only one process may do so at a time: see the lock of [`DataFolder`](crate::DataFolder).
///
/// # Errors
///
/// Returns the error of the system. What was done is done, and the next call goes on.
pub(crate) fn finish(folder: &Path) -> io::Result<Option<PathBuf>> {
    let (aside, putting) = (folder.join(MOVING_ASIDE), folder.join(PUTTING_IN_PLACE));
    if aside.is_dir() {
        for entry in fs::read_dir(folder)? {
            let name = entry?.file_name();
            if name.to_str().is_some_and(is_kept) {
                fs::rename(folder.join(&name), aside.join(&name))?;
            }
        }
        sync_folder(&aside);
        sync_folder(folder);
        fs::rename(&aside, &putting)?;
        sync_folder(folder);
    }
    if !putting.is_dir() {
        return Ok(None);
    }
    let new = putting.join(NEW);
    if new.is_dir() {
        for entry in fs::read_dir(&new)? {
            let entry = entry?;
            fs::rename(entry.path(), folder.join(entry.file_name()))?;
        }
        // In both, before the next name says that all is done.
        sync_folder(folder);
        sync_folder(&new);
        fs::remove_dir(&new)?;
    }
    // If it is empty.
    if fs::remove_dir(&putting).is_ok() {
        return Ok(None);
    }
    let before = free_name(folder)?;
    fs::rename(&putting, &before)?;
    sync_folder(folder);
    Ok(Some(before))
}

/// A name for the files of before that nothing has.
fn free_name(folder: &Path) -> io::Result<PathBuf> {
    let name = format!("{BEFORE}{}", Zoned::now().strftime("%Y-%m-%dT%H-%M-%S"));
    let mut names = (1..u32::MAX).map(|number| match number {
        1 => folder.join(&name),
        _ => folder.join(format!("{name}-{number}")),
    });
    names.find(|name| fs::symlink_metadata(name).is_err()).ok_or_else(|| ErrorKind::AlreadyExists.into())
}

/// Gives the restored files to the owner of the data folder, where the operator restores as root for a service.
fn keep_owner(new: &Path) -> io::Result<()> {
    let Some(folder) = new.ancestors().nth(2) else { return Ok(()) };
    let torrents = new.join(TORRENTS);
    let mut files = Vec::new();
    for place in [Some(new), torrents.is_dir().then_some(&*torrents)].into_iter().flatten() {
        for entry in fs::read_dir(place)? {
            files.push(entry?.path());
        }
        files.push(place.to_owned());
    }
    files.extend(new.parent().map(Path::to_owned));
    DataFolder::give_to_owner(folder, files)
}
