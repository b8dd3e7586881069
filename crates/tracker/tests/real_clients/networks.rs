//! Clients on the tracker's machine, which is in several networks.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::thread;

use super::{Aria2, Content, Generation, LEECHERS, MB, PROGRAMS, QBittorrent, Report, Start, Torrent, Tracker};
use super::{Client, Transmission, download, leave, seed};
use crate::support::host::Host;
use crate::support::network::Lan;

/// The port of the tracker.
const PORT: u16 = 6969;

/// qBittorrent binds its sockets to the interfaces, so that it takes no connection for its address in one network that comes from
/// another; and other clients have no route there.
pub(super) fn a_client_on_the_machine_of_the_tracker_is_reachable_in_each_of_its_networks(generation: Generation) {
    let lan = Lan::new("two-networks", &PROGRAMS);
    lan.add_network(1);
    let machine = lan.host("tracker").with(generation);
    let second = lan.connect(&machine, 1, "eth1");
    let tracker = Tracker::start(&machine);
    let content = Content::write(&lan.make_folder("content"), 8 * MB);
    let first_torrent = Torrent::make(&content, "first", &tracker.announce_url());
    let second_torrent = Torrent::make(&content, "second", &format!("http://{second}:{PORT}/announce"));

    // It announces by the address in the second network, which is not the one that the tracker takes for its best.
    let mut seeder = QBittorrent::start(&machine);
    content.copy_to(seeder.folder());
    seed(&mut seeder, &second_torrent);
    tracker.wait_for_scrape("the seeder to be known", first_torrent.info_hash(), |counts| counts.complete >= 1);

    const CLIENTS: [(&str, Start); 4] =
        [LEECHERS[0], LEECHERS[1], LEECHERS[2], ("qbittorrent", |host| Box::new(QBittorrent::start(host)))];
    let title = "qBittorrent on the tracker's machine seeds 8 MB to two networks (*: not the one of its announce URL)";
    let mut report = Report::new(title, first_torrent.length());
    for (network, torrent, mark) in [(0, &first_torrent, "*"), (1, &second_torrent, "")] {
        for (name, start) in CLIENTS {
            let host = lan.host_in(network, &format!("{name}-{network}")).with(generation);
            let mut leecher = start(&host);
            let transfer = download(&mut *leecher, torrent);
            leave(&mut *leecher, &tracker, torrent);
            let to = SocketAddrV4::new(if network == 0 { machine.address } else { second }, PORT);
            report.add(&format!("{}{mark}", leecher.name()), transfer, tracker.latency_at(to, &host));
        }
    }
    report.print().expect("the report can be printed");
}

/// As Docker makes them: a bridge that other machines have no route to, and a port that the host passes on.
pub(super) fn a_client_in_a_container_on_the_machine_of_the_tracker_is_reachable(generation: Generation) {
    let lan = Lan::new("container", &PROGRAMS);
    let machine = lan.host("tracker").with(generation);
    let container = container_on(&lan, &machine);
    let tracker = Tracker::start(&machine);
    let content = Content::write(&lan.make_folder("content"), 8 * MB);
    let torrent = Torrent::make(&content, "lan", &tracker.announce_url());
    let inner_torrent = Torrent::make(&content, "container", &format!("http://172.17.0.1:{PORT}/announce"));
    publish(&machine, QBittorrent::PORT, container.address);

    let mut seeder = QBittorrent::start(&container.with(generation));
    content.copy_to(seeder.folder());
    seed(&mut seeder, &inner_torrent);
    tracker.wait_for_scrape("the seeder to be known", torrent.info_hash(), |counts| counts.complete == 1);
    let published = SocketAddrV4::new(machine.address, QBittorrent::PORT);
    assert_eq!(tracker.peers_told_to(&lan.host("newcomer"), torrent.info_hash()), [published]);

    let mut report = Report::new("qBittorrent in a container on the tracker's machine seeds 8 MB", torrent.length());
    let clients: [(&str, Start); 2] =
        [("transmission", |host| Box::new(Transmission::start(host))), ("aria2", |host| Box::new(Aria2::start(host)))];
    for (name, start) in clients {
        let host = lan.host(name).with(generation);
        let mut leecher = start(&host);
        let transfer = download(&mut *leecher, &torrent);
        leave(&mut *leecher, &tracker, &torrent);
        report.add(leecher.name(), transfer, tracker.announce_latency(&host));
    }
    report.print().expect("the report can be printed");

    let log = fs::read_to_string(machine.folder.join("tracker.log")).expect("the tracker writes a log");
    let warnings: Vec<_> = log.lines().filter(|line| line.contains("WARN") && line.contains("172.17.0.2")).collect();
    assert_eq!(warnings.len(), 1, "the operator is warned once of the container: {warnings:?}");
}

/// A namespace that the machine reaches over a bridge of its own.
fn container_on(lan: &Lan, machine: &Host) -> Host {
    let mut container = lan.unconnected_host("guest");
    container.address = Ipv4Addr::new(172, 17, 0, 2);
    machine.ip(&["link", "add", "docker0", "type", "bridge"]);
    machine.ip(&["address", "add", "172.17.0.1/16", "dev", "docker0"]);
    let guest = &container.namespace;
    machine.ip(&["link", "add", "veth0", "type", "veth", "peer", "name", "eth0", "netns", guest]);
    machine.ip(&["link", "set", "veth0", "master", "docker0", "up"]);
    machine.ip(&["link", "set", "docker0", "up"]);
    container.ip(&["address", "add", "172.17.0.2/16", "dev", "eth0"]);
    container.ip(&["link", "set", "eth0", "up"]);
    container
}

/// Passes connections on to a container, as Docker's proxy does, until the test ends.
fn publish(machine: &Host, port: u16, container: Ipv4Addr) {
    let address = SocketAddr::from((machine.address, port));
    let listener = machine.on(|| TcpListener::bind(address)).expect("the port is free");
    let host = machine.clone();
    thread::spawn(move || {
        for outside in listener.incoming() {
            let inside = host.connect(SocketAddrV4::new(container, port)).expect("the container can be reached");
            inside.set_read_timeout(None).expect("a timeout can be taken back");
            let outside = outside.expect("a connection can be accepted");
            for (from, to) in [(&outside, &inside), (&inside, &outside)] {
                let [from, to] = [from, to].map(|stream| stream.try_clone().expect("a socket can be shared"));
                thread::spawn(move || pass_on(from, to));
            }
        }
    });
}

fn pass_on(mut from: TcpStream, mut to: TcpStream) {
    // An error is an end, too.
    _ = io::copy(&mut from, &mut to);
    _ = to.shutdown(std::net::Shutdown::Write);
}
