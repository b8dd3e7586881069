//! Checks whether a path of a torrent is safe to use.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::path::PathBuf;

use thiserror::Error;

use crate::File;

/// Bytes one component of a safe path may have: what common file systems allow.
pub(crate) const MAX_COMPONENT_LEN: usize = 255;

/// Symlinks that may lead to each other before the chain counts as a loop.
const MAX_LINKS: usize = 8;

/// A path from a torrent that must not be used as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the path {path:?} is not safe to use: {hazard}")]
#[non_exhaustive]
pub struct UnsafePath {
    /// The path as [`File::display_path`](crate::File::display_path) gives it.
    pub path: String,
    /// The reason why it is unsafe.
    pub hazard: Hazard,
}

impl UnsafePath {
    pub(crate) fn new(path: &[Vec<u8>], hazard: Hazard) -> Self {
        Self { path: display(path), hazard }
    }
}

/// The reason why a path is unsafe.
///
/// Every rule holds on every operating system, so that a torrent which is safe on one is safe
/// on all.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Hazard {
    /// A component is empty, or there is none.
    #[error("a component of it is empty")]
    Empty,
    /// A component is `.` or `..`.
    #[error("it has a component {component:?}, which leads to another folder")]
    Relative {
        /// The component.
        component: &'static str,
    },
    /// A component is not UTF-8.
    #[error("it is not UTF-8 text")]
    NotUtf8,
    /// A component holds `/` or `\`.
    #[error("a component of it holds the path separator {character:?}")]
    Separator {
        /// The separator.
        character: char,
    },
    /// A component holds NUL or another control character.
    #[error("it holds the control character {character:?}")]
    Control {
        /// The character.
        character: char,
    },
    /// A component holds a character that Windows reserves: one of `<>:"|?*`.
    #[error("it holds the character {character:?}, which Windows does not allow")]
    Forbidden {
        /// The character.
        character: char,
    },
    /// A component holds a character that cannot be seen or turns the text around.
    #[error("it holds the invisible character {character:?}, which can disguise a name")]
    Invisible {
        /// The character.
        character: char,
    },
    /// A component names a device on Windows, whatever its extension.
    #[error("{component:?} is the name of a device on Windows")]
    Device {
        /// The component.
        component: String,
    },
    /// A component ends with a dot or a space, which Windows drops.
    #[error("{component:?} ends with a dot or a space, which Windows drops")]
    TrailingDotOrSpace {
        /// The component.
        component: String,
    },
    /// A component is longer than 255 bytes.
    #[error("a component of it has {len} bytes, more than the {MAX_COMPONENT_LEN} a file name may have")]
    TooLong {
        /// Bytes in the component.
        len: usize,
    },
    /// An earlier file has the same path.
    #[error("an earlier file of the torrent has the same path")]
    Duplicate,
    /// The path is that of a file and of a folder.
    #[error("it is a file in one place of the torrent and a folder in another")]
    FileAndFolder,
    /// A symlink does not say where it points.
    #[error("it is a symlink without a target")]
    LinkWithoutTarget,
    /// A symlink points to a path that is itself unsafe.
    #[error("it is a symlink whose target is not safe: {0}")]
    UnsafeTarget(Box<Self>),
    /// A symlink points to nothing in the torrent.
    #[error("it is a symlink to something outside the torrent")]
    LinkOutside,
    /// A symlink leads back to itself or to a folder it is in.
    #[error("it is a symlink that leads back to itself")]
    LinkLoop,
}

/// Returns `true` if a character is invisible or changes the direction of text, without being a control character.
///
/// These are direction marks, zero-width joiners and spaces, line separators and the byte order mark. Text that holds one
/// can look like something else on a screen; see [`Hazard::Invisible`].
///
/// ```
/// assert!(metainfo::is_invisible('\u{202e}'));
/// assert!(!metainfo::is_invisible(' '));
/// ```
pub fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
    )
}

/// Joins the components to a relative path if each of them is safe.
pub(crate) fn safe(path: &[Vec<u8>]) -> Result<PathBuf, UnsafePath> {
    check(path).map_err(|hazard| UnsafePath::new(path, hazard))
}

/// Joins the components by `/` for a person to read.
pub(crate) fn display(path: &[Vec<u8>]) -> String {
    let components: Vec<_> = path.iter().map(|component| String::from_utf8_lossy(component)).collect();
    components.join("/")
}

/// Marks every path that conflicts with another path of its torrent.
///
/// Files are given in the torrent's order. Padding files may share paths among themselves, since
/// they are not written to disk; every other path must be unique.
pub(crate) fn mark_hazards(files: &mut [File]) {
    let order = sorted(files);
    let mut hazards = Vec::new();

    let mut groups = order.chunk_by(|&left, &right| files[left].path == files[right].path).peekable();
    while let Some(group) = groups.next() {
        // Whatever stands below a path follows it directly in this order.
        let is_folder = groups.peek().is_some_and(|next| files[next[0]].path.starts_with(&files[group[0]].path));
        if is_folder {
            hazards.extend(group.iter().map(|&index| (index, Hazard::FileAndFolder)));
        } else {
            // The sort is stable, so the first of the group is the first in the torrent.
            hazards.extend(group[1..].iter().map(|&index| (index, Hazard::Duplicate)));
        }
    }

    let pads = files.iter().enumerate().filter(|(_, file)| file.attributes.pad);
    hazards.extend(pads.filter_map(|(index, pad)| Some((index, pad_hazard(files, &order, pad)?))));

    let targets = link_targets(files, &order);
    hazards.extend(targets.keys().filter_map(|&index| Some((index, link_hazard(&targets, index)?))));

    for (index, hazard) in hazards {
        files[index].hazard.get_or_insert(hazard);
    }
}

pub(crate) fn check(path: &[Vec<u8>]) -> Result<PathBuf, Hazard> {
    if path.is_empty() {
        return Err(Hazard::Empty);
    }
    path.iter().map(|component| check_component(component)).collect()
}

pub(crate) fn check_component(component: &[u8]) -> Result<&str, Hazard> {
    let text = std::str::from_utf8(component).map_err(|_| Hazard::NotUtf8)?;
    match text {
        "" => return Err(Hazard::Empty),
        "." => return Err(Hazard::Relative { component: "." }),
        ".." => return Err(Hazard::Relative { component: ".." }),
        _ => {}
    }
    if let Some(hazard) = text.chars().find_map(character_hazard) {
        return Err(hazard);
    }
    if text.ends_with(['.', ' ']) {
        return Err(Hazard::TrailingDotOrSpace { component: text.to_owned() });
    }
    if is_device(text) {
        return Err(Hazard::Device { component: text.to_owned() });
    }
    if text.len() > MAX_COMPONENT_LEN {
        return Err(Hazard::TooLong { len: text.len() });
    }
    Ok(text)
}

pub(crate) fn character_hazard(character: char) -> Option<Hazard> {
    match character {
        '/' | '\\' => Some(Hazard::Separator { character }),
        '<' | '>' | ':' | '"' | '|' | '?' | '*' => Some(Hazard::Forbidden { character }),
        _ if is_invisible(character) => Some(Hazard::Invisible { character }),
        _ if character.is_control() => Some(Hazard::Control { character }),
        _ => None,
    }
}

/// Returns `true` if Windows treats a name as a device, which depends on the part before the first dot.
pub(crate) fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name).trim_end_matches(' ');
    let upper = stem.to_ascii_uppercase();
    let port = upper.strip_prefix("COM").or_else(|| upper.strip_prefix("LPT"));
    match port {
        // Windows reads superscript digits as digits here.
        Some(number) => matches!(number, "0" | "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9" | "¹" | "²" | "³"),
        None => matches!(upper.as_str(), "CON" | "PRN" | "AUX" | "NUL" | "CLOCK$" | "CONIN$" | "CONOUT$"),
    }
}

/// Indices of all but the padding files, by path.
fn sorted(files: &[File]) -> Vec<usize> {
    let mut order: Vec<_> = (0..files.len()).filter(|&index| !files[index].attributes.pad).collect();
    order.sort_by(|&left, &right| files[left].path.cmp(&files[right].path));
    order
}

enum Place {
    File(usize),
    Folder,
    Nothing,
}

fn look_up(files: &[File], order: &[usize], path: &[Vec<u8>]) -> Place {
    let position = order.partition_point(|&index| files[index].path.as_slice() < path);
    match order.get(position) {
        Some(&index) if files[index].path == path => Place::File(index),
        Some(&index) if files[index].path.starts_with(path) => Place::Folder,
        _ => Place::Nothing,
    }
}

fn pad_hazard(files: &[File], order: &[usize], pad: &File) -> Option<Hazard> {
    let path = &pad.path;
    match look_up(files, order, path) {
        Place::File(_) => return Some(Hazard::Duplicate),
        Place::Folder => return Some(Hazard::FileAndFolder),
        Place::Nothing => {}
    }
    let position = order.partition_point(|&index| files[index].path.cmp(path) == Ordering::Less);
    let before = &files[order[position.checked_sub(1)?]].path;
    path.starts_with(before).then_some(Hazard::FileAndFolder)
}

/// The direct target of each link: another link (its index), or a final target (`None`).
fn link_targets(files: &[File], order: &[usize]) -> HashMap<usize, Result<Option<usize>, Hazard>> {
    let links = files.iter().enumerate().filter(|(_, file)| file.attributes.symlink);
    links.map(|(index, link)| (index, link_target(files, order, link))).collect()
}

fn link_target(files: &[File], order: &[usize], link: &File) -> Result<Option<usize>, Hazard> {
    let target = link.symlink_target.as_deref().filter(|target| !target.is_empty()).ok_or(Hazard::LinkWithoutTarget)?;
    check(target).map_err(|hazard| Hazard::UnsafeTarget(Box::new(hazard)))?;
    match look_up(files, order, target) {
        Place::File(next) => Ok(Some(next).filter(|&next| files[next].attributes.symlink)),
        Place::Folder if link.path.starts_with(target) => Err(Hazard::LinkLoop),
        Place::Folder => Ok(None),
        Place::Nothing => Err(Hazard::LinkOutside),
    }
}

fn link_hazard(targets: &HashMap<usize, Result<Option<usize>, Hazard>>, link: usize) -> Option<Hazard> {
    let mut at = link;
    for _ in 0..MAX_LINKS {
        match &targets[&at] {
            Ok(Some(next)) => at = *next,
            Ok(None) => return None,
            Err(hazard) => return Some(hazard.clone()),
        }
    }
    Some(Hazard::LinkLoop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components() {
        let cases: &[(&[u8], Option<Hazard>)] = &[
            (b"notes.txt", None),
            ("näher 日本 🦀".as_bytes(), None),
            (b".hidden", None),
            (b"...x", None),
            (b" leading", None),
            (b"common", None),
            (b"com10", None),
            (b"null.txt", None),
            (&[b'a'; 255], None),
            (b"", Some(Hazard::Empty)),
            (b".", Some(Hazard::Relative { component: "." })),
            (b"..", Some(Hazard::Relative { component: ".." })),
            (b"a/b", Some(Hazard::Separator { character: '/' })),
            (b"/", Some(Hazard::Separator { character: '/' })),
            (b"..\\a", Some(Hazard::Separator { character: '\\' })),
            (b"a\0b", Some(Hazard::Control { character: '\0' })),
            (b"a\n", Some(Hazard::Control { character: '\n' })),
            (b"\x7f", Some(Hazard::Control { character: '\x7f' })),
            (b"\xc2\x85", Some(Hazard::Control { character: '\u{85}' })),
            (b"\xff", Some(Hazard::NotUtf8)),
            (b"C:", Some(Hazard::Forbidden { character: ':' })),
            (b"what?", Some(Hazard::Forbidden { character: '?' })),
            ("\u{202e}txt.exe".as_bytes(), Some(Hazard::Invisible { character: '\u{202e}' })),
            ("a\u{206f}".as_bytes(), Some(Hazard::Invisible { character: '\u{206f}' })),
            ("\u{feff}a".as_bytes(), Some(Hazard::Invisible { character: '\u{feff}' })),
            (b"a.", Some(Hazard::TrailingDotOrSpace { component: "a.".into() })),
            (b"a ", Some(Hazard::TrailingDotOrSpace { component: "a ".into() })),
            (b"...", Some(Hazard::TrailingDotOrSpace { component: "...".into() })),
            (b"con", Some(Hazard::Device { component: "con".into() })),
            (b"Aux.tar.gz", Some(Hazard::Device { component: "Aux.tar.gz".into() })),
            (b"COM1 .txt", Some(Hazard::Device { component: "COM1 .txt".into() })),
            ("lpt².txt".as_bytes(), Some(Hazard::Device { component: "lpt².txt".into() })),
            (b"clock$", Some(Hazard::Device { component: "clock$".into() })),
            (&[b'a'; 256], Some(Hazard::TooLong { len: 256 })),
        ];
        for (component, expected) in cases {
            assert_eq!(check_component(component).err(), *expected, "{}", component.escape_ascii());
        }
    }

    #[test]
    fn a_message_shows_what_cannot_be_seen() {
        let error = safe(&[b"a".to_vec(), "\u{202e}gpj.exe".into()]).expect_err("disguised");
        assert_eq!(
            error.to_string(),
            "the path \"a/\\u{202e}gpj.exe\" is not safe to use: \
             it holds the invisible character '\\u{202e}', which can disguise a name"
        );
    }
}
