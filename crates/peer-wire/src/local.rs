//! This side of a connection.

use bytes::Bytes;

use crate::MAX_METADATA_BYTES;

/// How this side presents itself to peers.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Local {
    /// Its name for itself in the handshake. A peer with the same one is this side itself.
    pub peer_id: [u8; 20],
    /// The name and version of the program (`v`).
    pub client: String,
    /// The TCP port on which it listens, if peers are to tell others of it by peer exchange (`p`). Default: none. Without it
    /// libtorrent and aria2 tell nobody.
    pub port: Option<u16>,
}

impl Local {
    /// A side that does not say which port it listens on.
    pub fn new(peer_id: [u8; 20], client: impl Into<String>) -> Self {
        Self { peer_id, client: client.into(), port: None }
    }

    /// Returns this with a port to tell peers.
    #[must_use]
    pub fn with_port(self, port: u16) -> Self {
        Self { port: Some(port), ..self }
    }
}

/// What this side knows of the torrent of a connection.
///
/// ```
/// use peer_wire::Torrent;
///
/// let torrent = Torrent::default().with_piece_count(306).with_privacy(true);
/// assert_eq!((torrent.piece_count, torrent.is_private, torrent.info), (Some(306), true, None));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct Torrent {
    /// The number of pieces. Default: not known.
    pub piece_count: Option<u32>,
    /// `true` if peers are not to be told of others ([BEP 27](https://www.bittorrent.org/beps/bep_0027.html)). Default: `false`;
    /// clients that know their torrent to be private do not offer peer exchange.
    pub is_private: bool,
    /// The bencoded info dictionary, to be given to peers that know the torrent by its info-hash only
    /// ([BEP 9](https://www.bittorrent.org/beps/bep_0009.html)). Default: not known, and then requests are refused.
    pub info: Option<Bytes>,
}

impl Torrent {
    /// Returns this with a number of pieces.
    #[must_use]
    pub fn with_piece_count(self, piece_count: u32) -> Self {
        Self { piece_count: Some(piece_count), ..self }
    }

    /// Returns this as private or not.
    #[must_use]
    pub fn with_privacy(self, is_private: bool) -> Self {
        Self { is_private, ..self }
    }

    /// Returns this with an info dictionary. One of more than [`MAX_METADATA_BYTES`] is not given to peers.
    #[must_use]
    pub fn with_info(self, info: Bytes) -> Self {
        Self { info: Some(info), ..self }
    }

    /// The info dictionary, if it is one that is given to peers.
    pub(crate) fn offered_info(&self) -> Option<&Bytes> {
        self.info.as_ref().filter(|info| (1..=MAX_METADATA_BYTES as usize).contains(&info.len()))
    }
}
