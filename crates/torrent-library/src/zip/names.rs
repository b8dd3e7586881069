//! Names in an archive that every system can have.

use std::collections::{HashMap, HashSet};

use metainfo::portable_name;
use unicode_normalization::UnicodeNormalization;

/// Bytes of an extension, its dot included, before which a number is put. What is longer is the end of a sentence.
const MAX_EXTENSION_LEN: usize = 10;

/// Gives the files of a folder paths that every system can have, in the folder `root`: names that Windows cannot have are
/// changed, and names that are one where case, or the Unicode form, does not count get numbers. The paths have `/` between names.
///
/// Paths that need no change are placed first, so that a changed name never takes the place of one that is right as it is.
pub(super) fn portable_paths<'p>(root: &str, paths: impl Iterator<Item = &'p str> + Clone) -> Vec<String> {
    let mut tree = Tree::default();
    let root = tree.place("", root);
    let mut placed = vec![None; paths.clone().count()];
    for is_first in [true, false] {
        for (path, place) in paths.clone().zip(&mut placed).filter(|(_, place)| place.is_none()) {
            if !is_first || path.split('/').all(|name| portable_name(name) == name) {
                *place = Some(tree.place_file(&root, path));
            }
        }
    }
    placed.into_iter().map(|place| place.expect("the second pass places all")).collect()
}

#[derive(Default)]
struct Tree<'p> {
    /// The places of folders by their paths.
    folders: HashMap<&'p str, String>,
    /// The places that are taken, folded.
    taken: HashSet<String>,
    /// The last number of a name that is taken, so that a thousand equal names take a thousand steps.
    numbers: HashMap<String, u32>,
}

impl<'p> Tree<'p> {
    fn place_file(&mut self, root: &str, path: &'p str) -> String {
        let (folder, name) = split(path);
        let folder = folder.map_or_else(|| root.to_owned(), |folder| self.folder(root, folder));
        self.place(&folder, name)
    }

    /// The place of a folder. Paths are at most 4096 bytes long, but each folder is looked for from above, without recursion.
    fn folder(&mut self, root: &str, path: &'p str) -> String {
        if let Some(place) = self.folders.get(path) {
            return place.clone();
        }
        let mut place = root.to_owned();
        for (end, _) in path.match_indices('/').chain([(path.len(), "")]) {
            let folder = &path[..end];
            place = match self.folders.get(folder) {
                Some(place) => place.clone(),
                None => {
                    let placed = self.place(&place, split(folder).1);
                    self.folders.insert(folder, placed.clone());
                    placed
                }
            };
        }
        place
    }

    /// Takes a free place for this name in a folder: `name.ext`, `name (2).ext`, `name (3).ext`, …
    fn place(&mut self, folder: &str, name: &str) -> String {
        let below = |name: &str| if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
        let name = portable_name(name);
        let first = below(&name);
        let folded = fold(&first);
        if self.taken.insert(folded.clone()) {
            return first;
        }
        let (stem, extension) = match name.rfind('.') {
            Some(dot) if dot > 0 && name.len() - dot <= MAX_EXTENSION_LEN => name.split_at(dot),
            _ => (&*name, ""),
        };
        let mut number = self.numbers.get(&folded).copied().unwrap_or(1);
        let place = loop {
            number += 1;
            let candidate = below(&format!("{stem} ({number}){extension}"));
            if self.taken.insert(fold(&candidate)) {
                break candidate;
            }
        };
        self.numbers.insert(folded, number);
        place
    }
}

/// The folder that a path is in, if it is in one, and the name.
fn split(path: &str) -> (Option<&str>, &str) {
    path.rsplit_once('/').map_or((None, path), |(folder, name)| (Some(folder), name))
}

/// Equal for names that Windows or macOS takes for one.
fn fold(path: &str) -> String {
    path.to_lowercase().nfc().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(root: &str, paths: &[&str], expected: &[&str]) {
        assert_eq!(portable_paths(root, paths.iter().copied()), expected);
    }

    #[test]
    fn names_stay_where_every_system_can_have_them() {
        let paths = ["a.txt", "Übung 1/b+c & d #2.txt", "Übung 1/e/f", "日本/g"];
        let expected = ["Kurs/a.txt", "Kurs/Übung 1/b+c & d #2.txt", "Kurs/Übung 1/e/f", "Kurs/日本/g"];
        check("Kurs", &paths, &expected);
    }

    #[test]
    fn names_that_windows_cannot_have_are_changed() {
        check(
            "What?",
            &["CON", "a:b", "aux.txt", "dot.", "x<1>|\"*\\y", "folder. /nul/z ", "..."],
            &[
                "What_/_CON",
                "What_/a_b",
                "What_/_aux.txt",
                "What_/dot_",
                "What_/x_1_____y",
                "What_/folder__/_nul/z_",
                "What_/___",
            ],
        );
    }

    #[test]
    fn twins_are_told_apart() {
        check(
            "k",
            &["Readme.TXT", "readme.txt", "README.txt", "Gr\u{fc}n", "Gru\u{308}n", "A/x", "a/x", "a/X", "b", "B/c"],
            &[
                "k/Readme.TXT",
                "k/readme (2).txt",
                "k/README (3).txt",
                "k/Gr\u{fc}n",
                "k/Gru\u{308}n (2)",
                "k/A/x",
                "k/a (2)/x",
                "k/a (2)/X (2)",
                "k/b",
                "k/B (2)/c",
            ],
        );
        check("k", &["a", "A", "a (2)"], &["k/a", "k/A (2)", "k/a (2) (2)"]);
        check("k", &[".x", ".X"], &["k/.x", "k/.X (2)"]);
    }

    #[test]
    fn a_changed_name_takes_the_place_of_no_other() {
        check("k", &["a?", "a_", "a*", "b?/x", "b_/x"], &["k/a_ (2)", "k/a_", "k/a_ (3)", "k/b_ (2)/x", "k/b_/x"]);
    }

    #[test]
    fn ten_thousand_equal_names_are_told_apart_soon() {
        let forbidden = ['<', '>', ':', '"', '|', '?', '*', '\\', '\u{1}', '\u{2}'];
        let names: Vec<String> = (0..10_000)
            .map(|number: usize| (0..4).map(|digit| forbidden[number / 10usize.pow(digit) % 10]).collect())
            .collect();
        let places = portable_paths("k", names.iter().map(String::as_str));
        assert_eq!(places.iter().collect::<HashSet<_>>().len(), 10_000);
        assert_eq!(places[9_999], "k/____ (10000)");
    }
}
