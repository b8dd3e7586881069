//! The text of a list of clients.

use std::path::Path;

use torrent_library::{ReadFileError, read_file};

use super::{ClientRule, MAX_BYTES, MAX_RULES, ParseRuleError, ReadClientListError};

/// Some Windows editors begin a file with a byte order mark.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The lines of a list, and the rules in them.
#[derive(Debug, Default)]
pub(super) struct Text(Vec<Line>);

/// A line as it is in the file.
#[derive(Debug)]
struct Line {
    /// With its end, which the last line of a file may have none of.
    bytes: Vec<u8>,
    rule: Option<ClientRule>,
}

impl Text {
    /// The text in a file.
    pub(super) fn read(path: &Path) -> Result<Self, ReadClientListError> {
        let bytes = read_file(path, MAX_BYTES).map_err(|error| match error {
            ReadFileError::TooLong => ReadClientListError::TooLong { path: path.to_owned() },
            error => ReadClientListError::Read { path: path.to_owned(), source: error.into() },
        })?;
        let text = Self::parse(&bytes);
        let text = text.map_err(|(line, reason)| ReadClientListError::Line { path: path.to_owned(), line, reason })?;
        if text.count() > MAX_RULES {
            return Err(ReadClientListError::TooMany { path: path.to_owned() });
        }
        Ok(text)
    }

    fn parse(bytes: &[u8]) -> Result<Self, (usize, ParseRuleError)> {
        let parse = |(number, bytes): (usize, &[u8])| {
            let line = if number == 0 { bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes) } else { bytes };
            // What is not UTF-8 can only be in a note, or is an error.
            let line = String::from_utf8_lossy(line.strip_suffix(end_of(line)).unwrap_or(line));
            let has_rule = !line.split('#').next().unwrap_or_default().trim().is_empty();
            let rule = has_rule.then(|| line.parse()).transpose();
            rule.map(|rule| Line { bytes: bytes.to_owned(), rule }).map_err(|error| (number + 1, error))
        };
        let lines = bytes.split_inclusive(|&byte| byte == b'\n');
        lines.enumerate().map(parse).collect::<Result<_, _>>().map(Self)
    }

    pub(super) fn of(rules: &[ClientRule]) -> Self {
        let mut text = Self::default();
        rules.iter().for_each(|rule| text.add(rule.clone()));
        text
    }

    /// What is written into the file.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|line| &line.bytes).copied().collect()
    }

    pub(super) fn rules(&self) -> Vec<ClientRule> {
        self.0.iter().filter_map(|line| line.rule.clone()).collect()
    }

    pub(super) fn count(&self) -> usize {
        self.0.iter().filter(|line| line.rule.is_some()).count()
    }

    pub(super) fn has(&self, wanted: &ClientRule) -> bool {
        self.0.iter().any(|line| line.is(wanted))
    }

    /// Adds a line that ends as the first one does.
    pub(super) fn add(&mut self, rule: ClientRule) {
        let end = match self.0.first().map_or(&b""[..], |line| end_of(&line.bytes)) {
            b"" => b"\n".to_vec(),
            end => end.to_vec(),
        };
        if let Some(last) = self.0.last_mut().filter(|last| end_of(&last.bytes).is_empty()) {
            last.bytes.extend_from_slice(&end);
        }
        self.0.push(Line { bytes: [rule.to_string().as_bytes(), &end].concat(), rule: Some(rule) });
    }

    pub(super) fn remove(&mut self, unwanted: &ClientRule) {
        self.0.retain(|line| !line.is(unwanted));
    }
}

impl Line {
    fn is(&self, rule: &ClientRule) -> bool {
        self.rule.as_ref().is_some_and(|known| known.is_same(rule))
    }
}

/// The end of a line: as on Windows, as on Unix, or none.
fn end_of(line: &[u8]) -> &'static [u8] {
    const ENDS: [&[u8]; 2] = [b"\r\n", b"\n"];
    ENDS.into_iter().find(|end| line.ends_with(end)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adds `deny -AA` and removes `deny -ZZ`.
    fn changed(text: &[u8]) -> Vec<u8> {
        let mut text = Text::parse(text).unwrap();
        text.add("deny -AA".parse().unwrap());
        text.remove(&"deny -ZZ".parse().unwrap());
        text.to_bytes()
    }

    #[test]
    fn other_lines_stay_byte_for_byte() {
        for (text, expected) in [
            (&b""[..], &b"deny -AA\n"[..]),
            (b"deny -BB\r\n", b"deny -BB\r\ndeny -AA\r\n"),
            (b"deny -BB\r\n\r\n# end", b"deny -BB\r\n\r\n# end\r\ndeny -AA\r\n"),
            // The first line decides.
            (b"# a\ndeny -BB\r\n", b"# a\ndeny -BB\r\ndeny -AA\n"),
            (b"deny -BB", b"deny -BB\ndeny -AA\n"),
            (b"deny -ZZ # x\r\ndeny -BB\r\n", b"deny -BB\r\ndeny -AA\r\n"),
            (b"\xef\xbb\xbfdeny -BB\r\n", b"\xef\xbb\xbfdeny -BB\r\ndeny -AA\r\n"),
            // Latin-1.
            (b"# G\xe4ste\n", b"# G\xe4ste\ndeny -AA\n"),
        ] {
            assert_eq!(changed(text), expected, "{}", text.escape_ascii());
        }
    }
}
