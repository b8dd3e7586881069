//! What can be set, where it comes from, and what it is when nobody says.

mod file;
mod listen;

use std::fmt::Display;
use std::num::NonZeroUsize;
use std::path::{PathBuf, absolute};

use anyhow::{Context, anyhow, ensure};
use clap::builder::BoolishValueParser;
use clap::{Args, ValueEnum};
use dashboard::MAX_PENDING_EVENTS;
use serde::{Deserialize, Serialize};
use tracing::level_filters::LevelFilter;
use tracker_core::{Config, Memory, SubnetPreference};
use tracker_http::HttpConfig;
use tracker_udp::UdpConfig;

use crate::allow::Allow;
use crate::host_name::HostName;
use crate::listen_address::{DASHBOARD_PORT, ListenAddress};
use crate::network::Network;

use file::{from_texts, to_texts};

/// What one source says: the flags and the environment (clap knows which goes first), or a file. The keys of a file are
/// the names of the flags.
#[derive(Debug, Default, Args, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Layer {
    /// Listen on this address and port; repeatable [default: all addresses, port 6969]
    #[arg(long, value_name = "ADDR:PORT", env = "TRACKER_LISTEN", value_delimiter = ',', hide_env_values = true)]
    #[serde(deserialize_with = "from_texts")]
    listen: Option<Vec<ListenAddress>>,

    /// Serve clients over UDP as well, on the same addresses and port numbers as over HTTP [default: true]
    #[arg(
        long,
        value_name = "true|false",
        env = "TRACKER_UDP",
        value_parser = BoolishValueParser::new(),
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        hide_possible_values = true,
        hide_env_values = true
    )]
    udp: Option<bool>,

    /// Serve the dashboard, a page that shows what goes on and by which the operator stops and starts the tracker, makes
    /// torrents and registers them [default: true]
    #[arg(
        long,
        value_name = "true|false",
        env = "TRACKER_DASHBOARD",
        value_parser = BoolishValueParser::new(),
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        hide_possible_values = true,
        hide_env_values = true
    )]
    dashboard: Option<bool>,

    /// Serve the dashboard on this address and port; repeatable [default: all addresses, port 6970]
    #[arg(
        long,
        value_name = "ADDR:PORT",
        env = "TRACKER_DASHBOARD_LISTEN",
        value_delimiter = ',',
        hide_env_values = true
    )]
    #[serde(deserialize_with = "from_texts")]
    dashboard_listen: Option<Vec<ListenAddress<DASHBOARD_PORT>>>,

    /// Ask also whoever comes from this machine for the token before he changes something on the dashboard: needed behind a
    /// proxy on this machine that does not say that it is one [default: false]
    #[arg(
        long,
        value_name = "true|false",
        env = "TRACKER_DASHBOARD_TOKEN_ALWAYS",
        value_parser = BoolishValueParser::new(),
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        hide_possible_values = true,
        hide_env_values = true
    )]
    dashboard_token_always: Option<bool>,

    /// Answer on the dashboard to this name of the machine, too; repeatable. It answers to the machine's addresses, to what
    /// the machine calls itself (with .local, too), and to no other name, which might be that of a hostile page [default:
    /// none]
    #[arg(long, value_name = "NAME", env = "TRACKER_HOST_NAME", value_delimiter = ',', hide_env_values = true)]
    #[serde(deserialize_with = "from_texts")]
    host_name: Option<Vec<HostName>>,

    /// Know the torrents whose .torrent files are in this folder by their names, sizes and files; re-read on change. What is
    /// registered on the dashboard is written there, and lost with the program otherwise
    #[arg(long, value_name = "DIR", env = "TRACKER_TORRENTS", hide_env_values = true)]
    torrents: Option<PathBuf>,

    /// Let the operator make torrents of the files and folders in this folder, on the dashboard
    #[arg(long, value_name = "DIR", env = "TRACKER_SHARE", hide_env_values = true)]
    share: Option<PathBuf>,

    /// Serve only torrents whose .torrent files are known, from the folder or from the dashboard, and those of the allow list
    /// [default: false]
    #[arg(
        long,
        value_name = "true|false",
        env = "TRACKER_ONLY_KNOWN",
        value_parser = BoolishValueParser::new(),
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        hide_possible_values = true,
        hide_env_values = true
    )]
    only_known: Option<bool>,

    /// Serve each address with this many threads, and as many for UDP [default: one per core]
    #[arg(long, value_name = "COUNT", env = "TRACKER_THREADS", hide_env_values = true)]
    threads: Option<NonZeroUsize>,

    /// Serve these clients: lan (loopback, private, link-local and this machine's own networks), all, or a network such as
    /// 10.1.0.0/16; repeatable [default: lan]
    #[arg(long, value_name = "lan|all|CIDR", env = "TRACKER_ALLOW", value_delimiter = ',', hide_env_values = true)]
    #[serde(deserialize_with = "from_texts")]
    allow: Option<Vec<Allow>>,

    /// Serve only the torrents in this file, none if it is empty: an info-hash of 40 hex digits a line, a name may follow, #
    /// begins a comment; re-read on change
    #[arg(long, value_name = "FILE", env = "TRACKER_ALLOW_LIST", hide_env_values = true)]
    allow_list: Option<PathBuf>,

    /// Never serve the torrents in this file, which looks the same
    #[arg(long, value_name = "FILE", env = "TRACKER_DENY_LIST", hide_env_values = true)]
    deny_list: Option<PathBuf>,

    /// Believe the Forwarded and X-Forwarded-For headers of proxies in this network; repeatable. Name each proxy in front of
    /// the tracker, above all one on this machine: all that it passes on counts as this machine's own otherwise
    /// [default: none]
    #[arg(long, value_name = "CIDR", env = "TRACKER_TRUSTED_PROXY", value_delimiter = ',', hide_env_values = true)]
    #[serde(deserialize_with = "from_texts")]
    trusted_proxy: Option<Vec<Network>>,

    /// Believe clients in this network when they announce another address than their own (ip=), as behind NAT or in a
    /// container; repeatable [default: none but this machine]
    #[arg(long, value_name = "CIDR", env = "TRACKER_TRUSTED_NETWORK", value_delimiter = ',', hide_env_values = true)]
    #[serde(deserialize_with = "from_texts")]
    trusted_network: Option<Vec<Network>>,

    /// Hand out peers of the asker's own subnet (/24 of IPv4, /64 of IPv6) before others [default: false]
    #[arg(
        long,
        value_name = "true|false",
        env = "TRACKER_PREFER_SUBNET",
        value_parser = BoolishValueParser::new(),
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        hide_possible_values = true,
        hide_env_values = true
    )]
    prefer_subnet: Option<bool>,

    #[arg(
        long,
        value_name = "PER_SECOND",
        env = "TRACKER_ANNOUNCE_BUDGET",
        hide_env_values = true,
        help = format!(
            "Aim at this many announces per second in all: the more peers, the longer the announce interval [default: {}]",
            Config::default().announce_budget
        )
    )]
    announce_budget: Option<u32>,

    /// List all torrents to a client that scrapes without naming one [default: false]
    #[arg(
        long,
        value_name = "true|false",
        env = "TRACKER_FULL_SCRAPE",
        value_parser = BoolishValueParser::new(),
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        hide_possible_values = true,
        hide_env_values = true
    )]
    full_scrape: Option<bool>,

    /// Keep of each peer no more than its address and state, for millions of them: 12 bytes instead of 63. What only peer ids
    /// tell is lost: the log names no clients, a client that comes back on another port is two for a while, and one on two
    /// addresses is told of itself [default: false]
    #[arg(
        long,
        value_name = "true|false",
        env = "TRACKER_LEAN",
        value_parser = BoolishValueParser::new(),
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        hide_possible_values = true,
        hide_env_values = true
    )]
    lean: Option<bool>,

    /// Log for people or, one JSON object a line, for programs; on standard error [default: text]
    #[arg(
        long,
        value_name = "text|json",
        env = "TRACKER_LOG_FORMAT",
        hide_possible_values = true,
        hide_env_values = true
    )]
    log_format: Option<LogFormat>,

    /// Log this much: error, warn, info (a line for each peer that comes, completes or goes), debug or trace [default: info]
    #[arg(long, value_name = "LEVEL", env = "TRACKER_LOG_LEVEL", hide_possible_values = true, hide_env_values = true)]
    log_level: Option<LogLevel>,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    Text,
    Json,
}

/// The least important log lines that are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// The settings in effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Settings {
    #[serde(serialize_with = "to_texts")]
    pub(crate) listen: Vec<ListenAddress>,
    pub(crate) udp: bool,
    pub(crate) dashboard: bool,
    #[serde(serialize_with = "to_texts")]
    pub(crate) dashboard_listen: Vec<ListenAddress<DASHBOARD_PORT>>,
    pub(crate) dashboard_token_always: bool,
    #[serde(serialize_with = "to_texts")]
    pub(crate) host_name: Vec<HostName>,
    pub(crate) torrents: Option<PathBuf>,
    pub(crate) share: Option<PathBuf>,
    pub(crate) only_known: bool,
    pub(crate) threads: NonZeroUsize,
    #[serde(serialize_with = "to_texts")]
    pub(crate) allow: Vec<Allow>,
    pub(crate) allow_list: Option<PathBuf>,
    pub(crate) deny_list: Option<PathBuf>,
    #[serde(serialize_with = "to_texts")]
    pub(crate) trusted_proxy: Vec<Network>,
    #[serde(serialize_with = "to_texts")]
    pub(crate) trusted_network: Vec<Network>,
    pub(crate) prefer_subnet: bool,
    pub(crate) announce_budget: u32,
    pub(crate) full_scrape: bool,
    pub(crate) lean: bool,
    pub(crate) log_format: LogFormat,
    pub(crate) log_level: LogLevel,
}

impl Layer {
    /// What this source says and, where it says nothing, what `other` says.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            listen: self.listen.or(other.listen),
            udp: self.udp.or(other.udp),
            dashboard: self.dashboard.or(other.dashboard),
            dashboard_listen: self.dashboard_listen.or(other.dashboard_listen),
            dashboard_token_always: self.dashboard_token_always.or(other.dashboard_token_always),
            host_name: self.host_name.or(other.host_name),
            torrents: self.torrents.or(other.torrents),
            share: self.share.or(other.share),
            only_known: self.only_known.or(other.only_known),
            threads: self.threads.or(other.threads),
            allow: self.allow.or(other.allow),
            allow_list: self.allow_list.or(other.allow_list),
            deny_list: self.deny_list.or(other.deny_list),
            trusted_proxy: self.trusted_proxy.or(other.trusted_proxy),
            trusted_network: self.trusted_network.or(other.trusted_network),
            prefer_subnet: self.prefer_subnet.or(other.prefer_subnet),
            announce_budget: self.announce_budget.or(other.announce_budget),
            full_scrape: self.full_scrape.or(other.full_scrape),
            lean: self.lean.or(other.lean),
            log_format: self.log_format.or(other.log_format),
            log_level: self.log_level.or(other.log_level),
        }
    }

    /// What this source says and, where it says nothing, the defaults. Paths become absolute.
    pub(crate) fn or_default(self) -> anyhow::Result<Settings> {
        let (config, http_config) = (Config::default(), HttpConfig::default());
        let path = |path: Option<PathBuf>| path.map(absolute).transpose().context("a file or folder without a name");
        let settings = Settings {
            listen: listen::or_all(self.listen),
            udp: self.udp.unwrap_or(true),
            dashboard: self.dashboard.unwrap_or(true),
            dashboard_listen: listen::or_all(self.dashboard_listen),
            dashboard_token_always: self.dashboard_token_always.unwrap_or_default(),
            host_name: self.host_name.unwrap_or_default(),
            torrents: path(self.torrents)?,
            share: path(self.share)?,
            only_known: self.only_known.unwrap_or_default(),
            threads: self.threads.unwrap_or(http_config.threads),
            allow: self.allow.unwrap_or_else(|| vec![Allow::Lan]),
            allow_list: path(self.allow_list)?,
            deny_list: path(self.deny_list)?,
            trusted_proxy: self.trusted_proxy.unwrap_or_default(),
            trusted_network: self.trusted_network.unwrap_or_default(),
            prefer_subnet: self.prefer_subnet.unwrap_or_default(),
            announce_budget: self.announce_budget.unwrap_or(config.announce_budget),
            full_scrape: self.full_scrape.unwrap_or(http_config.full_scrape),
            lean: self.lean.unwrap_or_default(),
            log_format: self.log_format.unwrap_or(LogFormat::Text),
            log_level: self.log_level.unwrap_or(LogLevel::Info),
        };
        listen::check("listen", &settings.listen)?;
        if settings.dashboard {
            listen::check("dashboard-listen", &settings.dashboard_listen)?;
            listen::check_both(&settings.listen, &settings.dashboard_listen)?;
        }
        ensure!(
            !settings.only_known || settings.dashboard || settings.torrents.is_some() || settings.allow_list.is_some(),
            "`only-known` without `torrents` and without the dashboard would serve nothing; name the folder with --torrents"
        );
        ensure!(!settings.allow.is_empty(), "`allow` is empty: write `lan`, `all` or at least one network");
        // The fields are called as the settings are, but for the hyphens.
        let as_written = |error: &dyn Display| anyhow!(error.to_string().replace('_', "-"));
        settings.core().validate().map_err(|error| as_written(&error))?;
        settings.http().validate().map_err(|error| as_written(&error))?;
        settings.udp_config().validate().map_err(|error| as_written(&error))?;
        Ok(settings)
    }
}

impl Settings {
    /// What they are to the core, which needs to know more than settings say.
    pub(crate) fn core(&self) -> Config {
        let events_are_seen = self.dashboard || self.logs_events();
        Config {
            announce_budget: self.announce_budget,
            trusted_networks: self.trusted_network.iter().map(|network| network.0).collect(),
            prefer_subnet: self.prefer_subnet.then(SubnetPreference::default),
            memory: if self.lean { Memory::Lean } else { Memory::Full },
            max_pending_events: if events_are_seen { MAX_PENDING_EVENTS } else { 0 },
            update_events: false,
            ..Config::default()
        }
    }

    /// Whether the log has a line for each event.
    pub(crate) fn logs_events(&self) -> bool {
        LevelFilter::from(self.log_level) >= LevelFilter::INFO
    }

    /// What they are to the HTTP adapter.
    pub(crate) fn http(&self) -> HttpConfig {
        HttpConfig {
            threads: self.threads,
            trusted_proxies: self.trusted_proxy.iter().map(|proxy| proxy.0).collect(),
            full_scrape: self.full_scrape,
            ..HttpConfig::default()
        }
    }

    /// What they are to the UDP adapter, if it is used.
    pub(crate) fn udp_config(&self) -> UdpConfig {
        UdpConfig { threads: self.threads, ..UdpConfig::default() }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use clap::{Command, Parser};
    use tempfile::TempDir;

    use super::*;
    use crate::cli::Cli;

    fn flags(flags: &[&str]) -> Layer {
        Cli::try_parse_from([&["tracker"], flags].concat()).unwrap().settings
    }

    /// The folder and, in it, a settings file with this text.
    fn file(text: &str) -> (TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tracker.toml");
        fs::write(&path, text).unwrap();
        (folder, path)
    }

    #[test]
    fn defaults_come_from_the_crates_that_use_them() {
        let settings = Layer::default().or_default().unwrap();
        assert_eq!(settings.announce_budget, Config::default().announce_budget);
        assert_eq!(settings.full_scrape, HttpConfig::default().full_scrape);
        assert_eq!(settings.http(), HttpConfig::default());
        assert_eq!(settings.udp_config(), UdpConfig::default());
        assert_eq!(settings.core().memory, Memory::default());
        assert_eq!(to_strings(&settings.listen), ["0.0.0.0:6969", "[::]:6969"]);
        assert_eq!(to_strings(&settings.dashboard_listen), ["0.0.0.0:6970", "[::]:6970"]);
        assert_eq!(settings.allow, [Allow::Lan]);
    }

    fn to_strings(values: &[impl Display]) -> Vec<String> {
        values.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_flag_goes_before_the_file_and_the_file_before_the_default() {
        let (_folder, path) = file("listen = ['127.0.0.1:1']\nannounce-budget = 7\nfull-scrape = true\n");
        let layer = flags(&["--listen", "127.0.0.1:2", "--listen", "127.0.0.1:3", "--full-scrape=false"]);
        let settings = layer.or(Layer::read(&path).unwrap()).or_default().unwrap();
        assert_eq!(to_strings(&settings.listen), ["127.0.0.1:2", "127.0.0.1:3"]);
        assert_eq!(settings.announce_budget, 7);
        assert!(!settings.full_scrape);
        assert_eq!(settings.log_level, LogLevel::Info);
        assert!(flags(&["--full-scrape"]).full_scrape.unwrap());
        assert!(flags(&["--full-scrape=1"]).full_scrape.unwrap());
        assert!(!flags(&["--full-scrape=no"]).full_scrape.unwrap());
    }

    #[test]
    fn settings_of_servers_and_memory_get_there() {
        let (_folder, path) = file("udp = false\nthreads = 3\nlean = true\n");
        let settings = Layer::read(&path).unwrap().or_default().unwrap();
        assert!(!settings.udp);
        assert_eq!((settings.http().threads.get(), settings.udp_config().threads.get()), (3, 3));
        assert_eq!(settings.core().memory, Memory::Lean);
        let settings = flags(&["--udp", "--threads", "2", "--lean=false"]).or(Layer::read(&path).unwrap());
        let settings = settings.or_default().unwrap();
        assert!(settings.udp);
        assert_eq!((settings.http().threads.get(), settings.udp_config().threads.get()), (2, 2));
        assert_eq!(settings.core().memory, Memory::Full);
        assert!(flags(&["--threads", "1025"]).or_default().unwrap_err().to_string().contains("threads is 1025"));
    }

    #[test]
    fn printed_settings_can_be_fed_back() {
        let folder = std::env::temp_dir();
        let lists = [folder.join("allowed \"torrents\".txt"), folder.join("denied.txt")];
        for layer in [
            Layer::default(),
            flags(&["--listen", "127.0.0.1:0,[::1]:80", "--allow", "lan,10.1.0.0/16", "--log-format", "json"]),
            flags(&["--udp=false", "--threads", "5", "--lean"]),
            flags(&["--dashboard=false", "--only-known", "--torrents", lists[0].to_str().unwrap()]),
            flags(&[
                "--dashboard-listen",
                "127.0.0.1:0",
                "--dashboard-token-always",
                "--host-name",
                "lab-pc,lab",
                "--share",
                folder.to_str().unwrap(),
            ]),
            flags(&["--allow-list", lists[0].to_str().unwrap(), "--deny-list", lists[1].to_str().unwrap()]),
            flags(&["--trusted-proxy", "10.0.0.1", "--announce-budget", "9", "--full-scrape", "--log-level", "warn"]),
        ] {
            let settings = layer.or_default().unwrap();
            let text = settings.to_toml().unwrap();
            let (_folder, path) = file(&text);
            assert_eq!(Layer::read(&path).unwrap().or_default().unwrap(), settings, "{text}");
        }
    }

    #[test]
    fn every_setting_is_printed_with_a_comment() {
        let text = Layer::default().or_default().unwrap().to_toml().unwrap();
        for arg in Layer::augment_args(Command::new("")).get_arguments() {
            let key = arg.get_long().unwrap();
            assert!(text.contains(&format!("\n{key} = ")) || text.contains(&format!("\n# {key} = ")), "{key}: {text}");
        }
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
        for paragraph in text.split("\n\n") {
            assert!(paragraph.starts_with("# "), "{paragraph}");
        }
    }

    #[test]
    fn a_wrong_file_is_an_error_with_the_line() {
        for (text, line, words) in [
            ("\nlisten = ['0.0.0.0:1']\nlissten = []\n", 3, "unknown field `lissten`"),
            ("announce-budget = 'many'\n", 1, "invalid type: string"),
            ("\n\nallow = ['lan', '10.0.0.1/33']\n", 3, "invalid value \"10.0.0.1/33\": write `lan`"),
            ("listen = ['6969']\n", 1, "write 0.0.0.0:6969"),
            ("dashboard-listen = ['10.0.0.1']\n", 1, "write 10.0.0.1:6970"),
            ("host-name = ['http://lab-pc']\n", 1, "write a name such as"),
            ("log-level = 'loud'\n", 1, "unknown variant `loud`"),
            ("udp = 'no'\nthreads = 1\n", 1, "invalid type: string"),
            ("udp = false\nthreads = 0\n", 2, "nonzero"),
            ("full-scrape = true\nfull-scrape = true\n", 2, "duplicate key"),
            ("# comment\nlisten = [\n", 2, ""),
            ("full-scrape yes\n", 1, ""),
        ] {
            let (_folder, path) = file(text);
            let error = Layer::read(&path).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{}:{line}: ", path.display())), "{text}: {error}");
            assert!(error.contains(words), "{text}: {error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn paths_in_a_file_start_from_its_folder() {
        let (folder, path) =
            file("allow-list = 'allowed.txt'\ndeny-list = '/etc/denied.txt'\ntorrents = 'torrents'\nshare = '..'\n");
        let layer = Layer::read(&path).unwrap();
        assert_eq!(layer.torrents.unwrap(), folder.path().join("torrents"));
        assert_eq!(layer.share.unwrap(), folder.path().join(".."));
        assert_eq!(layer.allow_list.unwrap(), folder.path().join("allowed.txt"));
        assert_eq!(layer.deny_list.unwrap(), PathBuf::from("/etc/denied.txt"));
    }

    #[test]
    fn an_address_is_listened_on_once() {
        let listen =
            |addresses| flags(&["--listen", addresses]).or_default().map(|settings| to_strings(&settings.listen));
        assert_eq!(listen("127.0.0.1:1,[::1]:1,127.0.0.1:1").unwrap(), ["127.0.0.1:1", "[::1]:1"]);
        for distinct in ["0.0.0.0:1,127.0.0.1:2", "0.0.0.0:1,[::1]:1", "0.0.0.0:0,127.0.0.1:0", "0.0.0.0:1,[::]:1"] {
            assert_eq!(listen(distinct).unwrap().join(","), distinct);
        }
        for (addresses, words) in [
            ("0.0.0.0:1,127.0.0.1:1", "0.0.0.0:1 includes 127.0.0.1:1"),
            ("[fd77::1]:1,[::]:1", "[::]:1 includes [fd77::1]:1"),
        ] {
            assert!(listen(addresses).unwrap_err().to_string().contains(words), "{addresses}");
        }
    }

    #[test]
    fn clients_and_people_have_a_port_each() {
        let both = |listen, dashboard| flags(&["--listen", listen, "--dashboard-listen", dashboard]).or_default();
        for (listen, dashboard) in [
            ("0.0.0.0:6969", "0.0.0.0:6970"),
            ("0.0.0.0:0", "0.0.0.0:0"),
            ("127.0.0.1:80", "127.0.0.2:80"),
            ("0.0.0.0:80", "[::]:80"),
        ] {
            both(listen, dashboard).unwrap();
        }
        for (listen, dashboard) in
            [("0.0.0.0:80", "127.0.0.1:80"), ("[fd77::1]:80", "[::]:80"), ("[::1]:80", "[::1]:80")]
        {
            let error = both(listen, dashboard).unwrap_err().to_string();
            assert!(error.contains(listen) && error.contains(dashboard), "{error}");
            assert!(error.contains("--dashboard-listen") && error.contains("--dashboard=false"), "{error}");
        }
        assert!(flags(&["--listen", "0.0.0.0:6970"]).or_default().is_err());
        flags(&["--listen", "0.0.0.0:6970", "--dashboard=false"]).or_default().unwrap();
        assert!(flags(&["--dashboard-listen", "0.0.0.0:1,127.0.0.1:1"]).or_default().is_err());
    }

    #[test]
    fn events_are_kept_where_somebody_sees_them() {
        let pending = |arguments| flags(arguments).or_default().unwrap().core().max_pending_events;
        assert_eq!(pending(&["--dashboard=false", "--log-level", "warn"]), 0);
        for arguments in [&["--log-level", "warn"][..], &["--dashboard=false"], &[]] {
            assert_eq!(pending(arguments), MAX_PENDING_EVENTS, "{arguments:?}");
        }
    }

    #[test]
    fn nowhere_and_nobody_are_errors() {
        for text in ["listen = []", "allow = []", "dashboard-listen = []", "only-known = true\ndashboard = false"] {
            let (_folder, path) = file(text);
            assert!(Layer::read(&path).unwrap().or_default().is_err(), "{text}");
        }
    }
}
