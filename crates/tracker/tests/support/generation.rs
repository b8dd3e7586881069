use std::env;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

/// Where `.ci/install-clients` puts commands that run the clients of Debian 13.
const DEBIAN_13: &str = "/opt/tracker-tests/debian-13/bin";

/// A generation of clients: those of a release of Debian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Generation {
    /// The machine's own programs. In Debian 12: qBittorrent 4.5, Transmission 3.00, aria2 1.36.
    Debian12,
    /// qBittorrent 5.1, Transmission 4.1, aria2 1.37, which see the folder for temporary files and no other of the machine. All
    /// other programs are the machine's own: Debian 13 has the same rTorrent.
    Debian13,
}

impl Generation {
    /// The value of `PATH` with which the clients of this generation are found.
    ///
    /// # Panics
    ///
    /// If they are not installed.
    pub(crate) fn path(self) -> OsString {
        let path = env::var_os("PATH").unwrap_or_default();
        match self {
            Self::Debian12 => path,
            Self::Debian13 => {
                let clients = PathBuf::from(DEBIAN_13);
                assert!(clients.is_dir(), "{DEBIAN_13} not found: .ci/install-clients installs the clients of {self}");
                let folders = [clients].into_iter().chain(env::split_paths(&path));
                env::join_paths(folders).expect("the parts of a PATH make a PATH")
            }
        }
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Debian12 => "Debian 12",
            Self::Debian13 => "Debian 13",
        })
    }
}
