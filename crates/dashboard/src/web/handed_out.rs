//! The URLs in torrents and magnet links that viewers get.

use std::net::SocketAddr;

use http_server::BasePath;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use torrent_library::{ContentKey, KnownTorrent, TorrentUrls};
use tracker_core::UserKey;
use tracker_monitor::SeedingState;

use super::Dashboard;
use super::reached_at::ReachedAt;

/// All that is not unreserved in [RFC 3986](https://www.rfc-editor.org/rfc/rfc3986#section-2.3): clients and servers disagree
/// about what else may stand as it is.
pub(super) const NAME: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl Dashboard {
    /// The URLs to put into a torrent that a viewer gets: first those with the address by which the viewer came. There are web
    /// seeds if this machine has the content, and its own peer does not give it to the viewer.
    pub(super) fn urls_for(&self, viewer: ReachedAt, torrent: &KnownTorrent) -> TorrentUrls {
        TorrentUrls { announce: self.announce_urls_for(viewer), web_seeds: self.web_seeds_for(viewer, torrent) }
    }

    fn web_seeds_for(&self, viewer: ReachedAt, torrent: &KnownTorrent) -> Vec<String> {
        if self.config().contents.get(ContentKey::Swarm(torrent.info_hash)).is_none() {
            return Vec::new();
        }
        if self.is_given_by_own_peer(viewer, torrent) {
            // Clients would fetch from both, and the first copy of everything would take longer for all.
            return Vec::new();
        }
        let addresses = self.0.page_addresses.for_viewer(viewer);
        addresses.into_iter().map(|address| web_seed(address, self.base_path(), viewer.user_key, torrent)).collect()
    }

    /// Returns `true` if the tracker's own peer gives a torrent to clients where the viewer is: on a private network, since it has
    /// connections to nobody outside the LAN, and where it listens, so that those behind a firewall get something, too.
    fn is_given_by_own_peer(&self, viewer: ReachedAt, torrent: &KnownTorrent) -> bool {
        let listens = matches!(self.config().own_peer, Some(Ok(_)));
        let computers = self.config().observer.computers();
        let state = |swarm| computers.seeding_state(&swarm);
        listens && viewer.is_private() && torrent.swarm_keys().any(|swarm| state(swarm) == Some(SeedingState::Seeding))
    }
}

/// The URL of the web seed of a torrent at this address: of a single file its own, of a folder the one to which clients append
/// the folder's name and the file's path. It has no query: libtorrent refuses one in URLs of local addresses, so that the key of a
/// user is in its path.
///
/// It has the base path: the address may be one of a reverse proxy, and this machine answers under the base path itself.
///
/// See [BEP 19](https://www.bittorrent.org/beps/bep_0019.html).
fn web_seed(address: SocketAddr, base_path: &BasePath, key: Option<UserKey>, torrent: &KnownTorrent) -> String {
    let (hash, info) = (torrent.info_hash, torrent.metainfo.info());
    let name = if info.is_single_file() { info.raw_name() } else { b"" };
    let key = key.map(|key| format!("{key}/")).unwrap_or_default();
    format!("http://{address}{base_path}/seed/{key}{hash}/{}", percent_encode(name, NAME))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::atomic::AtomicBool;

    use metainfo::Create;
    use torrent_library::{Library, LibraryConfig};

    use super::*;

    #[test]
    fn a_file_has_its_own_url_and_a_folder_ends_with_a_slash() {
        let folder = tempfile::tempdir().unwrap();
        let library = Library::open(LibraryConfig::default()).unwrap();
        let none = BasePath::default();
        let name = "Übung 1 – a+b & c#d %41 (x)!~.bin";
        fs::create_dir(folder.path().join("Vorlesung #2")).unwrap();
        fs::write(folder.path().join("Vorlesung #2/1.txt"), "1").unwrap();
        fs::write(folder.path().join(name), "2").unwrap();
        for (path, address, expected) in [
            (
                name,
                "192.168.1.5:6970",
                "http://192.168.1.5:6970/seed/HASH/%C3%9Cbung%201%20%E2%80%93%20a%2Bb%20%26%20c%23d%20%2541%20%28x%29%21~.bin",
            ),
            ("Vorlesung #2", "[fd77::1]:80", "http://[fd77::1]:80/seed/HASH/"),
        ] {
            let plan = Create::new(folder.path().join(path)).plan().unwrap();
            let created = plan.hash(&AtomicBool::new(false), |_| {}).unwrap();
            let torrent = library.register(created.as_bytes()).unwrap();
            let expected = expected.replace("HASH", &torrent.info_hash.to_string());
            assert_eq!(web_seed(address.parse().unwrap(), &none, None, &torrent), expected);
            let under = web_seed(address.parse().unwrap(), &"/tracker".parse().unwrap(), None, &torrent);
            assert_eq!(under, expected.replace("/seed/", "/tracker/seed/"));
            let key = UserKey::new([0xab; 16]);
            let of_user = web_seed(address.parse().unwrap(), &none, Some(key), &torrent);
            assert_eq!(of_user, expected.replace("/seed/", &format!("/seed/{}/", "ab".repeat(16))));
        }
    }
}
