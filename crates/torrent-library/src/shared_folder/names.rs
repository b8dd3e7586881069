//! What is passed over in the share folder, and why.

use std::fmt;
use std::sync::{Arc, LazyLock};

use metainfo::{Pattern, SkipReason};

/// The ends of the names that programs give to files that they are still downloading, in lower case.
const UNFINISHED: [&str; 3] = [".part", ".crdownload", ".!qb"];

/// Something directly in the share folder that is not shared.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PassedOver {
    /// Its name. What is not UTF-8 of it is replaced; it is untrusted text and must be escaped.
    pub name: Arc<str>,
    /// The reason why it is not shared.
    pub reason: PassedOverReason,
}

/// The reason why something in the share folder is not shared. Its text is a short sentence for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PassedOverReason {
    /// The name begins with a dot.
    Hidden,
    /// A name that operating systems leave behind: `Thumbs.db`, `desktop.ini` …
    System,
    /// A file that is still being downloaded: `*.part`, `*.crdownload`, `*.!qB`.
    Unfinished,
    /// The file `~$*` that an office program keeps beside a document that is open.
    OfficeLock,
    /// A .torrent file: it describes content, and is none.
    Torrent,
    /// A symbolic link.
    Link,
    /// Neither a file nor a folder: a pipe, a socket or a device.
    Special,
    /// The name is not UTF-8.
    NotUtf8,
    /// There is not a single byte in it, or all that is in it is passed over.
    Empty,
    /// It cannot be read, or no torrent can be made of it.
    Unusable(Arc<str>),
}

impl PassedOverReason {
    /// The reason to pass over a file or folder by its name alone, where it lies directly in the share folder. Below that, a
    /// .torrent file is shared.
    pub fn of_name(name: &str) -> Option<Self> {
        // Windows does not distinguish case.
        let lower = name.to_lowercase();
        match SkipReason::of_name(name) {
            Some(SkipReason::Junk) => Some(Self::System),
            Some(_) => Some(Self::Hidden),
            None if name.starts_with("~$") => Some(Self::OfficeLock),
            None if UNFINISHED.iter().any(|end| lower.ends_with(end)) => Some(Self::Unfinished),
            None if lower.ends_with(".torrent") => Some(Self::Torrent),
            None => None,
        }
    }

    /// The reason to leave out a file or folder below a shared folder by its name alone. A .torrent file may be part of what is
    /// shared there.
    pub(super) fn of_name_below(name: &str) -> Option<Self> {
        Self::of_name(name).filter(|reason| *reason != Self::Torrent)
    }
}

impl fmt::Display for PassedOverReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hidden => "its name begins with a dot, so it is hidden",
            Self::System => "the operating system keeps it for itself",
            Self::Unfinished => "it is still being downloaded",
            Self::OfficeLock => "an office program keeps it while a document is open",
            Self::Torrent => "it is a .torrent file; drop it on this page to register it",
            Self::Link => "it is a link; put the file or folder itself here",
            Self::Special => "it is neither a file nor a folder",
            Self::NotUtf8 => "its name is not UTF-8 text; rename it",
            Self::Empty => "there is nothing in it that can be shared",
            Self::Unusable(reason) => reason,
        })
    }
}

/// The patterns of what [`PassedOverReason::of_name_below`] leaves out and [`metainfo::Create`] would not.
pub(crate) fn left_out() -> &'static [Pattern] {
    static PATTERNS: LazyLock<Vec<Pattern>> = LazyLock::new(|| {
        ["~$*", "*.[pP][aA][rR][tT]", "*.[cC][rR][dD][oO][wW][nN][lL][oO][aA][dD]", "*.![qQ][bB]"]
            .map(|pattern| pattern.parse().expect("it is a pattern"))
            .into()
    });
    &PATTERNS
}

#[cfg(test)]
mod tests {
    use std::fs;

    use metainfo::Create;

    use super::*;

    #[test]
    fn names_that_are_passed_over() {
        use PassedOverReason as R;
        for (name, expected) in [
            (".hidden", Some(R::Hidden)),
            (".DS_Store", Some(R::System)),
            ("Thumbs.db", Some(R::System)),
            ("thumbs.DB", Some(R::System)),
            ("desktop.ini", Some(R::System)),
            ("film.mkv.part", Some(R::Unfinished)),
            ("film.mkv.PART", Some(R::Unfinished)),
            ("setup.exe.crdownload", Some(R::Unfinished)),
            ("film.mkv.!qB", Some(R::Unfinished)),
            ("~$essay.docx", Some(R::OfficeLock)),
            ("film.torrent", Some(R::Torrent)),
            ("film.Torrent", Some(R::Torrent)),
            ("film.mkv", None),
            ("part", None),
            ("a.part.rar", None),
            ("film.part1", None),
            ("~essay.docx", None),
            ("$~", None),
            ("torrent", None),
        ] {
            assert_eq!(R::of_name(name), expected, "{name}");
        }
    }

    /// The scanner and the torrent must agree on what is in a folder.
    #[test]
    fn folders_leave_out_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let names = [
            ".hidden",
            "Thumbs.db",
            "a.part",
            "a.PaRt",
            "b.crdownload",
            "B.CRDOWNLOAD",
            "c.!qB",
            "c.!QB",
            "~$essay.docx",
            "e.torrent",
            "f.txt",
            "part",
            "x.part.rar",
        ];
        for name in names {
            fs::create_dir_all(folder.path().join("in")).unwrap();
            fs::write(folder.path().join(name), "x").unwrap();
            fs::write(folder.path().join("in").join(name), "x").unwrap();
        }
        let plan = Create::new(folder.path()).exclude(left_out()).plan().unwrap();
        let mut found: Vec<_> = plan.files().iter().map(|file| file.path.join("/")).collect();
        found.sort();
        let kept = names.into_iter().filter(|name| PassedOverReason::of_name_below(name).is_none());
        let mut expected: Vec<_> = kept.flat_map(|name| [name.to_owned(), format!("in/{name}")]).collect();
        expected.sort();
        assert_eq!(found, expected);
        assert!(found.contains(&"in/e.torrent".to_owned()));
    }
}
