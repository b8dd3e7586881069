//! The ways in which an answer can be wrong.

use serde::Serialize;

/// A way in which an answer can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub(crate) enum Violation {
    /// The asking peer is among the peers.
    SelfInPeers,
    /// A peer that does not exist, or that is in another torrent. The tracker's own peer is in each.
    Stranger,
    /// A peer whose `stopped` was answered before this request began.
    Departed,
    /// A peer twice.
    Duplicate,
    /// A seeder gets a seeder.
    SeedForSeed,
    /// More than was asked for.
    TooManyPeers,
    /// Fewer than was asked for, though more were known.
    TooFewPeers,
    /// An impossible number of seeders or leechers, or one that does not include the asking peer.
    Counts,
    /// An interval that is not positive.
    Interval,
    /// The body is not a bencoded dict.
    NotBencode,
    /// The body is bencode with keys out of order, leading zeros, or bytes behind it.
    NotCanonical,
    /// A key that clients need is missing or of the wrong type.
    Keys,
    /// The body is not what Content-Length says, or it is chunked, or the answer is not HTTP.
    HttpFraming,
    /// UDP: a transaction id that no request has.
    TransactionId,
    /// UDP: the answer to another kind of request.
    Action,
    /// UDP: an answer with an impossible length.
    Length,
    /// UDP: an answer from another address than the request was sent to.
    SourceAddress,
}

impl Violation {
    /// All violations, in the order of their values.
    pub(crate) const ALL: [Self; 17] = [
        Self::SelfInPeers,
        Self::Stranger,
        Self::Departed,
        Self::Duplicate,
        Self::SeedForSeed,
        Self::TooManyPeers,
        Self::TooFewPeers,
        Self::Counts,
        Self::Interval,
        Self::NotBencode,
        Self::NotCanonical,
        Self::Keys,
        Self::HttpFraming,
        Self::TransactionId,
        Self::Action,
        Self::Length,
        Self::SourceAddress,
    ];

    /// The description in the summary.
    pub(crate) fn meaning(self) -> &'static str {
        match self {
            Self::SelfInPeers => "the asking peer was among the peers",
            Self::Stranger => "a peer that is not in the torrent",
            Self::Departed => "a peer that had stopped before",
            Self::Duplicate => "a peer twice",
            Self::SeedForSeed => "a seeder for a seeder",
            Self::TooManyPeers => "more peers than asked for",
            Self::TooFewPeers => "fewer peers than there were",
            Self::Counts => "impossible counts of seeders or leechers",
            Self::Interval => "an interval that is not positive",
            Self::NotBencode => "not a bencoded dict",
            Self::NotCanonical => "bencode that is not canonical",
            Self::Keys => "a key missing or of the wrong type",
            Self::HttpFraming => "wrong HTTP framing",
            Self::TransactionId => "an unknown transaction id",
            Self::Action => "an unexpected action",
            Self::Length => "an impossible length",
            Self::SourceAddress => "an answer from another address",
        }
    }
}

/// The set of violations in one answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Violations(u32);

impl Violations {
    pub(crate) fn add(&mut self, violation: Violation) {
        self.0 |= 1 << violation as u32;
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn kinds(self) -> impl Iterator<Item = Violation> {
        Violation::ALL.into_iter().filter(move |&violation| self.0 & 1 << violation as u32 != 0)
    }
}
