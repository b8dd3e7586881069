//! The list of clients that are served, and of those that are not.

mod error;
mod rule;
mod text;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use torrent_library::{Due, Stamp, WatchedFile, rewrite_file};
use tracker_core::ClientPolicy;

use text::Text;

pub use error::{ChangeClientListError, ReadClientListError};
pub use rule::{ClientRule, Clients, ParseRuleError, Verdict};

/// The maximum size of the file in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// The maximum number of rules: each announce is compared with all of them.
const MAX_RULES: usize = 250;

/// The time for which a file that has changed must stay as it is before it is changed here: an editor may be writing it.
const SETTLE_TIME: Duration = Duration::from_millis(100);

/// How often a change waits for that, or begins anew since the file changed meanwhile, before it fails.
const ATTEMPTS: usize = 20;

/// The rules about which clients are served, by their peer ids and addresses. Cheap to clone; all clones are one.
///
/// It is a text file that people edit, and that changes on the page: each line is a [`ClientRule`], empty, or a comment that begins with
/// `#`. A change here adds or removes lines, and leaves all others and the permissions of the file as they are. There are at most 250
/// rules in at most 1 MiB.
///
/// ```
/// use dashboard::{ClientList, ClientRule};
///
/// # let folder = tempfile::tempdir()?;
/// let list = ClientList::open_or_empty(folder.path().join("clients.txt"))?;
/// list.add(&"deny 10.1.2.3".parse::<ClientRule>()?, None)?;
/// assert!(!list.policy().admits_address([10, 1, 2, 3].into()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct ClientList(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// `None` for a list in memory.
    path: Option<PathBuf>,
    /// Locked for moments only, so that nobody who reads the rules waits for the file.
    known: Mutex<Known>,
    /// Locked, and before `known`, by who changes the list or looks at the file, until that is done.
    watched: Mutex<WatchedFile>,
    changes: AtomicU64,
}

/// What was read last.
#[derive(Debug, Default)]
struct Known {
    rules: Vec<ClientRule>,
    /// Why the file cannot be used as it is now.
    problem: Option<Arc<ReadClientListError>>,
}

impl ClientList {
    /// The list in this file, which must be there.
    ///
    /// # Errors
    ///
    /// Returns [`ReadClientListError`] if there is no such file, or it is not a list of rules.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, ReadClientListError> {
        let path = path.into();
        let watched = WatchedFile::read(Stamp::of(&path));
        let rules = Text::read(&path)?.rules();
        Ok(Self::new(Some(path), Known { rules, problem: None }, watched))
    }

    /// The list in this file. If there is none, there are no rules yet.
    ///
    /// # Errors
    ///
    /// Returns [`ReadClientListError`] if there is a file, and it is not a list of rules.
    pub fn open_or_empty(path: impl Into<PathBuf>) -> Result<Self, ReadClientListError> {
        let path = path.into();
        match Stamp::of(&path) {
            Some(_) => Self::open(path),
            None => Ok(Self::new(Some(path), Known::default(), WatchedFile::default())),
        }
    }

    /// A list that is forgotten when the program ends.
    pub fn in_memory() -> Self {
        Self::new(None, Known::default(), WatchedFile::default())
    }

    fn new(path: Option<PathBuf>, known: Known, watched: WatchedFile) -> Self {
        let (known, watched) = (Mutex::new(known), Mutex::new(watched));
        Self(Arc::new(Inner { path, known, watched, changes: AtomicU64::new(1) }))
    }

    /// The rules, in the order of the file.
    pub fn rules(&self) -> Vec<ClientRule> {
        self.known().rules.clone()
    }

    /// What the rules say together.
    pub fn policy(&self) -> ClientPolicy {
        policy(&self.known().rules)
    }

    /// Why the file cannot be used as it was found last, if it cannot: its last valid version is in force then.
    pub fn problem(&self) -> Option<Arc<ReadClientListError>> {
        self.known().problem.clone()
    }

    /// A number that grows with each change.
    pub fn changes(&self) -> u64 {
        self.0.changes.load(Ordering::Acquire)
    }

    /// `true` if it is in a file, and so outlives the program.
    pub fn is_kept(&self) -> bool {
        self.0.path.is_some()
    }

    /// Adds a rule at the end. `sender` is the address of who does so, if that must not shut it out.
    ///
    /// # Errors
    ///
    /// Returns [`ChangeClientListError`] if there is such a rule, if there are too many, if `sender` would be shut out, or if the file
    /// cannot be changed.
    pub fn add(&self, rule: &ClientRule, sender: Option<IpAddr>) -> Result<(), ChangeClientListError> {
        self.change(sender, |text| {
            if text.has(rule) {
                return Err(ChangeClientListError::Exists { rule: rule.clone() });
            }
            if text.count() >= MAX_RULES {
                return Err(ChangeClientListError::TooMany);
            }
            text.add(rule.clone());
            Ok(())
        })
    }

    /// Removes a rule, whatever is noted beside it. `sender` is the address of who does so, if that must not shut it out.
    ///
    /// # Errors
    ///
    /// Returns [`ChangeClientListError`] if there is no such rule, if `sender` would be shut out, or if the file cannot be changed.
    pub fn remove(&self, rule: &ClientRule, sender: Option<IpAddr>) -> Result<(), ChangeClientListError> {
        self.change(sender, |text| match text.has(rule) {
            true => {
                text.remove(rule);
                Ok(())
            }
            false => Err(ChangeClientListError::Unknown { rule: rule.clone() }),
        })
    }

    /// Changes the file as it is now, by `change`: somebody may have changed it since it was read. If somebody changes it meanwhile, it
    /// is read and changed again. Whether `sender` would be shut out is decided by what is written.
    fn change(
        &self,
        sender: Option<IpAddr>,
        mut change: impl FnMut(&mut Text) -> Result<(), ChangeClientListError>,
    ) -> Result<(), ChangeClientListError> {
        let mut change = |text: &mut Text| {
            change(text)?;
            match sender.filter(|&sender| !policy(&text.rules()).admits_address(sender)) {
                Some(sender) => Err(ChangeClientListError::ShutsOut { sender }),
                None => Ok(()),
            }
        };
        let mut watched = self.watched();
        let rules = match &self.0.path {
            None => {
                let mut text = Text::of(&self.rules());
                change(&mut text)?;
                text.rules()
            }
            Some(path) => {
                let mut rewrite = || self.rewrite(path, &mut watched, &mut change).transpose();
                let rewritten = (0..ATTEMPTS).find_map(|_| rewrite());
                rewritten.unwrap_or_else(|| Err(ChangeClientListError::Busy { path: path.clone() }))?
            }
        };
        *self.known() = Known { rules, problem: None };
        self.0.changes.fetch_add(1, Ordering::Release);
        Ok(())
    }

    /// Changes the file, and returns its rules. Returns `None` if somebody else is changing it: then it stays as it is.
    fn rewrite(
        &self,
        path: &Path,
        watched: &mut WatchedFile,
        change: impl FnOnce(&mut Text) -> Result<(), ChangeClientListError>,
    ) -> Result<Option<Vec<ClientRule>>, ChangeClientListError> {
        let stamp = Stamp::of(path);
        let is_current = || Stamp::of(path) == stamp;
        if !watched.is_unchanged(stamp) {
            thread::sleep(SETTLE_TIME);
            if !is_current() {
                return Ok(None);
            }
        }
        let mut text = self.read(path, stamp)?;
        change(&mut text)?;
        let bytes = text.to_bytes();
        let written = rewrite_file(path, &bytes, is_current);
        if !written.map_err(|source| ChangeClientListError::Write { path: path.to_owned(), source })? {
            return Ok(None);
        }
        let stamp = Stamp::of(path);
        // It may have been changed once more.
        if Text::read(path).is_ok_and(|now| now.to_bytes() == bytes) {
            *watched = WatchedFile::read(stamp);
        }
        Ok(Some(text.rules()))
    }

    /// The text of the file with this stamp. It need not be there before the first rule, with which it is made.
    fn read(&self, path: &Path, stamp: Option<Stamp>) -> Result<Text, ReadClientListError> {
        if stamp.is_none() && self.known().rules.is_empty() { Ok(Text::default()) } else { Text::read(path) }
    }

    /// Looks at the file, and reads it again if it has changed and settled. While it cannot be used, its last valid version stays in
    /// force.
    ///
    /// # Errors
    ///
    /// Returns [`ReadClientListError`] once for each state of the file that cannot be used.
    pub fn refresh(&self) -> Result<(), Arc<ReadClientListError>> {
        let Some(path) = &self.0.path else { return Ok(()) };
        let mut watched = self.watched();
        let stamp = Stamp::of(path);
        let Some(due) = watched.look(stamp) else { return Ok(()) };
        let read = self.read(path, stamp);
        // It may work the next time, without a change of the file.
        watched.set_retry(matches!(read, Err(ReadClientListError::Read { .. })));
        let mut known = self.known();
        known.problem = None;
        let rules = match read {
            Ok(text) => text.rules(),
            Err(error) => {
                let error = known.problem.insert(Arc::new(error));
                // The same was said before.
                return if due == Due::Retry { Ok(()) } else { Err(Arc::clone(error)) };
            }
        };
        if rules != known.rules {
            known.rules = rules;
            self.0.changes.fetch_add(1, Ordering::Release);
        }
        Ok(())
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watched(&self) -> MutexGuard<'_, WatchedFile> {
        self.0.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn policy(rules: &[ClientRule]) -> ClientPolicy {
    let mut policy = ClientPolicy::default();
    for rule in rules {
        match (rule.verdict, rule.clients) {
            (Verdict::Allow, Clients::PeerId(prefix)) => policy.allowed.push(prefix),
            (Verdict::Deny, Clients::PeerId(prefix)) => policy.denied.push(prefix),
            (Verdict::Allow, Clients::Network(network)) => policy.allowed_networks.push(network),
            (Verdict::Deny, Clients::Network(network)) => policy.denied_networks.push(network),
        }
    }
    policy
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn rule(text: &str) -> ClientRule {
        text.parse().unwrap()
    }

    /// Refreshes until the file has settled.
    fn refresh(list: &ClientList) -> Result<(), Arc<ReadClientListError>> {
        (0..3).map(|_| list.refresh()).find(Result::is_err).unwrap_or(Ok(()))
    }

    fn rules(list: &ClientList) -> Vec<String> {
        list.rules().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_change_leaves_the_other_lines_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clients.txt");
        fs::write(&path, "\u{feff}# ours\r\n\r\ndeny   -XL\t# old\nallow 10.0.0.0/8").unwrap();
        let list = ClientList::open(&path).unwrap();
        list.add(&rule("deny 10.1.2.3 # a guest"), None).unwrap();
        list.remove(&rule("allow 10.0.0.0/8"), None).unwrap();
        let expected = "\u{feff}# ours\r\n\r\ndeny   -XL\t# old\ndeny 10.1.2.3  # a guest\r\n";
        assert_eq!(fs::read_to_string(&path).unwrap(), expected);
        assert_eq!(rules(&list), ["deny -XL  # old", "deny 10.1.2.3  # a guest"]);
        assert_eq!(rules(&ClientList::open(&path).unwrap()), rules(&list));

        let error = list.add(&rule("deny -XL"), None).unwrap_err();
        assert!(matches!(error, ChangeClientListError::Exists { .. }), "{error}");
        let error = list.remove(&rule("allow -XL"), None).unwrap_err();
        assert!(matches!(error, ChangeClientListError::Unknown { .. }), "{error}");
        let policy = list.policy();
        assert!(!policy.admits_address([10, 1, 2, 3].into()) && policy.admits_address([10, 1, 2, 4].into()));
    }

    #[test]
    fn what_was_changed_meanwhile_is_not_lost() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clients.txt");
        let list = ClientList::open_or_empty(&path).unwrap();
        assert_eq!(list.rules(), []);
        fs::write(&path, "deny -AA\n").unwrap();
        list.add(&rule("deny -BB"), None).unwrap();
        assert_eq!(rules(&list), ["deny -AA", "deny -BB"]);

        fs::write(&path, "deny -AA\nder Rest\n").unwrap();
        let error = list.add(&rule("deny -CC"), None).unwrap_err().to_string();
        assert!(error.ends_with("clients.txt:2: a rule begins with allow or deny, not with \"der\""), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "deny -AA\nder Rest\n");
        assert_eq!(rules(&list), ["deny -AA", "deny -BB"], "the last valid version stays in force");
    }

    #[test]
    fn what_is_written_while_a_change_is_made_is_not_lost() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clients.txt");
        fs::write(&path, "deny -AA\n").unwrap();
        let list = ClientList::open(&path).unwrap();
        let mut editor = ["deny -AA\ndeny -BB\n", "deny -BB\n"].iter();
        list.change(None, |text| {
            editor.next().into_iter().for_each(|text| fs::write(&path, text).unwrap());
            text.add(rule("deny -CC"));
            Ok(())
        })
        .unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "deny -BB\ndeny -CC\n");
        assert_eq!(rules(&list), ["deny -BB", "deny -CC"]);

        let mut number = 0;
        let error = list.change(None, |text| {
            number += 1;
            fs::write(&path, format!("deny -{number}\n")).unwrap();
            text.add(rule("deny -DD"));
            Ok(())
        });
        assert!(matches!(error, Err(ChangeClientListError::Busy { .. })), "{error:?}");
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("deny -{number}\n"));
    }

    #[test]
    fn who_reads_does_not_wait_for_a_change() {
        let folder = tempfile::tempdir().unwrap();
        for list in [ClientList::open_or_empty(folder.path().join("clients.txt")).unwrap(), ClientList::in_memory()] {
            list.add(&rule("deny -AA"), None).unwrap();
            list.change(None, |text| {
                assert_eq!(rules(&list), ["deny -AA"]);
                assert!(list.problem().is_none() && list.policy().denied.len() == 1);
                text.add(rule("deny -BB"));
                Ok(())
            })
            .unwrap();
            assert_eq!(rules(&list), ["deny -AA", "deny -BB"]);
        }
    }

    #[test]
    fn whether_a_change_shuts_out_its_sender_is_decided_by_what_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clients.txt");
        let list = ClientList::open_or_empty(&path).unwrap();
        let text = "allow 10.0.0.0/8\nallow 192.168.1.7\n";
        fs::write(&path, text).unwrap();
        let sender = Some([192, 168, 1, 7].into());
        let error = list.remove(&rule("allow 192.168.1.7"), sender).unwrap_err();
        assert!(matches!(error, ChangeClientListError::ShutsOut { .. }), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        list.add(&rule("deny 10.1.0.0/16"), sender).unwrap();
        fs::write(&path, "deny 10.2.0.0/16\n").unwrap();
        // What would shut out the sender is not there any more.
        list.add(&rule("deny 10.1.0.0/16"), sender).unwrap();
        assert_eq!(rules(&list), ["deny 10.2.0.0/16", "deny 10.1.0.0/16"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_change_keeps_links_and_permissions() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let folder = tempfile::tempdir().unwrap();
        let (path, target) = (folder.path().join("clients.txt"), folder.path().join("kept.txt"));
        fs::write(&target, "deny -AA\n").unwrap();
        fs::set_permissions(&target, fs::Permissions::from_mode(0o660)).unwrap();
        symlink("kept.txt", &path).unwrap();
        let list = ClientList::open(&path).unwrap();
        list.add(&rule("deny -BB"), None).unwrap();
        assert!(path.is_symlink());
        assert_eq!(fs::read_to_string(&target).unwrap(), "deny -AA\ndeny -BB\n");
        assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o660);
    }

    #[test]
    fn a_file_that_changes_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clients.txt");
        assert!(matches!(ClientList::open(&path), Err(ReadClientListError::Read { .. })), "it must be there");
        let list = ClientList::open_or_empty(&path).unwrap();
        let before = list.changes();
        refresh(&list).unwrap();
        assert_eq!(list.changes(), before);

        fs::write(&path, "deny -AA").unwrap();
        refresh(&list).unwrap();
        assert_eq!((rules(&list), list.changes() > before), (vec!["deny -AA".to_owned()], true));
        fs::write(&path, "oops").unwrap();
        assert_eq!(refresh(&list).unwrap_err().line(), Some(1));
        assert!(refresh(&list).is_ok(), "said once");
        assert!(list.problem().is_some(), "it stays wrong");
        assert_eq!(rules(&list), ["deny -AA"]);
        fs::remove_file(&path).unwrap();
        assert!(matches!(&*refresh(&list).unwrap_err(), ReadClientListError::Read { .. }));
        assert!(refresh(&list).is_ok(), "said once");
        assert!(list.problem().is_some_and(|error| error.reason().starts_with("it cannot be read: ")));
        assert_eq!(rules(&list), ["deny -AA"], "a file that is gone changes nothing");
        assert!(list.add(&rule("deny -BB"), None).is_err());
        fs::write(&path, "").unwrap();
        refresh(&list).unwrap();
        assert_eq!(list.rules(), []);
        assert!(list.problem().is_none());
        fs::write(&path, "oops").unwrap();
        refresh(&list).unwrap_err();
        fs::write(&path, "deny -AA").unwrap();
        list.add(&rule("deny -BB"), None).unwrap();
        assert!(list.problem().is_none());
    }

    #[test]
    fn a_list_has_its_limits() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clients.txt");
        let full: String = (0..MAX_RULES).map(|number| format!("deny -{number}\n")).collect();
        fs::write(&path, &full).unwrap();
        let list = ClientList::open(&path).unwrap();
        assert!(matches!(list.add(&rule("deny -x"), None), Err(ChangeClientListError::TooMany)));
        fs::write(&path, full + "deny -x").unwrap();
        assert!(matches!(ClientList::open(&path), Err(ReadClientListError::TooMany { .. })));
        fs::write(&path, "#".repeat(1 + MAX_BYTES as usize)).unwrap();
        assert!(matches!(ClientList::open(&path), Err(ReadClientListError::TooLong { .. })));
        assert!(matches!(ClientList::open(folder.path()), Err(ReadClientListError::Read { .. })));
    }

    #[test]
    fn a_list_in_memory_changes_too() {
        let list = ClientList::in_memory();
        list.add(&rule("allow -qB"), None).unwrap();
        list.add(&rule("deny -qB4"), None).unwrap();
        list.remove(&rule("allow -qB"), None).unwrap();
        list.refresh().unwrap();
        assert_eq!(rules(&list), ["deny -qB4"]);
        assert!(!list.is_kept());
    }
}
