//! [`Pattern`]: selecting files of a folder by their names.

use std::path::Path;
use std::str::FromStr;

use globset::{Candidate, GlobBuilder, GlobSet, GlobSetBuilder};
use thiserror::Error;
use unicode_normalization::{UnicodeNormalization, is_nfc};

/// The maximum length of a pattern in bytes: that of a path on Linux.
const MAX_LEN: usize = 4096;

/// A glob pattern for [`Create::exclude`](crate::Create::exclude) and [`Create::include`](crate::Create::include), as in
/// .gitignore files.
///
/// `?` stands for one byte of a name, `*` for any number of them, `[a-z]` and `[!a-z]` for one of a group, `{a,b}` for one of
/// several patterns, and `**` for any number of folders. Case matters; the Unicode form (NFC, NFD) of a name does not.
///
/// - A pattern without `/` is compared with the names of files and folders at any depth: `*.tmp`.
/// - One with a `/` is compared with the whole path below the given folder: `week 1/*.mp4`, `week */**/raw`. A `/` at the
///   start does only this: `/notes.txt` is the one directly in the folder.
/// - With a `/` at the end it stands for folders only: `build/`.
///
/// ```
/// use metainfo::Pattern;
///
/// assert!("*.tmp".parse::<Pattern>().is_ok());
/// let error = "[a-".parse::<Pattern>().unwrap_err();
/// assert_eq!(error.to_string(), "\"[a-\" is not a pattern: unclosed character class; missing ']'");
/// ```
#[derive(Debug, Clone)]
pub struct Pattern {
    text: String,
    /// The pattern as given, and in the composed form (NFC) if that is another one.
    set: GlobSet,
    is_for_folders: bool,
}

impl Pattern {
    /// The pattern as given.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for Pattern {
    type Err = ParsePatternError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = |reason: String| ParsePatternError { pattern: text.to_owned(), reason };
        if text.len() > MAX_LEN {
            return Err(error(format!("it has more than {MAX_LEN} bytes")));
        }
        let path = text.strip_suffix('/').unwrap_or(text);
        let is_for_folders = path.len() < text.len();
        let names = path.strip_prefix("./").or_else(|| path.strip_prefix('/')).unwrap_or(path);
        if names.is_empty() {
            return Err(error("it is empty".to_owned()));
        }
        let glob = if path.contains('/') { names.to_owned() } else { format!("**/{names}") };
        let build = |glob: &str| GlobBuilder::new(glob).literal_separator(true).build();
        let mut globs = GlobSetBuilder::new();
        globs.add(build(&glob).map_err(|invalid| error(invalid.kind().to_string()))?);
        if !is_nfc(&glob) {
            // A group such as [e-z] may be none any more when an accent after it has joined one of its letters.
            if let Ok(composed) = build(&glob.nfc().collect::<String>()) {
                globs.add(composed);
            }
        }
        // A set can be made of a pattern that is too large, unlike a matcher, which panics then.
        let set = globs.build().map_err(|invalid| error(invalid.kind().to_string()))?;
        Ok(Self { text: text.to_owned(), set, is_for_folders })
    }
}

/// A text that is not a [`Pattern`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{pattern:?} is not a pattern: {reason}")]
#[non_exhaustive]
pub struct ParsePatternError {
    /// The text as given.
    pub pattern: String,
    /// What is wrong with it.
    pub reason: String,
}

/// Patterns, and which of them have matched something.
#[derive(Debug)]
pub(crate) struct Patterns<'p> {
    patterns: &'p [Pattern],
    used: Vec<bool>,
}

impl<'p> Patterns<'p> {
    pub(crate) fn new(patterns: &'p [Pattern]) -> Self {
        Self { patterns, used: vec![false; patterns.len()] }
    }

    /// Returns `true` if a pattern matches the file or folder at `source`, whose path below the given folder is `path`.
    pub(crate) fn matches(&mut self, path: &Path, source: &Path) -> bool {
        if self.patterns.is_empty() {
            return false;
        }
        let candidate = Candidate::new(path);
        // Keyboards and most systems write NFC; names from macOS may be in NFD.
        let composed = path.to_str().filter(|text| !is_nfc(text)).map(|text| text.nfc().collect::<String>());
        let composed = composed.as_deref().map(Candidate::new);
        let mut matches = false;
        // All of them are tried, so that all that match count as used.
        for (pattern, used) in self.patterns.iter().zip(&mut self.used) {
            let is_match = pattern.set.is_match_candidate(&candidate)
                || composed.as_ref().is_some_and(|composed| pattern.set.is_match_candidate(composed));
            if is_match && (!pattern.is_for_folders || source.is_dir()) {
                matches = true;
                *used = true;
            }
        }
        matches
    }

    pub(crate) fn unused(&self) -> impl Iterator<Item = &'p Pattern> {
        self.patterns.iter().zip(&self.used).filter(|(_, used)| !**used).map(|(pattern, _)| pattern)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matching() {
        for (pattern, path, expected) in [
            ("*.tmp", "a.tmp", true),
            ("*.tmp", "sub/deep/a.tmp", true),
            ("*.tmp", ".tmp", true),
            ("*.tmp", "a.TMP", false),
            ("*.tmp", "a.tmp/b", false),
            ("sub", "sub", true),
            ("sub", "x/sub", true),
            ("sub", "subway", false),
            ("sub/*.tmp", "sub/a.tmp", true),
            ("sub/*.tmp", "x/sub/a.tmp", false),
            ("sub/*.tmp", "sub/deep/a.tmp", false),
            ("sub/**/*.tmp", "sub/deep/er/a.tmp", true),
            ("sub/**/*.tmp", "sub/a.tmp", true),
            ("/a", "a", true),
            ("./a", "a", true),
            ("/a", "sub/a", false),
            ("**/a", "sub/a", true),
            ("sub/**", "sub/a/b", true),
            ("sub/**", "sub", false),
            ("*", "sub/a", true),
            ("week ?/[a-c]{1,2}.mp4", "week 1/b2.mp4", true),
            ("[!a]", "a", false),
            ("{a,b/c}", "b/c", true),
            ("größe*", "x/größe.txt", true),
            // The same name in both Unicode forms.
            ("gr\u{f6}ße.txt", "gro\u{308}ße.txt", true),
            ("gro\u{308}ße.txt", "gr\u{f6}ße.txt", true),
            ("gro\u{308}ße.txt", "gro\u{308}ße.txt", true),
            ("/\u{e9}t\u{e9}/*.mp4", "e\u{301}te\u{301}/a.mp4", true),
            ("/e\u{301}te\u{301}/*.mp4", "\u{e9}t\u{e9}/a.mp4", true),
            ("\u{d55c}?", "\u{1112}\u{1161}\u{11ab}1", true),
            ("grosse.txt", "gro\u{308}ße.txt", false),
            ("gro\u{308}ße.txt", "große.txt", false),
        ] {
            let pattern: Pattern = pattern.parse().unwrap();
            let patterns = [pattern];
            let mut patterns = Patterns::new(&patterns);
            assert_eq!(patterns.matches(Path::new(path), Path::new("")), expected, "{:?} {path}", patterns.patterns);
            assert_eq!(patterns.unused().count(), usize::from(!expected));
        }
    }

    #[test]
    fn invalid() {
        let long = "a".repeat(MAX_LEN + 1);
        let nested = "{".repeat(MAX_LEN);
        for (text, reason) in [
            ("", "it is empty"),
            ("/", "it is empty"),
            ("[a", "unclosed character class; missing ']'"),
            ("a/[z-a]", "invalid range; 'z' > 'a'"),
            ("{a,b", "unclosed alternate group; missing '}' (maybe escape '{' with '[{]'?)"),
            ("a}", "unopened alternate group; missing '{' (maybe escape '}' with '[}]'?)"),
            (&long, "it has more than 4096 bytes"),
        ] {
            let error = text.parse::<Pattern>().unwrap_err();
            assert_eq!(error, ParsePatternError { pattern: text.to_owned(), reason: reason.to_owned() });
        }
        assert!(nested.parse::<Pattern>().is_err());
        assert!(format!("{nested}{}", "}".repeat(MAX_LEN)).parse::<Pattern>().is_err());
    }

    /// Names that are not text are matched byte by byte.
    #[cfg(unix)]
    #[test]
    fn bytes() {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt;

        for name in [b"a\xffb".as_slice(), b"a\nb", b"a\\b", b"a\\\n\xffb"] {
            let patterns = ["sub/a*b".parse().unwrap()];
            let path = Path::new("sub").join(OsStr::from_bytes(name));
            assert!(Patterns::new(&patterns).matches(&path, Path::new("")), "{path:?}");
        }
    }
}
