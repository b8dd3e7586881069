//! The paths of what outlives the tracker.

use std::fmt;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};

/// The folder of .torrent files.
pub(crate) const TORRENTS: &str = "torrents";

/// The file that remembers what is known of the share folder.
pub(crate) const SHARE: &str = "share.json";

/// The file with the names that computers were given on the page.
pub(crate) const GIVEN_NAMES: &str = "names.json";

/// The file with the history of the plots and the current lesson.
pub(crate) const MONITOR: &str = "monitor.json";

/// The file with the lessons before the current one.
pub(crate) const LESSONS: &str = "lessons.json";

/// The file with the accounts of those who sign in on the dashboard.
pub(crate) const OPERATORS: &str = "operators.json";

/// The file with what users have done.
pub(crate) const USERS: &str = "users.json";

/// The file with the rules about which clients are served.
pub(crate) const CLIENTS: &str = "clients.txt";

/// The files that are called the same in every data folder.
const FILES: [&str; 8] = [CLIENTS, GIVEN_NAMES, LESSONS, MONITOR, OPERATORS, SHARE, USERS, "swarms.snapshot"];

/// The beginning of the names of journals, which a number follows.
const JOURNAL: &str = "journal.";

/// The maximum number of digits of the number of a journal: those of the largest `u64`.
const MAX_JOURNAL_DIGITS: usize = 20;

/// The path of a file that outlives the tracker, in its data folder: a file such as `share.json` or `journal.7`, or
/// `torrents/NAME.torrent`. It never leads out of the folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct KeptPath(String);

/// What of a data folder is kept.
#[derive(Debug, Default)]
pub(crate) struct KeptPaths {
    /// The files, sorted.
    pub(crate) files: Vec<KeptPath>,
    /// What has the name of such a file or folder, and is none: a symbolic link, for example.
    pub(crate) others: Vec<PathBuf>,
}

impl KeptPath {
    /// The path as text, with `/`. `None` if the tracker writes no such file.
    pub(crate) fn parse(path: &str) -> Option<Self> {
        let is_kept = match path.split_once('/') {
            Some((TORRENTS, name)) => is_torrent_name(name),
            Some(_) => false,
            None => is_kept_name(path),
        };
        is_kept.then(|| Self(path.to_owned()))
    }

    /// The text, with `/`.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns `true` for a .torrent file.
    pub(crate) fn is_torrent(&self) -> bool {
        self.0.contains('/')
    }

    /// The path of the file in this data folder.
    pub(crate) fn in_folder(&self, folder: &Path) -> PathBuf {
        folder.join(&self.0)
    }
}

impl fmt::Display for KeptPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl KeptPaths {
    /// Looks for all of them in a data folder.
    ///
    /// # Errors
    ///
    /// Returns the path that cannot be read, and the error of the system.
    pub(crate) fn list(folder: &Path) -> Result<Self, (PathBuf, io::Error)> {
        let mut paths = Self::default();
        for name in names(folder)? {
            let path = folder.join(&name);
            if name == TORRENTS {
                match kind(&path)? {
                    Kind::Folder => {
                        for torrent in names(&path)? {
                            paths.add(folder, format!("{TORRENTS}/{torrent}"))?;
                        }
                    }
                    Kind::Gone => {}
                    Kind::File | Kind::Other => paths.others.push(path),
                }
            } else {
                paths.add(folder, name)?;
            }
        }
        paths.files.sort_unstable();
        Ok(paths)
    }

    fn add(&mut self, folder: &Path, name: String) -> Result<(), (PathBuf, io::Error)> {
        let Some(kept) = KeptPath::parse(&name) else { return Ok(()) };
        let path = kept.in_folder(folder);
        match kind(&path)? {
            Kind::File => self.files.push(kept),
            Kind::Gone => {}
            Kind::Folder | Kind::Other => self.others.push(path),
        }
        Ok(())
    }
}

/// Returns `true` for the name of something in the data folder that outlives the tracker: one of its files, or the folder of
/// .torrent files.
pub(crate) fn is_kept(name: &str) -> bool {
    name == TORRENTS || is_kept_name(name)
}

/// Returns `true` for the name of a file that the store has put aside, since it is damaged, cannot be read, or was written by a newer
/// tracker.
#[cfg(unix)]
pub(crate) fn is_put_aside(name: &str) -> bool {
    let before = [".damaged", ".newer", ".unreadable"].iter().find_map(|end| name.strip_suffix(end));
    before.is_some_and(is_kept_name)
}

fn is_kept_name(name: &str) -> bool {
    let is_number =
        |text: &str| (1..=MAX_JOURNAL_DIGITS).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    FILES.contains(&name) || name.strip_prefix(JOURNAL).is_some_and(is_number)
}

/// Returns `true` for a name that the library reads: see `torrent-library`.
fn is_torrent_name(name: &str) -> bool {
    let mut components = Path::new(name).components();
    let is_one =
        matches!(components.next(), Some(Component::Normal(only)) if only == name) && components.next().is_none();
    // On Windows a colon begins the name of a stream of the file.
    let is_odd = name.starts_with('.') || name.contains(['/', '\0']) || cfg!(windows) && name.contains(':');
    is_one && !is_odd && Path::new(name).extension().is_some_and(|extension| extension.eq_ignore_ascii_case("torrent"))
}

/// What has a name.
enum Kind {
    File,
    Folder,
    /// A symbolic link, a socket and so on.
    Other,
    Gone,
}

fn kind(path: &Path) -> Result<Kind, (PathBuf, io::Error)> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_file() => Ok(Kind::File),
        Ok(metadata) if metadata.is_dir() => Ok(Kind::Folder),
        Ok(_) => Ok(Kind::Other),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Kind::Gone),
        Err(error) => Err((path.to_owned(), error)),
    }
}

/// The names in a folder. Others than in UTF-8 are left out: the tracker gives none.
fn names(folder: &Path) -> Result<Vec<String>, (PathBuf, io::Error)> {
    let list =
        || fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().into_string().ok())).collect::<io::Result<Vec<_>>>();
    let names = list().map_err(|error| (folder.to_owned(), error))?;
    Ok(names.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_tracker_writes_is_kept() {
        for path in [
            "share.json",
            "names.json",
            "monitor.json",
            "lessons.json",
            "operators.json",
            "users.json",
            "swarms.snapshot",
            "journal.0",
            "journal.18446744073709551615",
            "torrents/a.torrent",
            "torrents/Prüfung #2 (geheim).TORRENT",
            "torrents/a..torrent",
        ] {
            assert_eq!(KeptPath::parse(path).expect(path).as_str(), path);
        }
        for path in [
            "",
            "lock",
            ".",
            "..",
            "/etc/passwd",
            "/share.json",
            "../share.json",
            "./share.json",
            "share.json/",
            "swarms.snapshot.damaged",
            "journal.",
            "journal.1x",
            "journal.-1",
            "journal.184467440737095516150",
            "torrents",
            "torrents/",
            "torrents/.torrent",
            "torrents/.tracker-a1b2C3",
            "torrents/a.txt",
            "torrents/../a.torrent",
            "torrents/b/a.torrent",
            "torrents//a.torrent",
            "torrents/./a.torrent",
            "torrents/a\0.torrent",
            "other/a.torrent",
            ".tracker-restore-abc/share.json",
        ] {
            assert_eq!(KeptPath::parse(path), None, "{path:?}");
        }
    }

    #[test]
    fn a_folder_is_listed_without_what_does_not_outlive_it() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        fs::create_dir(at("torrents")).unwrap();
        fs::create_dir(at("names.json")).unwrap();
        for file in
            ["lock", "share.json", ".tracker-abc", "journal.3", "torrents/b.torrent", "torrents/a.torrent", "other"]
        {
            fs::write(at(file), file).unwrap();
        }
        #[cfg(unix)]
        std::os::unix::fs::symlink("/etc/passwd", at("torrents/link.torrent")).unwrap();
        let others = ["names.json", "torrents/link.torrent"].into_iter().map(at).filter(|other| other.exists());
        let others: Vec<_> = others.collect();
        let mut listed = KeptPaths::list(folder.path()).unwrap();
        let files: Vec<_> = listed.files.iter().map(KeptPath::as_str).collect();
        assert_eq!(files, ["journal.3", "share.json", "torrents/a.torrent", "torrents/b.torrent"]);
        listed.others.sort();
        assert_eq!(listed.others, others);
    }
}
