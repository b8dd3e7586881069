//! [`Metainfo`]: a .torrent file that has been read.

use std::ops::Range;

use thiserror::Error;

use crate::{Info, InfoHashes};

/// A .torrent file that has been read.
///
/// Owns the bytes it came from, so that an edit can carry over what it does not touch.
///
/// See [BEP 3](https://www.bittorrent.org/beps/bep_0003.html).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metainfo {
    pub(crate) bytes: Vec<u8>,
    pub(crate) entries: Vec<Entry>,
    pub(crate) info_hashes: InfoHashes,
    pub(crate) info: Info,
    pub(crate) trackers: Vec<Vec<String>>,
    pub(crate) web_seeds: Vec<String>,
    pub(crate) http_seeds: Vec<String>,
    pub(crate) nodes: Vec<(String, u16)>,
    pub(crate) comment: Option<String>,
    pub(crate) created_by: Option<String>,
    pub(crate) creation_date: Option<u64>,
    pub(crate) encoding: Option<String>,
    pub(crate) publisher: Option<String>,
    pub(crate) publisher_url: Option<String>,
    pub(crate) similar: Vec<[u8; 20]>,
    pub(crate) collections: Vec<String>,
    pub(crate) deviations: Vec<bencode::Deviation>,
    pub(crate) warnings: Vec<Warning>,
}

/// A key of the top-level dictionary, and the range of its value in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) key: Vec<u8>,
    pub(crate) value: Range<usize>,
}

impl Metainfo {
    /// The hashes that name the torrent.
    ///
    /// Taken over the `info` dictionary as it stands in the file. A hybrid has both, and with them
    /// two [swarms](InfoHashes::swarm_keys).
    pub fn info_hashes(&self) -> InfoHashes {
        self.info_hashes
    }

    /// Returns `true` if the torrent has a v2 side, of which only the info-hash is known.
    ///
    /// See [BEP 52](https://www.bittorrent.org/beps/bep_0052.html).
    pub fn is_hybrid(&self) -> bool {
        self.info_hashes.v1.is_some() && self.info_hashes.v2.is_some()
    }

    /// The `info` dictionary, which describes the content.
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// The announce URLs in tiers, to be tried in order.
    ///
    /// `announce-list` where it holds a usable URL, else `announce`. URLs are trimmed; a URL that
    /// comes again and a tier without URLs are left out. A URL is not checked beyond being text.
    ///
    /// See [BEP 12](https://www.bittorrent.org/beps/bep_0012.html).
    pub fn trackers(&self) -> &[Vec<String>] {
        &self.trackers
    }

    /// The web seeds of `url-list`, each once.
    ///
    /// For a multi-file torrent each is a folder, also where the final `/` is missing.
    ///
    /// See [BEP 19](https://www.bittorrent.org/beps/bep_0019.html).
    pub fn web_seeds(&self) -> &[String] {
        &self.web_seeds
    }

    /// The scripted web seeds of `httpseeds`, each once.
    ///
    /// See [BEP 17](https://www.bittorrent.org/beps/bep_0017.html).
    pub fn http_seeds(&self) -> &[String] {
        &self.http_seeds
    }

    /// Hosts and ports by which to enter the DHT; entries that make no sense are left out.
    ///
    /// See [BEP 5](https://www.bittorrent.org/beps/bep_0005.html).
    pub fn nodes(&self) -> &[(String, u16)] {
        &self.nodes
    }

    /// The comment of the file's author.
    pub fn comment(&self) -> Option<&str> {
        self.comment.as_deref()
    }

    /// The program that made the file.
    pub fn created_by(&self) -> Option<&str> {
        self.created_by.as_deref()
    }

    /// The time at which the file was made, in seconds since 1970.
    pub fn creation_date(&self) -> Option<u64> {
        self.creation_date
    }

    /// The text encoding that the file names. It is not used: only UTF-8 is read as text.
    pub fn encoding(&self) -> Option<&str> {
        self.encoding.as_deref()
    }

    /// The publisher of the content.
    pub fn publisher(&self) -> Option<&str> {
        self.publisher.as_deref()
    }

    /// The URL of the publisher.
    pub fn publisher_url(&self) -> Option<&str> {
        self.publisher_url.as_deref()
    }

    /// Info-hashes of torrents that likely share files with this one.
    ///
    /// See [BEP 38](https://www.bittorrent.org/beps/bep_0038.html).
    pub fn similar(&self) -> &[[u8; 20]] {
        &self.similar
    }

    /// Names of collections whose torrents likely share files with this one.
    ///
    /// See [BEP 38](https://www.bittorrent.org/beps/bep_0038.html).
    pub fn collections(&self) -> &[String] {
        &self.collections
    }

    /// The places where the file is not canonical bencode.
    pub fn deviations(&self) -> &[bencode::Deviation] {
        &self.deviations
    }

    /// Accepted problems that may confuse other programs.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// The file as it was read.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bencoded `info` dictionary as it stands in the file, whose digests are the [info-hashes](Self::info_hashes).
    ///
    /// Peers that know a torrent by its info-hash only are given it:
    /// [BEP 9](https://www.bittorrent.org/beps/bep_0009.html).
    ///
    /// ```
    /// use metainfo::{InfoHashV1, Metainfo};
    ///
    /// let file = b"d7:comment2:hi4:infod6:lengthi5e4:name1:x12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaaee";
    /// let metainfo = Metainfo::parse(file)?;
    /// assert_eq!(metainfo.info_bytes(), &file[20..file.len() - 1]);
    /// assert_eq!(metainfo.info_hashes().v1, Some(InfoHashV1::of_info(metainfo.info_bytes())));
    /// # Ok::<(), metainfo::ParseError>(())
    /// ```
    pub fn info_bytes(&self) -> &[u8] {
        let info = self.entries.iter().find(|entry| entry.key == b"info").expect("a torrent has an info dictionary");
        &self.bytes[info.value.clone()]
    }
}

/// A problem in a .torrent file that is accepted here but may confuse other programs.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Warning {
    /// `info` has both `length` and `files`.
    #[error("info has both `length` and `files`; `files` counts, other programs may differ")]
    LengthAndFiles,
    /// `info` is not canonical bencode, so a program that writes it anew gets another info-hash.
    #[error(
        "info is not canonical bencode (see byte {offset}): rTorrent refuses such torrents, and \
         aria2 takes another info-hash; make the torrent again to cure it"
    )]
    InfoNotCanonical {
        /// The offset in the file of the first deviation.
        offset: usize,
    },
    /// The top-level dictionary has `info` twice, and the first counts.
    #[error(
        "there is a second `info` (at byte {offset}), which other programs may take instead: to them \
         this is another torrent"
    )]
    SecondInfo {
        /// The offset in the file of the second value.
        offset: usize,
    },
    /// Some bytes follow the torrent in its file.
    #[error("{len} bytes follow the end of the torrent and are ignored")]
    TrailingBytes {
        /// The number of bytes.
        len: usize,
    },
}
