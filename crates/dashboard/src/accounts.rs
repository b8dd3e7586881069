//! The accounts of those who sign in with a name and a password.

mod file;
mod password;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use torrent_library::Stamp;
use tracker_host::LogThrottle;

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
}

/// What was read from the file.
#[derive(Default)]
struct Known {
    stamp: Option<Stamp>,
    accounts: Vec<Account>,
}

/// An account.
#[derive(Clone, Serialize, Deserialize)]
pub struct Account {
    name: Arc<str>,
    role: AccountRole,
    password: PasswordHash,
}

/// The role of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AccountRole {
    /// May look, and change things.
    #[default]
    Operator,
    /// May look and download, where not everybody may.
    Viewer,
}

/// An account cannot be added.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AddAccountError {
    /// The name cannot be one.
    #[error(
        "{name:?} cannot be the name of an account: it has 1 to {MAX_NAME} characters, without control characters and without spaces at its ends"
    )]
    Name {
        /// The name.
        name: String,
    },
    /// There is one with this name.
    #[error("there is an account {name} already; to give it a new password, reset it")]
    Exists {
        /// The name.
        name: String,
    },
    /// There are too many.
    #[error("there are {MAX_ACCOUNTS} accounts already, and no more can be added")]
    TooMany,
    /// The file cannot be changed.
    #[error(transparent)]
    Change(#[from] ChangeAccountsError),
}

/// An account cannot be given a new password, or removed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EditAccountError {
    /// There is none with this name.
    #[error("there is no account {name}")]
    Unknown {
        /// The name.
        name: String,
    },
    /// The file cannot be changed.
    #[error(transparent)]
    Change(#[from] ChangeAccountsError),
}

/// The file of accounts cannot be changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeAccountsError {
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] ReadAccountsError),
    /// It cannot be written.
    #[error("cannot write the accounts to {}", file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// The system has no random numbers, or too little memory.
    #[error("cannot hash a password")]
    Hash,
}

impl Accounts {
    /// The accounts in this file. If there is none, there are no accounts yet.
    ///
    /// # Errors
    ///
    /// Returns [`ReadAccountsError`] if there is a file, and it cannot be read.
    pub fn open(file: impl Into<PathBuf>) -> Result<Self, ReadAccountsError> {
        let file = file.into();
        let known = Known::read(&file)?;
        let (opened, looked) = (Instant::now(), AtomicU64::new(0));
        Ok(Self(Arc::new(Inner { file, known: Mutex::new(known), opened, looked })))
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
        self.change(|accounts| {
            if place_of(accounts, name).is_some() {
                return Err(AddAccountError::Exists { name: name.to_owned() });
            }
            if accounts.len() >= MAX_ACCOUNTS {
                return Err(AddAccountError::TooMany);
            }
            accounts.push(Account { name: name.into(), role, password: hash });
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
        self.change(|accounts| {
            let place = place_of(accounts, name).ok_or_else(|| unknown(name))?;
            accounts[place].password = hash;
            Ok::<_, EditAccountError>(())
        })?;
        Ok(password)
    }

    /// Removes an account. Browsers that are signed in with it are signed out.
    ///
    /// # Errors
    ///
    /// Returns [`EditAccountError`] if there is no such account, or if the file cannot be changed.
    pub fn remove(&self, name: &str) -> Result<(), EditAccountError> {
        self.change(|accounts| {
            let place = place_of(accounts, name).ok_or_else(|| unknown(name))?;
            accounts.remove(place);
            Ok(())
        })
    }

    /// All accounts as they were when the file was last read, by their names.
    pub fn list(&self) -> Vec<Account> {
        let mut accounts = self.known().accounts.clone();
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
        account.filter(|_| is_right)
    }

    /// The account with this name, as it was when the file was last read.
    pub(crate) fn find(&self, name: &str) -> Option<Account> {
        let accounts = &self.known().accounts;
        place_of(accounts, name).map(|place| accounts[place].clone())
    }

    /// Returns `true` if there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.known().accounts.is_empty()
    }

    /// Returns `true`, once in a second, if the file should be [looked at](Self::refresh) again.
    pub(crate) fn is_due(&self) -> bool {
        let now = u64::try_from(self.0.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        let looked = self.0.looked.load(Ordering::Relaxed);
        now.saturating_sub(looked) >= LOOK_INTERVAL.as_millis() as u64
            && self.0.looked.compare_exchange(looked, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Reads the file again if it has changed. If it cannot be read, all stays as it is.
    pub(crate) fn refresh(&self) {
        // Not under the lock, which others must not wait for: the disk may be slow.
        let stamp = Stamp::of(&self.0.file);
        if stamp == self.known().stamp {
            return;
        }
        match Known::read(&self.0.file) {
            Ok(read) => *self.known() = read,
            Err(error) => {
                if UNREADABLE.allows().is_some() {
                    tracing::warn!(error = %error, "the accounts stay as they were: {error}");
                }
            }
        }
    }

    /// Changes the accounts as they are in the file now.
    fn change<E: From<ChangeAccountsError>>(
        &self,
        change: impl FnOnce(&mut Vec<Account>) -> Result<(), E>,
    ) -> Result<(), E> {
        // Several programs may do so at the same time. Where the file system has no locks, the last one wins.
        let lock = file::lock(&self.0.file);
        let lock = lock.map_err(|source| ChangeAccountsError::Write { file: self.0.file.clone(), source })?;
        let mut read = Known::read(&self.0.file).map_err(ChangeAccountsError::from)?;
        change(&mut read.accounts)?;
        let written = file::write(&self.0.file, &read.accounts);
        written.map_err(|source| ChangeAccountsError::Write { file: self.0.file.clone(), source })?;
        read.stamp = Stamp::of(&self.0.file);
        drop(lock);
        *self.known() = read;
        Ok(())
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn read(file: &Path) -> Result<Self, ReadAccountsError> {
        // Before it is read: a change that comes between is seen at the next look.
        let stamp = Stamp::of(file);
        Ok(Self { stamp, accounts: file::read(file)? })
    }
}

impl Account {
    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The role.
    pub fn role(&self) -> AccountRole {
        self.role
    }

    /// The name, shared.
    pub(crate) fn shared_name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    /// A text that changes with the password, and tells nothing about it.
    pub(crate) fn fingerprint(&self) -> String {
        self.password.fingerprint()
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

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("name", &self.name).field("role", &self.role).finish_non_exhaustive()
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
        assert_eq!(error.to_string(), "there is an account Anna already; to give it a new password, reset it");
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
        }));
        assert!(ahead.is_due());
        assert!(!ahead.is_due());
    }
}
