use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use serde_json::Value;

use super::client::{Client, START, Status};
use super::host::Host;
use super::http::Request;
use super::program::Program;
use super::torrent::Torrent;
use super::wait::wait_for;

const API: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 8080);
const BOUNDARY: &str = "the-end-of-a-part";

/// qbittorrent-nox, driven through its web API:
/// <https://github.com/qbittorrent/qBittorrent/wiki/WebUI-API-(qBittorrent-4.1)>.
#[derive(Debug)]
pub(crate) struct QBittorrent {
    host: Host,
    folder: PathBuf,
    hash: String,
    /// What the API calls to pause and to resume.
    pause: &'static str,
    resume: &'static str,
    program: Program,
}

impl QBittorrent {
    /// The port on which it listens for peers.
    pub(crate) const PORT: u16 = 40001;

    pub(crate) fn start(host: &Host) -> Self {
        Self::start_with(host, &[])
    }

    /// With peer exchange, which is on by default outside of these tests.
    pub(crate) fn start_with_pex(host: &Host) -> Self {
        Self::start_with(host, &["PeXEnabled=true"])
    }

    /// With encrypted connections only.
    pub(crate) fn start_encrypted(host: &Host) -> Self {
        Self::start_with(host, &["Encryption=1"])
    }

    /// With these settings of its BitTorrent session.
    pub(crate) fn start_with(host: &Host, session: &[&str]) -> Self {
        let folder = host.make_folder("qbittorrent");
        let config = host.make_folder("profile/qBittorrent/config").join("qBittorrent.conf");
        // The last one of a name counts.
        let session: String = session.iter().map(|setting| format!("Session\\{setting}\n")).collect();
        let settings = format!(
            "[BitTorrent]\n\
             Session\\DHTEnabled=false\n\
             Session\\LSDEnabled=false\n\
             Session\\PeXEnabled=false\n\
             Session\\Port={}\n\
             Session\\QueueingSystemEnabled=false\n\
             {session}\
             [LegalNotice]\n\
             Accepted=true\n\
             [Network]\n\
             PortForwardingEnabled=false\n\
             [Preferences]\n\
             WebUI\\Address=127.0.0.1\n\
             WebUI\\LocalHostAuth=false\n\
             WebUI\\Port={}\n",
            Self::PORT,
            API.port(),
        );
        fs::write(config, settings).expect("a configuration can be written");
        let program = host.run("qbittorrent-nox", &["--profile=profile"]);

        let mut client =
            Self { host: host.clone(), folder, hash: String::new(), pause: "pause", resume: "resume", program };
        let version = wait_for("qBittorrent to start", START, || {
            client.program.check_alive()?;
            client.call(&Request::get("/api/v2/app/version"))
        });
        // Since version 5.
        if !version.starts_with(b"v4.") {
            (client.pause, client.resume) = ("stop", "start");
        }
        client
    }

    /// Limits the upload to this many bytes per second, or to none.
    pub(crate) fn limit_upload(&self, rate: Option<u32>) -> anyhow::Result<()> {
        self.torrents("setUploadLimit", &format!("&limit={}", rate.unwrap_or(0)))
    }

    /// Bytes that it got and could not use, above all those of pieces that failed the check.
    pub(crate) fn wasted(&self) -> anyhow::Result<u64> {
        let body = self.call(&Request::get(&format!("/api/v2/torrents/properties?hash={}", self.hash)))?;
        let properties: Value = serde_json::from_slice(&body)?;
        properties["total_wasted"].as_u64().context("total_wasted")
    }

    /// Announces now, as "force reannounce" in the menu does.
    pub(crate) fn reannounce(&self) -> anyhow::Result<()> {
        self.torrents("reannounce", "")
    }

    /// Ends the program as its menu does.
    pub(crate) fn shut_down(mut self) -> anyhow::Result<()> {
        self.post("/api/v2/app/shutdown", "application/x-www-form-urlencoded", b"now=1")?;
        wait_for("qBittorrent to end", START, || self.program.exit_status());
        Ok(())
    }

    fn torrents(&self, method: &str, more: &str) -> anyhow::Result<()> {
        let form = format!("hashes={}{more}", self.hash);
        self.post(&format!("/api/v2/torrents/{method}"), "application/x-www-form-urlencoded", form.as_bytes())?;
        Ok(())
    }

    /// Adds a torrent that is described by a part of a form, whose head goes on with `name`.
    fn add_part(&mut self, torrent: &Torrent, name: &str, part: &[u8]) -> anyhow::Result<()> {
        torrent.info_hash().clone_into(&mut self.hash);
        let folder = self.folder.display();
        let mut form = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"savepath\"\r\n\r\n{folder}\r\n\
             --{BOUNDARY}\r\nContent-Disposition: form-data; {name}\r\n\r\n"
        )
        .into_bytes();
        form.extend(part);
        form.extend(format!("\r\n--{BOUNDARY}--\r\n").into_bytes());
        let content_type = format!("multipart/form-data; boundary={BOUNDARY}");
        let answer = self.post("/api/v2/torrents/add", &content_type, &form)?;
        ensure!(answer == b"Ok.", "qBittorrent refuses the torrent: {}", String::from_utf8_lossy(&answer));
        Ok(())
    }

    fn post(&self, target: &str, content_type: &str, body: &[u8]) -> anyhow::Result<Vec<u8>> {
        self.call(&Request { method: "POST", target, headers: &[("Content-Type", content_type)], body })
    }

    fn call(&self, request: &Request<'_>) -> anyhow::Result<Vec<u8>> {
        let response = self.host.request(API, request)?;
        let text = String::from_utf8_lossy(&response.body);
        ensure!(response.status == 200, "{} answers {}: {text}", request.target, response.status);
        Ok(response.body)
    }
}

impl Client for QBittorrent {
    fn name(&self) -> &'static str {
        "qBittorrent"
    }

    fn folder(&self) -> &Path {
        &self.folder
    }

    fn add(&mut self, torrent: &Torrent) -> anyhow::Result<()> {
        let name = "name=\"torrents\"; filename=\"a.torrent\"\r\nContent-Type: application/x-bittorrent";
        self.add_part(torrent, name, &fs::read(torrent.path())?)
    }

    fn add_magnet(&mut self, torrent: &Torrent, magnet: &str) -> anyhow::Result<()> {
        self.add_part(torrent, "name=\"urls\"", magnet.as_bytes())
    }

    fn status(&mut self) -> anyhow::Result<Status> {
        self.program.check_alive()?;
        let body = self.call(&Request::get(&format!("/api/v2/torrents/info?hashes={}", self.hash)))?;
        let list: Value = serde_json::from_slice(&body)?;
        let torrent = list.get(0).context("the torrent is not in the list yet")?;
        let number = |key| torrent[key].as_u64().context(key);
        let state = torrent["state"].as_str().context("state")?;
        Ok(Status {
            peers: number("num_seeds")? + number("num_leechs")?,
            bytes: number("completed")?,
            seeds: matches!(state, "uploading" | "stalledUP" | "forcedUP"),
        })
    }

    fn limit_download(&mut self, rate: Option<u32>) -> anyhow::Result<()> {
        self.torrents("setDownloadLimit", &format!("&limit={}", rate.unwrap_or(0)))
    }

    fn pause(&mut self) -> anyhow::Result<()> {
        self.torrents(self.pause, "")
    }

    fn resume(&mut self) -> anyhow::Result<()> {
        self.torrents(self.resume, "")
    }
}
