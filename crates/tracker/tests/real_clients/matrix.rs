//! Each client seeds for each client. `.ci/nightly` runs this, since it takes minutes.

use super::{Aria2, Content, MB, PROGRAMS, QBittorrent, RTorrent, Report, Start, Torrent, Tracker};
use super::{Transmission, WebTorrent, download, leave, seed};
use crate::support::network::Lan;

const CLIENTS: [(&str, Start); 5] = [
    ("qbittorrent", |host| Box::new(QBittorrent::start(host))),
    ("transmission", |host| Box::new(Transmission::start(host))),
    ("aria2", |host| Box::new(Aria2::start(host))),
    ("rtorrent", |host| Box::new(RTorrent::start(host))),
    ("webtorrent", |host| Box::new(WebTorrent::start(host))),
];

/// Pairs of seeder and leecher that fail with every tracker, although each has the other's address.
const CLIENT_BUGS: [(&str, &str); 4] = [
    // Transmission 3.00 tries uTP, which these do not have, falls back to TCP, and closes that connection at once:
    // <https://github.com/transmission/transmission/issues/4033>.
    ("aria2", "transmission"),
    ("rtorrent", "transmission"),
    ("webtorrent", "transmission"),
    // aria2 stalls at a few percent if the network is fast.
    ("rtorrent", "aria2"),
];

#[test]
#[ignore = "takes minutes; needs root, network namespaces, .ci/install-clients and .ci/install-webtorrent"]
fn each_client_shares_a_file_with_each_client() {
    for (seeder_name, start_seeder) in CLIENTS {
        let lan = Lan::new("matrix", &PROGRAMS);
        let tracker = Tracker::start(&lan.host("tracker"));
        let content = Content::write(&lan.make_folder("content"), 8 * MB);
        let torrent = Torrent::make(&content, "lan", &tracker.announce_url());

        let mut seeder = start_seeder(&lan.host("seeder"));
        content.copy_to(seeder.folder());
        seed(&mut *seeder, &torrent);
        tracker.wait_for_scrape("the seeder to be known", torrent.info_hash(), |counts| counts.complete == 1);

        let mut report = Report::new(&format!("{} seeds 8 MB, one leecher at a time", seeder.name()), torrent.length());
        for (name, start) in CLIENTS {
            if CLIENT_BUGS.contains(&(seeder_name, name)) {
                continue;
            }
            let host = lan.host(name);
            let mut leecher = start(&host);
            let transfer = download(&mut *leecher, &torrent);
            leave(&mut *leecher, &tracker, &torrent);
            report.add(leecher.name(), transfer, tracker.announce_latency(&host));
        }
        report.print().expect("the report can be printed");
    }
}
