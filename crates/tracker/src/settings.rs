//! The settings: what can be set, the defaults, and which values go together.

mod arguments;
mod builder;
mod file;
mod listen;
mod log;
mod texts;
mod viewers;

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf, absolute};

use anyhow::{Context, anyhow, ensure};
use clap::Args;
use serde::{Deserialize, Serialize};
use smart_default::SmartDefault;
use tracing::level_filters::LevelFilter;
use tracker::{Allow, DASHBOARD_PORT, DataFolder, Network, PEER_PORT};
use tracker_core::Config;
use tracker_http::HttpConfig;

use crate::access_code::AccessCode;
use crate::base_path::BasePathSetting;
use crate::byte_rate::ByteRate;
use crate::host_name::HostName;
use crate::listen_address::ListenAddress;
use crate::mdns_setting::MdnsSetting;

pub(crate) use log::{LogFormat, LogLevel};
use viewers::ViewersSetting;

/// The value of `data` that keeps all in memory.
const NO_DATA: &str = "none";

/// The settings. Each field is a flag, an environment variable (`TRACKER_` and the name) and a key of the settings file; its
/// doc comment is the help text, to which the default is added.
///
/// The values of a file are put over the defaults by serde, and those of the flags and the environment over them by clap:
/// see [`Cli::settings`](crate::cli::Cli::settings).
#[derive(Debug, Clone, PartialEq, Eq, Args, Serialize, Deserialize, SmartDefault)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Settings {
    /// Listen for clients on this address and port; repeatable
    ///
    /// 0.0.0.0:6969 is all IPv4 addresses of this machine, and [::]:6969 all IPv6 ones, without IPv4.
    #[arg(long, help_heading = "Clients", value_name = "ADDR:PORT")]
    #[serde(with = "texts")]
    #[default(listen::all())]
    pub(crate) listen: Vec<ListenAddress>,

    /// Serve clients over UDP too, on the same addresses and ports as over HTTP
    #[arg(long, help_heading = "Clients")]
    #[default = true]
    pub(crate) udp: bool,

    /// Number of threads for each address, for HTTP and as many for UDP [default: one per core]
    #[arg(long, help_heading = "Clients", value_name = "COUNT", hide_short_help = true)]
    threads: Option<NonZeroUsize>,

    /// Serve these clients: lan, all, or a network such as 10.1.0.0/16; repeatable
    ///
    /// `lan` is loopback, private, link-local and this machine's own networks.
    #[arg(long, help_heading = "Clients", value_name = "lan|all|CIDR")]
    #[serde(with = "texts")]
    #[default(_code = "vec![Allow::Lan]")]
    pub(crate) allow: Vec<Allow>,

    /// Serve the clients that the rules in this file admit, such as `deny 10.1.2.3` or `allow -qB` [default: clients.txt in the data
    /// folder]
    ///
    /// A rule is `allow` or `deny` and an address, a network, or the beginning of a peer id; # starts a note. What is denied stays
    /// denied; with a rule to allow, all others of its kind are refused. Rules are also changed on the dashboard. Re-read on change.
    #[arg(long, help_heading = "Clients", value_name = "FILE", hide_short_help = true)]
    pub(crate) client_list: Option<PathBuf>,

    /// Answer to this host name too; repeatable
    ///
    /// The tracker answers to the addresses of the machine and its own name (also with .local and the network's search domains),
    /// for clients to any name without a dot or with .local, and refuses any other name, since a hostile page could use it.
    #[arg(long, help_heading = "Clients", value_name = "NAME")]
    #[serde(with = "texts")]
    pub(crate) host_name: Vec<HostName>,

    /// Trust the Forwarded, X-Forwarded-For and X-Real-IP headers of proxies in this network; repeatable
    ///
    /// And, on all ports, the PROXY protocol, version 2, of proxies that send it. Name every reverse proxy in front of
    /// the tracker, above all one on this machine: without this, all its clients count as this machine.
    #[arg(long, help_heading = "Clients", value_name = "CIDR")]
    #[serde(with = "texts")]
    pub(crate) trusted_proxy: Vec<Network>,

    /// Trust clients in this network when they announce another address (ip=); repeatable
    ///
    /// Clients behind NAT or in a container do so. To trust programs on this machine, name 127.0.0.0/8 and ::1.
    #[arg(long, help_heading = "Clients", value_name = "CIDR")]
    #[serde(with = "texts")]
    pub(crate) trusted_network: Vec<Network>,

    /// Share each file and folder in this folder, as FOLDER does
    ///
    /// They can be downloaded on the dashboard, and by BitTorrent. What is put into the folder later is shared once it stands
    /// still, what changes is shared anew, and what is removed is withdrawn. Hidden files, links, .torrent files and downloads
    /// that are not finished are passed over. Nothing is written into the folder. The home folder is refused, and so is what has
    /// it in it.
    #[arg(long, help_heading = "Files", value_name = "DIR")]
    pub(crate) share: Option<PathBuf>,

    /// Share nothing by itself: only that of which the operator makes torrents on the dashboard
    #[arg(long, help_heading = "Files")]
    pub(crate) share_by_hand: bool,

    /// Keep what outlives the program in this folder, or, with `none`, in memory [default: the platform's folder for local data]
    ///
    /// It is `lan-tracker` in the platform's folder for local data, such as ~/.local/share; or the first of $STATE_DIRECTORY,
    /// which systemd sets. It is made if it does not exist. One tracker uses it at a time.
    #[arg(long, help_heading = "Files", value_name = "DIR|none")]
    data: Option<PathBuf>,

    /// Name the computers by this file of lines `address,name`, and count only them
    ///
    /// `3 of 30 have it` then counts the computers in the file. Without it, it counts those that have come in this lesson, which
    /// have the names that the network gives them. Names that are given on the dashboard win. Re-read on change.
    #[arg(long, help_heading = "Files", value_name = "FILE")]
    pub(crate) names: Option<PathBuf>,

    /// Send at most this many bytes per second to all who download: a number, with K, M or G for powers of 1024 [default: no
    /// limit]
    ///
    /// It holds for what the tracker gives as a peer, for BitTorrent clients that use this machine as a web seed, and for downloads
    /// in browsers, all together. Those who download at the same time have equal parts of it.
    #[arg(long, help_heading = "Files", value_name = "BYTES[K|M|G]")]
    pub(crate) upload_limit: Option<ByteRate>,

    /// Offer folders as zip archives
    ///
    /// Whole, or the files that are selected.
    #[arg(long, help_heading = "Files", hide_short_help = true)]
    #[default = true]
    pub(crate) zip: bool,

    /// Read the .torrent files in this folder, and keep registered torrents there [default: torrents in the data folder]
    ///
    /// They give the names, sizes and files of their torrents. The folder is re-read on change, and made if it does not exist.
    /// Torrents that are registered on the dashboard are saved there; without this folder they are lost when the program ends.
    #[arg(long, help_heading = "Torrents", value_name = "DIR")]
    pub(crate) torrents: Option<PathBuf>,

    /// Serve only torrents that are known, by --torrents, the dashboard or the allow list
    #[arg(long, help_heading = "Torrents")]
    pub(crate) only_known: bool,

    /// Serve only the torrents in this file: one info-hash in each line
    ///
    /// An info-hash has 40 hex digits, and is optionally followed by a name; # starts a comment. If the file is empty, no torrent
    /// is served. Re-read on change.
    #[arg(long, help_heading = "Torrents", value_name = "FILE")]
    pub(crate) allow_list: Option<PathBuf>,

    /// Never serve the torrents in this file, which has the format of the allow list
    ///
    /// Re-read on change.
    #[arg(long, help_heading = "Torrents", value_name = "FILE")]
    pub(crate) deny_list: Option<PathBuf>,

    /// Serve the dashboard, the page for browsers
    ///
    /// It shows what goes on. There the operator stops and starts the tracker, and makes and registers torrents.
    #[arg(long, help_heading = "Dashboard")]
    #[default = true]
    pub(crate) dashboard: bool,

    /// Serve the dashboard on this address and port; repeatable
    #[arg(long, help_heading = "Dashboard", value_name = "ADDR:PORT")]
    #[serde(with = "texts")]
    #[default(listen::all())]
    pub(crate) dashboard_listen: Vec<ListenAddress<DASHBOARD_PORT>>,

    /// Take the name NAME.local (none: --mdns=)
    ///
    /// Browsers on the LAN open http://NAME.local:6970 where their system resolves such names, and programs that list what is on the LAN
    /// show it. It is announced by multicast DNS with the IPv4 addresses of this machine, if others reach the dashboard by them. If
    /// another machine has the name, this one is NAME-2.local. Announce URLs have addresses all the same.
    #[arg(long, help_heading = "Dashboard", value_name = "NAME")]
    #[default(_code = "MdnsSetting(\"tracker\".parse().ok())")]
    pub(crate) mdns: MdnsSetting,

    /// Serve the dashboard and announces under this path too, such as /tracker, for a reverse proxy that offers them there
    ///
    /// All links have the path then. The proxy may pass it on or remove it. It begins with a slash, does not end with one, and has
    /// at most 100 letters, digits and - . _ ~ between slashes.
    #[arg(long, help_heading = "Dashboard", value_name = "PATH", hide_short_help = true)]
    pub(crate) base_path: Option<BasePathSetting>,

    /// Serve the dashboard over HTTPS with the certificate in this PEM file
    ///
    /// Those that signed it may follow it. Needs --tls-key. On the same ports clients may announce over HTTPS, too; announce URLs stay
    /// http, since BitTorrent clients refuse a certificate that no public authority signed. Re-read on change.
    #[arg(long, help_heading = "Dashboard", value_name = "FILE", hide_short_help = true)]
    pub(crate) tls_cert: Option<PathBuf>,

    /// The PEM file with the private key of the certificate, without a password
    ///
    /// Only the user that runs the tracker should be able to read it. Re-read on change.
    #[arg(long, help_heading = "Dashboard", value_name = "FILE", hide_short_help = true)]
    pub(crate) tls_key: Option<PathBuf>,

    /// Require the token even for requests from this machine
    ///
    /// Needed behind a reverse proxy on this machine that adds no Forwarded or X-Forwarded-For header.
    #[arg(long, help_heading = "Dashboard", hide_short_help = true)]
    pub(crate) dashboard_token_always: bool,

    /// Let these look and download: lan, login or none
    ///
    /// `lan` is everybody who may use the tracker. With `login` people sign in with an account, which `tracker operators add NAME`
    /// makes. `none` is the operator alone. BitTorrent clients are served as before: with a .torrent or a magnet link one gets its
    /// content from others.
    #[arg(long, help_heading = "Dashboard", value_name = "lan|login|none", hide_short_help = true)]
    pub(crate) viewers: ViewersSetting,

    /// Ask viewers for this code, such as 4711
    ///
    /// Only people who know it look and download. It has 4 to 32 letters and digits. The URL and the QR code that the tracker prints,
    /// and those on the beamer's page, have it in them. It keeps passers-by out, but nobody who listens to the network. Other users of
    /// this machine see it on the command line: write it into the settings file to avoid that.
    #[arg(long, help_heading = "Dashboard", value_name = "CODE")]
    pub(crate) code: Option<AccessCode>,

    /// Connect to peers to see their progress, introduce them and seed
    ///
    /// So the dashboard shows progress by the second and who cannot be reached, clients find each other at once, and no BitTorrent
    /// client is needed beside the tracker. Only computers on the LAN are connected to. Not with --lean.
    #[arg(long, help_heading = "Peers")]
    #[default = true]
    pub(crate) peer: bool,

    /// Give what is shared to peers, as a client does
    ///
    /// Each piece is given once before any is given twice, so that it spreads fast. On the dashboard, single torrents can be
    /// stopped. A torrent that a BitTorrent client on this machine has is left to it. Without this, the tracker gives by the
    /// dashboard alone: to browsers, and to clients as a web seed. Not with --peer=false, nor with --lean.
    #[arg(long, help_heading = "Peers")]
    #[default = true]
    pub(crate) seed: bool,

    /// Give a torrent to at most this many peers at the same time [default: no limit]
    ///
    /// The others get it from these. The fewer there are, the more of the link may stay unused.
    #[arg(long, help_heading = "Peers", value_name = "COUNT", hide_short_help = true)]
    pub(crate) upload_slots: Option<NonZeroUsize>,

    /// Take peers' connections on this address and port; repeatable
    ///
    /// A computer to which nobody can connect, as behind a firewall, connects to the tracker there, and is shown and introduced,
    /// too. If the port is taken, the tracker goes on without. Several addresses have the same port. Only computers that reach the
    /// tracker by such an address are told of it.
    #[arg(long, help_heading = "Peers", value_name = "ADDR:PORT", hide_short_help = true)]
    #[serde(with = "texts")]
    #[default(listen::all())]
    pub(crate) peer_listen: Vec<ListenAddress<PEER_PORT>>,

    /// Connect to peers from this address, which no client uses; repeatable
    ///
    /// A client keeps one connection to each address. If a BitTorrent client on this machine shares a torrent, the tracker does not
    /// connect to others for it, unless it has an address of its own.
    #[arg(long, help_heading = "Peers", value_name = "ADDR", hide_short_help = true)]
    #[serde(with = "texts")]
    pub(crate) peer_address: Vec<IpAddr>,

    /// Let only users announce, each with a key of their own
    ///
    /// `tracker users add NAME` makes a user. Who signs in on the dashboard gets .torrent files with the key in them, and nobody
    /// downloads without signing in. What each has uploaded and downloaded is shown there. A key can be switched off.
    #[arg(long, help_heading = "Peers", hide_short_help = true)]
    pub(crate) users: bool,

    /// Aim at this many announces per second
    ///
    /// The more peers, the longer the announce interval.
    #[arg(long, help_heading = "Peers", value_name = "PER_SECOND", hide_short_help = true)]
    #[default(Config::default().announce_budget)]
    pub(crate) announce_budget: u32,

    /// Prefer peers of the asking client's own subnet (/24 for IPv4, /64 for IPv6)
    #[arg(long, help_heading = "Peers")]
    pub(crate) prefer_subnet: bool,

    /// List all torrents to a client that scrapes without naming one
    #[arg(long, help_heading = "Peers", hide_short_help = true)]
    #[default(HttpConfig::default().full_scrape)]
    pub(crate) full_scrape: bool,

    /// Keep only the address and state of each peer: a fifth of the memory
    ///
    /// Meant for millions of peers. Without peer ids the log names no clients, a client that changes its port counts as two for a
    /// while, and a client with two addresses may be given its own.
    #[arg(long, help_heading = "Peers")]
    pub(crate) lean: bool,

    /// Log as text, or as JSON with one object per line, on standard error
    #[arg(long, help_heading = "Log", value_name = "text|json")]
    pub(crate) log_format: LogFormat,

    /// Log this much: error, warn, info, debug or trace
    ///
    /// `info` has a line for each peer that joins, completes or leaves.
    #[arg(long, help_heading = "Log", value_name = "LEVEL")]
    pub(crate) log_level: LogLevel,
}

/// Where what outlives the program is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Data {
    /// In the folder that was asked for.
    Folder(PathBuf),
    /// In the default folder.
    Default(PathBuf),
    /// In memory.
    None,
}

impl Data {
    /// The folder, if there is one.
    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Self::Folder(folder) | Self::Default(folder) => Some(folder),
            Self::None => None,
        }
    }
}

impl Settings {
    /// Checks which values go together. Paths become absolute, and an address that is named twice is listened on once.
    pub(crate) fn checked(mut self) -> anyhow::Result<Self> {
        for path in self.paths().into_iter().flatten() {
            *path = absolute(&path).context("a file or folder without a name")?;
        }
        listen::remove_duplicates(&mut self.listen);
        listen::remove_duplicates(&mut self.dashboard_listen);
        listen::remove_duplicates(&mut self.peer_listen);
        listen::check("listen", &self.listen)?;
        if self.dashboard {
            listen::check("dashboard-listen", &self.dashboard_listen)?;
            listen::check_both(&self.listen, &self.dashboard_listen)?;
        }
        if self.has_peer() {
            listen::check("peer-listen", &self.peer_listen)?;
            listen::check_own_peer("listen", &self.listen, &self.peer_listen)?;
            if self.dashboard {
                listen::check_own_peer("dashboard-listen", &self.dashboard_listen, &self.peer_listen)?;
            }
        }
        ensure!(
            !self.only_known || self.dashboard || self.torrents.is_some() || self.allow_list.is_some(),
            "`only-known` without `torrents` and without the dashboard would serve nothing; name the folder with --torrents"
        );
        ensure!(
            self.share.is_none() || self.dashboard || self.seeds(),
            "`share` without the dashboard and without a peer that seeds would give the files to nobody; leave out --dashboard=false"
        );
        ensure!(
            self.viewers != ViewersSetting::Login || self.data() != Data::None,
            "`viewers` is login, but with `data` none there are no accounts to sign in with: name a folder with --data DIR"
        );
        ensure!(
            self.code.is_none() || self.viewers == ViewersSetting::Lan,
            "`code` is for viewers who do not sign in: leave it out, or set `viewers` to lan"
        );
        ensure!(
            !self.users || self.data() != Data::None,
            "`users` need a folder that keeps them, but `data` is none: name a folder with --data DIR"
        );
        ensure!(
            !self.users || self.viewers != ViewersSetting::None,
            "`users` download their .torrent files on the dashboard, but `viewers` is none: set it to lan or login"
        );
        ensure!(
            !self.users || self.code.is_none(),
            "`code` is for viewers who do not sign in, and `users` do: leave one of them out"
        );
        ensure!(
            self.tls_cert.is_none() || self.tls_key.is_some(),
            "`tls-cert` without its key: name the file with --tls-key"
        );
        ensure!(
            self.tls_key.is_none() || self.tls_cert.is_some(),
            "`tls-key` without a certificate: name the file with --tls-cert"
        );
        ensure!(!self.allow.is_empty(), "`allow` is empty: write `lan`, `all` or at least one network");
        // The fields are called as the settings are, but for the hyphens.
        let as_written = |error: &dyn Display| anyhow!(error.to_string().replace('_', "-"));
        self.core().validate().map_err(|error| as_written(&error))?;
        self.http().validate().map_err(|error| as_written(&error))?;
        self.udp_config().validate().map_err(|error| as_written(&error))?;
        Ok(self)
    }

    /// All settings that are paths.
    fn paths(&mut self) -> [Option<&mut PathBuf>; 9] {
        let data = self.data.as_mut().filter(|data| **data != Path::new(NO_DATA));
        let Self { share, torrents, names, allow_list, deny_list, client_list, tls_cert, tls_key, .. } = self;
        let [share, torrents, names, allow_list, deny_list, client_list, tls_cert, tls_key] =
            [share, torrents, names, allow_list, deny_list, client_list, tls_cert, tls_key].map(Option::as_mut);
        [share, data, torrents, names, allow_list, deny_list, client_list, tls_cert, tls_key]
    }

    /// The folder for what outlives the program.
    pub(crate) fn data(&self) -> Data {
        match &self.data {
            Some(none) if none == Path::new(NO_DATA) => Data::None,
            Some(folder) => Data::Folder(folder.clone()),
            None => DataFolder::default_path().map_or(Data::None, Data::Default),
        }
    }

    /// Keeps what outlives the program in this folder, or, with `none`, in memory.
    pub(crate) fn set_data(&mut self, data: PathBuf) {
        self.data = Some(data);
    }

    /// Returns `true` if the tracker has a peer of its own.
    pub(crate) fn has_peer(&self) -> bool {
        self.peer && !self.lean
    }

    /// Returns `true` if the tracker seeds what is shared.
    fn seeds(&self) -> bool {
        self.seed && self.has_peer()
    }

    /// The addresses for all IPv6 addresses of the machine that leave out IPv4.
    pub(crate) fn ipv6_only(&self) -> impl Iterator<Item = SocketAddr> {
        let dashboard = self.dashboard.then(|| listen::ipv6_only(&self.dashboard_listen)).flatten();
        let peer = self.has_peer().then(|| listen::ipv6_only(&self.peer_listen)).flatten();
        listen::ipv6_only(&self.listen).into_iter().chain(dashboard).chain(peer)
    }

    /// The number of threads that serve an address.
    pub(crate) fn threads(&self) -> NonZeroUsize {
        self.threads.unwrap_or_else(|| HttpConfig::default().threads)
    }

    /// Returns `true` if the log has a line for each event.
    pub(crate) fn logs_events(&self) -> bool {
        LevelFilter::from(self.log_level) >= LevelFilter::INFO
    }
}

#[cfg(test)]
mod tests;
