use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::support::client::{Client, START, Status};
use crate::support::host::Host;
use crate::support::http::Request;
use crate::support::program::Program;
use crate::support::torrent::Torrent;
use crate::support::wait::wait_for;

/// The script that drives it, over an API of its own.
const DRIVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real_clients/webtorrent.mjs");
/// The path at which `.ci/install-webtorrent` installs it.
const MODULES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/webtorrent/node_modules");

const API: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 6802);
/// [WebTorrent](https://webtorrent.io) on Node.js, whose requests resemble a browser's in some headers.
#[derive(Debug)]
pub(crate) struct WebTorrent {
    host: Host,
    folder: PathBuf,
    program: Program,
}

impl WebTorrent {
    /// The port on which it listens for peers.
    pub(crate) const PORT: u16 = 40005;

    pub(crate) fn start(host: &Host) -> Self {
        Self::start_with(host, false)
    }

    /// With peer exchange, which is on by default outside of these tests.
    pub(crate) fn start_with_pex(host: &Host) -> Self {
        Self::start_with(host, true)
    }

    fn start_with(host: &Host, has_pex: bool) -> Self {
        assert!(Path::new(MODULES).exists(), "{MODULES}: .ci/install-webtorrent installs it");
        let folder = host.make_folder("webtorrent");
        let (path, port, api_port) = (folder.display().to_string(), Self::PORT.to_string(), API.port().to_string());
        let arguments = [DRIVER, MODULES, &path, &port, &api_port, &has_pex.to_string()];
        let program = host.run("node", &arguments);
        let mut client = Self { host: host.clone(), folder, program };
        wait_for("WebTorrent to start", START, || {
            client.program.check_alive()?;
            client.call("status", "")
        });
        client
    }

    fn call(&self, action: &str, body: &str) -> anyhow::Result<Value> {
        let target = format!("/{action}");
        let request = Request { method: "POST", target: &target, headers: &[], body: body.as_bytes() };
        let response = self.host.request(API, &request)?;
        ensure!(response.status == 200, "{action}: {}", response.status);
        serde_json::from_slice(&response.body).with_context(|| format!("{action}: no JSON"))
    }
}

impl Client for WebTorrent {
    fn name(&self) -> &'static str {
        "WebTorrent"
    }

    fn folder(&self) -> &Path {
        &self.folder
    }

    fn add(&mut self, torrent: &Torrent) -> anyhow::Result<()> {
        self.add_magnet(torrent, &torrent.path().display().to_string())
    }

    // It takes paths and links alike.
    fn add_magnet(&mut self, _torrent: &Torrent, magnet: &str) -> anyhow::Result<()> {
        self.call("add", magnet)?;
        Ok(())
    }

    fn status(&mut self) -> anyhow::Result<Status> {
        self.program.check_alive()?;
        let status = self.call("status", "")?;
        let count = |name: &str| status[name].as_u64().with_context(|| format!("a status without {name}: {status}"));
        Ok(Status { peers: count("peers")?, bytes: count("bytes")?, seeds: status["done"] == true })
    }

    fn limit_download(&mut self, rate: Option<u32>) -> anyhow::Result<()> {
        self.call("limit", &rate.map_or_else(|| "-1".to_owned(), |rate| rate.to_string()))?;
        Ok(())
    }

    fn pause(&mut self) -> anyhow::Result<()> {
        self.call("pause", "")?;
        Ok(())
    }

    fn resume(&mut self) -> anyhow::Result<()> {
        self.call("resume", "")?;
        Ok(())
    }
}
