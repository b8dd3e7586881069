//! The accounts of those who sign in with a name and a password.

mod account;
mod change;
mod error;
mod file;
mod password;
mod saved_key;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use torrent_library::Stamp;
use tracker_core::{UserId, UserKey, UserRule};
use tracker_host::LogThrottle;

pub use account::{Account, AccountRole};
pub use change::AccountChange;
pub use error::{AddAccountError, ChangeAccountsError, EditAccountError};
use file::Contents;
pub use file::ReadAccountsError;
use password::PasswordHash;

/// How often the file is looked at, at most.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// The maximum number of accounts.
const MAX_ACCOUNTS: usize = 1000;

/// The maximum number of characters in a name.
const MAX_NAME: usize = 64;

/// One line in that time says that the file cannot be read any more.
static UNREADABLE: LogThrottle = LogThrottle::new(Duration::from_secs(600));

/// The accounts of those who sign in on the dashboard with a name and a password, in a file. Cheap to clone; all clones are one.
///
/// Each account has a key, too. Where the tracker is [for users](tracker_core::Config::users), it stands in the announce URLs of the
/// .torrent files that this user gets, and the [rules](Self::rules) say what it allows.
///
/// The file has no passwords, but [Argon2id](https://www.rfc-editor.org/rfc/rfc9106) hashes of them. Another program may change it
/// meanwhile, such as `tracker operators`: it is read again when it has changed, at most once a second. There are at most 1,000
/// accounts.
///
/// ```
/// use dashboard::{AccountRole, Accounts};
///
/// # let folder = tempfile::tempdir().unwrap();
/// let accounts = Accounts::open(folder.path().join("operators.json")).unwrap();
/// let password = accounts.add("anna", AccountRole::Operator).unwrap();
/// assert_eq!(accounts.sign_in("anna", &password).unwrap().role(), AccountRole::Operator);
/// assert!(accounts.sign_in("anna", "a guess").is_none());
/// ```
#[derive(Clone)]
pub struct Accounts(Arc<Inner>);

struct Inner {
    file: PathBuf,
    known: Mutex<Known>,
    opened: Instant,
    /// When the file was last looked at: milliseconds since it was opened.
    looked: AtomicU64,
    changes: AtomicU64,
}

/// What was read from the file.
#[derive(Default)]
struct Known {
    stamp: Option<Stamp>,
    contents: Contents,
    /// Why the file cannot be read as it is now.
    problem: Option<Arc<ReadAccountsError>>,
}

impl Accounts {
    /// The number of operators without an account, as a [user](tracker_core::Users). No account has it.
    pub const OPERATOR: UserId = UserId(0);

    /// The accounts in this file. If there is none, there are no accounts yet.
    ///
    /// # Errors
    ///
    /// Returns [`ReadAccountsError`] if there is a file, and it cannot be read.
    pub fn open(file: impl Into<PathBuf>) -> Result<Self, ReadAccountsError> {
        let file = file.into();
        let known = Known::read(&file)?;
        let (opened, looked) = (Instant::now(), AtomicU64::new(0));
        Ok(Self(Arc::new(Inner { file, known: Mutex::new(known), opened, looked, changes: AtomicU64::new(1) })))
    }

    /// Adds an account with a new password, and returns that: nobody can find it out later.
    ///
    /// # Errors
    ///
    /// Returns [`AddAccountError`] if the name is taken or cannot be one, if there are too many, or if the file cannot be changed.
    pub fn add(&self, name: &str, role: AccountRole) -> Result<String, AddAccountError> {
        if !is_name(name) {
            return Err(AddAccountError::Name { name: name.to_owned() });
        }
        let password = password::draw();
        let hash = PasswordHash::new(&password).ok_or(ChangeAccountsError::Hash)?;
        self.write(|accounts| {
            if place_of(accounts, name).is_some() {
                return Err(AddAccountError::Exists { name: name.to_owned() });
            }
            if accounts.len() >= MAX_ACCOUNTS {
                return Err(AddAccountError::TooMany);
            }
            accounts.push(Account::new(name, role, hash));
            Ok(())
        })?;
        Ok(password)
    }

    /// Gives an account a new password, and returns that. Browsers that are signed in with the old one are signed out.
    ///
    /// # Errors
    ///
    /// Returns [`EditAccountError`] if there is no such account, or if the file cannot be changed.
    pub fn reset(&self, name: &str) -> Result<String, EditAccountError> {
        let password = password::draw();
        let hash = PasswordHash::new(&password).ok_or(ChangeAccountsError::Hash)?;
        self.edit(name, |account| account.password = hash)?;
        Ok(password)
    }

    /// Gives an account a new key, and returns that: announce URLs with the old one are not valid any more.
    ///
    /// # Errors
    ///
    /// Returns [`EditAccountError`] if there is no such account, or if the file cannot be changed.
    pub fn new_key(&self, name: &str) -> Result<UserKey, EditAccountError> {
        let key = saved_key::draw();
        self.edit(name, |account| account.key = Some(key))?;
        Ok(key)
    }

    /// Gives operators without an account a new key.
    ///
    /// # Errors
    ///
    /// Returns [`ChangeAccountsError`] if the file cannot be changed.
    pub fn new_operator_key(&self) -> Result<(), ChangeAccountsError> {
        self.write_contents(|contents| {
            contents.operator_key = None;
            Ok(())
        })
    }

    /// Changes an account: its name, its role, whether it is switched on, and its limits.
    ///
    /// # Errors
    ///
    /// Returns [`EditAccountError`] if there is no such account, if the new name is taken or cannot be one, or if the file cannot be
    /// changed.
    pub fn change(&self, name: &str, change: &AccountChange) -> Result<(), EditAccountError> {
        self.write_at(name, |accounts, place| {
            if let Some(new) = &change.name {
                if !is_name(new) {
                    return Err(EditAccountError::Name { name: new.clone() });
                }
                if place_of(accounts, new).is_some_and(|taken| taken != place) {
                    return Err(EditAccountError::Exists { name: new.clone() });
                }
            }
            change.apply_to(&mut accounts[place]);
            Ok(())
        })
    }

    /// Removes an account. Browsers that are signed in with it are signed out, and its key is not valid any more.
    ///
    /// # Errors
    ///
    /// Returns [`EditAccountError`] if there is no such account, or if the file cannot be changed.
    pub fn remove(&self, name: &str) -> Result<(), EditAccountError> {
        self.write_at(name, |accounts, place| {
            accounts.remove(place);
            Ok(())
        })
    }

    fn edit(&self, name: &str, edit: impl FnOnce(&mut Account)) -> Result<(), EditAccountError> {
        self.write_at(name, |accounts, place| {
            edit(&mut accounts[place]);
            Ok(())
        })
    }

    /// Gives a key to each account that has none, since an older program made it, and to operators without an account.
    ///
    /// # Errors
    ///
    /// Returns [`ChangeAccountsError`] if the file cannot be changed.
    pub fn give_keys(&self) -> Result<(), ChangeAccountsError> {
        if self.known().contents.has_keys() {
            return Ok(());
        }
        self.write(|_| Ok(()))
    }

    /// What each key allows: those of the accounts, and the one of operators without an account.
    pub fn rules(&self) -> Vec<(UserKey, UserRule)> {
        let known = self.known();
        let operator = known.contents.operator_key.map(|key| (key, UserRule::new(Self::OPERATOR)));
        known.contents.accounts.iter().filter_map(Account::rule).chain(operator).collect()
    }

    /// The key of operators who have the token, or are at the tracker's machine, and have not signed in with an account.
    pub(crate) fn operator_key(&self) -> Option<UserKey> {
        self.known().contents.operator_key
    }

    /// A number that is another one each time the accounts have changed, as far as it is known here.
    pub fn changes(&self) -> u64 {
        self.0.changes.load(Ordering::Relaxed)
    }

    /// All accounts as they were when the file was last read, by their names.
    pub fn list(&self) -> Vec<Account> {
        let mut accounts = self.known().contents.accounts.clone();
        accounts.sort_by(|one, other| one.name.cmp(&other.name));
        accounts
    }

    /// The account with this name and this password. Takes about 50 ms of a processor, and 19 MiB of memory, also for a name that
    /// does not exist, unless there are no accounts at all.
    pub fn sign_in(&self, name: &str, password: &str) -> Option<Account> {
        self.refresh();
        if self.is_empty() {
            return None;
        }
        let account = self.find(name);
        let hash = account.as_ref().map(|account| &account.password);
        let is_right = hash.unwrap_or_else(|| PasswordHash::of_nobody()).is_of(password);
        account.filter(|account| is_right && account.is_active())
    }

    /// The account with this name, as it was when the file was last read.
    pub(crate) fn find(&self, name: &str) -> Option<Account> {
        let accounts = &self.known().contents.accounts;
        place_of(accounts, name).map(|place| accounts[place].clone())
    }

    /// Returns `true` if there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.known().contents.accounts.is_empty()
    }

    /// Returns `true`, once in a second, if the file should be [looked at](Self::refresh) again.
    pub(crate) fn is_due(&self) -> bool {
        let now = u64::try_from(self.0.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        let looked = self.0.looked.load(Ordering::Relaxed);
        now.saturating_sub(looked) >= LOOK_INTERVAL.as_millis() as u64
            && self.0.looked.compare_exchange(looked, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Reads the file again if it has changed. If it cannot be read, all stays as it is.
    pub fn refresh(&self) {
        // Not under the lock, which others must not wait for: the disk may be slow.
        let stamp = Stamp::of(&self.0.file);
        {
            let mut known = self.known();
            if stamp == known.stamp {
                known.problem = None;
                return;
            }
        }
        match Known::read(&self.0.file) {
            Ok(read) => self.know(read),
            Err(error) => {
                if UNREADABLE.allows().is_some() {
                    tracing::warn!(error = %error, "the accounts stay as they were: {error}");
                }
                self.known().problem = Some(Arc::new(error));
            }
        }
    }

    /// Why the file could not be read when it was last looked at, so that the accounts are those of before.
    pub fn problem(&self) -> Option<Arc<ReadAccountsError>> {
        self.known().problem.clone()
    }

    /// Changes the accounts as they are in the file now.
    fn write<E: From<ChangeAccountsError>>(
        &self,
        change: impl FnOnce(&mut Vec<Account>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.write_contents(|contents| change(&mut contents.accounts))
    }

    /// Changes them at the place of the account with this name.
    fn write_at(
        &self,
        name: &str,
        change: impl FnOnce(&mut Vec<Account>, usize) -> Result<(), EditAccountError>,
    ) -> Result<(), EditAccountError> {
        self.write(|accounts| {
            let place = place_of(accounts, name).ok_or_else(|| unknown(name))?;
            change(accounts, place)
        })
    }

    fn write_contents<E: From<ChangeAccountsError>>(
        &self,
        change: impl FnOnce(&mut Contents) -> Result<(), E>,
    ) -> Result<(), E> {
        // Several programs may do so at the same time. Where the file system has no locks, the last one wins.
        let lock = file::lock(&self.0.file);
        let lock = lock.map_err(|source| ChangeAccountsError::Write { file: self.0.file.clone(), source })?;
        let mut read = Known::read(&self.0.file).map_err(ChangeAccountsError::from)?;
        change(&mut read.contents)?;
        read.contents.give_keys();
        let written = file::write(&self.0.file, &mut read.contents);
        written.map_err(|source| ChangeAccountsError::Write { file: self.0.file.clone(), source })?;
        read.stamp = Stamp::of(&self.0.file);
        drop(lock);
        self.know(read);
        Ok(())
    }

    fn know(&self, read: Known) {
        *self.known() = read;
        self.0.changes.fetch_add(1, Ordering::Relaxed);
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn read(file: &Path) -> Result<Self, ReadAccountsError> {
        // Before it is read: a change that comes between is seen at the next look.
        let stamp = Stamp::of(file);
        Ok(Self { stamp, contents: file::read(file)?, problem: None })
    }
}

/// The place of the account with this name, in either case: phones write the first letter large.
fn place_of(accounts: &[Account], name: &str) -> Option<usize> {
    let name = name.to_lowercase();
    accounts.iter().position(|account| account.name.to_lowercase() == name)
}

fn unknown(name: &str) -> EditAccountError {
    EditAccountError::Unknown { name: name.to_owned() }
}

fn is_name(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.chars().count()) && name.trim() == name && !name.chars().any(char::is_control)
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accounts").field("file", &self.0.file).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn accounts() -> (tempfile::TempDir, Accounts) {
        let folder = tempfile::tempdir().unwrap();
        let accounts = Accounts::open(folder.path().join("operators.json")).unwrap();
        (folder, accounts)
    }

    #[test]
    fn the_password_is_in_no_file_and_opens_one_account() {
        let (folder, accounts) = accounts();
        let (anna, ben) = (
            accounts.add("anna", AccountRole::Operator).unwrap(),
            accounts.add("Ben B.", AccountRole::Viewer).unwrap(),
        );
        assert_ne!(anna, ben);
        let file = folder.path().join("operators.json");
        let text = fs::read_to_string(&file).unwrap();
        assert!(!text.contains(&anna) && text.contains("$argon2id$"), "{text}");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(file.metadata().unwrap().permissions().mode() & 0o077, 0);
        }
        let again = Accounts::open(&file).unwrap();
        assert_eq!(again.sign_in("anna", &anna).unwrap().role(), AccountRole::Operator);
        assert_eq!(again.sign_in("ben b.", &ben.replace('-', "")).unwrap().role(), AccountRole::Viewer);
        for (name, password) in [("anna", &*ben), ("nobody", &*anna), ("", ""), ("anna", "")] {
            assert!(again.sign_in(name, password).is_none(), "{name} {password}");
        }
        let shown = format!("{again:?} {:?}", again.list());
        assert!(shown.contains("anna") && !shown.contains("argon2"), "{shown}");
    }

    #[test]
    fn a_change_by_another_program_is_seen() {
        let (folder, accounts) = accounts();
        let first = accounts.add("anna", AccountRole::Operator).unwrap();
        let before = accounts.find("anna").unwrap().fingerprint();
        let other = Accounts::open(folder.path().join("operators.json")).unwrap();
        let second = other.reset("anna").unwrap();
        assert!(accounts.sign_in("anna", &first).is_none());
        assert!(accounts.sign_in("anna", &second).is_some());
        assert_ne!(accounts.find("anna").unwrap().fingerprint(), before);
        other.add("ben", AccountRole::Viewer).unwrap();
        // Nothing that the other one wrote is lost, also at the same time.
        accounts.add("cleo", AccountRole::Viewer).unwrap();
        std::thread::scope(|scope| {
            for number in 0..8 {
                let file = folder.path().join("operators.json");
                let one = Accounts::open(file).unwrap();
                scope.spawn(move || one.add(&format!("many {number}"), AccountRole::Viewer).unwrap());
            }
        });
        accounts.refresh();
        assert_eq!(accounts.list().len(), 11);
        (0..8).for_each(|number| accounts.remove(&format!("many {number}")).unwrap());
        other.remove("anna").unwrap();
        accounts.refresh();
        assert_eq!(accounts.list().iter().map(Account::name).collect::<Vec<_>>(), ["ben", "cleo"]);
        fs::remove_file(folder.path().join("operators.json")).unwrap();
        accounts.refresh();
        assert!(accounts.is_empty());
    }

    #[test]
    fn what_cannot_be_done_says_why() {
        let (folder, accounts) = accounts();
        for name in ["", " anna", "anna\n", "a\tb", &"x".repeat(65)] {
            let error = accounts.add(name, AccountRole::Operator).unwrap_err();
            assert!(matches!(error, AddAccountError::Name { .. }), "{name:?}: {error}");
        }
        accounts.add("anna", AccountRole::Operator).unwrap();
        let error = accounts.add("Anna", AccountRole::Viewer).unwrap_err();
        assert_eq!(error.to_string(), "there is an account Anna already");
        assert_eq!(accounts.reset("ben").unwrap_err().to_string(), "there is no account ben");
        assert_eq!(accounts.remove("ben").unwrap_err().to_string(), "there is no account ben");

        let file = folder.path().join("operators.json");
        for (text, words) in [("{", "damaged"), (r#"{"version":9,"accounts":7}"#, "newer")] {
            fs::write(&file, text).unwrap();
            let error = Accounts::open(&file).unwrap_err().to_string();
            assert!(error.contains(words) && error.contains("operators.json"), "{error}");
            // Nothing is lost of it, and the accounts that are known still hold.
            accounts.reset("anna").unwrap_err();
            accounts.refresh();
            assert!(accounts.find("anna").is_some());
            assert_eq!(fs::read_to_string(&file).unwrap(), text);
        }
    }

    #[test]
    fn the_file_is_looked_at_once_a_second() {
        let (_folder, accounts) = accounts();
        accounts.0.looked.store(0, Ordering::Relaxed);
        let ahead = Accounts(Arc::new(Inner {
            file: PathBuf::new(),
            known: Mutex::default(),
            opened: Instant::now() - LOOK_INTERVAL,
            looked: AtomicU64::new(0),
            changes: AtomicU64::new(0),
        }));
        assert!(ahead.is_due());
        assert!(!ahead.is_due());
    }
}
