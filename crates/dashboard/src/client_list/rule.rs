//! A rule: a line of the list of clients.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use tracker_core::{ParsePeerIdPrefixError, PeerIdPrefix};
use utoipa::ToSchema;

/// Whether the clients of a rule are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = ClientVerdict)]
pub enum Verdict {
    /// They are, and of their kind (addresses, or peer ids) only those that such a rule names.
    Allow,
    /// They are not, whatever other rules say.
    Deny,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        })
    }
}

impl FromStr for Verdict {
    type Err = ParseRuleError;

    fn from_str(text: &str) -> Result<Self, ParseRuleError> {
        match text {
            "allow" => Ok(Self::Allow),
            "deny" => Ok(Self::Deny),
            _ => Err(ParseRuleError::Verdict { found: shortened(text) }),
        }
    }
}

/// The clients that a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clients {
    /// Those whose peer id begins with this.
    PeerId(PeerIdPrefix),
    /// Those at an address in this network.
    Network(IpNet),
}

impl fmt::Display for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PeerId(prefix) => prefix.fmt(f),
            Self::Network(network) if network.prefix_len() == network.max_prefix_len() => network.addr().fmt(f),
            Self::Network(network) => network.fmt(f),
        }
    }
}

/// An address or a network in CIDR notation, whose bits after the prefix are cleared; anything else is the beginning of a peer id.
impl FromStr for Clients {
    type Err = ParseRuleError;

    fn from_str(text: &str) -> Result<Self, ParseRuleError> {
        let network = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        match network {
            Ok(network) => Ok(Self::Network(canonical(network))),
            Err(_) if looks_like_network(text) => Err(ParseRuleError::Network { found: shortened(text) }),
            Err(_) => Ok(Self::PeerId(text.parse()?)),
        }
    }
}

/// A line of the list of clients.
///
/// As text it is `allow` or `deny`, what it is about, and optionally `#` and a note:
///
/// ```
/// use dashboard::{ClientRule, Verdict};
///
/// let rule: ClientRule = "deny 10.1.2.0/24  # the guests' network".parse()?;
/// assert_eq!((rule.verdict, rule.clients.to_string().as_str()), (Verdict::Deny, "10.1.2.0/24"));
/// assert_eq!(rule.note.as_deref(), Some("the guests' network"));
/// assert_eq!("allow -qB".parse::<ClientRule>()?.to_string(), "allow -qB");
/// # Ok::<(), dashboard::ParseRuleError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientRule {
    /// Whether they are served.
    pub verdict: Verdict,
    /// The clients that it is about.
    pub clients: Clients,
    /// What somebody has written beside it.
    pub note: Option<String>,
}

impl ClientRule {
    /// The maximum number of characters in a note.
    pub const MAX_NOTE: usize = 200;

    /// A rule with a note, if that is not empty.
    ///
    /// # Errors
    ///
    /// The note is too long, or has control characters other than tabs, such as a line break.
    pub fn new(verdict: Verdict, clients: Clients, note: &str) -> Result<Self, ParseRuleError> {
        let note = note.trim();
        if note.chars().count() > Self::MAX_NOTE
            || note.chars().any(|character| character.is_control() && character != '\t')
        {
            return Err(ParseRuleError::Note);
        }
        Ok(Self { verdict, clients, note: (!note.is_empty()).then(|| note.to_owned()) })
    }

    /// Returns `true` if both say the same, whatever is noted.
    pub fn is_same(&self, other: &Self) -> bool {
        (self.verdict, self.clients) == (other.verdict, other.clients)
    }
}

impl fmt::Display for ClientRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verdict, self.clients)?;
        self.note.iter().try_for_each(|note| write!(f, "  # {note}"))
    }
}

impl FromStr for ClientRule {
    type Err = ParseRuleError;

    fn from_str(line: &str) -> Result<Self, ParseRuleError> {
        let (rule, note) = line.split_once('#').unwrap_or((line, ""));
        let mut words = rule.split_ascii_whitespace();
        let (verdict, clients) = (words.next().unwrap_or_default(), words.next());
        let verdict = verdict.parse()?;
        let clients = clients.ok_or(ParseRuleError::Clients)?.parse()?;
        if let Some(more) = words.next() {
            return Err(ParseRuleError::More { found: shortened(more) });
        }
        Self::new(verdict, clients, note)
    }
}

/// A text that is not a [`ClientRule`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseRuleError {
    /// It begins with another word.
    #[error("a rule begins with allow or deny, not with {found:?}")]
    Verdict {
        /// The word, shortened.
        found: String,
    },
    /// There is nothing after the first word.
    #[error(
        "after allow or deny, write an address, a network such as 10.1.0.0/16, or the beginning of a peer id such as -qB"
    )]
    Clients,
    /// It is neither an address nor a network, and no beginning of a peer id either.
    #[error(
        "{found:?} is neither an address nor a network: write one such as 10.1.2.3 or 10.1.0.0/16, and no host name"
    )]
    Network {
        /// The text, shortened.
        found: String,
    },
    /// It is not the beginning of a peer id.
    #[error(transparent)]
    PeerId(#[from] ParsePeerIdPrefixError),
    /// There is something more.
    #[error("a rule is about one thing: write {found:?} into a line of its own, or # before it if it is a note")]
    More {
        /// The next word, shortened.
        found: String,
    },
    /// The note cannot be one.
    #[error("a note has at most {} characters, and no control characters", ClientRule::MAX_NOTE)]
    Note,
}

/// A network of v4-mapped addresses is the IPv4 network in it: those of clients are canonical.
fn canonical(network: IpNet) -> IpNet {
    const MAPPED_BITS: u8 = 96;
    let address = network.addr().to_canonical();
    match network.prefix_len().checked_sub(MAPPED_BITS).filter(|_| network.addr() != address) {
        Some(prefix) => IpNet::new_assert(address, prefix).trunc(),
        None => network.trunc(),
    }
}

/// Returns `true` for what was probably meant to be an address, a network or a host name, and is none. A peer id with such a character
/// is written with an escape.
fn looks_like_network(text: &str) -> bool {
    text.bytes().any(|byte| matches!(byte, b'.' | b':' | b'/' | b'*'))
}

/// The beginning of a text: enough to find the place.
fn shortened(text: &str) -> String {
    const MAX: usize = 60;
    text.chars().take(MAX).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rules_are_read_and_written() {
        for (text, written) in [
            ("allow -qB", "allow -qB"),
            ("  deny\t-XL0012#leeches ", "deny -XL0012  # leeches"),
            ("deny 10.1.2.3", "deny 10.1.2.3"),
            ("deny 10.1.2.3/24 # a # b", "deny 10.1.2.0/24  # a # b"),
            ("deny ::ffff:10.1.2.3", "deny 10.1.2.3"),
            ("deny ::ffff:10.1.2.3/120", "deny 10.1.2.0/24"),
            ("allow fd77::/64", "allow fd77::/64"),
            ("allow fd77::1 #", "allow fd77::1"),
            ("deny \\x00\\x41", "deny \\x00A"),
            ("deny a\\x2eb", "deny a\\x2eb"),
            ("deny ::/0", "deny ::/0"),
        ] {
            assert_eq!(text.parse::<ClientRule>().map(|rule| rule.to_string()), Ok(written.to_owned()), "{text}");
        }
        for (text, error) in [
            ("", "a rule begins with allow or deny, not with \"\""),
            ("refuse -qB", "a rule begins with allow or deny, not with \"refuse\""),
            ("deny", "after allow or deny, write an address"),
            ("deny # all", "after allow or deny, write an address"),
            ("deny 10.1.2.3.4", "\"10.1.2.3.4\" is neither an address nor a network"),
            ("deny 10.1.2.3/33", "\"10.1.2.3/33\" is neither"),
            ("deny fd77::1::", "\"fd77::1::\" is neither"),
            ("allow 10.1.2.*", "\"10.1.2.*\" is neither"),
            ("deny 10.1.2.3-9", "\"10.1.2.3-9\" is neither"),
            ("deny pc07.local", "\"pc07.local\" is neither"),
            ("deny -qB -TR", "a rule is about one thing: write \"-TR\""),
            ("deny -qBä", "cannot have the character 'ä'"),
            ("deny 123456789012345678901", "has 1 to 20 bytes, this one has 21"),
        ] {
            let found = text.parse::<ClientRule>().unwrap_err().to_string();
            assert!(found.contains(error), "{text}: {found}");
        }
        let long = format!("deny -qB # {}", "x".repeat(ClientRule::MAX_NOTE + 1));
        assert_eq!(long.parse::<ClientRule>(), Err(ParseRuleError::Note));
    }

    proptest! {
        #[test]
        fn each_rule_is_read_as_it_is_written(line in any::<String>()) {
            if let Ok(rule) = line.parse::<ClientRule>() {
                prop_assert_eq!(rule.to_string().parse(), Ok(rule));
            }
        }

        #[test]
        fn each_peer_id_and_network_is_read_as_it_is_written(
            prefix in prop::collection::vec(any::<u8>(), 1..=20),
            address in any::<IpAddr>(),
            bits in 0..=128_u8,
        ) {
            let network = IpNet::new_assert(address, if address.is_ipv4() { bits % 33 } else { bits });
            for clients in [Clients::PeerId(PeerIdPrefix::new(&prefix).unwrap()), Clients::Network(canonical(network))] {
                prop_assert_eq!(clients.to_string().parse(), Ok(clients));
            }
        }
    }
}
