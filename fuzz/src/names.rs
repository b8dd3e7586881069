//! The text of files with the names of computers.

use torrent_library::displayable;

use crate::lines::{MAX_NAME_LEN, MAX_NAMES, parse};

/// The names can be shown as they are and are the same when they are written line by line, with other line ends. Each line is
/// used, left out with its number, or has nothing to say.
pub(crate) fn names_csv(input: &[u8]) {
    let (names, bad) = parse(input);
    let lines = input.split(|&byte| byte == b'\n').count();
    assert!(names.len() <= MAX_NAMES && names.len() + bad.len() <= lines);
    assert!(bad.is_sorted_by(|one, other| one.line < other.line));
    assert!(bad.iter().all(|bad| (1..=lines as u64).contains(&bad.line) && !bad.reason.is_empty()));

    let mut written = String::from("\u{feff}address,name\r\n# a comment\r\n\r\n");
    for (address, name) in &names {
        assert!((1..=MAX_NAME_LEN).contains(&name.chars().count()) && displayable(name) == **name, "{name:?}");
        assert_eq!(address.to_canonical(), *address);
        written.push_str(&format!(" {address} ,\"{}\",a room\r\n", name.replace('"', "\"\"")));
    }
    let (again, bad) = parse(written.as_bytes());
    assert_eq!((again, bad), (names, Vec::new()));
}
