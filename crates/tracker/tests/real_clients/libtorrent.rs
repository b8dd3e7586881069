use std::net::{Ipv4Addr, SocketAddrV4};

use crate::scripted::ScriptedClient;
use crate::support::host::Host;

/// The script that runs it, with an API of its own.
const DRIVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real_clients/libtorrent_session.py");

/// The Python that has Debian's packages.
const PYTHON: &str = "/usr/bin/python3";

const API: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 6804);

/// [libtorrent](https://libtorrent.org) with its own settings, the machine's own in both generations. qBittorrent and Deluge use it
/// with theirs.
pub(crate) struct Libtorrent;

impl Libtorrent {
    /// The port on which it listens for peers.
    pub(crate) const PORT: u16 = 40007;

    pub(crate) fn start(host: &Host) -> ScriptedClient {
        Self::start_with(host, "{}")
    }

    /// With these settings instead of its own, in JSON: <https://libtorrent.org/reference-Settings.html>.
    pub(crate) fn start_with(host: &Host, settings: &str) -> ScriptedClient {
        let folder = host.make_folder("libtorrent");
        let (path, port, api_port) = (folder.display().to_string(), Self::PORT.to_string(), API.port().to_string());
        let program = host.run(PYTHON, &[DRIVER, &path, &port, &api_port, settings]);
        ScriptedClient::new("libtorrent", host, folder, API, program)
    }
}
