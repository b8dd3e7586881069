//! A torrent whose .torrent file is known.

use std::collections::BTreeMap;
use std::sync::Arc;

use metainfo::{Magnet, Metainfo, ParseError, is_invisible};
use serde::Serialize;
use tracker_core::{InfoHash, UserKey};

/// The maximum size of a displayed name or path in bytes.
const MAX_SHOWN_LEN: usize = 255;

/// The maximum size of the name of a .torrent file without its extension in bytes; an info-hash still fits beside it.
const MAX_STEM_LEN: usize = 200;

/// The torrents that are known, found by the info-hashes under which clients announce them.
#[derive(Debug, Clone, Default)]
pub struct KnownTorrents {
    by_info_hash: BTreeMap<InfoHash, Arc<KnownTorrent>>,
    /// Of each hybrid the key of its second swarm, and its info-hash.
    second_swarms: BTreeMap<InfoHash, InfoHash>,
}

/// A torrent whose .torrent file is known.
#[derive(Debug)]
pub struct KnownTorrent {
    /// Its info-hash; of a hybrid that of v1.
    pub info_hash: InfoHash,
    /// Its name, at most 255 bytes, without control characters and the like. It is untrusted text and must be escaped.
    pub name: Arc<str>,
    /// The size of its content in bytes, without padding.
    pub size: u64,
    /// The content of the .torrent file.
    pub metainfo: Metainfo,
}

/// The URLs with which a torrent is handed out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TorrentUrls {
    /// Announce URLs, the best first.
    pub announce: Vec<String>,
    /// URLs of web seeds that have the content, the best first ([BEP 19](https://www.bittorrent.org/beps/bep_0019.html)). That of
    /// a folder ends with a slash.
    pub web_seeds: Vec<String>,
}

/// A file of a torrent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct KnownFile {
    /// Its path in the torrent's folder, with `/` between names. It leads to no other folder: what could do harm is replaced.
    pub path: String,
    /// Its path as the torrent has it, where that could do harm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw_path: Option<String>,
    /// `true` if the torrent's path for it could do harm.
    #[serde(rename = "unsafe", skip_serializing_if = "std::ops::Not::not")]
    pub is_unsafe: bool,
    /// Its size in bytes.
    pub size: u64,
}

impl KnownTorrents {
    /// The torrent with a swarm of this key: its info-hash, or the v2 info-hash of a hybrid cut to 20 bytes.
    pub fn get(&self, swarm_key: &InfoHash) -> Option<&Arc<KnownTorrent>> {
        let of_second = || self.by_info_hash.get(self.second_swarms.get(swarm_key)?);
        self.by_info_hash.get(swarm_key).or_else(of_second)
    }

    /// Returns `true` if this is the key of a hybrid's second swarm.
    pub fn is_second(&self, swarm_key: &InfoHash) -> bool {
        self.second_swarms.contains_key(swarm_key)
    }

    /// The number of torrents.
    pub fn len(&self) -> usize {
        self.by_info_hash.len()
    }

    /// Returns `true` if there are none.
    pub fn is_empty(&self) -> bool {
        self.by_info_hash.is_empty()
    }

    /// Their info-hashes, ascending; of a hybrid that of v1.
    pub fn keys(&self) -> impl Iterator<Item = &InfoHash> {
        self.by_info_hash.keys()
    }

    /// The torrents in the order of their info-hashes.
    pub fn values(&self) -> impl Iterator<Item = &Arc<KnownTorrent>> {
        self.by_info_hash.values()
    }

    pub(crate) fn insert(&mut self, torrent: Arc<KnownTorrent>) {
        self.second_swarms.extend(torrent.second_swarm().map(|second| (second, torrent.info_hash)));
        self.by_info_hash.insert(torrent.info_hash, torrent);
    }

    pub(crate) fn remove(&mut self, torrent: &KnownTorrent) {
        self.by_info_hash.remove(&torrent.info_hash);
        if let Some(second) = torrent.second_swarm() {
            self.second_swarms.remove(&second);
        }
    }
}

impl FromIterator<Arc<KnownTorrent>> for KnownTorrents {
    fn from_iter<I: IntoIterator<Item = Arc<KnownTorrent>>>(torrents: I) -> Self {
        let mut known = Self::default();
        torrents.into_iter().for_each(|torrent| known.insert(torrent));
        known
    }
}

impl KnownTorrent {
    /// Bytes of a .torrent file, at most: 100 MiB, as many as the parser takes.
    pub const MAX_LEN: usize = 100 << 20;

    /// Files of a torrent that are listed, and whose SHA-256 is computed, at most.
    pub const MAX_LISTED_FILES: usize = 1000;

    pub(super) fn parse(torrent: &[u8]) -> Result<Self, ParseError> {
        let metainfo = Metainfo::parse(torrent)?;
        let info_hash = InfoHash::new(metainfo.info_hashes().swarm_keys().next().expect("the parser takes one"));
        let name = match displayable(&metainfo.info().name()) {
            name if name.is_empty() => info_hash.to_string().into(),
            name => name.into(),
        };
        let size = metainfo.info().content_length();
        Ok(Self { info_hash, name, size, metainfo })
    }

    /// Bytes of the .torrent file.
    pub(super) fn len(&self) -> u64 {
        self.metainfo.as_bytes().len() as u64
    }

    /// The keys of its swarms: its info-hash, and of a hybrid also the v2 info-hash cut to 20 bytes. Clients announce both, so
    /// that most are in both swarms.
    pub fn swarm_keys(&self) -> impl Iterator<Item = InfoHash> + use<> {
        self.metainfo.info_hashes().swarm_keys().map(InfoHash::new)
    }

    /// The key of a hybrid's second swarm: its v2 info-hash cut to 20 bytes.
    pub fn second_swarm(&self) -> Option<InfoHash> {
        self.swarm_keys().nth(1)
    }

    /// Its files in the order of the torrent, padding left out. There may be a million.
    pub fn files(&self) -> impl Iterator<Item = KnownFile> {
        self.metainfo.info().content_files().map(|file| {
            let (path, raw_path) = displayable_path(file);
            KnownFile { path, is_unsafe: raw_path.is_some(), raw_path, size: file.length }
        })
    }

    /// The number of its files, without padding.
    pub fn file_count(&self) -> usize {
        self.metainfo.info().content_files().count()
    }

    /// The .torrent file with these announce URLs in place of its own, the first of them in the first tier, and with these web
    /// seeds before its own, but for those that have the key of a user in them.
    ///
    /// Each announce URL has a tier of its own, since clients shuffle the URLs of one: so they try them in this order.
    pub fn with_urls(&self, urls: &TorrentUrls) -> Vec<u8> {
        let edit = self.metainfo.edit().trackers(&tiers(&urls.announce));
        let own = self.metainfo.web_seeds();
        let kept: Vec<_> = own.iter().filter(|url| !has_user_key(url)).cloned().collect();
        if urls.web_seeds.is_empty() && kept.len() == own.len() {
            return edit.finish();
        }
        edit.web_seeds(&[&*urls.web_seeds, &kept].concat()).finish()
    }

    /// The magnet link with these URLs, and with nothing else of the torrent but its name and length.
    pub fn magnet(&self, urls: &TorrentUrls) -> String {
        Magnet {
            name: Some(self.name.as_ref().to_owned()),
            trackers: urls.announce.clone(),
            web_seeds: urls.web_seeds.clone(),
            ..Magnet::from(&self.metainfo)
        }
        .to_string()
    }

    /// The file name of the .torrent file: a plain name of at most 208 bytes that every system can have, that hides no file, and
    /// that no program takes for an option.
    pub fn file_name(&self) -> String {
        format!("{}.torrent", self.file_stem())
    }

    /// A file name that no other torrent has.
    pub(super) fn unique_file_name(&self) -> String {
        format!("{}-{}.torrent", self.file_stem(), self.info_hash)
    }

    fn file_stem(&self) -> String {
        let name = self.metainfo.info().sanitized_name();
        let name = name.to_string_lossy();
        // A name may be empty, and then so is a file's that is made of it.
        let stem = if self.metainfo.info().raw_name().is_empty() { &self.name } else { name.as_ref() };
        let stem = &stem[..stem.floor_char_boundary(MAX_STEM_LEN)];
        // Those that begin with a dot are hidden, and are passed over in the folder. `rm *` takes a dash for options.
        match stem.strip_prefix(['.', '-']) {
            Some(rest) => format!("_{rest}"),
            None => stem.to_owned(),
        }
    }
}

/// A path that scripts can use, and the torrent's own if they cannot use that, both made displayable.
pub(crate) fn displayable_path(file: &metainfo::File) -> (String, Option<String>) {
    let raw = file.display_path();
    // A name that only another system cannot have is one under which the file may stand here. But a script that reads it may run
    // on Windows, where `\` leads to other folders, and control characters are not displayed.
    let is_plain = !raw.contains(|character: char| character == '\\' || character.is_control());
    let raw = displayable(&raw);
    if is_plain && file.local_path(|_| true).is_ok() {
        return (raw, None);
    }
    let sanitized = file.sanitized_path();
    let names: Vec<_> = sanitized.iter().map(|name| name.to_string_lossy()).collect();
    (displayable(&names.join("/")), Some(raw))
}

/// Announce URLs as tiers of one each.
pub(super) fn tiers(urls: &[String]) -> Vec<Vec<String>> {
    urls.iter().map(|url| vec![url.clone()]).collect()
}

/// Untrusted text made displayable: control, direction and invisible characters become U+FFFD, and long text is cut.
pub fn displayable(text: &str) -> String {
    let mut shown = String::new();
    for character in text.trim().chars() {
        let character = if character.is_control() || is_invisible(character) { '\u{fffd}' } else { character };
        if shown.len() + character.len_utf8() + '…'.len_utf8() > MAX_SHOWN_LEN {
            shown.push('…');
            break;
        }
        shown.push(character);
    }
    shown
}

/// Returns `true` for the URL of a tracker's web seed that has the key of a user in it, as in `/seed/KEY/HASH/NAME`.
fn has_user_key(url: &str) -> bool {
    let after = url.split_once("/seed/").and_then(|(_, path)| path.split('/').next());
    after.is_some_and(|key| UserKey::parse(key.as_bytes()).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::library::tests::torrent;

    #[test]
    fn the_parser_takes_what_the_library_takes() {
        assert_eq!(metainfo::ParseOptions::default().limits.input_len, KnownTorrent::MAX_LEN);
    }

    #[test]
    fn names_do_no_harm_on_a_screen() {
        for (name, expected) in [
            ("notes.txt", "notes.txt"),
            ("  Grüße 文 🦀 ", "Grüße 文 🦀"),
            ("<script>alert(1)</script>", "<script>alert(1)</script>"),
            ("a\nb\x1b[2J\x7f\u{85}\0", "a\u{fffd}b\u{fffd}[2J\u{fffd}\u{fffd}\u{fffd}"),
            ("\u{202e}gpj.exe\u{200b}\u{feff}", "\u{fffd}gpj.exe\u{fffd}\u{fffd}"),
        ] {
            assert_eq!(displayable(name), expected);
            assert_eq!(KnownTorrent::parse(&torrent(name, 5)).unwrap().name.as_ref(), expected);
        }
        let long = displayable(&"ä".repeat(1000));
        assert!(long.len() <= MAX_SHOWN_LEN && long.ends_with("ä…"), "{long}");
    }

    #[test]
    fn without_a_name_it_is_called_by_its_info_hash() {
        let folder = b"d4:infod5:filesld6:lengthi5e4:pathl1:aeee4:name0:12:piece lengthi16384e6:pieces20:\
            aaaaaaaaaaaaaaaaaaaaee";
        let known = KnownTorrent::parse(folder).unwrap();
        assert_eq!(known.name.as_ref(), known.info_hash.to_string());
        assert_eq!(known.file_name(), format!("{}.torrent", known.info_hash));
        let blank = KnownTorrent::parse(&torrent(" ", 5)).unwrap();
        assert_eq!(blank.name.as_ref(), blank.info_hash.to_string());
        assert_eq!(blank.file_name(), "_.torrent");
    }

    #[test]
    fn file_names_are_plain() {
        for (name, expected) in [
            ("notes.txt", "notes.txt.torrent"),
            ("../../etc/passwd", "_._.._etc_passwd.torrent"),
            ("/etc/passwd", "_etc_passwd.torrent"),
            ("a\\b:c", "a_b_c.torrent"),
            ("a\0b\n\u{202e}", "a_b__.torrent"),
            (".", "_.torrent"),
            ("..", "__.torrent"),
            (".hidden", "_hidden.torrent"),
            ("-rf", "_rf.torrent"),
            ("--help", "_-help.torrent"),
            ("con", "_con.torrent"),
        ] {
            assert_eq!(KnownTorrent::parse(&torrent(name, 5)).unwrap().file_name(), expected, "{name:?}");
        }
        let long = KnownTorrent::parse(&torrent(&"文".repeat(500), 5)).unwrap();
        assert!(long.unique_file_name().len() < 255, "{}", long.unique_file_name());
    }

    #[test]
    fn padding_does_not_count() {
        let padded = b"d4:infod5:filesl\
            d6:lengthi5e4:pathl4:docs5:a.txtee\
            d4:attr1:p6:lengthi16379e4:pathl4:.pad5:16379ee\
            d6:lengthi7e4:pathl6:b\x1b.txteee\
            4:name5:notes12:piece lengthi16384e6:pieces40:aaaaaaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbbbbbee";
        let known = KnownTorrent::parse(padded).unwrap();
        assert_eq!(known.size, 12);
        let file = |path: &str, raw_path: Option<&str>, size| KnownFile {
            path: path.to_owned(),
            raw_path: raw_path.map(str::to_owned),
            is_unsafe: raw_path.is_some(),
            size,
        };
        let files = [file("docs/a.txt", None, 5), file("b_.txt", Some("b\u{fffd}.txt"), 7)];
        assert_eq!(known.files().collect::<Vec<_>>(), files);
    }

    /// A script may join them to its own folder.
    #[test]
    fn paths_lead_nowhere_else() {
        for (path, expected) in
            [("2:..2:..3:bar", "__/__/bar"), ("7:/foobar", "_foobar"), ("1:.1:a", "_/a"), ("6:..\\bar", ".._bar")]
        {
            let torrent = format!(
                "d4:infod5:filesld6:lengthi5e4:pathl{path}eee4:name1:n12:piece lengthi16384e6:pieces20:{}ee",
                "a".repeat(20)
            );
            let known = KnownTorrent::parse(torrent.as_bytes()).unwrap();
            let file = known.files().next().unwrap();
            assert_eq!((&*file.path, file.is_unsafe), (expected, true));
            assert_eq!(file.raw_path, Some(known.metainfo.info().files()[0].display_path()));
        }
    }

    #[test]
    fn urls_are_put_in() {
        let known = KnownTorrent::parse(&torrent("course notes", 5)).unwrap();
        let urls = TorrentUrls {
            announce: vec!["http://192.168.1.10:6969/announce".to_owned(), "udp://192.168.1.10:6969".to_owned()],
            web_seeds: vec![
                "http://192.168.1.10:6970/seed/notes".to_owned(),
                "http://10.0.0.1:6970/seed/notes".to_owned(),
            ],
        };
        let changed = KnownTorrent::parse(&known.with_urls(&urls)).unwrap();
        assert_eq!(changed.info_hash, known.info_hash);
        assert_eq!(changed.metainfo.trackers(), tiers(&urls.announce));
        assert_eq!(changed.metainfo.web_seeds(), urls.web_seeds);

        let link = known.magnet(&urls);
        let magnet: Magnet = link.parse().unwrap();
        assert_eq!(magnet.info_hashes, known.metainfo.info_hashes());
        assert_eq!(magnet.name.as_deref(), Some("course notes"));
        assert_eq!(magnet.length, Some(5));
        assert_eq!(magnet.trackers, urls.announce);
        assert_eq!(magnet.web_seeds, urls.web_seeds);
        let bare = known.magnet(&TorrentUrls::default());
        assert!(!bare.contains("tr=") && !bare.contains("ws="), "{bare}");
    }

    #[test]
    fn web_seeds_of_others_come_last() {
        let parse = |torrent: Vec<u8>| KnownTorrent::parse(&torrent).unwrap();
        let urls = |web_seeds: &[&str]| TorrentUrls {
            web_seeds: web_seeds.iter().map(|url| (*url).to_owned()).collect(),
            ..TorrentUrls::default()
        };
        let foreign = parse(parse(torrent("a", 5)).with_urls(&urls(&["http://elsewhere/a", "http://10.0.0.1/a"])));
        let without = parse(foreign.with_urls(&urls(&[])));
        assert_eq!(without.metainfo.web_seeds(), ["http://elsewhere/a", "http://10.0.0.1/a"]);
        let with = parse(foreign.with_urls(&urls(&["http://10.0.0.1/a"])));
        assert_eq!(with.metainfo.web_seeds(), ["http://10.0.0.1/a", "http://elsewhere/a"]);
        assert!(!foreign.magnet(&urls(&[])).contains("ws="), "a link names only what this tracker knows");
    }

    #[test]
    fn what_is_not_v1_is_refused() {
        let v2 = b"d4:infod9:file treed1:ad0:d6:lengthi5e11:pieces root32:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaeee\
            12:meta versioni2e4:name1:a12:piece lengthi16384eee";
        assert_eq!(KnownTorrent::parse(v2).unwrap_err(), ParseError::V2Only);
    }
}
