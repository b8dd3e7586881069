//! Replacing unsafe paths by safe ones.

use std::collections::HashMap;
use std::path::PathBuf;

use crate::File;
use crate::path::{character_hazard, is_device};

/// Bytes a sanitised component is cut to, so that a number still fits in.
const CUT_COMPONENT_LEN: usize = 240;

/// Bytes of a file's extension, its dot included, that are kept when the name is cut.
const MAX_EXTENSION_LEN: usize = 10;

/// Gives every file a safe path of its own; see [`Info::sanitized_paths`](crate::Info::sanitized_paths).
pub(crate) fn paths(files: &[File]) -> Vec<PathBuf> {
    let kept: Vec<_> = files.iter().map(|file| file.safe_path().ok().filter(|_| !file.attributes.pad)).collect();

    let mut tree = Tree::default();
    for (file, _) in files.iter().zip(&kept).filter(|(_, kept)| kept.is_some()) {
        tree.keep(&file.path);
    }
    files.iter().zip(kept).map(|(file, kept)| kept.unwrap_or_else(|| tree.place(&file.path))).collect()
}

/// A name that every system can have for a file or folder: what Windows, macOS or Linux cannot have, or could take for something
/// else, is replaced by `_`, and a name of more than 240 bytes is cut before its extension.
///
/// It is never empty. Names that differ may become the same.
///
/// ```
/// assert_eq!(metainfo::portable_name("What is DNS?.mp4"), "What is DNS_.mp4");
/// assert_eq!(metainfo::portable_name("aux.txt"), "_aux.txt");
/// ```
pub fn portable_name(name: &str) -> String {
    component(name.as_bytes())
}

/// Replaces everything in a component that could do harm; the outcome is never empty.
pub(crate) fn component(component: &[u8]) -> String {
    let replaced: String = String::from_utf8_lossy(component)
        .chars()
        .map(|character| match character_hazard(character) {
            Some(_) => '_',
            None => character,
        })
        .collect();
    let mut name = cut(replaced);

    let kept = name.trim_end_matches(['.', ' ']).len();
    let dropped = name.len() - kept;
    name.truncate(kept);
    name.extend(std::iter::repeat_n('_', dropped));
    if name.is_empty() || is_device(&name) {
        name.insert(0, '_');
    }
    name
}

/// Shortens an over-long name at a character boundary, keeping a short extension.
fn cut(mut name: String) -> String {
    if name.len() <= CUT_COMPONENT_LEN {
        return name;
    }
    let (stem, extension) = split_extension(&name);
    let extension = extension.to_owned();
    let room = stem.floor_char_boundary(CUT_COMPONENT_LEN - extension.len());
    name.truncate(room);
    name + &extension
}

/// Cuts a name before its last dot, unless it begins there or what follows is long.
fn split_extension(name: &str) -> (&str, &str) {
    match name.rfind('.') {
        Some(dot) if dot > 0 && name.len() - dot <= MAX_EXTENSION_LEN => name.split_at(dot),
        _ => (name, ""),
    }
}

/// The names in use, folder by folder, ignoring case.
#[derive(Default)]
struct Tree {
    slots: HashMap<(u32, String), Slot>,
    /// The new places of folders whose own names belong to files.
    moved: HashMap<(u32, String), (u32, String)>,
    /// The last number given to a name, so that a thousand equal names take a thousand steps.
    numbers: HashMap<(u32, String), u32>,
    folders: u32,
}

#[derive(Clone, Copy)]
enum Slot {
    File,
    Folder(u32),
}

impl Tree {
    /// Takes a path as it is.
    fn keep(&mut self, path: &[Vec<u8>]) {
        let mut folder = 0;
        let Some((name, parents)) = path.split_last() else {
            return;
        };
        for parent in parents {
            let key = (folder, fold(&String::from_utf8_lossy(parent)));
            folder = match self.slots.get(&key) {
                Some(&Slot::Folder(id)) => id,
                // A file differs from this folder in case only: both stay, and both are taken.
                Some(Slot::File) | None => self.add_folder(key),
            };
        }
        let key = (folder, fold(&String::from_utf8_lossy(name)));
        self.slots.entry(key).or_insert(Slot::File);
    }

    /// Finds a free place for a path that cannot be used as it is.
    fn place(&mut self, path: &[Vec<u8>]) -> PathBuf {
        let mut folder = 0;
        let mut placed = PathBuf::new();
        let (name, parents) = match path.split_last() {
            Some((name, parents)) => (name.as_slice(), parents),
            None => (&[][..], &[][..]),
        };
        for parent in parents {
            let (id, used) = self.place_folder(folder, component(parent));
            folder = id;
            placed.push(used);
        }
        let name = self.free_name(folder, component(name));
        self.slots.insert((folder, fold(&name)), Slot::File);
        placed.push(name);
        placed
    }

    fn place_folder(&mut self, parent: u32, name: String) -> (u32, String) {
        let key = (parent, fold(&name));
        match self.slots.get(&key) {
            Some(&Slot::Folder(id)) => (id, name),
            None => (self.add_folder(key), name),
            Some(Slot::File) => {
                if let Some(moved) = self.moved.get(&key) {
                    return moved.clone();
                }
                let other = self.free_name(parent, name);
                let id = self.add_folder((parent, fold(&other)));
                self.moved.insert(key, (id, other.clone()));
                (id, other)
            }
        }
    }

    fn add_folder(&mut self, key: (u32, String)) -> u32 {
        self.folders += 1;
        self.slots.insert(key, Slot::Folder(self.folders));
        self.folders
    }

    /// The name itself, or `name.1.ext`, `name.2.ext`, … whichever is free first.
    fn free_name(&mut self, folder: u32, name: String) -> String {
        let key = (folder, fold(&name));
        if !self.slots.contains_key(&key) {
            return name;
        }
        let (stem, extension) = split_extension(&name);
        let number = self.numbers.entry(key).or_insert(0);
        loop {
            *number += 1;
            let candidate = format!("{stem}.{number}{extension}");
            if !self.slots.contains_key(&(folder, fold(&candidate))) {
                return candidate;
            }
        }
    }
}

fn fold(name: &str) -> String {
    name.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components() {
        let cases: &[(&[u8], &str)] = &[
            (b"notes.txt", "notes.txt"),
            (b"", "_"),
            (b".", "_"),
            (b"..", "__"),
            (b"a/b\\c\0d", "a_b_c_d"),
            (b"/etc/passwd", "_etc_passwd"),
            (b"C:", "C_"),
            (b"\xffa", "\u{fffd}a"),
            ("a\u{202e}b".as_bytes(), "a_b"),
            (b"a. .", "a___"),
            (b"con", "_con"),
            (b"con.txt", "_con.txt"),
        ];
        for (hostile, expected) in cases {
            assert_eq!(component(hostile), *expected, "{}", hostile.escape_ascii());
        }
    }

    #[test]
    fn cuts_keep_characters_and_short_extensions() {
        let long = component(format!("{}.torrent", "ä".repeat(200)).as_bytes());
        assert_eq!(long, format!("{}.torrent", "ä".repeat(116)));
        let dots = component(format!("a.{}", "b".repeat(300)).as_bytes());
        assert_eq!(dots, format!("a.{}", "b".repeat(238)));
        let space = component(format!("{} {}", "a".repeat(239), "b".repeat(20)).as_bytes());
        assert_eq!(space, format!("{}_", "a".repeat(239)));
    }
}
