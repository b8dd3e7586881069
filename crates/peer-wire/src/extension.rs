//! What the extensions have in common.

use bencode::Limits;

/// Decodes the dicts of extended messages. The longest have about 30 values and 2 levels.
pub(crate) const DECODER: bencode::Decoder =
    bencode::Decoder::lenient().with_limits(Limits { depth: 10, tokens: 1000, input_len: crate::MAX_EXTENDED_BYTES });

/// The ids of extensions, as one side wants to receive their messages.
///
/// In an extended handshake an extension without an id is one that it does not speak of, and the id 0 switches one off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct ExtensionIds {
    /// Peer exchange, `ut_pex` ([BEP 11](https://www.bittorrent.org/beps/bep_0011.html)).
    pub pex: Option<u8>,
    /// Exchange of the info dictionary, `ut_metadata` ([BEP 9](https://www.bittorrent.org/beps/bep_0009.html)).
    pub metadata: Option<u8>,
    /// Messages that take a HAVE back, `lt_donthave` ([BEP 54](https://www.bittorrent.org/beps/bep_0054.html)).
    pub dont_have: Option<u8>,
}

impl ExtensionIds {
    /// Makes the changes of a later extended handshake: what it does not speak of stays as it is.
    pub fn update(&mut self, changes: &Self) {
        self.pex = changes.pex.or(self.pex);
        self.metadata = changes.metadata.or(self.metadata);
        self.dont_have = changes.dont_have.or(self.dont_have);
    }
}
