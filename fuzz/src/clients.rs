//! Rules about which clients are served.

use dashboard::ClientRule;

/// Each line that is a rule is read as it is written.
pub(crate) fn client_rules(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    for rule in text.lines().filter_map(|line| line.parse::<ClientRule>().ok()) {
        assert_eq!(rule.to_string().parse(), Ok(rule));
    }
}
