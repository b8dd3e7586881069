use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;

use crate::scripted::ScriptedClient;
use crate::support::host::Host;

/// The script that drives it, over an API of its own.
const DRIVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real_clients/webtorrent.mjs");
/// The path at which `.ci/install-webtorrent` installs it.
const MODULES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/webtorrent/node_modules");

const API: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 6802);
/// [WebTorrent](https://webtorrent.io) on Node.js, whose requests resemble a browser's in some headers.
pub(crate) struct WebTorrent;

impl WebTorrent {
    /// The port on which it listens for peers.
    pub(crate) const PORT: u16 = 40005;

    pub(crate) fn start(host: &Host) -> ScriptedClient {
        Self::start_with(host, false)
    }

    /// With peer exchange, which is on by default outside of these tests.
    pub(crate) fn start_with_pex(host: &Host) -> ScriptedClient {
        Self::start_with(host, true)
    }

    fn start_with(host: &Host, has_pex: bool) -> ScriptedClient {
        assert!(Path::new(MODULES).exists(), "{MODULES}: .ci/install-webtorrent installs it");
        let folder = host.make_folder("webtorrent");
        let (path, port, api_port) = (folder.display().to_string(), Self::PORT.to_string(), API.port().to_string());
        let arguments = [DRIVER, MODULES, &path, &port, &api_port, &has_pex.to_string()];
        let program = host.run("node", &arguments);
        ScriptedClient::new("WebTorrent", host, folder, API, program)
    }
}
