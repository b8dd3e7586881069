//! The folder that is shared.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use torrent_library::PassedOverReason;
use tracker::check_share_folder;

use super::finding::Finding;
use crate::settings::Settings;
use crate::text::size;

/// The name of these findings.
const CHECK: &str = "share";

/// Files and folders that are looked at, at most: a folder with more is large enough to be found right by its beginning.
const MAX_ENTRIES: u64 = 100_000;

/// The settings of the service that the Debian package brings.
const SERVICE_CONFIG: &str = "/etc/lan-tracker/tracker.toml";

/// What is in the folder; `None` if none is shared.
pub(super) type Shared = Option<Result<Content, String>>;

/// What is in a folder that can be shared.
#[derive(Debug, Default)]
pub(super) struct Content {
    folder: PathBuf,
    /// Files that can be read, and their bytes.
    files: u64,
    bytes: u64,
    /// What is not shared by its name, kind or size: hidden and empty files, links, downloads that are not finished and so on.
    passed_over: u64,
    /// What cannot be read.
    unreadable: u64,
    /// An example of an unreadable path.
    example: Option<PathBuf>,
    /// There is more in it than was looked at.
    is_cut: bool,
    /// Root looked, who can read everything.
    is_seen_by_root: bool,
}

/// Looks at each file in the folder.
pub(super) fn look(settings: &Settings) -> Shared {
    let folder = settings.share.as_deref()?;
    let data = settings.data();
    let written: Vec<_> = settings.torrents.as_deref().into_iter().chain(data.path()).collect();
    Some(match check_share_folder(folder, &written) {
        Ok(()) => Ok(content(folder)),
        Err(error) => Err(format!("{:#}", anyhow!(error))),
    })
}

fn content(folder: &Path) -> Content {
    let mut content = Content { folder: folder.to_owned(), is_seen_by_root: runs_as_root(), ..Content::default() };
    let mut folders = vec![folder.to_owned()];
    let mut looked_at = 0;
    while let Some(path) = folders.pop() {
        let is_top = path == folder;
        let Ok(entries) = fs::read_dir(&path) else {
            content.add_unreadable(path);
            continue;
        };
        for entry in entries {
            looked_at += 1;
            if looked_at > MAX_ENTRIES {
                content.is_cut = true;
                return content;
            }
            let Ok(entry) = entry else {
                content.add_unreadable(path.clone());
                continue;
            };
            let is_left_out = entry.file_name().to_str().is_none_or(|name| {
                let reason = PassedOverReason::of_name(name);
                // A .torrent file may be part of a folder that is shared.
                reason.is_some_and(|reason| is_top || reason != PassedOverReason::Torrent)
            });
            match entry.metadata() {
                _ if is_left_out => content.passed_over += 1,
                Ok(metadata) if metadata.is_dir() => folders.push(entry.path()),
                Ok(metadata) if metadata.is_file() && metadata.len() == 0 => content.passed_over += 1,
                Ok(metadata) if metadata.is_file() && File::open(entry.path()).is_ok() => {
                    content.files += 1;
                    content.bytes += metadata.len();
                }
                Ok(metadata) if !metadata.is_file() => content.passed_over += 1,
                Ok(_) | Err(_) => content.add_unreadable(entry.path()),
            }
        }
    }
    content
}

#[cfg(unix)]
fn runs_as_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[cfg(not(unix))]
fn runs_as_root() -> bool {
    false
}

impl Content {
    fn add_unreadable(&mut self, path: PathBuf) {
        self.unreadable += 1;
        self.example.get_or_insert(path);
    }
}

/// Says what of the folder is shared. Nothing if none is.
pub(super) fn judge(shared: &Shared) -> Vec<Finding> {
    let content = match shared {
        None => return Vec::new(),
        Some(Err(error)) => {
            return vec![Finding::wrong(CHECK, error, "to share another folder, name it with --share")];
        }
        Some(Ok(content)) => content,
    };
    let Content { files, bytes, passed_over, unreadable, example, .. } = content;
    let folder = content.folder.display();
    let at_least = if content.is_cut { "at least " } else { "" };
    let mut findings = Vec::new();
    if *files == 0 && *unreadable == 0 {
        let text = format!("there is nothing to share in {folder}; passed over: {passed_over}");
        findings.push(Finding::warning(CHECK, text, "put files or folders into it, also while the tracker runs"));
    } else {
        let text = format!(
            "files in {folder} that can be shared: {at_least}{files}, {}; passed over (hidden and empty files, links, \
             downloads that are not finished): {passed_over}",
            size(*bytes)
        );
        findings.push(Finding::good(CHECK, text));
    }
    if let Some(example) = example {
        let text =
            format!("files or folders that cannot be read: {at_least}{unreadable}, such as {}", example.display());
        let advice = "let the account of the tracker read them, such as by `chmod -R a+rX` on the folder";
        // Of a service the account is another one than that of who checks.
        findings.push(if *files == 0 {
            Finding::wrong(CHECK, text, advice)
        } else {
            Finding::warning(CHECK, text, advice)
        });
    }
    if content.is_seen_by_root {
        let text = "root, who checks, can read every file: whether the account of the tracker can is not known";
        findings.push(Finding::warning(CHECK, text, as_account(Path::new(SERVICE_CONFIG).exists())));
    }
    findings
}

/// How to check with the account of the tracker.
fn as_account(has_service: bool) -> String {
    if has_service {
        format!(
            "check as the account of the service: sudo -u lan-tracker tracker check --config {SERVICE_CONFIG} --data /var/lib/lan-tracker"
        )
    } else {
        "check as that account: put `sudo -u ACCOUNT` before the command".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::finding::Kind;

    #[test]
    fn what_is_passed_over_is_counted() {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        fs::create_dir_all(path("course/.git")).unwrap();
        fs::create_dir_all(path("course/week 1")).unwrap();
        let names =
            ["film.mkv", "film.torrent", "film.iso.part", ".hidden", "course/week 1/slides.pdf", "course/a.torrent"];
        for name in names {
            fs::write(path(name), vec![0; 1 << 20]).unwrap();
        }
        #[cfg(unix)]
        std::os::unix::fs::symlink("film.mkv", path("link.mkv")).unwrap();
        let links = u64::from(cfg!(unix));
        let content = content(place.path());
        assert_eq!((content.files, content.bytes, content.unreadable), (3, 3 << 20, 0));
        assert_eq!(content.passed_over, 4 + links);
    }

    #[test]
    fn empty_files_are_nothing_to_share() {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir(place.path().join("course")).unwrap();
        for name in ["empty", "course/empty"] {
            fs::write(place.path().join(name), "").unwrap();
        }
        let content = content(place.path());
        assert_eq!((content.files, content.passed_over, content.unreadable), (0, 2, 0));
        let found = judge(&Some(Ok(Content { is_seen_by_root: false, ..content })));
        assert!(found.len() == 1 && found[0].kind() == Kind::Warning, "{found:?}");
    }

    #[test]
    fn root_sees_more_than_the_account_of_the_tracker() {
        let content = Content { files: 3, is_seen_by_root: true, ..Content::default() };
        let found = judge(&Some(Ok(content)));
        assert_eq!(found.iter().map(Finding::kind).collect::<Vec<_>>(), [Kind::Good, Kind::Warning]);
        assert!(found[1].words().contains("sudo -u "), "{found:?}");
        assert!(
            as_account(true).contains("--config /etc/lan-tracker/tracker.toml") && !as_account(false).contains('/')
        );
    }

    #[test]
    fn a_folder_that_gives_nothing_is_a_warning_or_wrong() {
        let content = |files, unreadable| Content {
            files,
            unreadable,
            example: (unreadable > 0).then(|| "/srv/a".into()),
            ..Content::default()
        };
        for (shared, expected) in [
            (None, &[][..]),
            (Some(Err("there is no folder /srv: check its name".to_owned())), &[Kind::Wrong]),
            (Some(Ok(content(0, 0))), &[Kind::Warning]),
            (Some(Ok(content(3, 0))), &[Kind::Good]),
            (Some(Ok(content(3, 1))), &[Kind::Good, Kind::Warning]),
            (Some(Ok(content(0, 1))), &[Kind::Good, Kind::Wrong]),
        ] {
            let found = judge(&shared);
            assert_eq!(found.iter().map(Finding::kind).collect::<Vec<_>>(), expected, "{found:?}");
        }
    }
}
