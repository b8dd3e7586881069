//! A classroom in the middle of a lesson, as its tracker sees it: what the clients of thirty computers would announce.

use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context;
use bencode::encode;
use metainfo::Metainfo;
use tracker_core::PeerId;
use tracker_udp::Announce;

use crate::support::host::Host;
use crate::support::network::Lan;
use crate::support::udp::Udp;
use crate::support::wait::wait_for;
use crate::tracker::Tracker;

const MB: u64 = 1_000_000;
const PIECE_LENGTH: u64 = 4 << 20;

/// The address of the first computer; the others have the following ones.
const FIRST_COMPUTER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 101);
const COMPUTERS: u8 = 30;

/// The names and sizes (in megabytes) of the registered torrents.
const TORRENTS: [(&str, u64); 5] = [
    ("lab-image-2026-11.img", 1_400),
    ("Blender course, lesson 3.zip", 640),
    ("debian-13.2.0-amd64-netinst.iso", 783),
    ("Field recordings.flac", 310),
    ("Chemistry films.mkv", 2_150),
];

/// The time in which a tracker has hashed all of them.
const HASHING: Duration = Duration::from_secs(300);

/// In how many parts all announce.
const TURNS: usize = 10;

/// The last of them, whose seeders are away, so that nobody gets on.
const WITHOUT_SEEDER: usize = TORRENTS.len() - 1;

/// The clients on the computers.
const CLIENTS: [&[u8; 8]; 5] = [b"-qB5110-", b"-TR4060-", b"-qB4650-", b"-DE2210-", b"-BI3700-"];

/// Events, as an announce over UDP has them.
const COMPLETED: u32 = 1;
const STARTED: u32 = 2;

/// The computers, and what they announce.
#[derive(Debug)]
pub(crate) struct Classroom {
    host: Host,
    peers: Vec<Peer>,
    info_hashes: Vec<String>,
    /// Whose turn it is.
    turn: usize,
}

/// A client with a torrent.
#[derive(Debug)]
struct Peer {
    address: Ipv4Addr,
    port: u16,
    id: PeerId,
    info_hash: String,
    left: u64,
    /// Bytes per second.
    rate: u64,
    downloaded: u64,
    uploaded: u64,
    /// The time of its last announce.
    announced: Option<Instant>,
}

impl Classroom {
    /// Furnishes a classroom, of which nothing is announced yet, and a tracker with the torrents of it. One of them is in the
    /// tracker's share folder, or looks so.
    pub(crate) fn new(lan: &Lan, torrents: &Path, share: &Path) -> Self {
        let (name, megabytes) = TORRENTS[0];
        let image = File::create(share.join(name)).expect("a file can be made");
        image.set_len(megabytes * MB).expect("a file can have a hole");
        let mut info_hashes: Vec<_> = TORRENTS
            .iter()
            .map(|&(name, megabytes)| {
                let (torrent, info_hash) = torrent(name, megabytes * MB);
                fs::write(torrents.join(format!("{info_hash}.torrent")), torrent).expect("a .torrent can be written");
                info_hash
            })
            .collect();
        // And one that nobody has registered.
        info_hashes.push(torrent("Nobody knows this name", 90 * MB).1);
        Self::with(lan, info_hashes)
    }

    /// Puts the content of its torrents into a folder.
    pub(crate) fn fill(share: &Path) {
        for (name, megabytes) in TORRENTS {
            let file = File::create(share.join(name)).expect("a file can be made");
            file.set_len(megabytes * MB).expect("a file can have a hole");
        }
    }

    /// A names file of its computers.
    pub(crate) fn names() -> String {
        (0..COMPUTERS).map(|number| format!("{},lab-{:02}\n", computer(number), number + 1)).collect()
    }

    /// A classroom that downloads what a tracker shares of the [content](Self::fill), once it has made the torrents.
    #[track_caller]
    pub(crate) fn of_shared(lan: &Lan, tracker: &Tracker) -> Self {
        let info_hashes = wait_for("the torrents to be made", HASHING, || {
            let torrents = tracker.api("/api/v1/torrents");
            let items = torrents["items"].as_array().context("there is a list")?;
            let info_hash = |name| {
                let item =
                    items.iter().find(|item| item["name"] == name).with_context(|| format!("{name} is there"))?;
                item["info_hash"].as_str().map(str::to_owned).context("a torrent has an info-hash")
            };
            TORRENTS.iter().map(|&(name, _)| info_hash(name)).collect()
        });
        Self::with(lan, info_hashes)
    }

    /// Computers that download these torrents.
    fn with(lan: &Lan, info_hashes: Vec<String>) -> Self {
        let host = lan.host("classroom");
        for number in 0..COMPUTERS {
            let address = computer(number);
            let arguments = ["-n", &host.namespace, "address", "add", &format!("{address}/24"), "dev", "eth0"];
            let status = Command::new("ip").args(arguments).status().expect("ip can be run");
            assert!(status.success(), "a host can have the address {address}");
        }
        Self { peers: peers(&info_hashes), info_hashes, host, turn: 0 }
    }

    /// The torrent that most of them have.
    pub(crate) fn main_torrent(&self) -> &str {
        &self.info_hashes[0]
    }

    /// Has all clients announce, as far as they are by now.
    #[track_caller]
    pub(crate) fn announce(&mut self, tracker: &Tracker) {
        for peer in &mut self.peers {
            peer.announce(&self.host, tracker).expect("the tracker answers over UDP");
        }
    }

    /// Has some of the first `share` of all clients announce, from 0 to 1: others each time, until all had their turn.
    #[track_caller]
    pub(crate) fn announce_some(&mut self, tracker: &Tracker, share: f64) {
        let count = (self.peers.len() as f64 * share).ceil() as usize;
        self.turn = (self.turn + 1) % TURNS;
        for peer in self.peers.iter_mut().take(count).skip(self.turn).step_by(TURNS) {
            peer.announce(&self.host, tracker).expect("the tracker answers over UDP");
        }
    }
}

/// All clients, in the order in which they come.
fn peers(info_hashes: &[String]) -> Vec<Peer> {
    let mut peers = Vec::new();
    for number in 0..COMPUTERS {
        for (torrent, info_hash) in info_hashes.iter().enumerate() {
            let length = TORRENTS.get(torrent).map_or(90, |(_, megabytes)| *megabytes) * MB;
            let computer_has_it = match torrent {
                0 => true,
                other => (usize::from(number) + other).is_multiple_of(3 + other),
            };
            if !computer_has_it {
                continue;
            }
            let seeds = torrent != WITHOUT_SEEDER && number < 2 + torrent as u8;
            // So that they are at all kinds of places.
            let part = u64::from(number) * 37 % 100;
            peers.push(Peer {
                address: computer(number),
                port: 40_000 + torrent as u16,
                id: peer_id(number, torrent),
                info_hash: info_hash.clone(),
                left: if seeds { 0 } else { length - length * part / 130 },
                rate: if torrent == WITHOUT_SEEDER { 0 } else { (part % 11 + 1) * MB / 2 },
                downloaded: 0,
                uploaded: 0,
                announced: None,
            });
        }
    }
    // Seeders come first.
    peers.sort_by_key(|peer| peer.left != 0);
    peers
}

impl Peer {
    fn announce(&mut self, host: &Host, tracker: &Tracker) -> anyhow::Result<()> {
        let now = Instant::now();
        let event = match self.announced {
            None => STARTED,
            Some(announced) => {
                let gone = (self.rate as f64 * (now - announced).as_secs_f64()) as u64;
                let completes = self.left > 0 && gone >= self.left;
                let got = gone.min(self.left);
                self.left -= got;
                self.downloaded += got;
                self.uploaded += if self.left == 0 { gone } else { gone / 3 };
                if completes { COMPLETED } else { 0 }
            }
        };
        self.announced = Some(now);

        let udp = Udp::new_at(self.address, host, tracker.address())?;
        let announce = Announce {
            info_hash: self.info_hash.parse()?,
            peer_id: self.id,
            downloaded: self.downloaded,
            left: self.left,
            uploaded: self.uploaded,
            event,
            ip: Ipv4Addr::UNSPECIFIED,
            key: 0,
            num_want: 0,
            port: self.port,
            options: b"",
        };
        udp.announce_as(udp.connect()?, announce)?;
        Ok(())
    }
}

fn computer(number: u8) -> Ipv4Addr {
    let [a, b, c, d] = FIRST_COMPUTER.octets();
    Ipv4Addr::new(a, b, c, d + number)
}

fn peer_id(computer: u8, torrent: usize) -> PeerId {
    let client = CLIENTS[usize::from(computer) % CLIENTS.len()];
    let mut id = *b"-XX0000-0123456789ab";
    id[..8].copy_from_slice(client);
    id[18..].copy_from_slice(&[computer, torrent as u8]);
    PeerId::new(id)
}

/// A .torrent file of one file, whose pieces nobody has, and its info-hash.
pub(crate) fn torrent(name: &str, length: u64) -> (Vec<u8>, String) {
    let pieces = length.div_ceil(PIECE_LENGTH) as usize;
    let torrent = encode(|torrent| {
        torrent.dict(|torrent| {
            torrent.dict("info", |info| {
                info.int("length", length);
                info.bytes("name", name);
                info.int("piece length", PIECE_LENGTH);
                info.bytes("pieces", vec![0; 20 * pieces]);
            });
        });
    });
    let torrent = torrent.expect("a torrent can be encoded");
    let info_hash = Metainfo::parse(&torrent).expect("it is a torrent").info_hashes().v1.expect("it is of version 1");
    (torrent, info_hash.to_string())
}
