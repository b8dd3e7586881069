//! Torrents put together from bencoded parts, well-formed or not.

/// Changes to a dictionary: a key, and its value as bencode or nothing to leave it out.
pub(crate) type Changes<'c> = &'c [(&'c str, Option<&'c str>)];

/// A torrent of one file of 20,000 bytes, with these changes to `info`.
pub(crate) fn single(changes: Changes<'_>) -> Vec<u8> {
    let info = dict(
        &[
            ("length", "i20000e"),
            ("name", "9:notes.txt"),
            ("piece length", "i16384e"),
            ("pieces", "40:aaaaaaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbbbbb"),
        ],
        changes,
    );
    around(&info, &[])
}

/// A torrent of a folder with these entries of `files`, whose lengths must add up to 20,000.
pub(crate) fn multi(files: &str, changes: Changes<'_>) -> Vec<u8> {
    let list = format!("l{files}e");
    let mut all = vec![("length", None), ("files", Some(list.as_str())), ("name", Some("6:course"))];
    all.extend(changes);
    single(&all)
}

/// A torrent of a folder in which all files but the first are empty, by their paths.
pub(crate) fn folder(paths: &[&[&str]]) -> Vec<u8> {
    let files: Vec<_> =
        paths.iter().enumerate().map(|(index, path)| file(if index == 0 { 20_000 } else { 0 }, path, "")).collect();
    multi(&files.concat(), &[])
}

/// An entry of `files`; `rest` is keys after `path` with their values.
pub(crate) fn file(length: i64, path: &[&str], rest: &str) -> String {
    format!("d6:lengthi{length}e4:path{}{rest}e", list(path))
}

/// A list of strings.
pub(crate) fn list(strings: &[&str]) -> String {
    let strings: Vec<_> = strings.iter().map(|text| string(text)).collect();
    format!("l{}e", strings.concat())
}

pub(crate) fn string(text: &str) -> String {
    format!("{}:{text}", text.len())
}

/// A torrent with this value of `info`, and other top-level keys.
pub(crate) fn around(info: &str, others: Changes<'_>) -> Vec<u8> {
    dict(&[("info", info)], others).into_bytes()
}

fn dict(base: &[(&str, &str)], changes: Changes<'_>) -> String {
    let mut entries: std::collections::BTreeMap<_, _> = base.iter().copied().collect();
    for &(key, value) in changes {
        match value {
            Some(value) => entries.insert(key, value),
            None => entries.remove(key),
        };
    }
    let entries: Vec<_> = entries.iter().map(|(key, value)| string(key) + value).collect();
    format!("d{}e", entries.concat())
}
