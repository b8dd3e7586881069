use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde_json::{Value, json};

use crate::support::client::{Client, START, Status};
use crate::support::host::Host;
use crate::support::http::Request;
use crate::support::program::Program;
use crate::support::torrent::Torrent;
use crate::support::wait::wait_for;

const API: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 6800);

/// aria2c, driven through its JSON-RPC: <https://aria2.github.io/manual/en/html/aria2c.html#rpc-interface>.
#[derive(Debug)]
pub(crate) struct Aria2 {
    host: Host,
    folder: PathBuf,
    download: String,
    program: Program,
}

impl Aria2 {
    /// The port on which it listens for peers.
    pub(crate) const PORT: u16 = 40003;

    pub(crate) fn start(host: &Host) -> Self {
        Self::start_with(host, &["--enable-dht=false"])
    }

    /// With peer exchange, which is on by default outside of these tests.
    pub(crate) fn start_with_pex(host: &Host) -> Self {
        Self::start_with(host, &["--enable-dht=false", "--enable-peer-exchange=true"])
    }

    /// With a DHT, without which aria2 does not announce over UDP. It has no entry point: there is nobody in it.
    pub(crate) fn start_with_udp(host: &Host) -> Self {
        Self::start_with(host, &["--enable-dht=true", &format!("--dht-listen-port={}", Self::PORT)])
    }

    /// With encrypted connections only, and [over UDP](Self::start_with_udp).
    pub(crate) fn start_encrypted_with_udp(host: &Host) -> Self {
        let port = format!("--dht-listen-port={}", Self::PORT);
        Self::start_with(host, &["--enable-dht=true", &port, "--bt-force-encryption=true"])
    }

    fn start_with(host: &Host, more: &[&str]) -> Self {
        let folder = host.make_folder("aria2");
        let always = [
            "--no-conf",
            "--enable-rpc",
            &format!("--rpc-listen-port={}", API.port()),
            &format!("--listen-port={}", Self::PORT),
            &format!("--dir={}", folder.display()),
            "--enable-peer-exchange=false",
            "--bt-enable-lpd=false",
            "--file-allocation=none",
            // Content that is there already is checked and seeded.
            "--check-integrity=true",
            "--seed-ratio=0",
            "--show-console-readout=false",
        ];
        let program = host.run("aria2c", &[&always, more].concat());
        let mut client = Self { host: host.clone(), folder, download: String::new(), program };
        wait_for("aria2 to start", START, || {
            client.program.check_alive()?;
            client.call("getVersion", &json!([]))
        });
        client
    }

    fn call(&self, method: &str, parameters: &Value) -> anyhow::Result<Value> {
        let method = format!("aria2.{method}");
        let body = json!({ "jsonrpc": "2.0", "id": 0, "method": method, "params": parameters }).to_string();
        let request = Request { method: "POST", target: "/jsonrpc", headers: &[], body: body.as_bytes() };
        let response = self.host.request(API, &request)?;
        let mut answer: Value = serde_json::from_slice(&response.body)?;
        if answer.get("result").is_none() {
            bail!("{method}: {answer}");
        }
        Ok(answer["result"].take())
    }
}

impl Client for Aria2 {
    fn name(&self) -> &'static str {
        "aria2"
    }

    fn folder(&self) -> &Path {
        &self.folder
    }

    fn add(&mut self, torrent: &Torrent) -> anyhow::Result<()> {
        let torrent = base64(&fs::read(torrent.path())?);
        let download = self.call("addTorrent", &json!([torrent]))?;
        download.as_str().context("no id of the download")?.clone_into(&mut self.download);
        Ok(())
    }

    fn add_magnet(&mut self, _torrent: &Torrent, magnet: &str) -> anyhow::Result<()> {
        let download = self.call("addUri", &json!([[magnet]]))?;
        download.as_str().context("no id of the download")?.clone_into(&mut self.download);
        Ok(())
    }

    fn status(&mut self) -> anyhow::Result<Status> {
        self.program.check_alive()?;
        let status = self.call("tellStatus", &json!([self.download, ["completedLength", "seeder", "followedBy"]]))?;
        // The download of the metadata is one of its own, and the content's follows it.
        if let Some(content) = status["followedBy"][0].as_str() {
            content.clone_into(&mut self.download);
            bail!("has the metadata");
        }
        let bytes = status["completedLength"].as_str().context("completedLength")?.parse()?;
        // The status has a number of connections, too, but counts those that are still being made.
        let peers = self.call("getPeers", &json!([self.download]))?;
        let peers = peers.as_array().context("no list of peers")?.len();
        Ok(Status { peers: peers.try_into()?, bytes, seeds: status["seeder"] == "true" })
    }

    fn limit_download(&mut self, rate: Option<u32>) -> anyhow::Result<()> {
        let limit = rate.unwrap_or(0).to_string();
        self.call("changeGlobalOption", &json!([{ "max-overall-download-limit": limit }]))?;
        Ok(())
    }

    fn pause(&mut self) -> anyhow::Result<()> {
        self.call("pause", &json!([self.download]))?;
        Ok(())
    }

    fn resume(&mut self) -> anyhow::Result<()> {
        // aria2 refuses until the pause is complete: it tells its peers and the tracker first.
        wait_for("aria2 to resume", START, || self.call("unpause", &json!([self.download])));
        Ok(())
    }
}

/// Base64 with padding, RFC 4648 section 4.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let bits = (0..3).fold(0, |bits, i| bits << 8 | usize::from(chunk.get(i).copied().unwrap_or(0)));
        for i in 0..4 {
            let symbol = if i <= chunk.len() { ALPHABET[bits >> (18 - 6 * i) & 63] } else { b'=' };
            text.push(char::from(symbol));
        }
    }
    text
}

#[test]
fn base64_of_rfc_4648() {
    let vectors =
        [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE=")];
    for (bytes, text) in vectors {
        assert_eq!(base64(bytes.as_bytes()), text);
    }
}
