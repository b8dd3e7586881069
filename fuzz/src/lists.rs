//! The text of allow and deny lists.

use crate::list_file::parse;

/// A list that is read says the same when it is written line by line, with other line ends and comments; of one that is not, the
/// line is named.
pub(crate) fn list_file(input: &[u8]) {
    match parse(input) {
        Ok(info_hashes) => {
            let mut written = String::from("\u{feff}# a comment\r\n\r\n");
            for info_hash in &info_hashes {
                written.push_str(&format!("\t{info_hash} a name # {info_hash}\r\n"));
            }
            assert_eq!(parse(written.as_bytes()), Ok(info_hashes));
        }
        Err((line, found)) => {
            assert!((1..=input.split(|&byte| byte == b'\n').count()).contains(&line));
            assert!(!found.is_empty());
        }
    }
}
