//! The list of clients that are served, and of those that are not.

mod error;
mod rule;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use torrent_library::{Due, ReadFileError, Stamp, WatchedFile, read_file, replace_file};
use tracker_core::ClientPolicy;

pub use error::{ChangeClientListError, ReadClientListError};
pub use rule::{ClientRule, Clients, ParseRuleError, Verdict};

/// The maximum size of the file in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// The maximum number of rules: each announce is compared with all of them.
const MAX_RULES: usize = 250;

/// The rules about which clients are served, by their peer ids and addresses. Cheap to clone; all clones are one.
///
/// It is a text file that people edit, and that changes on the page: each line is a [`ClientRule`], empty, or a comment that begins with
/// `#`. A change here adds or removes lines and leaves all others as they are. There are at most 250 rules in at most 1 MiB. After a change all lines end as on Unix.
///
/// ```
/// use dashboard::{ClientList, ClientRule};
///
/// # let folder = tempfile::tempdir()?;
/// let list = ClientList::open_or_empty(folder.path().join("clients.txt"))?;
/// list.add("deny 10.1.2.3".parse::<ClientRule>()?)?;
/// assert!(!list.policy().admits_address([10, 1, 2, 3].into()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct ClientList(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// `None` for a list in memory.
    path: Option<PathBuf>,
    known: Mutex<Known>,
    changes: AtomicU64,
}

/// What was read last.
#[derive(Debug, Default)]
struct Known {
    rules: Vec<ClientRule>,
    watched: WatchedFile,
}

impl Known {
    /// The text of the file with this stamp. It need not be there before the first rule, with which it is made.
    fn read(&self, path: &Path, stamp: Option<Stamp>) -> Result<Text, ReadClientListError> {
        if stamp.is_none() && self.rules.is_empty() { Ok(Text::default()) } else { Text::read(path) }
    }
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
        Ok(Self::new(Some(path), Known { rules, watched }))
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
            None => Ok(Self::new(Some(path), Known::default())),
        }
    }

    /// A list that is forgotten when the program ends.
    pub fn in_memory() -> Self {
        Self::new(None, Known::default())
    }

    fn new(path: Option<PathBuf>, known: Known) -> Self {
        Self(Arc::new(Inner { path, known: Mutex::new(known), changes: AtomicU64::new(1) }))
    }

    /// The rules, in the order of the file.
    pub fn rules(&self) -> Vec<ClientRule> {
        self.known().rules.clone()
    }

    /// What the rules say together.
    pub fn policy(&self) -> ClientPolicy {
        policy(&self.known().rules)
    }

    /// What the rules would say together with one more.
    pub fn policy_with(&self, rule: &ClientRule) -> ClientPolicy {
        let mut rules = self.rules();
        rules.push(rule.clone());
        policy(&rules)
    }

    /// What the rules would say together without one.
    pub fn policy_without(&self, rule: &ClientRule) -> ClientPolicy {
        let mut rules = self.rules();
        rules.retain(|known| !known.is_same(rule));
        policy(&rules)
    }

    /// A number that grows with each change.
    pub fn changes(&self) -> u64 {
        self.0.changes.load(Ordering::Acquire)
    }

    /// `true` if it is in a file, and so outlives the program.
    pub fn is_kept(&self) -> bool {
        self.0.path.is_some()
    }

    /// Adds a rule at the end.
    ///
    /// # Errors
    ///
    /// Returns [`ChangeClientListError`] if there is such a rule, if there are too many, or if the file cannot be changed.
    pub fn add(&self, rule: ClientRule) -> Result<(), ChangeClientListError> {
        self.change(|text| {
            if text.has(&rule) {
                return Err(ChangeClientListError::Exists { rule });
            }
            if text.count() >= MAX_RULES {
                return Err(ChangeClientListError::TooMany);
            }
            text.add(rule);
            Ok(())
        })
    }

    /// Removes a rule, whatever is noted beside it.
    ///
    /// # Errors
    ///
    /// Returns [`ChangeClientListError`] if there is no such rule, or if the file cannot be changed.
    pub fn remove(&self, rule: &ClientRule) -> Result<(), ChangeClientListError> {
        self.change(|text| match text.has(rule) {
            true => {
                text.remove(rule);
                Ok(())
            }
            false => Err(ChangeClientListError::Unknown { rule: rule.clone() }),
        })
    }

    /// Changes the file as it is now: somebody may have changed it since it was read.
    fn change(
        &self,
        change: impl FnOnce(&mut Text) -> Result<(), ChangeClientListError>,
    ) -> Result<(), ChangeClientListError> {
        let mut known = self.known();
        let mut text = match &self.0.path {
            Some(path) => known.read(path, Stamp::of(path))?,
            None => Text::of(&known.rules),
        };
        change(&mut text)?;
        if let Some(path) = &self.0.path {
            let written = replace_file(path, text.to_string().as_bytes());
            written.map_err(|source| ChangeClientListError::Write { path: path.clone(), source })?;
            known.watched = WatchedFile::read(Stamp::of(path));
        }
        known.rules = text.rules();
        self.0.changes.fetch_add(1, Ordering::Release);
        Ok(())
    }

    /// Looks at the file, and reads it again if it has changed and settled. While it cannot be used, its last valid version stays in
    /// force.
    ///
    /// # Errors
    ///
    /// Returns [`ReadClientListError`] once for each state of the file that cannot be used.
    pub fn refresh(&self) -> Result<(), ReadClientListError> {
        let Some(path) = &self.0.path else { return Ok(()) };
        let mut known = self.known();
        let stamp = Stamp::of(path);
        let Some(due) = known.watched.look(stamp) else { return Ok(()) };
        let read = known.read(path, stamp);
        // It may work the next time, without a change of the file.
        known.watched.set_retry(matches!(read, Err(ReadClientListError::Read { .. })));
        let rules = match read {
            // That was said before.
            Err(_) if due == Due::Retry => return Ok(()),
            read => read?.rules(),
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

/// The lines of a list, and the rules in them.
#[derive(Debug, Default)]
struct Text(Vec<(String, Option<ClientRule>)>);

impl Text {
    /// The text in a file.
    fn read(path: &Path) -> Result<Self, ReadClientListError> {
        let bytes = read_file(path, MAX_BYTES).map_err(|error| match error {
            ReadFileError::TooLong => ReadClientListError::TooLong { path: path.to_owned() },
            error => ReadClientListError::Read { path: path.to_owned(), source: error.into() },
        })?;
        // What is not UTF-8 can only be in a note, or is an error.
        let text = String::from_utf8_lossy(&bytes);
        let text = Self::parse(&text);
        let text = text.map_err(|(line, source)| ReadClientListError::Line { path: path.to_owned(), line, source })?;
        if text.count() > MAX_RULES {
            return Err(ReadClientListError::TooMany { path: path.to_owned() });
        }
        Ok(text)
    }

    fn parse(text: &str) -> Result<Self, (usize, ParseRuleError)> {
        // Some Windows editors begin a file with a byte order mark.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let parse = |(number, line): (usize, &str)| {
            let has_rule = !line.split('#').next().unwrap_or_default().trim().is_empty();
            let rule = has_rule.then(|| line.parse()).transpose();
            rule.map(|rule| (line.to_owned(), rule)).map_err(|error| (number + 1, error))
        };
        text.lines().enumerate().map(parse).collect::<Result<_, _>>().map(Self)
    }

    fn of(rules: &[ClientRule]) -> Self {
        Self(rules.iter().map(|rule| (rule.to_string(), Some(rule.clone()))).collect())
    }

    fn rules(&self) -> Vec<ClientRule> {
        self.0.iter().filter_map(|(_, rule)| rule.clone()).collect()
    }

    fn count(&self) -> usize {
        self.0.iter().filter(|(_, rule)| rule.is_some()).count()
    }

    fn has(&self, wanted: &ClientRule) -> bool {
        self.0.iter().any(|(_, rule)| rule.as_ref().is_some_and(|rule| rule.is_same(wanted)))
    }

    fn add(&mut self, rule: ClientRule) {
        self.0.push((rule.to_string(), Some(rule)));
    }

    fn remove(&mut self, unwanted: &ClientRule) {
        self.0.retain(|(_, rule)| !rule.as_ref().is_some_and(|rule| rule.is_same(unwanted)));
    }
}

impl std::fmt::Display for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|(line, _)| writeln!(f, "{line}"))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn rule(text: &str) -> ClientRule {
        text.parse().unwrap()
    }

    /// Refreshes until the file has settled.
    fn refresh(list: &ClientList) -> Result<(), ReadClientListError> {
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
        list.add(rule("deny 10.1.2.3 # a guest")).unwrap();
        list.remove(&rule("allow 10.0.0.0/8")).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "# ours\n\ndeny   -XL\t# old\ndeny 10.1.2.3  # a guest\n");
        assert_eq!(rules(&list), ["deny -XL  # old", "deny 10.1.2.3  # a guest"]);
        assert_eq!(rules(&ClientList::open(&path).unwrap()), rules(&list));

        let error = list.add(rule("deny -XL")).unwrap_err();
        assert!(matches!(error, ChangeClientListError::Exists { .. }), "{error}");
        let error = list.remove(&rule("allow -XL")).unwrap_err();
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
        list.add(rule("deny -BB")).unwrap();
        assert_eq!(rules(&list), ["deny -AA", "deny -BB"]);

        fs::write(&path, "deny -AA\nder Rest\n").unwrap();
        let error = list.add(rule("deny -CC")).unwrap_err().to_string();
        assert!(error.ends_with("clients.txt:2: a rule begins with allow or deny, not with \"der\""), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "deny -AA\nder Rest\n");
        assert_eq!(rules(&list), ["deny -AA", "deny -BB"], "the last valid version stays in force");
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
        assert!(matches!(refresh(&list), Err(ReadClientListError::Line { line: 1, .. })));
        assert!(refresh(&list).is_ok(), "said once");
        assert_eq!(rules(&list), ["deny -AA"]);
        fs::remove_file(&path).unwrap();
        assert!(matches!(refresh(&list), Err(ReadClientListError::Read { .. })));
        assert!(refresh(&list).is_ok(), "said once");
        assert_eq!(rules(&list), ["deny -AA"], "a file that is gone lets nobody in");
        assert!(list.add(rule("deny -BB")).is_err());
        fs::write(&path, "").unwrap();
        refresh(&list).unwrap();
        assert_eq!(list.rules(), []);
    }

    #[test]
    fn a_list_has_its_limits() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clients.txt");
        let full: String = (0..MAX_RULES).map(|number| format!("deny -{number}\n")).collect();
        fs::write(&path, &full).unwrap();
        let list = ClientList::open(&path).unwrap();
        assert!(matches!(list.add(rule("deny -x")), Err(ChangeClientListError::TooMany)));
        fs::write(&path, full + "deny -x").unwrap();
        assert!(matches!(ClientList::open(&path), Err(ReadClientListError::TooMany { .. })));
        fs::write(&path, "#".repeat(1 + MAX_BYTES as usize)).unwrap();
        assert!(matches!(ClientList::open(&path), Err(ReadClientListError::TooLong { .. })));
        assert!(matches!(ClientList::open(folder.path()), Err(ReadClientListError::Read { .. })));
    }

    #[test]
    fn a_list_in_memory_changes_too() {
        let list = ClientList::in_memory();
        list.add(rule("allow -qB")).unwrap();
        list.add(rule("deny -qB4")).unwrap();
        list.remove(&rule("allow -qB")).unwrap();
        list.refresh().unwrap();
        assert_eq!(rules(&list), ["deny -qB4"]);
        assert!(!list.is_kept());
    }
}
