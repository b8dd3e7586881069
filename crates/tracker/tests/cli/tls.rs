//! HTTPS for the page and for announces, its certificate on disk, and the PROXY protocol: the whole program, over loopback.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, SocketAddrV4, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::Value;
use socket2::{Domain, Socket, Type};
use tempfile::TempDir;

use crate::client::{announce_target, get, peers_over_http, send};
use crate::dashboard::{Observed, observed};
use crate::running::{PATIENCE, Tracker, wait_until};
use crate::{INFO_HASH, error_of};

/// A certificate for 127.0.0.1 that signs itself, and its key, as PEM.
pub(crate) struct Certificate {
    chain: String,
    key: String,
}

impl Certificate {
    pub(crate) fn draw() -> Self {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        Self { chain: cert.pem(), key: signing_key.serialize_pem() }
    }
}

/// The files of a certificate.
pub(crate) struct Files {
    _folder: TempDir,
    certificate: PathBuf,
    key: PathBuf,
}

impl Files {
    pub(crate) fn of(certificate: &Certificate) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [path, key] = ["cert.pem", "key.pem"].map(|name| folder.path().join(name));
        let files = Self { _folder: folder, certificate: path, key };
        files.write(certificate);
        files
    }

    fn write(&self, certificate: &Certificate) {
        fs::write(&self.certificate, &certificate.chain).unwrap();
        fs::write(&self.key, &certificate.key).unwrap();
    }

    pub(crate) fn flags(&self) -> [&str; 4] {
        ["--tls-cert", self.certificate.to_str().unwrap(), "--tls-key", self.key.to_str().unwrap()]
    }
}

/// Connects from this address.
fn connect(from: Ipv4Addr, to: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((from, 0)).into()).unwrap();
    socket.connect(&to.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Sends a request over TLS, after `first`, to a server with this certificate, and returns the whole answer.
fn exchange(mut stream: TcpStream, trusted: &Certificate, first: &[u8], request: &str) -> io::Result<String> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(trusted.chain.as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    stream.write_all(first)?;
    let client = ClientConnection::new(Arc::new(config), ServerName::try_from("127.0.0.1").unwrap()).unwrap();
    let mut stream = StreamOwned::new(client, stream);
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn request(method: &str, host: SocketAddr, target: &str, headers: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n{headers}Connection: close\r\n\r\n")
}

fn try_get(to: SocketAddr, trusted: &Certificate, target: &str, headers: &str) -> io::Result<String> {
    exchange(connect(Ipv4Addr::LOCALHOST, to), trusted, b"", &request("GET", to, target, headers))
}

#[track_caller]
fn get_tls(to: SocketAddr, trusted: &Certificate, target: &str, headers: &str) -> String {
    try_get(to, trusted, target, headers).unwrap()
}

/// The header of a connection of 192.168.7.7 to 10.0.0.1.
fn proxy_header() -> Vec<u8> {
    let addresses = [192, 168, 7, 7, 10, 0, 0, 1, 0x1b, 0x58, 0x01, 0xbb];
    [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"[..], &addresses].concat()
}

#[test]
fn clients_announce_over_both_at_one_port() {
    let certificate = Certificate::draw();
    let files = Files::of(&certificate);
    let tracker = Tracker::start_json(&files.flags());
    let target = announce_target(INFO_HASH, 7001, 0, "started");
    let answer = get_tls(tracker.address, &certificate, &target, "");
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("8:intervali"), "{answer}");
    let target = announce_target(INFO_HASH, 7002, 10, "started");
    let peers = peers_over_http(Ipv4Addr::new(127, 0, 0, 2), tracker.address, &target);
    assert_eq!(peers.iter().map(SocketAddrV4::port).collect::<Vec<_>>(), [7001]);
    assert!(get_tls(tracker.address, &certificate, "/health", "").ends_with("ok\n"));
    // A client that does not trust the certificate, and what is no TLS, cost nobody else anything.
    assert!(try_get(tracker.address, &Certificate::draw(), "/health", "").is_err());
    tracker.log.wait_for(|line| line.contains("does not accept the certificate") && line.contains("127.0.0.1"));
    let half: Vec<_> = [&b"\x16"[..], b"\x16\x03\x01\x02\0\x01", b"\x16\x03\x01\0\x05garbage"]
        .into_iter()
        .map(|bytes| {
            let mut stream = connect(Ipv4Addr::LOCALHOST, tracker.address);
            stream.write_all(bytes).unwrap();
            stream
        })
        .collect();
    assert!(get_tls(tracker.address, &certificate, "/health", "").ends_with("ok\n"));
    assert!(get(tracker.address, "/health").ends_with("ok\n"));
    drop(half);
}

#[test]
fn the_page_is_over_tls_and_plain_http_leads_there() {
    let certificate = Certificate::draw();
    let files = Files::of(&certificate);
    let Observed { tracker: _tracker, dashboard, token } = observed(&files.flags());
    let over_tls = |target: &str, headers: &str| get_tls(dashboard, &certificate, target, headers);
    let page = over_tls("/manage/tracker", "");
    assert!(page.starts_with("HTTP/1.1 200 ") && page.contains("Announce URLs stay http"), "{page}");
    let entered = over_tls(&format!("/?token={token}"), "");
    assert!(entered.starts_with("HTTP/1.1 303 ") && entered.contains("; Path=/; Secure\r\n"), "{entered}");

    // As others reach it, by the standard port of HTTPS, which a router forwards.
    let beamer = "GET /beamer HTTP/1.1\r\nHost: 192.168.1.5\r\nConnection: close\r\n\r\n";
    let beamer = exchange(connect(Ipv4Addr::LOCALHOST, dashboard), &certificate, b"", beamer).unwrap();
    assert!(beamer.starts_with("HTTP/1.1 200 ") && beamer.contains("https://192.168.1.5<"), "{beamer}");

    for (target, location) in [("/", "/"), ("/manage?x=1", "/manage?x=1"), ("//evil.example/", "//evil.example/")] {
        let answer = get(dashboard, target);
        assert!(answer.starts_with("HTTP/1.1 307 "), "{answer}");
        assert!(answer.contains(&format!("location: https://{dashboard}{location}\r\n")), "{answer}");
    }
    let posted = send("POST", dashboard, "/manage/report", "Content-Length: 0\r\n");
    assert!(posted.starts_with("HTTP/1.1 307 "), "{posted}");
    let hostile = send("GET", dashboard, "/", "X: x\r\n").replace(&dashboard.to_string(), "");
    assert!(hostile.starts_with("HTTP/1.1 307 "), "{hostile}");
    let mut stream = connect(Ipv4Addr::LOCALHOST, dashboard);
    stream.write_all(b"GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n").unwrap();
    let mut hostile = String::new();
    stream.read_to_string(&mut hostile).unwrap();
    assert!(hostile.starts_with("HTTP/1.1 403 ") && !hostile.contains("location"), "{hostile}");
    // What programs ask for.
    assert!(get(dashboard, "/metrics").starts_with("HTTP/1.1 200 "));
    assert!(get(dashboard, &format!("/seed/{INFO_HASH}/film.mkv")).starts_with("HTTP/1.1 404 "));
    assert!(get(dashboard, "/announce").contains("failure reason"));

    // The page's own scripts, and others'.
    for (origin, is_own) in [(format!("https://{dashboard}"), true), ("https://evil.example".to_owned(), false)] {
        let headers = format!("Origin: {origin}\r\nContent-Length: 0\r\n");
        let request = request("POST", dashboard, "/api/v1/tracker/stop", &headers);
        let answer = exchange(connect(Ipv4Addr::LOCALHOST, dashboard), &certificate, b"", &request).unwrap();
        assert_eq!(answer.starts_with("HTTP/1.1 403 "), !is_own, "{answer}");
    }
}

#[test]
fn a_part_of_a_file_comes_over_tls() {
    let certificate = Certificate::draw();
    let files = Files::of(&certificate);
    let share = tempfile::tempdir().unwrap();
    let film: String = ('a'..='z').cycle().take(1 << 20).collect();
    fs::write(share.path().join("film.mkv"), &film).unwrap();
    let flags = [&[share.path().to_str().unwrap(), "--data", "none"], &files.flags()[..]].concat();
    let Observed { tracker: _tracker, dashboard, .. } = observed(&flags);
    let mut info_hash = String::new();
    wait_until("the film is hashed", || {
        let answer = get_tls(dashboard, &certificate, "/api/v1/torrents", "");
        let torrents: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
        let first = &torrents["items"][0];
        info_hash = first["info_hash"].as_str().unwrap_or_default().to_owned();
        first["name"] == "film.mkv"
    });
    let body = |answer: String| answer.split_once("\r\n\r\n").unwrap().1.to_owned();
    let target = format!("/download/{info_hash}");
    assert_eq!(body(get_tls(dashboard, &certificate, &target, "")), film);
    let part = get_tls(dashboard, &certificate, &target, "Range: bytes=1000-700000\r\n");
    assert!(part.starts_with("HTTP/1.1 206 "), "{}", &part[..100]);
    assert!(body(part) == film[1000..=700_000]);
    // BitTorrent clients trust no such certificate: their way stays plain.
    let seed = get(dashboard, &format!("/seed/{info_hash}/film.mkv"));
    assert!(seed.starts_with("HTTP/1.1 200 ") || seed.starts_with("HTTP/1.1 503 "), "{}", &seed[..100]);
    let torrent = get_tls(dashboard, &certificate, &format!("/api/v1/torrents/{info_hash}/torrent"), "");
    assert!(!torrent.contains("https://"), "announce URLs and web seeds stay http");
}

#[test]
fn a_new_certificate_is_served_and_a_broken_one_is_not() {
    let (one, other, third) = (Certificate::draw(), Certificate::draw(), Certificate::draw());
    let files = Files::of(&one);
    let tracker = Tracker::start_json(&files.flags());
    let shows = |certificate: &Certificate| try_get(tracker.address, certificate, "/health", "").is_ok();
    assert!(shows(&one) && !shows(&other));
    files.write(&other);
    wait_until("the new certificate is served", || shows(&other));
    assert!(!shows(&one));
    for (broken, why) in [("", "has none"), (&*third.chain, "does not belong")] {
        fs::write(&files.certificate, broken).unwrap();
        let warning = tracker.log.wait_for(|line| line.contains("the previous certificate stays in use"));
        assert!(warning.contains("\"WARN\"") && warning.contains(why), "{warning}");
        assert!(!warning.contains(files.key.to_str().unwrap()), "{warning}");
        assert!(shows(&other));
    }
    fs::remove_file(&files.certificate).unwrap();
    tracker.log.wait_for(|line| line.contains("cannot read cert.pem"));
    assert!(shows(&other));
    files.write(&third);
    wait_until("the third certificate is served", || shows(&third));
}

#[test]
fn files_that_cannot_be_used_are_named_at_the_start() {
    let (one, other) = (Certificate::draw(), Certificate::draw());
    let files = Files::of(&one);
    let [_, certificate, _, key] = files.flags();
    for (flags, words) in [
        (&["--tls-cert", certificate][..], "name the file with --tls-key"),
        (&["--tls-key", key], "name the file with --tls-cert"),
        (&["--tls-cert", "/nowhere/cert.pem", "--tls-key", key], "cannot read /nowhere/cert.pem"),
        (&["--tls-cert", key, "--tls-key", key], "the file of the certificate has none"),
        (&["--tls-cert", certificate, "--tls-key", certificate], "the file of the key has none"),
    ] {
        let error = error_of(flags);
        assert!(error.contains(words), "{error}");
    }
    fs::write(&files.key, &other.key).unwrap();
    let error = error_of(&files.flags());
    assert!(error.contains(certificate) && error.contains("the key does not belong to the certificate"), "{error}");
}

#[test]
fn a_trusted_proxy_names_its_client_with_the_proxy_protocol() {
    let certificate = Certificate::draw();
    let files = Files::of(&certificate);
    let flags = [&files.flags()[..], &["--trusted-proxy", "127.0.0.1"]].concat();
    let Observed { tracker, dashboard, token } = observed(&flags);
    let target = announce_target(INFO_HASH, 7001, 10, "started");
    let header = proxy_header();
    let announce = request("GET", tracker.address, &target, "");
    let mut plain = connect(Ipv4Addr::LOCALHOST, tracker.address);
    plain.write_all(&[&header, announce.as_bytes()].concat()).unwrap();
    let mut answer = Vec::new();
    plain.read_to_end(&mut answer).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", answer.escape_ascii());
    let joined = tracker.log.wait_for(|line| line.contains("peer_joined"));
    assert!(joined.contains("192.168.7.7:7001"), "{joined}");
    let target = announce_target(INFO_HASH, 7002, 10, "started");
    let announce = request("GET", tracker.address, &target, "X-Forwarded-For: 192.168.7.9\r\n");
    let stream = connect(Ipv4Addr::LOCALHOST, tracker.address);
    let answer = exchange(stream, &certificate, &header, &announce).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let joined = tracker.log.wait_for(|line| line.contains("peer_joined"));
    assert!(joined.contains("192.168.7.7:7002"), "the client is no proxy: {joined}");

    // On the page its client is no operator, unless it has the token.
    for (headers, status) in [(String::new(), "403"), (format!("Authorization: Bearer {token}\r\n"), "200")] {
        let headers = format!("{headers}Content-Length: 0\r\n");
        let stop = request("POST", dashboard, "/api/v1/tracker/stop", &headers);
        let stream = connect(Ipv4Addr::LOCALHOST, dashboard);
        let answer = exchange(stream, &certificate, &header, &stop).unwrap();
        assert!(answer.starts_with("HTTP/1.1 ") && answer[9..].starts_with(status), "{answer}");
    }
}

#[test]
fn nobody_else_names_a_client() {
    let Observed { tracker, dashboard, .. } = observed(&["--trusted-proxy", "127.0.0.1"]);
    for address in [tracker.address, dashboard] {
        let mut stream = connect(Ipv4Addr::new(127, 0, 0, 9), address);
        stream.write_all(&[&proxy_header(), request("GET", address, "/health", "").as_bytes()].concat()).unwrap();
        // The server need not wait for more of it.
        _ = stream.shutdown(Shutdown::Write);
        let mut answer = Vec::new();
        _ = stream.read_to_end(&mut answer);
        assert!(!answer.starts_with(b"HTTP/1.1 2"), "{}", answer.escape_ascii());
        let line = tracker.log.wait_for(|line| line.contains("PROXY protocol"));
        assert!(line.contains("--trusted-proxy") && line.contains("127.0.0.9"), "{line}");
    }
}
