//! Torrents of which only the info-hash was known, until a peer gave the info dictionary.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use metainfo::Metainfo;
use torrent_library::displayable;
use tracker_core::InfoHash;
use tracker_monitor::SeenTorrent;
use tracker_peer::TorrentFacts;

/// Torrents that are remembered. When there are more, the oldest is forgotten.
const MAX_TORRENTS: usize = 1000;

/// The sum of their info dictionaries, in bytes. Most have less than 100 KB; the largest that a peer can give has 8 MiB.
const MAX_INFO_BYTES: usize = 64 * 1024 * 1024;

/// What peers have told of torrents.
#[derive(Debug, Default)]
pub(crate) struct LearntTorrents {
    by_info_hash: BTreeMap<InfoHash, LearntTorrent>,
    /// The oldest first.
    order: VecDeque<InfoHash>,
    info_bytes: usize,
}

/// What a peer has told of a torrent.
#[derive(Debug, Clone)]
pub(crate) struct LearntTorrent {
    pub(crate) facts: TorrentFacts,
    /// Bytes in a piece.
    pub(crate) piece_length: u32,
    pub(crate) torrent: SeenTorrent,
    /// The info dictionary, which others are given.
    pub(crate) info: Bytes,
}

impl LearntTorrent {
    /// Reads an info dictionary.
    pub(crate) fn read(info: Bytes) -> Result<Self, metainfo::ParseError> {
        let metainfo = Metainfo::parse(&[b"d4:info", &info[..], b"e"].concat())?;
        let torrent = SeenTorrent {
            name: displayable(&metainfo.info().name()).into(),
            size: metainfo.info().content_length(),
            files: metainfo.info().content_files().count(),
        };
        Ok(Self { facts: facts(&metainfo), piece_length: metainfo.info().piece_length(), torrent, info })
    }
}

impl LearntTorrents {
    pub(crate) fn get(&self, info_hash: &InfoHash) -> Option<&LearntTorrent> {
        self.by_info_hash.get(info_hash)
    }

    /// Remembers a torrent, and forgets the oldest ones if need be. One that is known stays as it is: its info dictionary is the same.
    pub(crate) fn insert(&mut self, info_hash: InfoHash, torrent: LearntTorrent) {
        if self.by_info_hash.contains_key(&info_hash) {
            return;
        }
        self.info_bytes += torrent.info.len();
        self.by_info_hash.insert(info_hash, torrent);
        self.order.push_back(info_hash);
        while self.order.len() > MAX_TORRENTS || self.info_bytes > MAX_INFO_BYTES {
            let oldest = self.order.pop_front().and_then(|oldest| self.by_info_hash.remove(&oldest));
            self.info_bytes -= oldest.map_or(0, |oldest| oldest.info.len());
        }
    }
}

/// What connections have to know of a torrent.
pub(crate) fn facts(metainfo: &Metainfo) -> TorrentFacts {
    let info = metainfo.info();
    TorrentFacts { piece_count: u32::try_from(info.pieces().len()).unwrap_or(0), is_private: info.private() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(name: &str) -> Bytes {
        let name = format!("{}:{name}", name.len());
        format!("d6:lengthi5e4:name{name}12:piece lengthi16384e6:pieces20:{}e", "p".repeat(20)).into()
    }

    fn info_hash(number: usize) -> InfoHash {
        let mut bytes = [0; 20];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        InfoHash::new(bytes)
    }

    #[test]
    fn an_info_dictionary_is_read() {
        let learnt = LearntTorrent::read(info("a\nfile")).unwrap();
        assert_eq!(learnt.facts, TorrentFacts { piece_count: 1, is_private: false });
        assert_eq!((learnt.piece_length, learnt.info), (16384, info("a\nfile")));
        assert_eq!(learnt.torrent, SeenTorrent { name: "a\u{fffd}file".into(), size: 5, files: 1 });
        let long = LearntTorrent::read(info(&"long".repeat(1000))).unwrap();
        assert!(long.torrent.name.len() < 256);
        assert!(LearntTorrent::read(Bytes::from_static(b"de")).is_err());
    }

    #[test]
    fn the_oldest_is_forgotten() {
        let mut torrents = LearntTorrents::default();
        let small = LearntTorrent::read(info("small")).unwrap();
        for number in 0..=MAX_TORRENTS {
            torrents.insert(info_hash(number), small.clone());
            torrents.insert(info_hash(number), small.clone());
        }
        assert!(torrents.get(&info_hash(0)).is_none() && torrents.get(&info_hash(1)).is_some());
        assert_eq!(torrents.info_bytes, MAX_TORRENTS * small.info.len());

        let large = LearntTorrent { info: vec![0; MAX_INFO_BYTES / 8].into(), ..small.clone() };
        for number in 2000..2008 {
            torrents.insert(info_hash(number), large.clone());
        }
        assert_eq!((torrents.by_info_hash.len(), torrents.info_bytes), (8, MAX_INFO_BYTES));
        torrents.insert(info_hash(3000), small);
        assert!(torrents.get(&info_hash(2000)).is_none() && torrents.get(&info_hash(3000)).is_some());
    }
}
