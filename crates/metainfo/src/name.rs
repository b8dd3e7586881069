//! Names that are harmless on this machine but may be unusable on another.
//!
//! The rules of [`crate::path`] hold on every operating system at once. They are too strict
//! for files that exist: `What is DNS?.mp4` is an ordinary name here and impossible on Windows.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use unicode_normalization::UnicodeNormalization;

use crate::path::{self, Hazard};
use crate::{File, UnsafePath};

/// Existing paths that are followed at a time: one for each Unicode form of a folder's name, of which there are seldom two.
const MAX_PLACES: usize = 8;

/// Checks a name against what is harmful everywhere.
pub(crate) fn check(name: &str) -> Result<(), Hazard> {
    match name {
        "" => return Err(Hazard::Empty),
        "." => return Err(Hazard::Relative { component: "." }),
        ".." => return Err(Hazard::Relative { component: ".." }),
        _ => {}
    }
    name.chars().try_for_each(|character| match character {
        '/' | '\\' => Err(Hazard::Separator { character }),
        _ if character.is_control() => Err(Hazard::Control { character }),
        _ => Ok(()),
    })
}

/// The reason why some other machine cannot use a name that [`check`] accepts.
pub(crate) fn portability(name: &str) -> Option<Hazard> {
    path::safe(&[name.as_bytes().to_vec()]).err().map(|error| error.hazard)
}

/// The names at which to look for a component of a path on this machine, for reading only: first as it stands, then in the
/// composed and decomposed Unicode forms (NFC, NFD) that differ from it, in which some systems store a name.
///
/// It is a safe name, or one that is unsafe only because another operating system cannot have it.
pub(crate) fn local_names(component: &[u8]) -> Result<Vec<OsString>, Hazard> {
    path::check_component(component).map(|_| ()).or_else(|hazard| {
        // Unix takes any bytes but these as one name.
        let is_name =
            !matches!(component, b"" | b"." | b"..") && !component.iter().any(|byte| matches!(byte, b'/' | 0));
        let is_foreign = cfg!(unix) && is_name && component.len() <= path::MAX_COMPONENT_LEN;
        if is_foreign { Ok(()) } else { Err(hazard) }
    })?;
    let Ok(text) = str::from_utf8(component) else { return Ok(vec![from_bytes(component)]) };
    let mut names = vec![OsString::from(text)];
    if !text.is_ascii() {
        for form in [text.nfc().collect::<String>(), text.nfd().collect()] {
            if names.iter().all(|name| *name != *form) {
                names.push(form.into());
            }
        }
    }
    Ok(names)
}

/// The path at which to look for a file of a torrent, for reading only: see [`File::local_path`].
///
/// Goes down component by component with the paths that exist so far, since each name may stand in another Unicode form.
pub(crate) fn local_path(file: &File, mut exists: impl FnMut(&Path) -> bool) -> Result<PathBuf, UnsafePath> {
    // A path that conflicts with others is none, whatever its names.
    let safe = file.safe_path();
    if let Err(error) = &safe
        && path::check(&file.path).is_ok()
    {
        return Err(error.clone());
    }
    let names = file.path.iter().map(|component| local_names(component)).collect::<Result<Vec<_>, _>>();
    let names = names.map_err(|hazard| UnsafePath::new(&file.path, hazard))?;
    if names.is_empty() {
        return safe;
    }
    let exact: PathBuf = names.iter().map(|names| &names[0]).collect();
    if names.iter().all(|names| names.len() == 1) || exists(&exact) {
        return Ok(exact);
    }
    let mut places = vec![PathBuf::new()];
    for names in &names {
        let below = places.iter().flat_map(|place| names.iter().map(|name| place.join(name)));
        places = below.filter(|path| exists(path)).take(MAX_PLACES).collect();
    }
    Ok(places.into_iter().next().unwrap_or(exact))
}

#[cfg(unix)]
fn from_bytes(bytes: &[u8]) -> OsString {
    <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(bytes).to_owned()
}

/// Never needed: a name that is not UTF-8 is unsafe here.
#[cfg(not(unix))]
fn from_bytes(bytes: &[u8]) -> OsString {
    String::from_utf8_lossy(bytes).into_owned().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_on_this_machine() {
        let names = |component: &[u8]| local_names(component);
        assert_eq!(names(b"plain.txt"), Ok(vec!["plain.txt".into()]));
        assert_eq!(names("d\u{ed}a".as_bytes()), Ok(vec!["d\u{ed}a".into(), "di\u{301}a".into()]));
        assert_eq!(names("di\u{301}a".as_bytes()), Ok(vec!["di\u{301}a".into(), "d\u{ed}a".into()]));
        // Neither form: as it stands, and both.
        let mixed = "\u{e9}e\u{301}";
        let all = vec![mixed.into(), "\u{e9}\u{e9}".into(), "e\u{301}e\u{301}".into()];
        assert_eq!(names(mixed.as_bytes()), Ok(all));
        assert_eq!(names("\u{6587}".as_bytes()), Ok(vec!["\u{6587}".into()]));
        for hostile in [&b""[..], b".", b"..", b"a/b", b"a\0", b"\xff/", b"what?\0", &[b'a'; 256], &[0xff; 256]] {
            assert!(names(hostile).is_err(), "{}", hostile.escape_ascii());
        }
    }

    #[cfg(unix)]
    #[test]
    fn names_that_other_systems_cannot_have() {
        for name in ["What is DNS?", "a:b", "con", "dots...", "space ", "a\\b", "..\\b", "a\nb"] {
            assert_eq!(local_names(name.as_bytes()), Ok(vec![name.into()]), "{name}");
        }
        assert_eq!(local_names(b"Beyonc\xe9"), Ok(vec![from_bytes(b"Beyonc\xe9")]));
    }
}
