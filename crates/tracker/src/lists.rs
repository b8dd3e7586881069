//! The files that say which torrents are served.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime};

use tracker_core::{InfoHash, Shards, TorrentPolicy};

/// Bytes of a list, at most: a million and a half info-hashes.
const MAX_LIST_BYTES: u64 = 1 << 26;

/// How often the files are looked at. A change counts once a file was found unchanged after it, so that one that is being
/// written is not read.
const PERIOD: Duration = Duration::from_millis(500);

/// The allow list and the deny list.
///
/// Watched by looking at their time of change, which holds good on every file system, for editors that put a new file in
/// the place of the old one, and for a file that is gone for a while.
#[derive(Debug)]
pub(crate) struct Lists {
    allow: Option<PathBuf>,
    deny: Option<PathBuf>,
    /// As found at the last look.
    seen: Stamps,
    /// As they were when they were read.
    read: Stamps,
    /// Whether the system did not let them be read then. What prevents it (permissions, a disk) may change and leave the
    /// stamps as they are.
    is_unreadable: bool,
}

type Stamps = [Option<Stamp>; 2];

/// What tells one state of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    modified: SystemTime,
    len: u64,
    #[cfg(unix)]
    inode: u64,
}

/// Why a list cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ListError {
    #[error("cannot read the list of torrents {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{}: a list of torrents has at most {limit} bytes", path.display())]
    TooLong { path: PathBuf, limit: u64 },
    #[error("{}:{line}: expected an info-hash of 40 hexadecimal digits, or # and a comment, found {found:?}", path.display())]
    NotAnInfoHash { path: PathBuf, line: usize, found: String },
}

impl Lists {
    /// Reads the lists that there are.
    pub(crate) fn read(allow: Option<PathBuf>, deny: Option<PathBuf>) -> Result<(Self, TorrentPolicy), ListError> {
        let stamps = [stamp(allow.as_deref()), stamp(deny.as_deref())];
        let lists = Self { allow, deny, seen: stamps, read: stamps, is_unreadable: false };
        let policy = lists.policy()?;
        Ok((lists, policy))
    }

    /// Looks after the lists for ever, on a thread of its own.
    pub(crate) fn watch(mut self, shards: Arc<Shards>) -> io::Result<()> {
        if self.allow.is_none() && self.deny.is_none() {
            return Ok(());
        }
        let watch = move || {
            loop {
                thread::sleep(PERIOD);
                match self.changed() {
                    Some(Ok(policy)) => {
                        let (allowed, denied) = (policy.allowed.as_ref().map(BTreeSet::len), policy.denied.len());
                        tracing::info!(allowed, denied, "lists of torrents read again");
                        shards.set_torrents(policy);
                    }
                    Some(Err(error)) => {
                        let error = anyhow::Error::new(error);
                        tracing::error!("{error:#}; the lists of torrents stay as they were");
                    }
                    None => {}
                }
            }
        };
        thread::Builder::new().name("lists".into()).spawn(watch)?;
        Ok(())
    }

    /// Looks at the files. What is in them, when they have changed since they were read and do not change any more, or can
    /// be read again.
    fn changed(&mut self) -> Option<Result<TorrentPolicy, ListError>> {
        self.changed_by(Self::policy)
    }

    fn changed_by(
        &mut self,
        policy: impl FnOnce(&Self) -> Result<TorrentPolicy, ListError>,
    ) -> Option<Result<TorrentPolicy, ListError>> {
        let now = [stamp(self.allow.as_deref()), stamp(self.deny.as_deref())];
        let settled = now == self.seen;
        self.seen = now;
        let is_known = now == self.read;
        if !settled || (is_known && !self.is_unreadable) {
            return None;
        }
        let policy = policy(self);
        self.read = now;
        self.is_unreadable = matches!(policy, Err(ListError::Read { .. }));
        // That it cannot be read was said before.
        (!is_known || !self.is_unreadable).then_some(policy)
    }

    fn policy(&self) -> Result<TorrentPolicy, ListError> {
        Ok(TorrentPolicy {
            allowed: self.allow.as_deref().map(read).transpose()?,
            denied: self.deny.as_deref().map(read).transpose()?.unwrap_or_default(),
        })
    }
}

/// `None` when there is no such file.
fn stamp(path: Option<&Path>) -> Option<Stamp> {
    let metadata = fs::metadata(path?).ok()?;
    Some(Stamp {
        modified: metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH),
        len: metadata.len(),
        #[cfg(unix)]
        inode: std::os::unix::fs::MetadataExt::ino(&metadata),
    })
}

fn read(path: &Path) -> Result<BTreeSet<InfoHash>, ListError> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_LIST_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|source| ListError::Read { path: path.to_owned(), source })?;
    if bytes.len() as u64 > MAX_LIST_BYTES {
        return Err(ListError::TooLong { path: path.to_owned(), limit: MAX_LIST_BYTES });
    }
    parse(&bytes).map_err(|(line, found)| ListError::NotAnInfoHash { path: path.to_owned(), line, found })
}

/// One info-hash a line; `#` begins a comment. The error is the number of the line and what stands there.
fn parse(bytes: &[u8]) -> Result<BTreeSet<InfoHash>, (usize, String)> {
    // Some Windows editors begin a file with a byte order mark.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut info_hashes = BTreeSet::new();
    for (number, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
        let line = line.split(|&byte| byte == b'#').next().unwrap_or_default().trim_ascii();
        if line.is_empty() {
            continue;
        }
        let info_hash = str::from_utf8(line).ok().and_then(|text| text.parse().ok());
        let Some(info_hash) = info_hash else {
            // Enough to find the place; a line may be a whole file of something else.
            let found = String::from_utf8_lossy(&line[..line.len().min(60)]);
            return Err((number + 1, found.into_owned()));
        };
        info_hashes.insert(info_hash);
    }
    Ok(info_hashes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "3500292f2881c52a3c672db7c77db1f60426c65f";
    const TWO: &str = "ABCDEF0123456789abcdef0123456789ABCDEF01";

    fn set(texts: &[&str]) -> BTreeSet<InfoHash> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn comments_and_blank_lines_are_skipped() {
        for (text, expected) in [
            (String::new(), set(&[])),
            (format!("{ONE}\n{TWO}\n"), set(&[ONE, TWO])),
            (format!("{ONE}\n{ONE}"), set(&[ONE])),
            (format!("# ours\r\n\r\n  {ONE} # Ubuntu\r\n\t{TWO}\r\n#end"), set(&[ONE, TWO])),
            (format!("\u{feff}{ONE}\n"), set(&[ONE])),
        ] {
            assert_eq!(parse(text.as_bytes()), Ok(expected), "{text:?}");
        }
    }

    #[test]
    fn a_broken_line_is_named() {
        for (text, line, found) in [
            (format!("{ONE}\n\nhello\n{TWO}"), 3, "hello"),
            (ONE[..39].to_owned(), 1, &ONE[..39]),
            (format!("{ONE}0"), 1, &format!("{ONE}0")),
            (format!("{ONE} {TWO}"), 1, &format!("{ONE} {}", &TWO[..19])),
            (format!("\n{ONE} a comment without its sign"), 2, &format!("{ONE} a comment without i")),
        ] {
            assert_eq!(parse(text.as_bytes()), Err((line, found.to_owned())), "{text:?}");
        }
        assert!(parse(&[0xff; 1000]).is_err());
    }

    /// Looks until the lists are read again, as often as it may take.
    fn look(lists: &mut Lists) -> Option<Result<TorrentPolicy, String>> {
        (0..3).find_map(|_| lists.changed()).map(|result| result.map_err(|error| error.to_string()))
    }

    #[test]
    fn changes_are_read_once_they_are_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("allowed.txt");
        fs::write(&path, ONE).unwrap();
        let (mut lists, policy) = Lists::read(Some(path.clone()), None).unwrap();
        assert_eq!(policy.allowed, Some(set(&[ONE])));
        assert!(look(&mut lists).is_none());

        fs::write(&path, format!("{ONE}\n")).unwrap();
        assert!(lists.changed().is_none(), "it may still be written");
        fs::write(&path, format!("{ONE}\n{TWO}")).unwrap();
        assert!(lists.changed().is_none(), "it was still written");
        assert_eq!(lists.changed().unwrap().unwrap().allowed, Some(set(&[ONE, TWO])));
        assert!(look(&mut lists).is_none());

        // As editors do.
        let other = folder.path().join("allowed.txt~");
        fs::write(&other, format!("{TWO}\n{ONE}")).unwrap();
        fs::rename(&other, &path).unwrap();
        assert_eq!(look(&mut lists).unwrap().unwrap().allowed, Some(set(&[ONE, TWO])));

        fs::write(&path, "oops").unwrap();
        assert!(look(&mut lists).unwrap().unwrap_err().contains("allowed.txt:1: "));
        assert!(look(&mut lists).is_none(), "said once");

        fs::remove_file(&path).unwrap();
        assert!(look(&mut lists).unwrap().unwrap_err().contains("cannot read"));
        assert!(look(&mut lists).is_none(), "said once");

        fs::write(&path, TWO).unwrap();
        assert_eq!(look(&mut lists).unwrap().unwrap().allowed, Some(set(&[TWO])));
    }

    #[test]
    fn a_list_that_can_be_read_again_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("denied.txt");
        fs::write(&path, ONE).unwrap();
        let (mut lists, _) = Lists::read(None, Some(path.clone())).unwrap();
        fs::write(&path, format!("{TWO}\n")).unwrap();
        assert!(lists.changed().is_none(), "it may still be written");

        // Root may read everything, so the refusal is made up.
        let refuse = |lists: &Lists| {
            Err(ListError::Read { path: lists.deny.clone().unwrap(), source: io::ErrorKind::PermissionDenied.into() })
        };
        assert!(lists.changed_by(refuse).unwrap().is_err());
        assert!(lists.changed_by(refuse).is_none(), "said once");
        assert_eq!(lists.changed().unwrap().unwrap().denied, set(&[TWO]));
        assert!(look(&mut lists).is_none());
    }

    #[test]
    fn a_list_that_is_not_there_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("denied.txt");
        assert!(matches!(Lists::read(None, Some(path)), Err(ListError::Read { .. })));
        let (_, policy) = Lists::read(None, None).unwrap();
        assert_eq!(policy, TorrentPolicy::default());
    }
}
