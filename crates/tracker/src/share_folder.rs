//! Which folders can be shared.

use std::env;
use std::io::{self, ErrorKind};
use std::path::{self, Path, PathBuf};

use torrent_library::Share;

/// A folder that cannot be shared. The texts say which one to write instead.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShareFolderError {
    /// It does not exist.
    #[error("there is no folder {}: check its name, or make it first", folder.display())]
    Missing {
        /// The folder.
        folder: PathBuf,
    },
    /// It is a file.
    #[error("{} is a file: to share it, write the folder that it is in, {}", file.display(), parent.display())]
    File {
        /// The file.
        file: PathBuf,
        /// The folder that it is in. All of that is shared then.
        parent: PathBuf,
    },
    /// It is a whole file system.
    #[error("{} has everything on this machine in it: write the folder whose files you want to share", folder.display())]
    Root {
        /// The folder.
        folder: PathBuf,
    },
    /// It is the home folder of the user, or has it in it.
    #[error("{} has all your private files in it: write a folder in it, such as {}", folder.display(), example.display())]
    Home {
        /// The folder.
        folder: PathBuf,
        /// A folder that could be shared.
        example: PathBuf,
    },
    /// A folder that the tracker writes into is in it.
    #[error("{} has the folder {} in it, which the tracker writes into: choose another one of the two", folder.display(), inner.display())]
    OwnFiles {
        /// The folder to share.
        folder: PathBuf,
        /// The folder that is written into.
        inner: PathBuf,
    },
    /// It cannot be read.
    #[error("cannot open the folder to share {}", folder.display())]
    Open {
        /// The folder.
        folder: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
}

/// Checks that a folder can be shared: it is refused if it has the user's home folder in it, or one of those that are `written`
/// into, which need not exist yet.
///
/// # Errors
///
/// Returns [`ShareFolderError`] if it cannot be shared.
pub fn check_share_folder(folder: &Path, written: &[&Path]) -> Result<(), ShareFolderError> {
    check(folder, env::home_dir().as_deref(), written)
}

/// Opens a folder to share, after [these checks](check_share_folder).
pub(crate) fn open(folder: &Path, written: &[&Path]) -> Result<Share, ShareFolderError> {
    check_share_folder(folder, written)?;
    Share::open(folder.to_owned()).map_err(|source| cannot_open(folder, source))
}

fn check(folder: &Path, home: Option<&Path>, written: &[&Path]) -> Result<(), ShareFolderError> {
    let found = folder.canonicalize().map_err(|source| cannot_open(folder, source))?;
    let folder = folder.to_owned();
    if !found.is_dir() {
        // Of a name alone, the parent is the working directory.
        let absolute = path::absolute(&folder).unwrap_or(found);
        let parent = absolute.parent().unwrap_or(&folder).to_owned();
        return Err(ShareFolderError::File { file: folder, parent });
    }
    if found.parent().is_none() {
        return Err(ShareFolderError::Root { folder });
    }
    // A service may have no home folder of its own.
    let home = home.and_then(|home| home.canonicalize().ok()).filter(|home| home.parent().is_some());
    if let Some(home) = home.filter(|home| home.starts_with(&found)) {
        return Err(ShareFolderError::Home { folder, example: home.join("Lessons") });
    }
    // Of a folder that will be made, the part that exists says where that is.
    let exists = |inner: &Path| inner.ancestors().find_map(|part| part.canonicalize().ok());
    let is_inside = |inner: &&Path| exists(inner).is_some_and(|inner| inner.starts_with(&found));
    match written.iter().copied().find(is_inside) {
        Some(inner) => Err(ShareFolderError::OwnFiles { folder, inner: inner.to_owned() }),
        None => Ok(()),
    }
}

fn cannot_open(folder: &Path, source: io::Error) -> ShareFolderError {
    let folder = folder.to_owned();
    match source.kind() {
        ErrorKind::NotFound => ShareFolderError::Missing { folder },
        _ => ShareFolderError::Open { folder, source },
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn each_folder_that_cannot_be_shared_has_a_sentence() {
        let machine = tempfile::tempdir().unwrap();
        let path = |name: &str| machine.path().join(name);
        let home = path("home/me");
        let lessons = path("home/me/Lessons");
        fs::create_dir_all(&lessons).unwrap();
        fs::write(lessons.join("lecture.mp4"), "").unwrap();
        fs::create_dir_all(path("srv")).unwrap();
        let refusal = |folder: &Path| check(folder, Some(&home), &[&lessons.join("data")]).unwrap_err().to_string();
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        for (folder, sentence) in [
            (path("missing"), format!("there is no folder {}", text(&path("missing")))),
            (lessons.join("lecture.mp4"), format!("write the folder that it is in, {}", text(&lessons))),
            ("Cargo.toml".into(), format!("write the folder that it is in, {}", text(&env::current_dir().unwrap()))),
            (home.clone(), text(&home.canonicalize().unwrap().join("Lessons"))),
            (lessons.join(".."), "all your private files".to_owned()),
            (path("home"), "all your private files".to_owned()),
            (Path::new("/").to_owned(), "everything on this machine".to_owned()),
            (lessons.clone(), text(&lessons.join("data"))),
        ] {
            let refusal = refusal(&folder);
            assert!(refusal.contains(&sentence), "{sentence}: {refusal}");
        }
        for (folder, home) in [(path("srv"), Some(&*home)), (path("home"), None), (lessons, Some(Path::new("/")))] {
            check(&folder, home, &[&path("etc/missing")]).unwrap();
        }
    }

    #[test]
    #[cfg(unix)]
    fn links_to_the_home_folder_are_noticed() {
        let machine = tempfile::tempdir().unwrap();
        let [home, link] = ["me", "link"].map(|name| machine.path().join(name));
        fs::create_dir(&home).unwrap();
        std::os::unix::fs::symlink(&home, &link).unwrap();
        for (folder, home) in [(&link, &home), (&home, &link)] {
            assert!(matches!(check(folder, Some(home), &[]), Err(ShareFolderError::Home { .. })));
        }
    }
}
