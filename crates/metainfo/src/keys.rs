//! The keys that are written around `info`.

use std::collections::{BTreeMap, HashSet};

use bencode::ValueEncoder;

/// Keys of the top-level dictionary, each with its encoded value, or `None` for a key to leave out.
///
/// Encodes the keys of new torrents and edited ones alike; they are documented at [`Create`](crate::Create) and
/// [`Edit`](crate::Edit).
#[derive(Debug, Clone, Default)]
pub(crate) struct Keys(BTreeMap<&'static str, Option<Vec<u8>>>);

impl Keys {
    pub(crate) fn trackers(&mut self, tiers: &[Vec<String>]) {
        let mut known = HashSet::new();
        let tiers = tiers.iter().map(|tier| usable(tier).filter(|&url| known.insert(url)).collect());
        let tiers: Vec<Vec<_>> = tiers.filter(|tier: &Vec<_>| !tier.is_empty()).collect();
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
    }

    pub(crate) fn web_seeds(&mut self, urls: &[String], is_folder: bool) {
        let urls = usable(urls).map(|url| match is_folder && !url.ends_with('/') {
            true => format!("{url}/"),
            false => url.to_owned(),
        });
        let mut known = HashSet::new();
        let urls: Vec<_> = urls.filter(|url| known.insert(url.clone())).collect();
        let list =
            (!urls.is_empty()).then(|| encoded(|value| value.list(|list| urls.iter().for_each(|url| list.bytes(url)))));
        self.set("url-list", list);
    }

    pub(crate) fn nodes(&mut self, nodes: &[(String, u16)]) {
        let mut known = HashSet::new();
        let list = (!nodes.is_empty()).then(|| {
            encoded(|value| {
                value.list(|list| {
                    for (host, port) in nodes.iter().filter(|node| known.insert(*node)) {
                        list.list(|node| {
                            node.bytes(host);
                            node.int(*port);
                        });
                    }
                });
            })
        });
        self.set("nodes", list);
    }

    pub(crate) fn comment(&mut self, comment: Option<&str>) {
        self.set_text("comment", "comment.utf-8", comment);
    }

    pub(crate) fn created_by(&mut self, program: Option<&str>) {
        self.set_text("created by", "created by.utf-8", program);
    }

    pub(crate) fn creation_date(&mut self, seconds: Option<u64>) {
        self.set("creation date", seconds.map(|seconds| encoded(|value| value.int(seconds))));
    }

    /// Returns `true` if the key was set, to a value or to `None`.
    pub(crate) fn has(&self, key: &[u8]) -> bool {
        self.0.keys().any(|known| known.as_bytes() == key)
    }

    /// The keys to write, with their encoded values.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0.iter().filter_map(|(key, value)| Some((key.as_bytes(), value.as_deref()?)))
    }

    fn set(&mut self, key: &'static str, value: Option<Vec<u8>>) {
        self.0.insert(key, value);
    }

    /// Sets a text, and leaves out the second key for it, which readers would prefer.
    fn set_text(&mut self, key: &'static str, preferred: &'static str, text: Option<&str>) {
        let text = text.filter(|text| !text.is_empty());
        self.set(key, text.map(|text| encoded(|value| value.bytes(text))));
        self.set(preferred, None);
    }
}

/// Encodes a value that cannot fail to encode.
pub(crate) fn encoded(write: impl FnOnce(ValueEncoder<'_>)) -> Vec<u8> {
    bencode::encode(write).expect("one value is written, of 64-bit numbers and keys that differ")
}

fn usable(urls: &[String]) -> impl Iterator<Item = &str> {
    urls.iter().map(|url| url.trim()).filter(|url| !url.is_empty())
}
