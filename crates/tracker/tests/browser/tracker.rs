use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::support::client::START;
use crate::support::host::Host;
use crate::support::http::{Request, Response};
use crate::support::program::Program;
use crate::support::wait::wait_for;

const PORT: u16 = 6969;
const DASHBOARD_PORT: u16 = 6970;

/// The `tracker` binary of this package with its dashboard, running on a host.
#[derive(Debug)]
pub(crate) struct Tracker {
    host: Host,
    share: PathBuf,
    operator_url: String,
    _program: Program,
}

impl Tracker {
    /// Starts it with a folder to share.
    pub(crate) fn start(host: &Host) -> Self {
        Self::start_with(host, &[])
    }

    /// Starts it with a folder of which all is shared by itself, and with more flags.
    pub(crate) fn start_sharing(host: &Host, flags: &[&str]) -> Self {
        Self::run(host, flags)
    }

    /// Starts it with a folder to share, and with more flags.
    pub(crate) fn start_with(host: &Host, flags: &[&str]) -> Self {
        Self::run(host, &[&["--share-by-hand"], flags].concat())
    }

    fn run(host: &Host, flags: &[&str]) -> Self {
        let share = host.make_folder("share");
        let share_flag = share.display().to_string();
        let (listen, dashboard) = (format!("0.0.0.0:{PORT}"), format!("0.0.0.0:{DASHBOARD_PORT}"));
        let listen = ["--listen", &listen, "--dashboard-listen", &dashboard];
        let data: &[_] = if flags.contains(&"--data") { &[] } else { &["--data", "none"] };
        let share_flags = [&["--share", &share_flag], data].concat();
        let always = [&listen[..], &share_flags, &["--log-format", "json"]].concat();
        let mut program = host.run(env!("CARGO_BIN_EXE_tracker"), &[&always, flags].concat());
        let operator_url = wait_for("the tracker to start", START, || {
            program.check_alive()?;
            operator_url(&host.folder.join("tracker.log"), host.address)
        });
        Self { host: host.clone(), share, operator_url, _program: program }
    }

    /// The address for clients.
    pub(crate) fn address(&self) -> SocketAddrV4 {
        SocketAddrV4::new(self.host.address, PORT)
    }

    pub(crate) fn announce_url(&self) -> String {
        format!("http://{}/announce", self.address())
    }

    /// The folder of which torrents can be made.
    pub(crate) fn share(&self) -> &Path {
        &self.share
    }

    /// The URL that is printed at the start: with the token, by the address on the network.
    pub(crate) fn operator_url(&self) -> &str {
        &self.operator_url
    }

    /// The URL of a page.
    pub(crate) fn page(&self, path: &str) -> String {
        format!("http://{}:{DASHBOARD_PORT}{path}", self.host.address)
    }

    /// All kinds of page, by name and path: the torrent's is of this one.
    pub(crate) fn pages(&self, info_hash: &str) -> [(&'static str, String); 13] {
        [
            ("home", "/".to_owned()),
            ("get", format!("/files/{info_hash}")),
            ("beamer", "/beamer".to_owned()),
            ("beamer of a file", format!("/beamer/{info_hash}")),
            ("files", "/manage".to_owned()),
            ("file", format!("/manage/files/{info_hash}")),
            ("computers", "/manage/computers".to_owned()),
            ("report", "/manage/report".to_owned()),
            ("share", "/manage/share".to_owned()),
            ("by hand", "/manage/share/by-hand".to_owned()),
            ("tracker", "/manage/tracker".to_owned()),
            ("log", "/manage/log".to_owned()),
            ("not found", format!("/manage/files/{}", "0".repeat(40))),
        ]
    }

    /// Asks the dashboard on the tracker's own host.
    #[track_caller]
    pub(crate) fn ask(&self, method: &str, target: &str, body: &[u8]) -> Response {
        let dashboard = SocketAddrV4::new(Ipv4Addr::LOCALHOST, DASHBOARD_PORT);
        let request = Request { method, target, body, ..Request::default() };
        self.host.request(dashboard, &request).expect("the dashboard answers")
    }

    /// The response of the dashboard's API.
    #[track_caller]
    pub(crate) fn api(&self, target: &str) -> Value {
        let response = self.ask("GET", target, b"");
        assert_eq!(response.status, 200, "{target}: {}", String::from_utf8_lossy(&response.body));
        serde_json::from_slice(&response.body).expect("the API speaks JSON")
    }

    /// Takes the port for clients, over TCP and UDP, as another program would.
    pub(crate) fn take_port(&self) -> std::io::Result<(TcpListener, UdpSocket)> {
        let all = (Ipv4Addr::UNSPECIFIED, PORT);
        self.host.on(|| Ok((TcpListener::bind(all)?, UdpSocket::bind(all)?)))
    }
}

/// The URL with the token that a log tells of, by this address.
fn operator_url(log: &Path, address: Ipv4Addr) -> anyhow::Result<String> {
    let log = fs::read_to_string(log)?;
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let urls: Vec<_> = lines.filter_map(|line| Some(line["url"].as_str()?.to_owned())).collect();
    ensure!(urls.iter().any(|url| url.contains("/announce")), "no announce URL yet");
    let start = format!("http://{address}:{DASHBOARD_PORT}/");
    let url = urls.into_iter().find(|url| url.starts_with(&start) && url.contains("/?token="));
    url.context("no URL of the dashboard")
}
