//! The names of computers: given on the page, in a file, or by the network.

mod file;
mod lines;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{fs, thread};

use serde::Serialize;
use torrent_library::{displayable, replace_file};
use tracker_host::host_name;

use file::NamesFile;
pub use file::{NamesFileError, check_names_file};
pub(crate) use lines::Listed;
use lines::{MAX_NAME_LEN, MAX_NAMES};

/// The interval at which the names file is checked for changes.
const PERIOD: Duration = Duration::from_secs(1);

/// The name of a computer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ComputerName {
    /// The name, at most 64 characters, without control characters and the like. It must be escaped.
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub name: Arc<str>,
    /// Where it comes from.
    pub source: NameSource,
}

/// Where the name of a computer comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum NameSource {
    /// The operator has given it on the page. It goes before all others.
    Given,
    /// The names file has it.
    File,
    /// The network has it, as [`tracker_host::host_name`] finds it.
    Network,
}

/// A computer cannot be given this name.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetNameError {
    /// Many computers have names already.
    #[error("at most {limit} computers can be given names; take one back first")]
    TooMany {
        /// The maximum number.
        limit: usize,
    },
    /// The name is too long.
    #[error("the name is longer than {limit} characters")]
    TooLong {
        /// The maximum number of characters.
        limit: usize,
    },
    /// The names cannot be saved. Until the program ends it has the name.
    #[error("the name cannot be saved: {source}")]
    Save {
        /// The reason.
        source: io::Error,
    },
}

/// The names of computers.
#[derive(Debug)]
pub(crate) struct Names {
    given: Mutex<Given>,
    /// Where the given names are saved. Locked while they are, so that they are saved in the order in which they were given.
    file: Mutex<Option<PathBuf>>,
    listed: Arc<Mutex<Option<Arc<Listed>>>>,
    /// Why the names file cannot be read as it is now.
    problem: Arc<Mutex<Option<String>>>,
    /// The thread that follows the file ends when this is dropped.
    _following: Option<Sender<Infallible>>,
}

/// The names that were given on the page.
type Given = BTreeMap<IpAddr, Arc<str>>;

impl Names {
    /// Reads the names that were given earlier, and those in the file, which it follows from now on.
    pub(crate) fn start(file: Option<PathBuf>, given: Option<PathBuf>) -> Result<Self, NamesFileError> {
        // What cannot be read is lost with the next name that is given.
        let (given, saved) = (given.as_deref().map(read_given).unwrap_or_default(), Mutex::new(given));
        let given = Mutex::new(given);
        let Some(path) = file else {
            let (listed, problem) = Default::default();
            return Ok(Self { given, file: saved, listed, problem, _following: None });
        };
        let (mut file, names) = NamesFile::read(path)?;
        let listed = Arc::new(Mutex::new(Some(Arc::new(names))));
        let (stop, stopped) = mpsc::channel();
        let problem = Arc::default();
        let (of_thread, problem_of_thread) = (Arc::clone(&listed), Arc::clone(&problem));
        let follow = move || {
            while stopped.recv_timeout(PERIOD) == Err(RecvTimeoutError::Timeout) {
                if let Some(names) = file.changed() {
                    tracing::info!(computers = names.len(), "names of computers read again");
                    *lock(&of_thread) = Some(Arc::new(names));
                }
                *lock(&problem_of_thread) = file.problem().map(Into::into);
            }
        };
        thread::Builder::new().name("names".into()).spawn(follow).map_err(NamesFileError::Thread)?;
        Ok(Self { given, file: saved, listed, problem, _following: Some(stop) })
    }

    /// Why the names file cannot be read as it is now, so that the last names stay.
    pub(crate) fn problem(&self) -> Option<String> {
        lock(&self.problem).clone()
    }

    /// The names in the names file, if there is one with names.
    pub(crate) fn listed(&self) -> Option<Arc<Listed>> {
        lock(&self.listed).clone().filter(|names| !names.is_empty())
    }

    /// The name of the computer at these canonical addresses, if it has one; the first address comes first. Returns at once: the
    /// network is asked in the background.
    pub(crate) fn of(&self, addresses: &[IpAddr]) -> Option<ComputerName> {
        let find = |names: &Listed| addresses.iter().find_map(|address| names.get(address).cloned());
        let given = find(&lock(&self.given)).map(|name| (name, NameSource::Given));
        let listed = || Some((find(lock(&self.listed).as_ref()?)?, NameSource::File));
        let network = || Some((addresses.iter().find_map(|&address| host_name(address))?, NameSource::Network));
        let (name, source) = given.or_else(listed).or_else(network)?;
        Some(ComputerName { name, source })
    }

    /// Gives the computer at these canonical addresses a name, or takes it back if it is empty.
    pub(crate) fn set(&self, addresses: &[IpAddr], name: &str) -> Result<(), SetNameError> {
        let name = displayable(name);
        if name.chars().count() > MAX_NAME_LEN {
            return Err(SetNameError::TooLong { limit: MAX_NAME_LEN });
        }
        let file = lock(&self.file);
        // The disk may take long, and pages read names meanwhile.
        let names = {
            let mut given = lock(&self.given);
            let has_name = addresses.iter().any(|address| given.contains_key(address));
            if !name.is_empty() && given.len() >= MAX_NAMES && !has_name {
                return Err(SetNameError::TooMany { limit: MAX_NAMES });
            }
            given.retain(|address, _| !addresses.contains(address));
            if !name.is_empty() {
                given.extend(addresses.first().map(|address| (*address, name.into())));
            }
            given.clone()
        };
        let Some(path) = &*file else { return Ok(()) };
        save(&names, path).map_err(|source| SetNameError::Save { source })
    }
}

fn save(names: &Given, path: &Path) -> io::Result<()> {
    let mut text = serde_json::to_vec_pretty(names)?;
    text.push(b'\n');
    replace_file(path, &text)
}

fn read_given(path: &Path) -> BTreeMap<IpAddr, Arc<str>> {
    let read = || -> io::Result<BTreeMap<IpAddr, String>> { Ok(serde_json::from_slice(&fs::read(path)?)?) };
    let names = read().unwrap_or_else(|error| {
        if error.kind() != io::ErrorKind::NotFound {
            let file = path.file_name().unwrap_or_default().to_string_lossy();
            tracing::warn!(%file, %error, "the names that computers were given cannot be read");
        }
        BTreeMap::new()
    });
    let clean = |(address, name): (IpAddr, String)| (address.to_canonical(), displayable(&name).into());
    names.into_iter().map(clean).take(MAX_NAMES).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const TWO: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    fn name(names: &Names, address: IpAddr) -> Option<(String, NameSource)> {
        names.of(&[address]).map(|name| (name.name.to_string(), name.source))
    }

    #[test]
    fn given_names_go_before_those_of_the_file_and_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let (file, given) = (folder.path().join("names.csv"), folder.path().join("names.json"));
        fs::write(&file, "192.0.2.1,lab-01\n192.0.2.2,lab-02\n").unwrap();
        let start = || Names::start(Some(file.clone()), Some(given.clone())).unwrap();
        let names = start();
        assert_eq!(name(&names, ONE), Some(("lab-01".to_owned(), NameSource::File)));
        names.set(&[ONE], " desk\u{202e} by the window\n").unwrap();
        let by_the_window = Some(("desk\u{fffd} by the window".to_owned(), NameSource::Given));
        assert_eq!(name(&names, ONE), by_the_window);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is left beside the two files");
        assert_eq!(name(&names, TWO), Some(("lab-02".to_owned(), NameSource::File)));
        drop(names);
        let names = start();
        assert_eq!(name(&names, ONE), by_the_window);
        names.set(&[ONE], "").unwrap();
        assert_eq!(name(&names, ONE), Some(("lab-01".to_owned(), NameSource::File)));
        assert_eq!(names.listed().map(|listed| listed.len()), Some(2));
    }

    #[test]
    fn names_are_read_while_others_are_saved() {
        let names = Names::start(None, None).unwrap();
        names.set(&[ONE], "lab-01").unwrap();
        let saving = lock(&names.file);
        thread::scope(|scope| {
            let other = scope.spawn(|| names.set(&[TWO], "lab-02"));
            assert!(name(&names, ONE).is_some());
            drop(saving);
            other.join().unwrap().unwrap();
        });
        assert!(name(&names, TWO).is_some());
    }

    #[test]
    fn a_computer_with_two_addresses_has_one_name() {
        let names = Names::start(None, None).unwrap();
        names.set(&[TWO], "lab-02").unwrap();
        assert_eq!(names.of(&[ONE, TWO]).unwrap().name.as_ref(), "lab-02");
        names.set(&[ONE, TWO], "lab-01").unwrap();
        assert_eq!((name(&names, ONE).unwrap().0.as_str(), name(&names, TWO)), ("lab-01", None));
        names.set(&[ONE, TWO], "").unwrap();
        assert_eq!(names.of(&[ONE, TWO]), None);
    }

    #[test]
    fn names_have_a_limit() {
        let names = Names::start(None, None).unwrap();
        assert!(matches!(names.set(&[ONE], &"ä".repeat(65)), Err(SetNameError::TooLong { limit: 64 })));
        names.set(&[ONE], &"ä".repeat(64)).unwrap();
        for number in 1..MAX_NAMES as u32 {
            lock(&names.given).insert(IpAddr::V4(number.into()), "x".into());
        }
        assert!(matches!(names.set(&[TWO], "x"), Err(SetNameError::TooMany { .. })));
        names.set(&[ONE], "another").unwrap();
    }

    #[test]
    fn a_broken_file_of_given_names_is_no_reason_not_to_start() {
        let folder = tempfile::tempdir().unwrap();
        let given = folder.path().join("names.json");
        fs::write(&given, "{").unwrap();
        let names = Names::start(None, Some(given.clone())).unwrap();
        names.set(&[ONE], "lab-01").unwrap();
        assert_eq!(read_given(&given).len(), 1);
        assert!(names.listed().is_none());
    }

    #[test]
    fn names_that_cannot_be_saved_are_told_of() {
        let folder = tempfile::tempdir().unwrap();
        let names = Names::start(None, Some(folder.path().join("missing/names.json"))).unwrap();
        assert!(matches!(names.set(&[ONE], "lab-01"), Err(SetNameError::Save { .. })));
        assert!(name(&names, ONE).is_some());
    }
}
