//! The text of a file with the names of computers.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::mem;
use std::net::IpAddr;
use std::sync::Arc;

use torrent_library::displayable;

/// Computers that can have names of one source, at most.
pub(crate) const MAX_NAMES: usize = 10_000;

/// Characters of a name, at most.
pub(crate) const MAX_NAME_LEN: usize = 64;

/// The names in the names file.
pub(crate) type Listed = BTreeMap<IpAddr, Arc<str>>;

/// A line that cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadLine {
    /// From 1.
    pub(crate) line: u64,
    pub(crate) reason: &'static str,
}

/// Parses lines of an address, a comma (or a semicolon, as some spreadsheets write it) and a name. A first line that
/// has no address in it, good or bad, is a heading; `#` starts a comment line.
pub(crate) fn parse(bytes: &[u8]) -> (Listed, Vec<BadLine>) {
    // Some Windows editors begin a file with a byte order mark.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let first_line =
        bytes.split(|&byte| byte == b'\n').find(|line| !matches!(line.trim_ascii().first(), None | Some(b'#')));
    let delimiter = first_line.and_then(|line| line.iter().find(|byte| b",;".contains(byte))).copied().unwrap_or(b',');
    let (mut names, mut bad, mut is_first) = (Listed::new(), Vec::new(), true);
    for (line, text) in (1..).zip(bytes.split(|&byte| byte == b'\n')) {
        let Some(record) = fields(text, delimiter) else { continue };
        let field = |place| record.get(place).map(String::from_utf8_lossy).unwrap_or_default();
        let (address, name) = (field(0), displayable(&field(1)));
        let has_address =
            || record.iter().any(|field| str::from_utf8(field).is_ok_and(|text| text.parse::<IpAddr>().is_ok()));
        let is_heading = mem::take(&mut is_first) && !address.contains(['.', ':']) && !has_address();
        let Ok(address) = address.parse::<IpAddr>().map(|address| address.to_canonical()) else {
            if !is_heading {
                bad.push(BadLine { line, reason: "it does not begin with an IP address" });
            }
            continue;
        };
        if name.is_empty() {
            bad.push(BadLine { line, reason: "it has no name" });
        } else if name.chars().count() > MAX_NAME_LEN {
            bad.push(BadLine { line, reason: "the name is longer than 64 characters" });
        } else if names.len() >= MAX_NAMES {
            bad.push(BadLine { line, reason: "there are 10,000 names before it" });
        } else {
            match names.entry(address) {
                Entry::Vacant(entry) => _ = entry.insert(name.into()),
                Entry::Occupied(_) => bad.push(BadLine { line, reason: "an earlier line has the same address" }),
            }
        }
    }
    (names, bad)
}

/// The fields of a line; `None` if it is blank, or a comment.
fn fields(line: &[u8], delimiter: u8) -> Option<csv::ByteRecord> {
    if line.trim_ascii().is_empty() || line.starts_with(b"#") {
        return None;
    }
    let mut reader = csv::ReaderBuilder::new();
    reader.has_headers(false).delimiter(delimiter).trim(csv::Trim::All).buffer_capacity(line.len());
    // Reading memory as bytes never fails.
    reader
        .from_reader(line)
        .into_byte_records()
        .next()?
        .ok()
        .filter(|record| record.iter().any(|field| !field.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (Vec<(String, String)>, Vec<u64>) {
        let (names, bad) = parse(text.as_bytes());
        let names = names.iter().map(|(address, name)| (address.to_string(), name.to_string())).collect();
        (names, bad.iter().map(|bad| bad.line).collect())
    }

    fn names(names: &[(&str, &str)]) -> Vec<(String, String)> {
        names.iter().map(|&(address, name)| (address.to_owned(), name.to_owned())).collect()
    }

    #[test]
    fn lines_of_address_and_name() {
        let expected = names(&[("192.168.1.7", "lab-07"), ("192.168.1.8", "Tür, links")]);
        for text in [
            "192.168.1.7,lab-07\n192.168.1.8,\"Tür, links\"\n",
            "\u{feff}address,name\r\n192.168.1.7,lab-07\r\n192.168.1.8,\"Tür, links\"",
            "IP;Name;Room\n192.168.1.7; lab-07 ;101\n\n# comment\n::ffff:192.168.1.8;Tür, links\n",
        ] {
            assert_eq!(parsed(text), (expected.clone(), vec![]), "{text}");
        }
        let with_semicolon = names(&[("192.168.1.7", "lab; left")]);
        assert_eq!(parsed("192.168.1.7,\"lab; left\"\n"), (with_semicolon, vec![]));
        assert_eq!(parsed(""), (vec![], vec![]));
        assert_eq!(parsed("Anna;192.168.1.20\n"), (vec![], vec![1]), "the columns are the other way round");
    }

    #[test]
    fn bad_lines_are_left_out_with_their_numbers() {
        let long = "x".repeat(65);
        let text = format!(
            "# class 7b\naddress,name\n192.168.1.7,lab-07\n192.168.1.300,lab-08\n192.168.1.9\n\n192.168.1.10,\n192.168.1.7,\
             lab-77\n192.168.1.11,{long}\nfd00::7,a\u{202e}b\n"
        );
        let (found, bad) = parsed(&text);
        assert_eq!(found, names(&[("192.168.1.7", "lab-07"), ("fd00::7", "a\u{fffd}b")]));
        assert_eq!(bad, [4, 5, 7, 8, 9]);
        assert_eq!(parse(b"\xff\xfe\0,\xc3\x28\n10.0.0.1,\xc3\x28\n").0.len(), 1);
    }

    #[test]
    fn there_is_a_limit() {
        let text: String =
            (0..MAX_NAMES as u32 + 5).map(|number| format!("{},x\n", std::net::Ipv4Addr::from(number))).collect();
        let (names, bad) = parse(text.as_bytes());
        assert_eq!((names.len(), bad.len()), (MAX_NAMES, 5));
    }
}
