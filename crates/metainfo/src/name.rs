//! Names that are harmless on this machine but may be unusable on another.
//!
//! The rules of [`path`](crate::path) hold on every operating system at once. They are too strict
//! for files that exist: `What is DNS?.mp4` is an ordinary name here and impossible on Windows.

use std::path::PathBuf;

use crate::path::{self, Hazard};
use crate::{File, UnsafePath};

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

/// The path at which to look for a file of a torrent, for reading only.
///
/// This is the safe path or, where this operating system allows it, a path that is unsafe only
/// because another operating system cannot use it.
pub(crate) fn local_path(file: &File) -> Result<PathBuf, UnsafePath> {
    file.safe_path().or_else(|unsafe_path| {
        let foreign = matches!(
            unsafe_path.hazard,
            Hazard::Forbidden { .. }
                | Hazard::Invisible { .. }
                | Hazard::Device { .. }
                | Hazard::TrailingDotOrSpace { .. }
        );
        file.path
            .iter()
            .map(|component| str::from_utf8(component).ok().filter(|name| check(name).is_ok()))
            .collect::<Option<PathBuf>>()
            .filter(|_| foreign && cfg!(unix))
            .ok_or(unsafe_path)
    })
}
