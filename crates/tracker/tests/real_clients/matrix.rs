//! Each client of both generations seeds for each. `.ci/nightly` runs this, since it takes minutes.

use super::{Aria2, Content, Generation, MB, PROGRAMS, QBittorrent, RTorrent, Report, Start, Torrent, Tracker};
use super::{Transmission, WebTorrent, download, leave, seed};
use crate::support::network::Lan;

const CLIENTS: [(&str, Generation, Start); 8] = [
    ("qBittorrent 4", Generation::Debian12, |host| Box::new(QBittorrent::start(host))),
    ("qBittorrent 5", Generation::Debian13, |host| Box::new(QBittorrent::start(host))),
    ("Transmission 3", Generation::Debian12, |host| Box::new(Transmission::start(host))),
    ("Transmission 4", Generation::Debian13, |host| Box::new(Transmission::start(host))),
    ("aria2 1.36", Generation::Debian12, |host| Box::new(Aria2::start(host))),
    ("aria2 1.37", Generation::Debian13, |host| Box::new(Aria2::start(host))),
    ("rTorrent", Generation::Debian12, |host| Box::new(RTorrent::start(host))),
    ("WebTorrent", Generation::Debian12, |host| Box::new(WebTorrent::start(host))),
];

/// Pairs of seeder and leecher that fail with every tracker, although each has the other's address.
const CLIENT_BUGS: [(&str, &str); 2] = [
    // aria2 stalls at a few percent if the network is fast.
    ("rTorrent", "aria2 1.36"),
    ("rTorrent", "aria2 1.37"),
];

#[test]
#[ignore = "takes minutes; needs root, network namespaces, .ci/install-clients and .ci/install-webtorrent"]
fn each_client_shares_a_file_with_each_client() {
    for (seeder_name, generation, start_seeder) in CLIENTS {
        let lan = Lan::new("matrix", &PROGRAMS);
        let tracker = Tracker::start(&lan.host("tracker"));
        let content = Content::write(&lan.make_folder("content"), 8 * MB);
        let torrent = Torrent::make(&content, "lan", &tracker.announce_url());

        let mut seeder = start_seeder(&lan.host("seeder").with(generation));
        content.copy_to(seeder.folder());
        seed(&mut *seeder, &torrent);
        tracker.wait_for_scrape("the seeder to be known", torrent.info_hash(), |counts| counts.complete == 1);

        let mut report = Report::new(&format!("{seeder_name} seeds 8 MB, one leecher at a time"), torrent.length());
        for (name, generation, start) in CLIENTS {
            if CLIENT_BUGS.contains(&(seeder_name, name)) {
                continue;
            }
            let host = lan.host(&name.replace(' ', "-")).with(generation);
            let mut leecher = start(&host);
            let transfer = download(&mut *leecher, &torrent);
            leave(&mut *leecher, &tracker, &torrent);
            report.add(name, transfer, tracker.announce_latency(&host));
        }
        report.print().expect("the report can be printed");
    }
}
