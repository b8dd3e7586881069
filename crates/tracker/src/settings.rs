//! What can be set, where it comes from, and what it is when nobody says.

use std::fmt::{Display, Write as _};
use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf, absolute};
use std::str::FromStr;

use anyhow::{Context, anyhow, bail, ensure};
use clap::builder::BoolishValueParser;
use clap::{Args, Command, ValueEnum};
use dashboard::EventLog;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tracing::level_filters::LevelFilter;
use tracker_core::{Config, Memory, SubnetPreference};
use tracker_host::all_addresses;
use tracker_http::HttpConfig;
use tracker_udp::UdpConfig;

use crate::allow::Allow;
use crate::listen_address::ListenAddress;
use crate::network::Network;

/// Where the tracker listens by default, on all addresses of both families: the port the field expects a tracker on.
const DEFAULT_PORT: u16 = 6969;

/// Bytes of a settings file, at most.
const MAX_FILE_BYTES: u64 = 1 << 20;

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

    /// Serve with this many threads, and as many for UDP [default: one per core]
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
    /// Reads a settings file. Its relative paths start from its own folder.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let cannot_read = || format!("cannot read the settings file {}", path.display());
        let bytes = fs::metadata(path).with_context(cannot_read)?.len();
        ensure!(bytes <= MAX_FILE_BYTES, "{}: a settings file has at most {MAX_FILE_BYTES} bytes", path.display());
        let text = fs::read_to_string(path).with_context(cannot_read)?;
        let layer: Self = match toml::from_str(&text) {
            Ok(layer) => layer,
            Err(error) => {
                let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
                let line = before.matches('\n').count() + 1;
                // The messages of the TOML parser may have several lines.
                bail!("{}:{line}: {}", path.display(), error.message().replace('\n', ", "));
            }
        };
        let folder = path.parent().unwrap_or_else(|| Path::new(""));
        let from_folder = |path: PathBuf| folder.join(path);
        Ok(Self { allow_list: layer.allow_list.map(from_folder), deny_list: layer.deny_list.map(from_folder), ..layer })
    }

    /// What this source says and, where it says nothing, what `other` says.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            listen: self.listen.or(other.listen),
            udp: self.udp.or(other.udp),
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
        let path = |path: Option<PathBuf>| path.map(absolute).transpose().context("a list file without a name");
        let settings = Settings {
            listen: distinct(self.listen.unwrap_or_else(|| all_addresses(DEFAULT_PORT).map(ListenAddress).to_vec())),
            udp: self.udp.unwrap_or(true),
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
        ensure!(!settings.listen.is_empty(), "`listen` is empty: name at least one address and port");
        check_overlap(&settings.listen)?;
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
        let logs_events = LevelFilter::from(self.log_level) >= LevelFilter::INFO;
        Config {
            announce_budget: self.announce_budget,
            trusted_networks: self.trusted_network.iter().map(|network| network.0).collect(),
            prefer_subnet: self.prefer_subnet.then(SubnetPreference::default),
            memory: if self.lean { Memory::Lean } else { Memory::Full },
            max_pending_events: if logs_events { EventLog::MAX_PENDING_EVENTS } else { 0 },
            ..Config::default()
        }
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

    /// The settings as a file that [`Layer::read`] takes. The comments are the help texts of the flags.
    pub(crate) fn to_toml(&self) -> anyhow::Result<String> {
        let table = toml::Table::try_from(self).context("the settings cannot be written as TOML")?;
        let mut text = String::from("# Settings of tracker. Each is also a flag, and an environment variable.\n");
        for arg in Layer::augment_args(Command::new("tracker")).get_arguments() {
            let key = arg.get_long().expect("every setting has a long flag");
            let help = arg.get_help().expect("every setting has a help text").to_string();
            text.push('\n');
            comment(&mut text, &help);
            match table.get(key) {
                Some(value) => writeln!(text, "{key} = {value}")?,
                None => writeln!(text, "# {key} = \"FILE\"")?,
            }
        }
        Ok(text)
    }
}

/// The addresses, each once.
fn distinct(addresses: Vec<ListenAddress>) -> Vec<ListenAddress> {
    let mut distinct = Vec::new();
    for address in addresses {
        if !distinct.contains(&address) {
            distinct.push(address);
        }
    }
    distinct
}

/// The system would say of an address that all addresses include that its port is taken.
fn check_overlap(listen: &[ListenAddress]) -> anyhow::Result<()> {
    for all in listen.iter().filter(|listen| listen.0.ip().is_unspecified() && listen.0.port() != 0) {
        let is_within =
            |one: &&ListenAddress| *one != all && one.0.port() == all.0.port() && one.0.is_ipv4() == all.0.is_ipv4();
        if let Some(one) = listen.iter().find(is_within) {
            bail!("`listen`: {all} includes {one}; write one of the two");
        }
    }
    Ok(())
}

/// Adds `words` as comment lines of up to 100 characters.
fn comment(text: &mut String, words: &str) {
    let mut width = usize::MAX;
    for word in words.split_whitespace() {
        let word_width = word.chars().count() + 1;
        if width.saturating_add(word_width) > 100 {
            text.push_str(if width == usize::MAX { "#" } else { "\n#" });
            width = 1;
        }
        text.push(' ');
        text.push_str(word);
        width += word_width;
    }
    text.push('\n');
}

fn from_texts<'de, D, T>(deserializer: D) -> Result<Option<Vec<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: Display>,
{
    let parse =
        |text: &String| text.parse().map_err(|error| D::Error::custom(format_args!("invalid value {text:?}: {error}")));
    Vec::<String>::deserialize(deserializer)?.iter().map(parse).collect::<Result<_, _>>().map(Some)
}

fn to_texts<S: Serializer>(values: &[impl Display], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(values.iter().map(ToString::to_string))
}

#[cfg(test)]
mod tests {
    use clap::Parser;
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
        let (folder, path) = file("allow-list = 'allowed.txt'\ndeny-list = '/etc/denied.txt'\n");
        let layer = Layer::read(&path).unwrap();
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
    fn nowhere_and_nobody_are_errors() {
        for text in ["listen = []", "allow = []"] {
            let (_folder, path) = file(text);
            assert!(Layer::read(&path).unwrap().or_default().is_err(), "{text}");
        }
    }
}
