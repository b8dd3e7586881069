use std::fs;
use std::io::{Read, Write};
use std::iter;
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bencode::Decoder;
use serde_json::Value;

use crate::support::client::START;
use crate::support::host::Host;
use crate::support::http::Request;
use crate::support::program::Program;
use crate::support::torrent::Torrent;
use crate::support::udp::{self, Udp};
use crate::support::wait::wait_for;

const PORT: u16 = 6969;
const DASHBOARD_PORT: u16 = 6970;

/// Longest time until an event that a client announces shows in a scrape. Clients take a few seconds on their own, and
/// libtorrent holds a forced announce back until `min interval` is over.
const ANNOUNCE: Duration = Duration::from_secs(60);

/// Longest time until a new file of the share folder is hashed.
const HASHING: Duration = Duration::from_secs(60);

/// The port of a peer that nobody should connect to: the discard service.
const NOBODY: u16 = 9;

/// The peer id with which the tests announce themselves.
const ONLY_LOOKING: &str = "-XX0000-onlylooking!";

/// The `tracker` binary of this package, running on a host.
#[derive(Debug)]
pub(crate) struct Tracker {
    host: Host,
    program: Program,
}

/// The counts of a swarm in a scrape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) complete: u64,
    pub(crate) incomplete: u64,
    pub(crate) downloaded: u64,
}

/// The duration of an announce, as seen by the client.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Latency {
    /// From the request to the answer.
    pub(crate) request: Duration,
    /// The duration with the opening of the connection (over UDP: the request for a connection id), which most clients do for
    /// each announce.
    pub(crate) with_connect: Duration,
}

impl Tracker {
    pub(crate) fn start(host: &Host) -> Self {
        Self::start_with(host, &[])
    }

    /// With more arguments, which come first.
    pub(crate) fn start_with(host: &Host, arguments: &[&str]) -> Self {
        Self::start_with_data(host, arguments, "none")
    }

    /// With more arguments, and a folder for what outlives the program.
    pub(crate) fn start_with_data(host: &Host, arguments: &[&str], data: &str) -> Self {
        let listen = format!("0.0.0.0:{PORT}");
        let arguments = [arguments, &["--listen", &listen, "--data", data, "--log-format", "json"]].concat();
        let program = host.run(env!("CARGO_BIN_EXE_tracker"), &arguments);
        let mut tracker = Self { host: host.clone(), program };
        wait_for("the tracker to start", START, || {
            tracker.program.check_alive()?;
            let response = tracker.host.request(tracker.address(), &Request::get("/health"))?;
            ensure!(response.status == 200, "/health answers {}", response.status);
            Ok(())
        });
        tracker
    }

    /// Stops the tracker as a service manager does.
    pub(crate) fn stop(mut self) {
        self.program.terminate();
        let status = wait_for("the tracker to stop", START, || self.program.exit_status());
        assert!(status.success(), "SIGTERM ends the tracker with {status}");
    }

    /// Kills the tracker, as `kill -9` and an operator's power switch do.
    pub(crate) fn kill(self) {
        // So does dropping it.
        drop(self.program);
    }

    /// The id of its process.
    pub(crate) fn pid(&self) -> u32 {
        self.program.pid()
    }

    pub(crate) fn address(&self) -> SocketAddrV4 {
        SocketAddrV4::new(self.host.address, PORT)
    }

    /// The address of its pages, for everybody on the network.
    pub(crate) fn page(&self) -> SocketAddrV4 {
        SocketAddrV4::new(self.host.address, DASHBOARD_PORT)
    }

    /// The announce URL for everybody on the network.
    pub(crate) fn announce_url(&self) -> String {
        format!("http://{}/announce", self.address())
    }

    /// The announce URL that works on the tracker's own machine only.
    pub(crate) fn loopback_url(&self) -> String {
        format!("http://127.0.0.1:{PORT}/announce")
    }

    /// The announce URL for UDP.
    pub(crate) fn udp_url(&self) -> String {
        format!("udp://{}/announce", self.address())
    }

    /// The announce URL for UDP on the tracker's own machine.
    pub(crate) fn udp_loopback_url(&self) -> String {
        format!("udp://127.0.0.1:{PORT}/announce")
    }

    pub(crate) fn scrape(&self, info_hash: &str) -> anyhow::Result<Counts> {
        let target = format!("/scrape?info_hash={}", escape(info_hash));
        let response = self.host.request(self.address(), &Request::get(&target))?;
        let document = Decoder::strict().decode(&response.body)?;
        let files = document.root().as_dict().and_then(|root| root.get(b"files")?.as_dict());
        let (_, swarm) = files.and_then(|files| files.iter().next()).context("a scrape without a swarm")?;
        let count = |key: &str| {
            let value = swarm.as_dict().and_then(|swarm| swarm.get(key.as_bytes())?.as_u64());
            value.with_context(|| format!("a scrape without {key}"))
        };
        Ok(Counts { complete: count("complete")?, incomplete: count("incomplete")?, downloaded: count("downloaded")? })
    }

    /// Waits until a scrape says what is expected.
    #[track_caller]
    pub(crate) fn wait_for_scrape(&self, why: &str, info_hash: &str, expected: impl Fn(Counts) -> bool) {
        wait_for(why, ANNOUNCE, || {
            let counts = self.scrape(info_hash)?;
            ensure!(expected(counts), "{counts:?}");
            Ok(())
        });
    }

    /// Waits until a file or folder of the share folder is hashed, and returns its info-hash.
    pub(crate) fn wait_until_hashed(&self, name: &str) -> String {
        wait_for(&format!("{name} to be hashed"), HASHING, || {
            let torrents = self.ask(&Request::get("/api/v1/torrents"))?;
            let torrents = torrents["items"].as_array().context("a list of torrents")?;
            let torrent = torrents.iter().find(|torrent| torrent["name"] == name);
            let torrent = torrent.with_context(|| format!("{torrents:?}"))?;
            torrent["info_hash"].as_str().map(str::to_owned).context("an info-hash")
        })
    }

    /// Registers a torrent on the dashboard, and returns the magnet link that its page shows.
    pub(crate) fn register(&self, torrent: &Torrent) -> String {
        let file = fs::read(torrent.path()).expect("a .torrent can be read");
        let request = Request { method: "POST", target: "/api/v1/torrents", headers: &[], body: &file };
        self.ask(&request).expect("the dashboard takes our torrent");
        let details = self.ask(&Request::get(&format!("/api/v1/torrents/{}", torrent.info_hash())));
        let details = details.expect("the dashboard knows the torrent");
        details["magnet"].as_str().expect("a torrent has a magnet link").to_owned()
    }

    /// The peer of a torrent that is on this host, as the dashboard shows it.
    pub(crate) fn displayed_peer(&self, info_hash: &str, host: &Host) -> anyhow::Result<Value> {
        let peers = self.displayed_peers(info_hash)?;
        let prefix = format!("{}:", host.address);
        let is_it = |peer: &&Value| peer["address"].as_str().is_some_and(|address| address.starts_with(&prefix));
        peers.iter().find(is_it).cloned().with_context(|| format!("{peers:?}"))
    }

    /// The peers of a torrent as the dashboard shows them.
    pub(crate) fn displayed_peers(&self, info_hash: &str) -> anyhow::Result<Vec<Value>> {
        let mut page = self.ask(&Request::get(&format!("/api/v1/torrents/{info_hash}/peers")))?;
        serde_json::from_value(page["items"].take()).context("a page without items")
    }

    /// Asks the dashboard's API on the tracker's own host, which may do everything there.
    pub(crate) fn ask(&self, request: &Request<'_>) -> anyhow::Result<Value> {
        let text = self.ask_for_text(request)?;
        if text.is_empty() { Ok(Value::Null) } else { Ok(serde_json::from_str(&text)?) }
    }

    /// Stops serving clients, as the operator does on the dashboard; all else goes on.
    pub(crate) fn stop_service(&self) {
        let stop = Request { method: "POST", target: "/api/v1/tracker/stop", ..Request::default() };
        self.ask(&stop).expect("the dashboard stops the service");
        assert!(self.host.connect(self.address()).is_err(), "its port is free");
    }

    /// Announces from this host that a client on it listens on a port and lacks a byte. The client knows nothing of it.
    pub(crate) fn announce_for(&self, host: &Host, info_hash: &str, port: u16) {
        // No two of them are one client with two addresses.
        let peer_id = format!("-XX0000-{:06}{port:06}", host.address.octets()[3]);
        let target = announce_target(info_hash, port, "started").replace(ONLY_LOOKING, &peer_id);
        let response = host.request(self.address(), &Request::get(&target)).expect("the tracker answers");
        assert_eq!(response.status, 200, "{}", String::from_utf8_lossy(&response.body));
    }

    /// As [`ask`](Self::ask), for what is not JSON: a page of the dashboard.
    pub(crate) fn ask_for_text(&self, request: &Request<'_>) -> anyhow::Result<String> {
        let dashboard = SocketAddrV4::new(Ipv4Addr::LOCALHOST, DASHBOARD_PORT);
        let response = self.host.request(dashboard, request)?;
        let text = String::from_utf8_lossy(&response.body).into_owned();
        ensure!(matches!(response.status, 200 | 201 | 204), "{} answers {}: {text}", request.target, response.status);
        Ok(text)
    }

    /// The IPv4 peers that a newcomer on this host gets. It announces, reads the response, and stops.
    pub(crate) fn peers_told_to(&self, host: &Host, info_hash: &str) -> Vec<SocketAddrV4> {
        let announce = |event| {
            let target = announce_target(info_hash, NOBODY, event);
            host.request(self.address(), &Request::get(&target)).expect("the tracker answers")
        };
        let response = announce("started");
        announce("stopped");

        let document = Decoder::strict().decode(&response.body).expect("an announce answer is canonical bencode");
        let peers = document.root().as_dict().and_then(|root| root.get(b"peers")?.as_bytes());
        let (peers, rest) = peers.expect("an announce answer has compact peers").as_chunks::<6>();
        assert!(rest.is_empty(), "compact peers have six bytes each");
        peers.iter().map(udp::peer).collect()
    }

    /// The IPv4 peers that a newcomer gets when it announces over UDP.
    pub(crate) fn peers_told_over_udp(&self, host: &Host, info_hash: &str) -> Vec<SocketAddrV4> {
        const STARTED: u32 = 2;
        const STOPPED: u32 = 3;

        let announce = || {
            let udp = Udp::new(host, self.address())?;
            let id = udp.connect()?;
            let peers = udp.announce(id, info_hash, NOBODY, STARTED)?;
            udp.announce(id, info_hash, NOBODY, STOPPED)?;
            anyhow::Ok(peers)
        };
        announce().expect("the tracker answers over UDP")
    }

    /// Announces from this host, to a swarm of nobody else, and returns the medians.
    pub(crate) fn announce_latency(&self, host: &Host) -> Latency {
        self.latency_at(self.address(), host)
    }

    /// As [`announce_latency`](Self::announce_latency), by this address of the tracker.
    pub(crate) fn latency_at(&self, address: SocketAddrV4, host: &Host) -> Latency {
        host.on(|| medians(|| announce(address)))
    }

    /// The duration of an announce over UDP, as seen by the client.
    pub(crate) fn announce_latency_over_udp(&self, host: &Host) -> Latency {
        medians(|| self.announce_over_udp(host))
    }

    /// The durations of announces from this host, one after another, each with the opening of its connection.
    pub(crate) fn announce_durations(&self, host: &Host, announces: usize) -> Vec<Duration> {
        host.on(|| iter::repeat_with(|| announce(self.address()).1).take(announces).collect())
    }

    /// The durations of announces over UDP, each with the request for a connection id.
    pub(crate) fn announce_durations_over_udp(&self, host: &Host, announces: usize) -> Vec<Duration> {
        iter::repeat_with(|| self.announce_over_udp(host).1).take(announces).collect()
    }

    fn announce_over_udp(&self, host: &Host) -> (Duration, Duration) {
        let announce = || {
            let udp = Udp::new(host, self.address())?;
            let start = Instant::now();
            let id = udp.connect()?;
            let connected = Instant::now();
            udp.announce(id, &"00".repeat(20), NOBODY, 0)?;
            anyhow::Ok((connected.elapsed(), start.elapsed()))
        };
        announce().expect("the tracker answers over UDP")
    }
}

/// Announces from the calling thread's host to a swarm of nobody else, and returns the duration of the request and that with the
/// opening of its connection.
fn announce(address: SocketAddrV4) -> (Duration, Duration) {
    let target = announce_target(&"00".repeat(20), NOBODY, "");
    let request = format!("GET {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let announce = || -> std::io::Result<_> {
        let start = Instant::now();
        let mut stream = TcpStream::connect(address)?;
        let connected = Instant::now();
        stream.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok((connected.elapsed(), start.elapsed()))
    };
    announce().expect("the tracker answers")
}

/// Of many announces, each measured without the opening of its connection and with it.
fn medians(announce: impl FnMut() -> (Duration, Duration)) -> Latency {
    const SAMPLES: usize = 201;

    let (mut requests, mut with_connects): (Vec<_>, Vec<_>) = iter::repeat_with(announce).take(SAMPLES).unzip();
    requests.sort();
    with_connects.sort();
    Latency { request: requests[SAMPLES / 2], with_connect: with_connects[SAMPLES / 2] }
}

fn announce_target(info_hash: &str, port: u16, event: &str) -> String {
    format!(
        "/announce?info_hash={}&peer_id={ONLY_LOOKING}&port={port}&uploaded=0&downloaded=0&left=1&compact=1\
         &numwant=50&event={event}",
        escape(info_hash)
    )
}

/// 40 hexadecimal digits as a query has them: `%` before each byte.
pub(crate) fn escape(info_hash: &str) -> String {
    let bytes = info_hash.as_bytes().chunks(2);
    bytes.flat_map(|byte| [b'%'].into_iter().chain(byte.iter().copied())).map(char::from).collect()
}
