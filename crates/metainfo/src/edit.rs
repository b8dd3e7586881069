//! Editing the keys around `info`.

use crate::Metainfo;
use crate::keys::{Keys, encoded};

/// An edited copy of a torrent with the same `info` dictionary and other top-level keys.
///
/// Made by [`Metainfo::edit`]. The info-hash stays what it is: `info` is carried over byte for byte, as is the value of
/// every key that is not changed, known or not. Keys come out sorted; of a key that stands twice the first is kept.
///
/// ```
/// use metainfo::Metainfo;
///
/// let torrent = b"d8:announce19:http://old/announce4:infod6:lengthi5e\
///     4:name9:notes.txt12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaaee";
/// let old = Metainfo::parse(torrent)?;
/// let new = old.edit()
///     .trackers(&[vec!["http://192.168.1.10:6969/announce".to_owned()]])
///     .comment(Some("for room 12"))
///     .finish();
///
/// let new = Metainfo::parse(&new)?;
/// assert_eq!(new.info_hashes(), old.info_hashes());
/// assert_eq!(new.trackers(), [["http://192.168.1.10:6969/announce"]]);
/// # Ok::<_, metainfo::ParseError>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "an edit does nothing until it is finished"]
pub struct Edit<'m> {
    metainfo: &'m Metainfo,
    changes: Keys,
}

impl Metainfo {
    /// Begins an edit of everything but `info`.
    pub fn edit(&self) -> Edit<'_> {
        Edit { metainfo: self, changes: Keys::default() }
    }
}

impl Edit<'_> {
    /// Replaces the trackers by these tiers of announce URLs.
    ///
    /// A single URL is written as `announce` alone, several as `announce-list` with the first of them as `announce`
    /// too, none not at all. URLs are trimmed; empty ones, repeated ones and empty tiers are left out.
    ///
    /// See [BEP 12](https://www.bittorrent.org/beps/bep_0012.html).
    pub fn trackers(mut self, tiers: &[Vec<String>]) -> Self {
        self.changes.trackers(tiers);
        self
    }

    /// Replaces the comment, or removes it.
    pub fn comment(mut self, comment: Option<&str>) -> Self {
        self.changes.comment(comment);
        self
    }

    /// Replaces the name of the program that made the file, or removes it.
    pub fn created_by(mut self, program: Option<&str>) -> Self {
        self.changes.created_by(program);
        self
    }

    /// Replaces the time at which the file was made, in seconds since 1970, or removes it.
    pub fn creation_date(mut self, seconds: Option<u64>) -> Self {
        self.changes.creation_date(seconds);
        self
    }

    /// Replaces the web seeds of `url-list`, or removes them when there are none.
    ///
    /// URLs are trimmed; empty and repeated ones are left out. For a multi-file torrent each names a folder, so a final `/` is
    /// added where it is missing.
    ///
    /// See [BEP 19](https://www.bittorrent.org/beps/bep_0019.html).
    pub fn web_seeds(mut self, urls: &[String]) -> Self {
        self.changes.web_seeds(urls, !self.metainfo.info().is_single_file());
        self
    }

    /// Replaces the hosts and ports by which to enter the DHT, or removes them when there are none.
    ///
    /// See [BEP 5](https://www.bittorrent.org/beps/bep_0005.html).
    pub fn nodes(mut self, nodes: &[(String, u16)]) -> Self {
        self.changes.nodes(nodes);
        self
    }

    /// Writes the new .torrent file.
    ///
    /// If nothing is changed and the keys were sorted, it equals the old file.
    pub fn finish(self) -> Vec<u8> {
        let Self { metainfo, changes } = self;
        let kept = (metainfo.entries.iter())
            .filter(|entry| !changes.has(&entry.key))
            .map(|entry| (entry.key.as_slice(), &metainfo.bytes[entry.value.clone()]));
        encoded(|value| value.dict(|root| kept.chain(changes.iter()).for_each(|(key, value)| root.raw(key, value))))
    }
}
