//! What makes a path of a torrent unsafe to use, and how to make a safe one of it.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::path::PathBuf;

use thiserror::Error;

use crate::File;

/// Bytes one component of a safe path may have: what common file systems allow.
const MAX_COMPONENT_LEN: usize = 255;

/// Bytes a sanitised component is cut to, so that a number still fits in.
const CUT_COMPONENT_LEN: usize = 240;

/// Bytes of a file's extension, its dot included, that are kept when the name is cut.
const MAX_EXTENSION_LEN: usize = 10;

/// Symlinks that may lead to each other before the chain counts as a loop.
const MAX_LINKS: usize = 8;

/// A path from a torrent that must not be used as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the path {path:?} is not safe to use: {hazard}")]
#[non_exhaustive]
pub struct UnsafePath {
    /// The path as [`File::display_path`](crate::File::display_path) gives it.
    pub path: String,
    /// What is wrong with it.
    pub hazard: Hazard,
}

impl UnsafePath {
    pub(crate) fn new(path: &[Vec<u8>], hazard: Hazard) -> Self {
        Self { path: display(path), hazard }
    }
}

/// What makes a path unsafe.
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
    /// A component holds a character that Windows keeps for itself: one of `<>:"|?*`.
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
    UnsafeTarget(#[source] Box<Self>),
    /// A symlink points to nothing in the torrent.
    #[error("it is a symlink to something outside the torrent")]
    LinkOutside,
    /// A symlink leads back to itself or to a folder it is in.
    #[error("it is a symlink that leads back to itself")]
    LinkLoop,
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

/// Finds what each path suffers from the other paths of its torrent.
///
/// Files are given in the torrent's order. Padding files may share paths among themselves, since
/// nobody writes them; every other path must be on its own.
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

    for (index, file) in files.iter().enumerate() {
        if file.attributes.pad {
            hazards.extend(pad_hazard(files, &order, index).map(|hazard| (index, hazard)));
        } else if file.attributes.symlink {
            hazards.extend(link_hazard(files, &order, index).map(|hazard| (index, hazard)));
        }
    }

    for (index, hazard) in hazards {
        files[index].hazard.get_or_insert(hazard);
    }
}

/// Gives every file a safe path of its own; see [`Info::sanitized_paths`](crate::Info::sanitized_paths).
pub(crate) fn sanitize(files: &[File]) -> Vec<PathBuf> {
    let kept: Vec<_> = files.iter().map(|file| file.safe_path().ok().filter(|_| !file.attributes.pad)).collect();

    let mut tree = Tree::default();
    for (file, _) in files.iter().zip(&kept).filter(|(_, kept)| kept.is_some()) {
        tree.keep(&file.path);
    }
    files.iter().zip(kept).map(|(file, kept)| kept.unwrap_or_else(|| tree.place(&file.path))).collect()
}

/// Replaces everything in a component that could do harm; the outcome is never empty.
pub(crate) fn sanitize_component(component: &[u8]) -> String {
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

fn check(path: &[Vec<u8>]) -> Result<PathBuf, Hazard> {
    if path.is_empty() {
        return Err(Hazard::Empty);
    }
    path.iter().map(|component| check_component(component)).collect()
}

fn check_component(component: &[u8]) -> Result<&str, Hazard> {
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

fn character_hazard(character: char) -> Option<Hazard> {
    match character {
        '/' | '\\' => Some(Hazard::Separator { character }),
        '<' | '>' | ':' | '"' | '|' | '?' | '*' => Some(Hazard::Forbidden { character }),
        // Marks of direction, joiners and spaces of no width, the byte order mark.
        '\u{61c}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{2064}'
        | '\u{2066}'..='\u{2069}'
        | '\u{feff}' => Some(Hazard::Invisible { character }),
        _ if character.is_control() => Some(Hazard::Control { character }),
        _ => None,
    }
}

/// Whether Windows takes a name for a device: it looks at what stands before the first dot.
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name).trim_end_matches(' ');
    let upper = stem.to_ascii_uppercase();
    let port = upper.strip_prefix("COM").or_else(|| upper.strip_prefix("LPT"));
    match port {
        // Windows reads superscript digits as digits here.
        Some(number) => matches!(number, "0" | "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9" | "¹" | "²" | "³"),
        None => matches!(upper.as_str(), "CON" | "PRN" | "AUX" | "NUL" | "CLOCK$" | "CONIN$" | "CONOUT$"),
    }
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

fn pad_hazard(files: &[File], order: &[usize], pad: usize) -> Option<Hazard> {
    let path = &files[pad].path;
    match look_up(files, order, path) {
        Place::File(_) => return Some(Hazard::Duplicate),
        Place::Folder => return Some(Hazard::FileAndFolder),
        Place::Nothing => {}
    }
    let position = order.partition_point(|&index| files[index].path.cmp(path) == Ordering::Less);
    let before = &files[order[position.checked_sub(1)?]].path;
    path.starts_with(before).then_some(Hazard::FileAndFolder)
}

fn link_hazard(files: &[File], order: &[usize], link: usize) -> Option<Hazard> {
    let mut at = link;
    for _ in 0..MAX_LINKS {
        let target = match &files[at].symlink_target {
            Some(target) if !target.is_empty() => target,
            _ => return Some(Hazard::LinkWithoutTarget),
        };
        if let Err(hazard) = check(target) {
            return Some(Hazard::UnsafeTarget(Box::new(hazard)));
        }
        match look_up(files, order, target) {
            Place::File(next) if files[next].attributes.symlink => at = next,
            Place::File(_) => return None,
            Place::Folder if files[at].path.starts_with(target) => return Some(Hazard::LinkLoop),
            Place::Folder => return None,
            Place::Nothing => return Some(Hazard::LinkOutside),
        }
    }
    Some(Hazard::LinkLoop)
}

/// The names that are taken, folder by folder, without regard to case.
#[derive(Default)]
struct Tree {
    slots: HashMap<(u32, String), Slot>,
    /// Where a folder went whose own name belongs to a file.
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
            let (id, used) = self.place_folder(folder, sanitize_component(parent));
            folder = id;
            placed.push(used);
        }
        let name = self.free_name(folder, sanitize_component(name));
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
