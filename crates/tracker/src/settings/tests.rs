//! Settings from flags and files.

use std::fs;

use clap::Command;
use tempfile::TempDir;
use tracker_core::Memory;
use tracker_udp::UdpConfig;

use super::*;
use crate::cli::Cli;

fn parse(flags: &[&str]) -> anyhow::Result<Settings> {
    Cli::parse([&["tracker"], flags].concat()).unwrap().settings()
}

fn flags(flags: &[&str]) -> Settings {
    parse(flags).unwrap()
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
    let settings = Settings::default();
    assert_eq!(settings.announce_budget, Config::default().announce_budget);
    assert_eq!(settings.full_scrape, HttpConfig::default().full_scrape);
    assert_eq!(settings.http(), HttpConfig::default());
    assert_eq!(settings.udp_config(), UdpConfig::default());
    assert_eq!(settings.core().memory, Memory::default());
    assert_eq!(to_strings(&settings.listen), ["0.0.0.0:6969", "[::]:6969"]);
    assert_eq!(to_strings(&settings.dashboard_listen), ["0.0.0.0:6970", "[::]:6970"]);
    assert_eq!(to_strings(&settings.peer_listen), ["0.0.0.0:6968", "[::]:6968"]);
    assert_eq!(settings.allow, [Allow::Lan]);
}

fn to_strings(values: &[impl Display]) -> Vec<String> {
    values.iter().map(ToString::to_string).collect()
}

#[test]
fn a_flag_takes_precedence_over_the_file_and_the_file_over_the_default() {
    let (_folder, path) =
        file("listen = ['127.0.0.1:1']\nannounce-budget = 7\nfull-scrape = true\ndashboard = false\n");
    let path = path.to_str().unwrap();
    let settings =
        flags(&["--listen", "127.0.0.1:2", "--listen", "127.0.0.1:3", "--full-scrape=false", "--config", path]);
    assert_eq!(to_strings(&settings.listen), ["127.0.0.1:2", "127.0.0.1:3"]);
    assert_eq!(settings.announce_budget, 7);
    assert!(!settings.full_scrape && !settings.dashboard);
    assert_eq!(settings.log_level, LogLevel::Info);
}

#[test]
fn a_switch_takes_a_value_or_none() {
    for (flag, value) in [
        ("--full-scrape", true),
        ("--full-scrape=1", true),
        ("--full-scrape=no", false),
        ("--full-scrape=false", false),
    ] {
        assert_eq!(flags(&[flag]).full_scrape, value, "{flag}");
    }
    let cli = Cli::parse(["tracker", "--full-scrape", "no"]).unwrap();
    assert_eq!(cli.folder.as_deref(), Some(Path::new("no")), "a value follows an equals sign");
}

#[test]
fn settings_of_servers_and_memory_reach_their_configs() {
    let (_folder, path) = file("udp = false\nthreads = 3\nlean = true\n");
    let config = ["--config", path.to_str().unwrap()];
    let settings = flags(&config);
    assert!(!settings.udp);
    assert_eq!((settings.http().threads.get(), settings.udp_config().threads.get()), (3, 3));
    assert_eq!(settings.core().memory, Memory::Lean);
    let settings = flags(&[&["--udp", "--threads", "2", "--lean=false"], &config[..]].concat());
    assert!(settings.udp);
    assert_eq!((settings.http().threads.get(), settings.udp_config().threads.get()), (2, 2));
    assert_eq!(settings.core().memory, Memory::Full);
    assert!(parse(&["--threads", "1025"]).unwrap_err().to_string().contains("threads is 1025"));
}

#[test]
fn all_ipv6_addresses_without_ipv4_are_noticed() {
    for (listen, expected) in [
        (&[][..], &[][..]),
        (&["--listen", "[::]:6969"], &["[::]:6969"]),
        (&["--listen", "[::]:6969", "--dashboard-listen", "[::]:80"], &["[::]:6969", "[::]:80"]),
        (&["--listen", "[::]:6969", "--dashboard=false"], &["[::]:6969"]),
        (&["--peer-listen", "[::]:6968"], &["[::]:6968"]),
        (&["--peer-listen", "[::]:6968", "--peer=false"], &[]),
        (&["--listen", "[::]:6969", "--listen", "192.168.1.5:6969"], &[]),
        (&["--listen", "[::1]:6969"], &[]),
        (&["--listen", "0.0.0.0:6969"], &[]),
    ] {
        let found: Vec<_> = flags(listen).ipv6_only().map(|address| address.to_string()).collect();
        assert_eq!(found, expected, "{listen:?}");
    }
}

#[test]
fn a_single_string_is_a_list_of_one() {
    let one = "listen = '127.0.0.1:1'\nallow = 'all'\nhost-name = 'lab-pc'\ntrusted-proxy = '10.0.0.1'\n";
    let list = "listen = ['127.0.0.1:1']\nallow = ['all']\nhost-name = ['lab-pc']\ntrusted-proxy = ['10.0.0.1']\n";
    let [one, list] = [one, list].map(|text| {
        let (_folder, path) = file(text);
        Settings::read(&path).unwrap()
    });
    assert_eq!(one, list);
    assert_eq!(one.allow, [Allow::All]);
}

#[test]
fn printed_settings_can_be_fed_back() {
    let folder = std::env::temp_dir();
    let lists = [folder.join("allowed \"torrents\".txt"), folder.join("denied.txt")];
    for settings in [
        Settings::default(),
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
            "--share-by-hand",
        ]),
        flags(&["--upload-limit", "10M", "--zip=false"]),
        flags(&["--seed=false"]),
        flags(&["--upload-slots", "4"]),
        flags(&["--peer=false", "--peer-listen", "127.0.0.1:7000", "--peer-address", "192.168.1.9"]),
        flags(&["--viewers", "login"]),
        flags(&["--code", "4711"]),
        flags(&["--base-path", "/lab/tracker"]),
        flags(&["--mdns", "lab-2"]),
        flags(&["--mdns="]),
        flags(&["--data", "none", "--names", lists[0].to_str().unwrap()]),
        flags(&["--data", folder.to_str().unwrap()]),
        flags(&["--allow-list", lists[0].to_str().unwrap(), "--deny-list", lists[1].to_str().unwrap()]),
        flags(&["--trusted-proxy", "10.0.0.1", "--announce-budget", "9", "--full-scrape", "--log-level", "warn"]),
    ] {
        let text = settings.to_toml().unwrap();
        let (_folder, path) = file(&text);
        assert_eq!(Settings::read(&path).unwrap().checked().unwrap(), settings, "{text}");
    }
}

#[test]
fn every_setting_is_printed_with_a_comment() {
    let text = Settings::default().to_toml().unwrap();
    for arg in Settings::arguments(Command::new("")).get_arguments() {
        let key = arg.get_long().unwrap();
        assert!(text.contains(&format!("\n{key} = ")) || text.contains(&format!("\n# {key} = ")), "{key}: {text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    for paragraph in text.split("\n\n") {
        assert!(paragraph.starts_with("# "), "{paragraph}");
    }
}

#[test]
fn computed_values_are_printed_as_comments() {
    let line = |settings: &Settings| {
        settings.to_toml().unwrap().lines().find(|line| line.contains("threads = ")).unwrap().to_owned()
    };
    assert_eq!(line(&Settings::default()), format!("# threads = {}", HttpConfig::default().threads));
    assert_eq!(line(&flags(&["--threads", "5"])), "threads = 5");
    let text = Settings::default().to_toml().unwrap();
    for placeholder in ["# upload-slots = COUNT", "# upload-limit = \"BYTES[K|M|G]\""] {
        assert!(text.lines().any(|line| line == placeholder), "a number has no quotes: {text}");
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
        ("\nupload-limit = '10 MB'\n", 2, "such as 500K"),
        ("log-level = 'loud'\n", 1, "unknown variant `loud`"),
        ("viewers = 'all'\n", 1, "unknown variant `all`"),
        ("code = '47 11'\n", 1, "4 to 32 letters"),
        ("base-path = '/tracker/'\n", 1, "does not end with a slash"),
        ("udp = 'no'\nthreads = 1\n", 1, "invalid type: string"),
        ("udp = false\nthreads = 0\n", 2, "nonzero"),
        ("upload-slots = 0\n", 1, "nonzero"),
        ("udp = false\nlisten = 6969\n", 2, "expected a string or a list of strings"),
        ("full-scrape = true\nfull-scrape = true\n", 2, "duplicate key"),
        ("# comment\nlisten = [\n", 2, ""),
        ("full-scrape yes\n", 1, ""),
    ] {
        let (_folder, path) = file(text);
        let error = Settings::read(&path).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{}:{line}: ", path.display())), "{text}: {error}");
        assert!(error.contains(words), "{text}: {error}");
        assert!(!error.contains('\n'), "{error}");
    }
}

#[test]
fn paths_in_a_file_start_from_its_folder() {
    let (folder, path) = file(
        "allow-list = 'allowed.txt'\ndeny-list = '/etc/denied.txt'\ntorrents = 'torrents'\nshare = '..'\ndata = 'data'\n",
    );
    let settings = Settings::read(&path).unwrap();
    assert_eq!(settings.data(), Data::Folder(folder.path().join("data")));
    assert_eq!(settings.torrents.unwrap(), folder.path().join("torrents"));
    assert_eq!(settings.share.unwrap(), folder.path().join(".."));
    assert_eq!(settings.allow_list.unwrap(), folder.path().join("allowed.txt"));
    assert_eq!(settings.deny_list.unwrap(), PathBuf::from("/etc/denied.txt"));
}

#[test]
fn an_address_is_listened_on_once() {
    let listen = |addresses| parse(&["--listen", addresses]).map(|settings| to_strings(&settings.listen));
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
fn clients_and_dashboard_have_separate_ports() {
    let both = |listen, dashboard| parse(&["--listen", listen, "--dashboard-listen", dashboard]);
    for (listen, dashboard) in [
        ("0.0.0.0:6969", "0.0.0.0:6970"),
        ("0.0.0.0:0", "0.0.0.0:0"),
        ("127.0.0.1:80", "127.0.0.2:80"),
        ("0.0.0.0:80", "[::]:80"),
    ] {
        both(listen, dashboard).unwrap();
    }
    for (listen, dashboard) in [("0.0.0.0:80", "127.0.0.1:80"), ("[fd77::1]:80", "[::]:80"), ("[::1]:80", "[::1]:80")] {
        let error = both(listen, dashboard).unwrap_err().to_string();
        assert!(error.contains(listen) && error.contains(dashboard), "{error}");
        assert!(error.contains("--dashboard-listen") && error.contains("--dashboard=false"), "{error}");
    }
    assert!(parse(&["--listen", "0.0.0.0:6970"]).is_err());
    flags(&["--listen", "0.0.0.0:6970", "--dashboard=false"]);
    assert!(parse(&["--dashboard-listen", "0.0.0.0:1,127.0.0.1:1"]).is_err());
}

#[test]
fn the_own_peer_has_a_port_of_its_own() {
    for setting in ["listen", "dashboard-listen"] {
        let other = format!("--{setting}");
        let both = |listen, peer| parse(&[&other, listen, "--peer-listen", peer]);
        let error = both("127.0.0.1:80", "0.0.0.0:80").unwrap_err().to_string();
        assert!(error.contains(&format!("`{setting}` has 127.0.0.1:80 and `peer-listen` 0.0.0.0:80")), "{error}");
        assert!(error.contains("--peer-listen") && error.contains("--peer=false"), "{error}");
        assert!(parse(&[&other, "0.0.0.0:6968"]).is_err());
        both("127.0.0.1:80", "127.0.0.2:80").unwrap();
        both("0.0.0.0:0", "0.0.0.0:0").unwrap();
        for without in ["--peer=false", "--lean"] {
            flags(&[&other, "0.0.0.0:6968", without]);
        }
    }
    assert!(parse(&["--peer-listen", "0.0.0.0:1,127.0.0.1:1"]).is_err());
}

#[test]
fn events_are_logged_from_level_info_on() {
    for (level, logs_events) in [("error", false), ("warn", false), ("info", true), ("debug", true)] {
        assert_eq!(flags(&["--log-level", level]).logs_events(), logs_events, "{level}");
    }
}

#[test]
fn settings_that_would_serve_nothing_are_errors() {
    for text in [
        "listen = []",
        "allow = []",
        "dashboard-listen = []",
        "peer-listen = []",
        "only-known = true\ndashboard = false",
        "share = '.'\ndashboard = false\nseed = false",
        "share = '.'\ndashboard = false\npeer = false",
        "share = '.'\ndashboard = false\nlean = true",
    ] {
        let (_folder, path) = file(text);
        assert!(Settings::read(&path).unwrap().checked().is_err(), "{text}");
    }
    // The .torrent files are in the data folder.
    flags(&["--share", ".", "--dashboard=false"]);
}

#[test]
fn who_may_look_and_how_must_fit() {
    for (flags, words) in [
        (&["--viewers", "login", "--data", "none"][..], "no accounts"),
        (&["--viewers", "login", "--code", "4711"], "do not sign in"),
        (&["--viewers", "none", "--code", "4711"], "do not sign in"),
    ] {
        let error = parse(flags).unwrap_err().to_string();
        assert!(error.contains(words), "{flags:?}: {error}");
    }
    flags(&["--viewers", "none", "--data", "none"]);
    flags(&["--viewers", "lan", "--code", "4711"]);
}

#[test]
fn the_page_takes_a_name_unless_it_is_empty() {
    let name = |settings: Settings| settings.mdns.to_string();
    assert_eq!(name(Settings::default()), "tracker");
    assert_eq!(name(flags(&["--mdns", "Lab-2"])), "lab-2");
    assert_eq!(name(flags(&["--mdns="])), "");
    let (_folder, path) = file("mdns = ''\n");
    assert_eq!(name(Settings::read(&path).unwrap()), "");
    let (_folder, path) = file("mdns = 'tracker.local'\n");
    let error = Settings::read(&path).unwrap_err().to_string();
    assert!(error.contains("without .local"), "{error}");
}

#[test]
fn the_tracker_seeds_unless_that_or_its_peer_is_switched_off() {
    assert!(Settings::default().seeds());
    for without in ["--seed=false", "--peer=false", "--lean"] {
        assert!(!flags(&[without]).seeds(), "{without}");
    }
    assert_eq!(flags(&["--upload-slots", "3"]).upload_slots, NonZeroUsize::new(3));
}

#[cfg(unix)]
#[test]
fn settings_that_differ_are_named_as_they_are_written() {
    let changed =
        |before: &[&str], after: &[&str]| flags(after).changed(&flags(before)).unwrap().into_iter().collect::<Vec<_>>();
    for (before, after, expected) in [
        (&[][..], &[][..], &[][..]),
        (&["--allow", "lan"], &[], &[]),
        (&["--allow", "lan"], &["--allow", "all"], &["allow"]),
        (&["--upload-limit", "1M"], &[], &["upload-limit"]),
        (&[], &["--upload-limit", "1M", "--udp=false", "--data", "none"], &["data", "udp", "upload-limit"]),
    ] {
        assert_eq!(changed(before, after), expected, "{before:?} {after:?}");
    }
}
