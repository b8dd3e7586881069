use std::collections::BTreeMap;

use bencode::ValueEncoder;

use crate::Metainfo;

/// A copy of a torrent with other things written around the same `info` dictionary.
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
    /// The new encoded value of a key, or that the key goes.
    changes: BTreeMap<&'static str, Option<Vec<u8>>>,
}

impl Metainfo {
    /// Begins an edit of everything but `info`.
    pub fn edit(&self) -> Edit<'_> {
        Edit { metainfo: self, changes: BTreeMap::new() }
    }
}

impl Edit<'_> {
    /// Replaces the trackers by these tiers of announce URLs.
    ///
    /// A single URL is written as `announce` alone, several as `announce-list` with the first of them as `announce`
    /// too, none not at all. URLs are trimmed; empty URLs and tiers are left out.
    ///
    /// See [BEP 12](https://www.bittorrent.org/beps/bep_0012.html).
    pub fn trackers(mut self, tiers: &[Vec<String>]) -> Self {
        let tiers: Vec<Vec<_>> =
            tiers.iter().map(|tier| usable(tier).collect()).filter(|tier: &Vec<_>| !tier.is_empty()).collect();
        let announce = tiers.first().and_then(|tier| tier.first());
        let is_single = tiers.iter().map(Vec::len).sum::<usize>() == 1;

        self.set("announce", announce.map(|url| encoded(|value| value.bytes(url))));
        let list = announce.filter(|_| !is_single).map(|_| {
            encoded(|value| {
                value.list(|list| {
                    for tier in &tiers {
                        list.list(|urls| tier.iter().for_each(|url| urls.bytes(url)));
                    }
                });
            })
        });
        self.set("announce-list", list);
        self
    }

    /// Replaces the comment, or removes it.
    pub fn comment(mut self, comment: Option<&str>) -> Self {
        self.set_text("comment", "comment.utf-8", comment);
        self
    }

    /// Replaces the name of the program that made the file, or removes it.
    pub fn created_by(mut self, program: Option<&str>) -> Self {
        self.set_text("created by", "created by.utf-8", program);
        self
    }

    /// Replaces the time at which the file was made, in seconds since 1970, or removes it.
    pub fn creation_date(mut self, seconds: Option<u64>) -> Self {
        self.set("creation date", seconds.map(|seconds| encoded(|value| value.int(seconds))));
        self
    }

    /// Replaces the web seeds of `url-list`, or removes them when there are none.
    ///
    /// URLs are trimmed and empty ones left out. For a multi-file torrent each names a folder, so a final `/` is added
    /// where it is missing.
    ///
    /// See [BEP 19](https://www.bittorrent.org/beps/bep_0019.html).
    pub fn web_seeds(mut self, urls: &[String]) -> Self {
        let is_folder = !self.metainfo.info().is_single_file();
        let urls: Vec<_> = usable(urls)
            .map(|url| match is_folder && !url.ends_with('/') {
                true => format!("{url}/"),
                false => url.to_owned(),
            })
            .collect();
        let list =
            (!urls.is_empty()).then(|| encoded(|value| value.list(|list| urls.iter().for_each(|url| list.bytes(url)))));
        self.set("url-list", list);
        self
    }

    /// Replaces the hosts and ports by which to enter the DHT, or removes them when there are none.
    ///
    /// See [BEP 5](https://www.bittorrent.org/beps/bep_0005.html).
    pub fn nodes(mut self, nodes: &[(String, u16)]) -> Self {
        let list = (!nodes.is_empty()).then(|| {
            encoded(|value| {
                value.list(|list| {
                    for (host, port) in nodes {
                        list.list(|node| {
                            node.bytes(host);
                            node.int(*port);
                        });
                    }
                });
            })
        });
        self.set("nodes", list);
        self
    }

    /// Writes the new .torrent file.
    ///
    /// Where nothing is changed and the keys were in order, it is the old one.
    pub fn finish(self) -> Vec<u8> {
        let Self { metainfo, changes } = self;
        let kept = metainfo
            .entries
            .iter()
            .filter(|entry| !changes.keys().any(|key| key.as_bytes() == entry.key))
            .map(|entry| (entry.key.as_slice(), &metainfo.bytes[entry.value.clone()]));
        let changed =
            changes.iter().filter_map(|(key, value)| value.as_ref().map(|value| (key.as_bytes(), value.as_slice())));
        encoded(|value| value.dict(|root| kept.chain(changed).for_each(|(key, value)| root.raw(key, value))))
    }

    fn set(&mut self, key: &'static str, value: Option<Vec<u8>>) {
        self.changes.insert(key, value);
    }

    /// Sets a text that may stand under a second key too, which readers prefer.
    fn set_text(&mut self, key: &'static str, preferred: &'static str, text: Option<&str>) {
        let text = text.filter(|text| !text.is_empty());
        self.set(key, text.map(|text| encoded(|value| value.bytes(text))));
        self.set(preferred, None);
    }
}

fn usable(urls: &[String]) -> impl Iterator<Item = &str> {
    urls.iter().map(|url| url.trim()).filter(|url| !url.is_empty())
}

fn encoded(write: impl FnOnce(ValueEncoder<'_>)) -> Vec<u8> {
    bencode::encode(write).expect("one value is written, of 64-bit numbers and keys that differ")
}
