//! The text of a list of torrents.

use std::collections::BTreeSet;

use tracker_core::InfoHash;

/// Parses one info-hash per line. After white space anything may follow that is not another info-hash, such as a name; `#` starts
/// a comment. The error is the number of the line and its beginning.
pub(crate) fn parse(bytes: &[u8]) -> Result<BTreeSet<InfoHash>, (usize, String)> {
    // Some Windows editors begin a file with a byte order mark.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut info_hashes = BTreeSet::new();
    for (number, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
        let line = line.split(|&byte| byte == b'#').next().unwrap_or_default().trim_ascii();
        if line.is_empty() {
            continue;
        }
        let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).map(info_hash);
        // Of two info-hashes in a line one would be ignored.
        let (Some(Some(info_hash)), None | Some(None)) = (words.next(), words.next()) else {
            // Enough to find the place; a line may be a whole file of something else.
            let found = String::from_utf8_lossy(&line[..line.len().min(60)]);
            return Err((number + 1, found.into_owned()));
        };
        info_hashes.insert(info_hash);
    }
    Ok(info_hashes)
}

fn info_hash(word: &[u8]) -> Option<InfoHash> {
    str::from_utf8(word).ok()?.parse().ok()
}
