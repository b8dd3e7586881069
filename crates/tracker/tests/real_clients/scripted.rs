use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::support::client::{Client, START, Status};
use crate::support::host::Host;
use crate::support::http::Request;
use crate::support::program::Program;
use crate::support::torrent::Torrent;
use crate::support::wait::wait_for;

/// A client that is a library, run by a script of ours with an API that is the same for all of them: `webtorrent.mjs` describes it.
#[derive(Debug)]
pub(crate) struct ScriptedClient {
    name: &'static str,
    host: Host,
    folder: PathBuf,
    api: SocketAddrV4,
    program: Program,
}

impl ScriptedClient {
    /// The client that this program runs, when it answers.
    pub(crate) fn new(name: &'static str, host: &Host, folder: PathBuf, api: SocketAddrV4, program: Program) -> Self {
        let mut client = Self { name, host: host.clone(), folder, api, program };
        wait_for(&format!("{name} to start"), START, || {
            client.program.check_alive()?;
            client.call("status", "")
        });
        client
    }

    /// Bytes that it got and could not use, above all those of pieces that failed the check. Not all of them tell.
    pub(crate) fn wasted(&self) -> anyhow::Result<u64> {
        let status = self.call("status", "")?;
        status["wasted"].as_u64().with_context(|| format!("a status without wasted: {status}"))
    }

    /// The id of its process.
    pub(crate) fn pid(&self) -> u32 {
        self.program.pid()
    }

    fn call(&self, action: &str, body: &str) -> anyhow::Result<Value> {
        let target = format!("/{action}");
        let request = Request { method: "POST", target: &target, headers: &[], body: body.as_bytes() };
        let response = self.host.request(self.api, &request)?;
        ensure!(response.status == 200, "{action}: {}", response.status);
        serde_json::from_slice(&response.body).with_context(|| format!("{action}: no JSON"))
    }
}

impl Client for ScriptedClient {
    fn name(&self) -> &'static str {
        self.name
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
