use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use super::client::{Client, START, Status};
use super::generation::Generation;
use super::host::Host;
use super::http::Request;
use super::program::Program;
use super::torrent::Torrent;
use super::wait::wait_for;

const API: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 9091);

/// The header by which the daemon knows that no web page of strangers is calling.
const SESSION: &str = "X-Transmission-Session-Id";

/// transmission-daemon, driven through its RPC:
/// <https://github.com/transmission/transmission/blob/3.00/extras/rpc-spec.txt>.
#[derive(Debug)]
pub(crate) struct Transmission {
    host: Host,
    folder: PathBuf,
    hash: String,
    session: String,
    program: Program,
}

impl Transmission {
    /// The port on which it listens for peers.
    pub(crate) const PORT: u16 = 40002;

    pub(crate) fn start(host: &Host) -> Self {
        Self::start_with(host, &json!({}))
    }

    /// With peer exchange, which is on by default outside of these tests.
    pub(crate) fn start_with_pex(host: &Host) -> Self {
        Self::start_with(host, &json!({ "pex-enabled": true }))
    }

    /// With encrypted connections only.
    pub(crate) fn start_encrypted(host: &Host) -> Self {
        const REQUIRED: u8 = 2;

        Self::start_with(host, &json!({ "encryption": REQUIRED }))
    }

    /// With these settings instead of those of the tests:
    /// <https://github.com/transmission/transmission/blob/main/docs/Editing-Configuration-Files.md>.
    pub(crate) fn start_with(host: &Host, more: &Value) -> Self {
        let folder = host.make_folder("transmission");
        let mut settings = json!({
            "dht-enabled": false,
            "download-dir": folder,
            "lpd-enabled": false,
            "peer-port": Self::PORT,
            "pex-enabled": false,
            "port-forwarding-enabled": false,
            "rpc-bind-address": API.ip().to_string(),
            "rpc-port": API.port(),
            // 3.00 tries uTP first, and when a peer does not speak it, gives up the TCP connection that it then makes:
            // https://github.com/transmission/transmission/issues/4033.
            "utp-enabled": host.generation != Generation::Debian12,
        });
        for (name, value) in more.as_object().expect("settings have names") {
            settings[name] = value.clone();
        }
        let config = host.make_folder("config");
        fs::write(config.join("settings.json"), settings.to_string()).expect("a configuration can be written");
        let program = host.run("transmission-daemon", &["--foreground", "--config-dir", "config"]);

        let mut client = Self { host: host.clone(), folder, hash: String::new(), session: String::new(), program };
        wait_for("Transmission to start", START, || {
            client.program.check_alive()?;
            let refusal = client.host.request(API, &Request::get("/transmission/rpc"))?;
            refusal.header(SESSION).context("no session id")?.clone_into(&mut client.session);
            Ok(())
        });
        client
    }

    fn call(&self, method: &str, arguments: &Value) -> anyhow::Result<Value> {
        let body = json!({ "method": method, "arguments": arguments }).to_string();
        let response = self.host.request(
            API,
            &Request {
                method: "POST",
                target: "/transmission/rpc",
                headers: &[(SESSION, &self.session)],
                body: body.as_bytes(),
            },
        )?;
        ensure!(response.status == 200, "{method}: HTTP status {}", response.status);
        let mut answer: Value = serde_json::from_slice(&response.body)?;
        ensure!(answer["result"] == "success", "{method}: {answer}");
        Ok(answer["arguments"].take())
    }
}

impl Client for Transmission {
    fn name(&self) -> &'static str {
        "Transmission"
    }

    fn folder(&self) -> &Path {
        &self.folder
    }

    fn add(&mut self, torrent: &Torrent) -> anyhow::Result<()> {
        self.add_magnet(torrent, torrent.path().to_str().context("a path in UTF-8")?)
    }

    // It takes paths and links alike.
    fn add_magnet(&mut self, torrent: &Torrent, magnet: &str) -> anyhow::Result<()> {
        torrent.info_hash().clone_into(&mut self.hash);
        self.call("torrent-add", &json!({ "filename": magnet }))?;
        Ok(())
    }

    fn status(&mut self) -> anyhow::Result<Status> {
        const SEEDING: u64 = 6;

        self.program.check_alive()?;
        let fields = ["peersConnected", "haveValid", "status"];
        let answer = self.call("torrent-get", &json!({ "ids": [self.hash], "fields": fields }))?;
        let torrent = answer["torrents"].get(0).context("the torrent is not in the list yet")?;
        let number = |key| torrent[key].as_u64().context(key);
        Ok(Status {
            peers: number("peersConnected")?,
            bytes: number("haveValid")?,
            seeds: number("status")? == SEEDING,
        })
    }

    fn limit_download(&mut self, rate: Option<u32>) -> anyhow::Result<()> {
        let kilobytes = rate.unwrap_or(0) / 1000;
        let limit = json!({ "speed-limit-down": kilobytes, "speed-limit-down-enabled": rate.is_some() });
        self.call("session-set", &limit)?;
        Ok(())
    }

    fn pause(&mut self) -> anyhow::Result<()> {
        self.call("torrent-stop", &json!({ "ids": [self.hash] }))?;
        Ok(())
    }

    fn resume(&mut self) -> anyhow::Result<()> {
        self.call("torrent-start", &json!({ "ids": [self.hash] }))?;
        Ok(())
    }
}
