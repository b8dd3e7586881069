//! The list of torrents.

use super::*;

#[test]
fn a_torrent_is_known_by_its_file() {
    let mut network = Network::listening();
    let film = network.know("Film", 1000);
    assert_eq!((network.torrent(&film).name.as_deref(), network.torrent(&film).size), (Some("Film"), Some(1000)));
    assert_eq!((network.torrent(&film).completion, network.torrent(&film).last_seen), (None, None));
    for (ip, left) in [(ONE, Some(0)), (TWO, Some(500)), ([10, 0, 0, 3], None), ([10, 0, 0, 4], Some(i64::MAX as u64))]
    {
        network.announce(&request(ip, 0, 0).with_info_hash(film).with_left(left));
    }
    network.pass(1);
    assert_eq!(network.torrent(&film).completion, Some(0.5), "of three that say what they have");
    let peers = network.peers(&film, &PageQuery { sort: PeerSort::Completion, ..PageQuery::default() });
    let completion: Vec<_> = peers.items.iter().map(|row| row.completion.map(|completion| completion.value)).collect();
    assert_eq!(completion, [Some(0.0), Some(0.5), Some(1.0), None]);
}

#[test]
fn torrents_are_found_and_sorted() {
    let mut network = Network::listening();
    let names = ["beta", "Alpha", "ÄTHER", "gamma 0xAB"];
    for (position, name) in names.iter().enumerate() {
        let info_hash = network.know(name, 1000 * (4 - position));
        for peer in 0..position as u8 {
            network.announce(&request([10, 0, 0, peer], 0, 0).with_info_hash(info_hash));
        }
    }
    let [a, b] = [0x11, 0x1f].map(|byte| InfoHash::new([byte; 20]));
    network.announce(&request(ONE, 0, 10).with_info_hash(b));
    network.announce(&request(ONE, 0, 10).with_info_hash(a));
    network.pass(1);
    let list = |search: &str, sort, order| -> Vec<String> {
        let query = PageQuery { search: search.to_owned(), sort, order, ..PageQuery::default() };
        let page = network.torrents(&query);
        assert_eq!(page.total, page.items.len());
        page.items
            .iter()
            .map(|row| row.name.as_deref().map_or_else(|| row.info_hash.to_string()[..4].to_owned(), str::to_owned))
            .collect()
    };
    use {Order::*, TorrentSort::*};
    assert_eq!(list("", Name, Ascending), ["Alpha", "beta", "gamma 0xAB", "ÄTHER", "1111", "1f1f"]);
    assert_eq!(list("", Name, Descending), ["ÄTHER", "gamma 0xAB", "beta", "Alpha", "1111", "1f1f"]);
    assert_eq!(list("", Size, Descending), ["beta", "Alpha", "ÄTHER", "gamma 0xAB", "1111", "1f1f"]);
    assert_eq!(list("", Seeders, Descending)[..2], ["gamma 0xAB", "ÄTHER"]);
    assert_eq!(list("", Leechers, Descending)[..2], ["1111", "1f1f"]);
    assert_eq!(list(" äth ", Name, Ascending), ["ÄTHER"]);
    assert_eq!(list("ALPHA", Name, Ascending), ["Alpha"]);
    assert_eq!(list("1F", Name, Ascending), ["1f1f"]);
    assert_eq!(list("1", Name, Ascending)[..], ["1111", "1f1f"]);
    assert_eq!(list(&b.to_string(), Name, Ascending), ["1f1f"]);
    assert_eq!(list(&format!("{b}0"), Name, Ascending), [""; 0]);
    assert!(list("ab", Name, Ascending).contains(&"gamma 0xAB".to_owned()));
    let page = network.torrents(&PageQuery { page: 2, page_size: 4, ..PageQuery::default() });
    assert_eq!((page.total, page.items.len(), page.items[0].info_hash), (6, 2, a));
}
