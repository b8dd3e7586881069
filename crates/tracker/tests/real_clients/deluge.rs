use std::net::{Ipv4Addr, SocketAddrV4};

use crate::scripted::ScriptedClient;
use crate::support::host::Host;

/// The script that runs its daemon, with an API of its own.
const DRIVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real_clients/deluged.py");

/// The Python that has Debian's packages.
const PYTHON: &str = "/usr/bin/python3";

const API: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 6803);
const PORT: u16 = 40006;

/// [Deluge](https://deluge-torrent.org), the machine's own in both generations.
pub(crate) struct Deluge;

impl Deluge {
    pub(crate) fn start(host: &Host) -> ScriptedClient {
        Self::start_with(host, "{}")
    }

    /// With peer exchange, which is on by default outside of these tests.
    pub(crate) fn start_with_pex(host: &Host) -> ScriptedClient {
        Self::start_with(host, r#"{"utpex": true}"#)
    }

    /// With encrypted connections only.
    pub(crate) fn start_encrypted(host: &Host) -> ScriptedClient {
        Self::start_with(host, r#"{"enc_in_policy": 0, "enc_out_policy": 0, "enc_level": 1}"#)
    }

    /// With these settings instead of those of the tests, in JSON.
    fn start_with(host: &Host, settings: &str) -> ScriptedClient {
        let (config, folder) = (host.make_folder("deluge-config"), host.make_folder("deluge"));
        let [config, path] = [&config, &folder].map(|folder| folder.display().to_string());
        let (port, api_port) = (PORT.to_string(), API.port().to_string());
        let program = host.run(PYTHON, &[DRIVER, &config, &path, &port, &api_port, settings]);
        ScriptedClient::new("Deluge", host, folder, API, program)
    }
}
