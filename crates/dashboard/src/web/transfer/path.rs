//! Reading the path of a URL.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use torrent_library::{Content, ContentKey};

/// The key of a content and the names after it, in what follows `/seed/` or `/download/` in a URL's path.
///
/// The names are separated by `/` in the URL. Each is decoded to bytes by itself, and compared with those of the content's files
/// byte by byte, so that whatever is not one of them (`..`, a `%2f` in a name, a backslash) leads nowhere.
pub(super) fn split(path: &str) -> Option<(ContentKey, &str)> {
    let (key, names) = path.split_once('/').unwrap_or((path, ""));
    Some((key.parse().ok()?, names))
}

/// The index of the file at this path below a content.
pub(super) fn find(content: &Content, path: &str) -> Option<usize> {
    let names = path.split('/').map(|name| Cow::from(percent_decode_str(name))).collect::<Vec<_>>();
    let is_name = |name: &Cow<'_, [u8]>| !name.is_empty() && !name.contains(&b'/');
    names.iter().all(is_name).then(|| content.find(&names.join(&b'/')))?
}

/// The index of the file at this path, which begins with the name of the content.
pub(super) fn find_by_name(content: &Content, path: &str) -> Option<usize> {
    let (name, rest) = path.split_once('/').map_or((path, None), |(name, rest)| (name, Some(rest)));
    if Cow::from(percent_decode_str(name)) != content.name().as_bytes() {
        return None;
    }
    match rest {
        None => content.find(b""),
        Some(rest) => find(content, rest),
    }
}
