//! The files and folders that settings name.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use dashboard::ClientList;
use torrent_library::TorrentLists;
use tracker::{DataFolder, check_certificate};
use tracker_monitor::check_names_file;

use super::finding::Finding;
use super::writable;
use crate::settings::Settings;
use crate::text::list;

/// The name of these findings.
const CHECK: &str = "files";

/// Says which of them cannot be used, and one line for all that can.
pub(super) fn judge(settings: &Settings) -> Vec<Finding> {
    let torrents = |file: &Path| anyhow::Ok(TorrentLists::read(Some(file.to_owned()), None, None).map(drop)?);
    let clients = |file: PathBuf| anyhow::Ok(ClientList::open(file).map(drop)?);
    let certificate = settings.tls_cert.as_deref().zip(settings.tls_key.as_deref());
    // Without the setting it is in the data folder, and need not be there.
    let default_clients = || settings.data().path().map(DataFolder::clients_in).filter(|file| file.exists());
    let client_list = settings.client_list.clone().or_else(default_clients);
    let used = [
        settings.allow_list.as_deref().map(|file| ("`allow-list`", torrents(file))),
        settings.deny_list.as_deref().map(|file| ("`deny-list`", torrents(file))),
        client_list.map(|file| ("`client-list`", clients(file))),
        settings.names.as_deref().map(|file| ("`names`", check_names_file(file).map_err(Into::into))),
        certificate.map(|(file, key)| ("`tls-cert` and `tls-key`", check_certificate(file, key).map_err(Into::into))),
        settings.torrents.as_deref().map(|folder| ("`torrents`", can_be_read(folder))),
    ];
    let mut good = Vec::new();
    let mut findings = Vec::new();
    for (setting, result) in used.into_iter().flatten() {
        match result {
            Ok(()) => good.push(setting),
            Err(error) => {
                let advice = format!("correct it, let the account of the tracker read it, or leave out {setting}");
                findings.push(Finding::wrong(CHECK, format!("{setting}: {error:#}"), advice));
            }
        }
    }
    if !good.is_empty() {
        let text = format!("the files and folders of these settings can be read: {}", list(good));
        findings.push(Finding::good(CHECK, text));
    }
    findings.extend(settings.torrents.as_deref().and_then(read_only));
    findings
}

/// A folder that is not there yet is made at the start.
fn can_be_read(folder: &Path) -> anyhow::Result<()> {
    if folder.exists() {
        fs::read_dir(folder).with_context(|| format!("cannot read the folder {}", folder.display()))?;
    } else {
        writable(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    }
    Ok(())
}

/// The warning for a folder that can be read, and not written into.
fn read_only(folder: &Path) -> Option<Finding> {
    fs::read_dir(folder).ok()?;
    let error = writable(folder).err()?;
    Some(Finding::warning(
        CHECK,
        format!("`torrents`: the folder {} cannot be written into: {error}", folder.display()),
        "torrents that are registered on the dashboard are not saved; let the account of the tracker write into it",
    ))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertifiedKey, generate_simple_self_signed};

    use super::*;
    use crate::check::finding::Kind;
    use crate::cli::Cli;

    #[test]
    fn files_that_cannot_be_used_are_wrong() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        fs::write(path("list"), "3500292f2881c52a3c672db7c77db1f60426c65f a film\n").unwrap();
        fs::write(path("broken"), "\nfilm.mkv\n").unwrap();
        fs::write(path("clients"), "deny 10.1.2.3\n").unwrap();
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        fs::write(path("cert"), cert.pem()).unwrap();
        fs::write(path("key"), signing_key.serialize_pem()).unwrap();
        for (flags, expected, words) in [
            (&[][..], &[][..], ""),
            (&["--allow-list", "list", "--names", "list"], &[Kind::Good], "`allow-list`, `names`"),
            (&["--deny-list", "broken"], &[Kind::Wrong], "broken:2: expected an info-hash"),
            (&["--allow-list", "missing", "--deny-list", "list"], &[Kind::Wrong, Kind::Good], "cannot read the list"),
            (&["--names", ""], &[Kind::Wrong], "it is not a file"),
            (&["--client-list", "clients", "--torrents", "new"], &[Kind::Good], "`client-list`, `torrents`"),
            (&["--client-list", "broken"], &[Kind::Wrong], "broken:2: "),
            (&["--client-list", "missing"], &[Kind::Wrong], "cannot read the list of clients"),
            (&["--tls-cert", "cert", "--tls-key", "key"], &[Kind::Good], "`tls-cert` and `tls-key`"),
            (&["--tls-cert", "cert", "--tls-key", "missing"], &[Kind::Wrong], "cannot read "),
            (&["--tls-cert", "cert", "--tls-key", "list"], &[Kind::Wrong], "cannot use the certificate"),
            (&["--torrents", "list"], &[Kind::Wrong], "cannot read the folder"),
            (&["--torrents", "list/new"], &[Kind::Wrong], "cannot make the folder"),
        ] {
            let flags = flags.iter().map(|flag| if flag.starts_with("--") { (*flag).to_owned() } else { path(flag) });
            let flags = ["tracker", "--data", "none"].map(ToOwned::to_owned).into_iter().chain(flags);
            let settings = Cli::parse(flags).unwrap().settings().unwrap();
            let found = judge(&settings);
            assert_eq!(found.iter().map(Finding::kind).collect::<Vec<_>>(), expected, "{found:?}");
            assert!(found.first().map(Finding::words).unwrap_or_default().contains(words), "{found:?}");
        }
        assert!(!folder.path().join("new").exists());
    }

    #[test]
    fn the_rules_in_the_data_folder_are_checked_if_there_are_any() {
        let folder = tempfile::tempdir().unwrap();
        let flags = ["tracker", "--data", folder.path().to_str().unwrap()];
        let settings = Cli::parse(flags).unwrap().settings().unwrap();
        assert_eq!(judge(&settings), []);
        fs::write(DataFolder::clients_in(folder.path()), "let everybody in\n").unwrap();
        assert_eq!(judge(&settings)[0].kind(), Kind::Wrong);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_folder_of_torrents_that_is_read_only_is_a_warning() {
        // Nobody makes files there, not even root.
        let found = read_only(Path::new("/proc/self")).unwrap();
        assert!(found.kind() == Kind::Warning && found.words().contains("not saved"), "{found:?}");
    }
}
