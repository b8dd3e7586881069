use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};

use crate::support::client::{Client, START, Status};
use crate::support::host::Host;
use crate::support::program::Program;
use crate::support::torrent::Torrent;
use crate::support::wait::wait_for;

/// rtorrent, driven through XML-RPC over SCGI: <https://rtorrent-docs.readthedocs.io/en/latest/cmd-ref.html>.
#[derive(Debug)]
pub(crate) struct RTorrent {
    folder: PathBuf,
    api: PathBuf,
    hash: String,
    program: Program,
}

impl RTorrent {
    /// The port on which it listens for peers.
    pub(crate) const PORT: u16 = 40004;

    pub(crate) fn start(host: &Host) -> Self {
        Self::start_with(host, "")
    }

    /// With encrypted connections only.
    pub(crate) fn start_encrypted(host: &Host) -> Self {
        Self::start_with(host, "protocol.encryption.set = require,require_RC4,allow_incoming,try_outgoing\n")
    }

    /// With peer exchange, which is on by default outside of these tests.
    pub(crate) fn start_with_pex(host: &Host) -> Self {
        Self::start_with(host, "protocol.pex.set = yes\n")
    }

    /// With these lines at the end of its settings.
    fn start_with(host: &Host, more: &str) -> Self {
        let folder = host.make_folder("rtorrent");
        let session = host.make_folder("session");
        let port = Self::PORT;
        let api = host.folder.join("rtorrent.socket");
        // With a check of everything at the end, its default, 0.9.8 queues `completed` and does not send it.
        let settings = format!(
            "system.daemon.set = true\n\
             session.path.set = {}\n\
             directory.default.set = {}\n\
             network.port_range.set = {port}-{port}\n\
             network.scgi.open_local = {}\n\
             dht.mode.set = disable\n\
             protocol.pex.set = no\n\
             pieces.hash.on_completion.set = no\n\
             log.open_file = messages, {}\n\
             log.add_output = info, messages\n\
             log.add_output = tracker_info, messages\n\
             {more}",
            session.display(),
            folder.display(),
            api.display(),
            host.folder.join("rtorrent-messages.log").display(),
        );
        let config = host.folder.join("rtorrent.rc");
        fs::write(&config, settings).expect("a configuration can be written");
        let program = host.run("rtorrent", &["-n", "-o", &format!("import={}", config.display())]);

        let mut client = Self { folder, api, hash: String::new(), program };
        wait_for("rTorrent to start", START, || {
            client.program.check_alive()?;
            client.call("system.client_version", &[])
        });
        client
    }

    /// The client's message about its tracker; empty while all is well.
    pub(crate) fn message(&self) -> anyhow::Result<String> {
        self.call("d.message", &[&self.hash])
    }

    /// Calls a method with strings and returns its scalar result as text.
    fn call(&self, method: &str, parameters: &[&str]) -> anyhow::Result<String> {
        let mut body = format!("<?xml version=\"1.0\"?><methodCall><methodName>{method}</methodName><params>");
        for parameter in parameters {
            // No other character of a path or a link means something in XML.
            let parameter = parameter.replace('&', "&amp;");
            write!(body, "<param><value><string>{parameter}</string></value></param>")?;
        }
        body.push_str("</params></methodCall>");

        // SCGI: the headers as a netstring, the length of the body first, https://python.ca/scgi/protocol.txt.
        let headers = format!("CONTENT_LENGTH\0{}\0SCGI\x001\0", body.len());
        let mut stream = UnixStream::connect(&self.api)?;
        write!(stream, "{}:{headers},{body}", headers.len())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        ensure!(!answer.contains("<fault>"), "{method}: {answer}");

        // <value><i8>42</i8></value>: the text between the innermost tags.
        let value = answer.split_once("<value><").and_then(|(_, rest)| rest.split_once('>'));
        match value.and_then(|(_, rest)| rest.split_once('<')) {
            Some((value, _)) => Ok(value.to_owned()),
            None => bail!("{method}: no value in {answer}"),
        }
    }

    fn number(&self, method: &str) -> anyhow::Result<u64> {
        self.call(method, &[&self.hash])?.parse().context("not a number")
    }
}

impl Client for RTorrent {
    fn name(&self) -> &'static str {
        "rTorrent"
    }

    fn folder(&self) -> &Path {
        &self.folder
    }

    fn add(&mut self, torrent: &Torrent) -> anyhow::Result<()> {
        self.add_magnet(torrent, torrent.path().to_str().context("a path in UTF-8")?)
    }

    // It takes paths and links alike.
    fn add_magnet(&mut self, torrent: &Torrent, magnet: &str) -> anyhow::Result<()> {
        self.hash = torrent.info_hash().to_uppercase();
        self.call("load.start", &["", magnet])?;
        Ok(())
    }

    fn status(&mut self) -> anyhow::Result<Status> {
        self.program.check_alive()?;
        // Until it has the metadata, these are the content.
        ensure!(self.number("d.is_meta")? == 0, "has no metadata yet");
        Ok(Status {
            peers: self.number("d.peers_connected")?,
            bytes: self.number("d.completed_bytes")?,
            seeds: self.number("d.complete")? == 1 && self.number("d.hashing")? == 0,
        })
    }

    fn limit_download(&mut self, rate: Option<u32>) -> anyhow::Result<()> {
        self.call("throttle.global_down.max_rate.set", &["", &rate.unwrap_or(0).to_string()])?;
        Ok(())
    }

    fn pause(&mut self) -> anyhow::Result<()> {
        // It does not tell the tracker that it stops while it waits for the answer to an announce.
        let tracker = format!("{}:t0", self.hash);
        wait_for("rTorrent's announce to be answered", START, || {
            ensure!(self.call("t.is_busy", &[&tracker])? == "0", "it is under way");
            Ok(())
        });
        self.call("d.stop", &[&self.hash])?;
        Ok(())
    }

    fn resume(&mut self) -> anyhow::Result<()> {
        self.call("d.start", &[&self.hash])?;
        Ok(())
    }
}
