//! The program as its users and their scripts see it: flags, files, exit codes, output and log.

mod backup;
mod base_path;
mod check;
mod client;
mod client_list;
mod dashboard;
mod folders;
mod health;
mod operators;
mod own_peer;
mod report;
mod running;
#[cfg(unix)]
mod service;
mod shared;
mod sharing;
mod tls;
mod users;

use std::fs;
use std::io::{Read, Write, pipe};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{self, Output, Stdio};

use serde_json::Value;

use crate::client::{announce, announce_target, get, peers_over_http, peers_over_udp, request};
use crate::running::{Lines, PATIENCE, Tracker, tracker, wait_until, without_settings};

const INFO_HASH: &str = "3500292f2881c52a3c672db7c77db1f60426c65f";
const OTHER: &str = "abcdef0123456789abcdef0123456789abcdef01";

#[test]
fn a_text_start_says_which_url_to_use() {
    let tracker = Tracker::start(&["--listen", "127.0.0.1:0"]);
    let url = tracker.out.wait_for(|line| line.trim_start().starts_with("http://127.0.0.1:"));
    let address: SocketAddr =
        url.trim().strip_prefix("http://").and_then(|url| url.strip_suffix("/announce")).unwrap().parse().unwrap();
    tracker.out.wait_for(|line| line.trim() == format!("udp://{address}/announce"));
    let listening = tracker.log.wait_for(|line| line.contains("listening"));
    assert!(listening.contains(&address.to_string()) && !listening.contains('\x1b'), "{listening:?}");
    tracker.log.wait_for(|line| line.contains("listening") && line.contains("UDP"));
    assert!(get(address, "/health").ends_with("ok\n"));

    announce(address, INFO_HASH, 6881, 10, "started");
    let joined = tracker.log.wait_for(|line| line.contains(" began "));
    let sentence = format!("this machine began torrent {}… with qBittorrent 4.5.2", &INFO_HASH[..8]);
    assert!(joined.ends_with(&sentence), "{joined}");
}

#[test]
fn each_event_of_a_peer_is_a_json_line_until_the_end() {
    let mut tracker = Tracker::start_json(&[]);
    let address = tracker.address;
    announce(address, INFO_HASH, 6881, 10, "started");
    announce(address, INFO_HASH, 6881, 0, "completed");
    announce(address, INFO_HASH, 6881, 0, "stopped");
    announce(address, INFO_HASH, 6882, 10, "started");
    // Events that are not logged yet are logged before it ends.
    let status = tracker.stop("TERM");
    assert!(status.success(), "{status}");

    let lines: Vec<Value> = tracker.log.rest().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of_peers: Vec<_> = lines.iter().filter(|line| line.get("info_hash").is_some()).collect();
    let happened: Vec<_> =
        of_peers.iter().map(|line| [&line["event"], &line["address"]].map(|field| field.as_str().unwrap())).collect();
    assert_eq!(
        happened,
        [
            ["peer_joined", "127.0.0.1:6881"],
            ["peer_completed", "127.0.0.1:6881"],
            ["peer_left", "127.0.0.1:6881"],
            ["peer_joined", "127.0.0.1:6882"],
        ]
    );
    for line in of_peers {
        assert_eq!(line["info_hash"], INFO_HASH);
        assert_eq!(line["client"], "qBittorrent 4.5.2");
        assert_eq!(line["level"], "INFO");
        assert!(line["timestamp"].is_string());
    }
    assert_eq!(tracker.out.rest(), [""; 0], "with JSON nothing else is printed");
}

#[test]
fn at_level_warn_no_peers_are_logged() {
    let mut tracker = Tracker::start(&["--listen", "127.0.0.1:0", "--log-level", "warn"]);
    let url = tracker.out.wait_for(|line| line.contains("http://"));
    let address = url.trim()["http://".len()..].trim_end_matches("/announce").parse().unwrap();
    announce(address, INFO_HASH, 6881, 10, "started");
    assert!(tracker.stop("INT").success());
    assert_eq!(tracker.log.rest(), [""; 0]);
}

#[test]
fn json_has_the_announce_url_at_every_level() {
    for level in ["error", "warn"] {
        let mut tracker = Tracker::start(&["--listen", "127.0.0.1:0", "--log-format", "json", "--log-level", level]);
        let line: Value = serde_json::from_str(&tracker.log.wait_for(|line| line.contains("announce URL"))).unwrap();
        let url = line["url"].as_str().unwrap().strip_prefix("http").unwrap().to_owned();
        assert!(url.starts_with("://127.0.0.1:"), "{url}");
        let line: Value = serde_json::from_str(&tracker.log.wait_for(|line| line.contains("announce URL"))).unwrap();
        assert_eq!(line["url"], format!("udp{url}"));
        assert!(tracker.stop("INT").success());
        assert_eq!(tracker.log.rest(), [""; 0], "{level}");
    }
}

#[test]
fn clients_over_http_and_udp_share_a_swarm() {
    let tracker = Tracker::start_json(&[]);
    let over_http = |host, port| {
        let target = announce_target(INFO_HASH, port, 10, "started");
        peers_over_http([127, 0, 0, host].into(), tracker.address, &target)
    };
    let over_udp =
        |host, port, left| peers_over_udp(Ipv4Addr::new(127, 0, 0, host), tracker.address, INFO_HASH, port, left);
    let [seeder, leecher, other] =
        ["127.0.0.2:7001", "127.0.0.3:7002", "127.0.0.4:7003"].map(|peer| peer.parse().unwrap());
    assert_eq!(over_udp(2, 7001, 0), []);
    assert_eq!(over_http(3, 7002), [seeder]);
    let mut peers = over_udp(4, 7003, 10);
    peers.sort();
    assert_eq!(peers, [seeder, leecher]);
    // A seeder gets leechers.
    let mut peers = over_udp(2, 7001, 0);
    peers.sort();
    assert_eq!(peers, [leecher, other]);
    // A client that announces over the other protocol is still the same peer.
    assert_eq!(over_http(4, 7003).len(), 2);
    let answer = announce(tracker.address, INFO_HASH, 7004, 10, "started");
    assert!(answer.contains("8:completei1e10:downloadedi0e10:incompletei3e"), "{answer}");
}

#[test]
fn a_named_proxy_that_names_no_client_is_warned_of() {
    let tracker = Tracker::start_json(&["--trusted-proxy", "127.0.0.1", "--trusted-proxy", "127.0.0.9"]);
    let target = announce_target(INFO_HASH, 7001, 10, "started");
    // As nginx does with `proxy_set_header X-Real-IP $remote_addr`.
    request(tracker.address, &target, "X-Real-IP: 192.168.7.7\r\n");
    let joined = tracker.log.wait_for(|line| line.contains("peer_joined") || line.contains("trusted proxy"));
    assert!(joined.contains("192.168.7.7:7001"), "{joined}");
    for headers in ["", "Content-Length: 0\r\n"] {
        request(tracker.address, &target, headers);
    }
    let warning = tracker.log.wait_for(|line| line.contains("trusted proxy"));
    assert!(warning.contains("\"WARN\"") && warning.contains("\"proxy\":\"127.0.0.1\""), "{warning}");
    // At most once in an hour.
    peers_over_http([127, 0, 0, 9].into(), tracker.address, &announce_target(OTHER, 7002, 10, "started"));
    let next = tracker.log.wait_for(|line| line.contains("127.0.0.9") || line.contains("trusted proxy"));
    assert!(next.contains("peer_joined"), "{next}");
}

/// As where one nginx is behind another, and each sets the header to its own peer.
#[test]
fn proxies_that_name_only_each_other_are_warned_of() {
    let target = announce_target(INFO_HASH, 7001, 10, "started");
    let trusted = ["--trusted-proxy", "127.0.0.1", "--trusted-proxy", "192.168.7.2"];
    for (header, client) in [
        ("X-Real-IP: 192.168.7.2", "192.168.7.2"),
        ("X-Real-IP: 127.0.0.1", "127.0.0.1"),
        ("X-Forwarded-For: 192.168.7.2", "192.168.7.2"),
        ("X-Forwarded-For: 127.0.0.1, 192.168.7.2", "192.168.7.2"),
        ("Forwarded: for=192.168.7.2", "192.168.7.2"),
    ] {
        let tracker = Tracker::start_json(&trusted);
        request(tracker.address, &target, "X-Forwarded-For: 192.168.7.9, 192.168.7.2\r\n");
        let joined = tracker.log.wait_for(|line| line.contains("peer_joined") || line.contains("trusted proxy"));
        assert!(joined.contains("192.168.7.9:7001"), "{joined}");
        request(tracker.address, &target, &format!("{header}\r\n"));
        let warning = tracker.log.wait_for(|line| line.contains("trusted proxy"));
        for part in ["\"WARN\"", "\"proxy\":\"127.0.0.1\"", &format!("\"client\":\"{client}\"")] {
            assert!(warning.contains(part), "{header}: {warning}");
        }
    }
}

#[test]
fn a_wrong_announce_path_is_logged_with_the_right_one() {
    let tracker = Tracker::start_json(&[]);
    let query = announce_target(INFO_HASH, 7001, 10, "started").split_once('?').unwrap().1.to_owned();
    let answer = get(tracker.address, &format!("/announce.php?{query}"));
    let url = format!("http://{}/announce", tracker.address);
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains(&url), "{answer}");
    let line = tracker.log.wait_for(|line| line.contains("announce refused"));
    for part in ["/announce.php", &url, "\"remote\":\"127.0.0.1\""] {
        assert!(line.contains(part), "{part}: {line}");
    }
}

#[test]
fn a_low_limit_on_open_files_is_a_warning() {
    for (limit, is_warned) in [(64, true), (128, true), (4096, false)] {
        let mut command = without_settings("sh");
        let script = format!("ulimit -n {limit} && exec \"$@\"");
        command.args([
            "-c",
            &script,
            "sh",
            env!("CARGO_BIN_EXE_tracker"),
            "--listen",
            "127.0.0.1:0",
            "--log-format",
            "json",
        ]);
        let mut tracker = Tracker::spawn(command);
        let listening = tracker.log.wait_for(|line| line.contains("\"listening\""));
        let listening: Value = serde_json::from_str(&listening).unwrap();
        let address = listening["address"].as_str().unwrap().parse().unwrap();
        // Clients are served all the same.
        announce(address, INFO_HASH, 6881, 10, "started");
        announce(address, INFO_HASH, 6882, 10, "started");
        // From here on it handles signals.
        let mut lines = Vec::new();
        tracker.log.wait_for(|line| {
            lines.push(line.to_owned());
            line.contains("announce URL")
        });
        assert!(tracker.stop("TERM").success());
        lines.extend(tracker.log.rest());
        let warning = lines.into_iter().find(|line| line.contains("the limit on open files"));
        let level = warning.as_deref().map(|line| serde_json::from_str::<Value>(line).unwrap()["level"].clone());
        assert_eq!(level == Some("WARN".into()), is_warned, "{limit}: {warning:?}");
    }
}

#[test]
fn a_connection_too_many_is_a_warning() {
    // The limit on open files leaves the fewest connections.
    let mut command = without_settings("sh");
    command.args(["-c", "ulimit -n 64 && exec \"$@\"", "sh", env!("CARGO_BIN_EXE_tracker")]);
    command.args(["--listen", "127.0.0.1:0", "--threads", "1", "--log-format", "json"]);
    let tracker = Tracker::spawn(command);
    let listening = tracker.log.wait_for(|line| line.contains("\"listening\""));
    let listening: Value = serde_json::from_str(&listening).unwrap();
    let address: SocketAddr = listening["address"].as_str().unwrap().parse().unwrap();
    let begin = || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(b"GET /announce?").unwrap();
        stream
    };
    let held: Vec<_> = (0..20).map(|_| begin()).collect();
    let warning = tracker.log.wait_for(|line| line.contains("too many connections"));
    assert!(warning.contains("\"WARN\"") && warning.contains("\"remote\":\"127.0.0.1\""), "{warning}");
    let mut last = begin();
    last.write_all(b"x HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    last.set_read_timeout(Some(PATIENCE)).unwrap();
    last.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("info_hash is missing"), "{answer}");
    drop(held);
}

#[test]
fn without_udp_there_is_http_only() {
    let mut tracker = Tracker::start(&["--listen", "127.0.6.2:0", "--udp=false"]);
    let url = tracker.out.wait_for(|line| line.contains("http://"));
    let address: SocketAddr = url.trim()["http://".len()..].trim_end_matches("/announce").parse().unwrap();
    UdpSocket::bind(address).expect("the UDP port is free");
    assert!(get(address, "/health").ends_with("ok\n"));
    assert!(tracker.stop("TERM").success());
    for line in [tracker.out.rest(), tracker.log.rest()].concat() {
        assert!(!line.to_lowercase().contains("udp"), "{line}");
    }
}

#[test]
fn a_lean_tracker_serves_and_names_no_client() {
    let tracker = Tracker::start_json(&["--lean"]);
    assert_eq!(peers_over_udp(Ipv4Addr::new(127, 0, 0, 2), tracker.address, INFO_HASH, 7001, 0), []);
    let target = announce_target(INFO_HASH, 7002, 10, "started");
    let peers = peers_over_http(Ipv4Addr::new(127, 0, 0, 3), tracker.address, &target);
    assert_eq!(peers, ["127.0.0.2:7001".parse().unwrap()]);
    let joined = tracker.log.wait_for(|line| line.contains("peer_joined"));
    assert!(joined.contains("127.0.0.2:7001") && !joined.contains("client"), "{joined}");
}

#[test]
fn ctrl_c_and_sigterm_stop_it_and_free_the_port() {
    for signal in ["INT", "TERM"] {
        // An address of its own, so that no other test takes the port that the tracker frees.
        let mut tracker = Tracker::start_json_at("127.0.6.1:0", &[]);
        let address = tracker.address;
        let status = tracker.stop(signal);
        assert_eq!(status.code(), Some(0), "{signal}: {status}");
        TcpListener::bind(address).unwrap();
        UdpSocket::bind(address).unwrap();
    }
}

#[test]
fn a_log_that_nobody_reads_does_not_block_the_end() {
    for signal in ["INT", "TERM"] {
        // Both outputs are the same pipe, as with `tracker 2>&1 | less`.
        let (mut output, input) = pipe().unwrap();
        let mut command = tracker();
        command.args(["--listen", "127.0.0.1:0"]).stdin(Stdio::null());
        let child = command.stdout(input.try_clone().unwrap()).stderr(input).spawn().unwrap();
        drop(command);
        let (mut text, mut byte) = (String::new(), [0]);
        while !text.ends_with("/announce\n") {
            output.read_exact(&mut byte).unwrap();
            text.push(byte[0].into());
        }
        let url = text.rsplit(' ').next().unwrap();
        let address = url["http://".len()..].trim_end_matches("/announce\n").parse().unwrap();
        let mut tracker = Tracker { child, address, out: Lines::none(), log: Lines::none() };
        // More lines than a pipe holds.
        for _ in 0..500 {
            announce(address, INFO_HASH, 6881, 10, "started");
            announce(address, INFO_HASH, 6881, 10, "stopped");
        }
        assert!(tracker.stop(signal).success(), "{signal}");
        drop(output);
    }
}

#[test]
fn sighup_changes_nothing_if_nothing_has_changed() {
    let mut tracker = Tracker::start_json(&[]);
    tracker.signal("HUP");
    tracker.log.wait_for(|line| line.contains("SIGHUP: no setting has changed"));
    assert!(get(tracker.address, "/health").ends_with("ok\n"));
    assert!(tracker.stop("TERM").success());
}

#[cfg(target_os = "linux")]
#[test]
fn a_closed_terminal_stops_it() {
    let (window, terminal) = terminal();
    let mut command = tracker();
    command.args(["--listen", "127.0.0.1:0"]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(terminal);
    let mut child = command.spawn().unwrap();
    let out = Lines::of(child.stdout.take().unwrap());
    let mut tracker = Tracker { child, address: (Ipv4Addr::UNSPECIFIED, 0).into(), out, log: Lines::none() };
    tracker.out.wait_for(|line| line.contains("/announce"));
    drop(window);
    assert!(tracker.stop("HUP").success());
}

#[cfg(target_os = "linux")]
#[test]
fn the_text_log_has_local_times_and_no_colors_on_a_dumb_terminal() {
    for (kind, has_colors) in [("xterm", true), ("dumb", false)] {
        let (window, terminal) = terminal();
        let mut command = tracker();
        command.args(["--listen", "127.0.0.1:0"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(terminal);
        command.env("TERM", kind).env("TZ", "IST-5:30").env_remove("NO_COLOR");
        let child = command.spawn().unwrap();
        // The command has the terminal, too, without which the window has no more lines when the program ends.
        drop(command);
        let log = Lines::of(window);
        let tracker = Tracker { child, address: (Ipv4Addr::UNSPECIFIED, 0).into(), out: Lines::none(), log };
        let line = tracker.log.wait_for(|line| line.contains("listening"));
        assert!(line.contains("+05:30"), "{line:?}");
        assert_eq!(line.contains('\x1b'), has_colors, "{kind}: {line:?}");
    }
}

/// A terminal: what its window reads, and what programs write to.
#[cfg(target_os = "linux")]
fn terminal() -> (nix::pty::PtyMaster, fs::File) {
    use std::os::unix::fs::OpenOptionsExt;

    use nix::fcntl::OFlag;
    use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};

    // Not `openpty`, whose files the programs that other tests start meanwhile would inherit.
    let window = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC).unwrap();
    grantpt(&window).unwrap();
    unlockpt(&window).unwrap();
    let path = ptsname_r(&window).unwrap();
    let terminal =
        fs::OpenOptions::new().read(true).write(true).custom_flags(OFlag::O_NOCTTY.bits()).open(path).unwrap();
    (window, terminal)
}

#[test]
fn a_second_signal_stops_it_at_once() {
    let mut tracker = Tracker::start_json(&[]);
    // A request that has begun delays the graceful end.
    let mut half = TcpStream::connect(tracker.address).unwrap();
    half.write_all(b"GET /health HTTP/1.1\r\n").unwrap();
    assert!(get(tracker.address, "/health").ends_with("ok\n"));
    tracker.signal("TERM");
    tracker.log.wait_for(|line| line.contains("\"stopping\""));
    assert_eq!(tracker.stop("TERM").code(), Some(1));
}

#[test]
fn lists_are_read_again_when_they_change() {
    let folder = tempfile::tempdir().unwrap();
    let (allow, deny) = (folder.path().join("allowed.txt"), folder.path().join("denied.txt"));
    fs::write(&allow, format!("# ours\n{INFO_HASH}\n")).unwrap();
    fs::write(&deny, "").unwrap();
    let lists = ["--allow-list", allow.to_str().unwrap(), "--deny-list", deny.to_str().unwrap()];
    let tracker = Tracker::start_json(&lists);
    let address = tracker.address;
    let refused = |info_hash| announce(address, info_hash, 6881, 10, "started").contains("failure reason");
    assert!(!refused(INFO_HASH));
    assert!(refused(OTHER));

    fs::write(&allow, format!("{INFO_HASH}\n{OTHER}\n")).unwrap();
    wait_until("the new torrent is served", || !refused(OTHER));

    // As editors do.
    let new = folder.path().join("denied.txt.new");
    fs::write(&new, INFO_HASH).unwrap();
    fs::rename(&new, &deny).unwrap();
    wait_until("the denied torrent is refused", || refused(INFO_HASH));

    fs::write(&allow, "nonsense\n").unwrap();
    let line = tracker.log.wait_for(|line| line.contains("ERROR"));
    assert!(line.contains("allowed.txt:1: expected an info-hash"), "{line}");
    assert!(!refused(OTHER), "the last valid list stays in force");

    fs::remove_file(&allow).unwrap();
    let line = tracker.log.wait_for(|line| line.contains("ERROR"));
    assert!(line.contains("cannot read the list of torrents"), "{line}");
    fs::write(&allow, INFO_HASH).unwrap();
    wait_until("the torrent that is no longer listed is refused", || refused(OTHER));
}

#[test]
fn a_port_in_use_is_named_with_its_holder() {
    // Another tracker, which the system would let share the port.
    let tracker = Tracker::start_json(&[]);
    let listen = tracker.address.to_string();
    let error = error_of(&["--listen", &listen]);
    assert!(error.contains(&format!("cannot listen on {listen}: ")) && error.contains("--listen"), "{error}");
    if cfg!(target_os = "linux") {
        assert!(error.contains(&format!("tracker (process {})", tracker.child.id())), "{error}");
    }
    let error = error_of(&["--listen", "127.0.0.1:0", "--listen", &listen]);
    assert!(error.contains(&listen), "{error}");
}

#[test]
fn a_port_in_use_for_udp_only_is_named_as_such() {
    let holder = UdpSocket::bind("127.0.6.3:0").unwrap();
    let listen = holder.local_addr().unwrap().to_string();
    let error = error_of(&["--listen", &listen]);
    assert!(error.contains(&format!("cannot listen on {listen} over UDP: ")), "{error}");
    assert!(error.contains("--listen") && error.contains("--udp=false"), "{error}");
    if cfg!(target_os = "linux") {
        assert!(error.contains(&format!("(process {})", process::id())), "{error}");
    }
    // The advice works.
    let tracker = Tracker::start(&["--listen", &listen, "--udp=false"]);
    tracker.out.wait_for(|line| line.contains(&format!("http://{listen}/announce")));
}

#[test]
fn an_address_of_another_machine_cannot_be_listened_on() {
    // RFC 5737 keeps these for documentation.
    let error = error_of(&["--listen", "203.0.113.77:6969"]);
    assert!(error.contains("this machine does not have the address"), "{error}");
}

#[test]
fn settings_that_cannot_be_used_end_it_with_2_and_advice() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::write(path("broken.txt"), format!("{INFO_HASH}\n\n{}\n", &INFO_HASH[1..])).unwrap();
    fs::write(path("unknown.toml"), "allow = ['lan']\nalow = ['all']\n").unwrap();
    for (flags, advice) in [
        (&["--listen", "6969"][..], "write 0.0.0.0:6969"),
        (&["--listen", "localhost:6969"], "write an IP address and a port"),
        (&["--allow", "10.0.0.1/33"], "write `lan`, `all`, or a network"),
        (&["--trusted-proxy", "proxy.example"], "write a network such as"),
        (&["--threads", "0"], "number would be zero"),
        (&["--threads", "1025"], "threads is 1025, but must be from 1 to 1024"),
        (&["--announce-budget", "0"], "announce-budget is 0, but must be from 1"),
        (&["--announce-budget", "0", "--print-config"], "announce-budget is 0, but must be from 1"),
        (&["--listen", "0.0.0.0:7001,127.0.0.1:7001"], "0.0.0.0:7001 includes 127.0.0.1:7001"),
        (&["--allow-list", &path("missing.txt")], "cannot read the list of torrents"),
        (&["--deny-list", &path("broken.txt")], "broken.txt:3: expected an info-hash of 40 hexadecimal digits"),
        (&["--config", &path("unknown.toml")], "unknown.toml:2: unknown field `alow`"),
        (&["--config", &path("missing.toml")], "cannot read the settings file"),
        (&["--dashboard-listen", "6970"], "write 0.0.0.0:6970"),
        (&["--dashboard-listen", "10.0.0.1"], "write 10.0.0.1:6970"),
        (&["--dashboard", "--listen", "0.0.0.0:6970"], "--dashboard=false"),
        (&["--listen", "0.0.0.0:7001", "--peer-listen", "127.0.0.1:7001"], "--peer=false"),
        (&["--peer-address", "203.0.113.77"], "203.0.113.77 is not an address of this machine's networks: name one of"),
        (&["--host-name", "http://lab-pc"], "write a name such as"),
        (&["--mdns", "tracker.local"], "write a name such as tracker, without .local"),
        (&["--torrents", &path("unknown.toml")], "cannot read the folder of torrents"),
        (&["--data", &path("unknown.toml")], "cannot use the data folder"),
        (&["--upload-limit", "0"], "number of bytes per second above 0"),
        (&["--upload-slots", "0"], "number would be zero"),
        (&["--names", &path("missing.csv")], "cannot read"),
        (&["--only-known"], "--torrents"),
        (&["--frobnicate"], "unexpected argument '--frobnicate'"),
        (&["Lessons", "More"], "unexpected argument 'More'; the tracker shares one folder"),
    ] {
        let error = error_of(flags);
        assert!(error.starts_with("error: ") && error.contains(advice), "{flags:?}: {error}");
    }
}

/// The fewer files it may open, the earlier it fails: first before it has its port, later when its threads start.
#[test]
#[cfg(target_os = "linux")]
fn a_failure_after_the_start_ends_it_with_1() {
    for files in 8.. {
        let mut command = without_settings("sh");
        let line = format!("ulimit -n {files}; exec \"$0\" --listen 127.0.0.1:0");
        command.args(["-c", &line, env!("CARGO_BIN_EXE_tracker")]);
        let mut tracker = Tracker::spawn(command);
        let status = tracker.wait();
        let (out, log) = (tracker.out.rest(), tracker.log.rest());
        let started = out.iter().any(|line| line.contains("/announce"));
        assert_eq!(status.code(), Some(if started { 1 } else { 2 }), "{files}: {out:?} {log:?}");
        if started {
            return;
        }
    }
}

#[test]
fn settings_come_from_flags_then_environment_then_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tracker.toml");
    fs::write(&file, "listen = ['127.0.0.1:1']\nallow = ['10.1.0.0/16']\nlog-level = 'debug'\n").unwrap();
    let output = tracker()
        .args(["--listen", "127.0.0.1:3", "--print-config"])
        .env("TRACKER_CONFIG", &file)
        .env("TRACKER_LISTEN", "127.0.0.1:2")
        .env("TRACKER_ALLOW", "10.2.0.0/16,lan")
        .output()
        .unwrap();
    let printed = succeeded(output);
    for line in ["listen = [\"127.0.0.1:3\"]", "allow = [\"10.2.0.0/16\", \"lan\"]", "log-level = \"debug\""] {
        assert!(printed.lines().any(|printed| printed == line), "{line}: {printed}");
    }

    fs::write(&file, &printed).unwrap();
    let again = tracker().arg("--config").arg(&file).arg("--print-config").output().unwrap();
    assert_eq!(succeeded(again), printed);
}

#[test]
fn help_is_grouped_and_there_are_completions_and_a_man_page() {
    let text = |arguments: &[&str]| succeeded(tracker().args(arguments).output().unwrap()).replace('\\', "");
    let long = text(&["--help"]);
    let short = text(&["-h"]);
    assert!(short.lines().count() < 80 && long.lines().count() > 2 * short.lines().count(), "{short}");
    for heading in ["Files:", "Clients:", "Torrents:", "Dashboard:", "Peers:", "Log:"] {
        assert!(short.contains(heading) && long.contains(heading), "{heading}");
    }
    for arguments in ["bash", "elvish", "fish", "powershell", "zsh"].map(|shell| ["generate", "completions", shell]) {
        assert!(text(&arguments).contains("dashboard-token-always"), "{arguments:?}");
    }
    assert!(text(&["generate", "man"]).contains("--dashboard-token-always"));
}

#[test]
fn firewall_help_has_the_actual_port() {
    let text = succeeded(tracker().args(["--listen", "0.0.0.0:7001", "--firewall"]).output().unwrap());
    for words in ["ufw allow 7001/tcp", "--add-port=7001/tcp", "dport 7001", "-LocalPort 7001", "socketfilterfw"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    for words in ["ufw allow 7001/udp", "--add-port=7001/udp", "udp dport 7001", "-Protocol UDP -LocalPort 7001"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let text = succeeded(tracker().args(["--listen", "0.0.0.0:7001", "--udp=false", "--firewall"]).output().unwrap());
    assert!(!text.to_lowercase().contains("udp"), "nothing serves it: {text}");
}

#[test]
fn only_allowed_clients_are_served() {
    let tracker = Tracker::start_json(&["--trusted-proxy", "127.0.0.1", "--allow", "10.1.0.0/16"]);
    for (client, refused) in [("10.1.2.3", false), ("10.2.2.3", true), ("192.168.1.5", true)] {
        let target = announce_target(INFO_HASH, 6881, 10, "started");
        let answer = request(tracker.address, &target, &format!("X-Forwarded-For: {client}\r\n"));
        assert_eq!(answer.contains("failure reason"), refused, "{client}: {answer}");
    }
}

/// The error message when it ends with exit code 2.
fn error_of(flags: &[&str]) -> String {
    let output = tracker().args(flags).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{flags:?}: {error}");
    assert!(output.stdout.is_empty(), "{flags:?}");
    // After a wrong flag clap adds where to find help.
    let error = error.trim_end();
    error.lines().find(|line| line.starts_with("error: ")).unwrap_or(error).to_owned()
}

fn succeeded(output: Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}
