//! Sessions: who is signed in.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use torrent_library::replace_secret_file;
use tracker_host::LogThrottle;

use super::Token;
use crate::accounts::{Account, Accounts};

/// The maximum number of sessions, and of those of one account, or of the token. When there are more, the one of these that was not
/// used for the longest time ends.
const MAX_SESSIONS: usize = 1000;
const MAX_OF_ACCOUNT: usize = 20;

/// The maximum size of the file in bytes.
const MAX_BYTES: u64 = 4 << 20;

/// A session that was not used for so long has ended: 30 days, in seconds.
const MAX_IDLE: u64 = 30 * 24 * 3600;

/// How long a session is used until that is written down, in seconds.
const WRITE_INTERVAL: u64 = 3600;

/// The version of the file's format.
const VERSION: u32 = 1;

/// One line in that time says that sessions cannot be kept.
static FAILURES: LogThrottle = LogThrottle::new(Duration::from_secs(600));

/// Those who are signed in. Their browsers have a secret in a cookie; here is only its hash.
///
/// Sessions of accounts are kept in a file, if there is one, so that they outlive the program. Those that the token has opened end with
/// the program, as the token does.
#[derive(Debug)]
pub(crate) struct Sessions {
    file: Option<PathBuf>,
    /// By the hash of the secret.
    sessions: Mutex<HashMap<String, Session>>,
    /// The secret of which the [pass](Self::pass) is made.
    pass_secret: Token,
    /// Held while the file is written, so that no older state takes the place of a newer one.
    writing: Mutex<()>,
}

/// Somebody who is signed in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Session {
    /// `None` if the token has opened it.
    pub(crate) account: Option<SessionAccount>,
    /// The address that it was last used from.
    pub(crate) address: IpAddr,
    /// When it began, in Unix seconds.
    pub(crate) began: u64,
    /// When it was last used, in Unix seconds.
    pub(crate) last_used: u64,
    /// The last use that is in the file.
    #[serde(skip)]
    written: u64,
}

/// The account of a session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SessionAccount {
    pub(crate) name: Arc<str>,
    /// That of the password with which it was opened: another password ends the session.
    pub(super) fingerprint: String,
}

/// The file.
#[derive(Debug, Serialize, Deserialize)]
struct Saved {
    version: u32,
    /// The secret of which the pass of those who know the code is made.
    #[serde(default)]
    pass_secret: String,
    sessions: HashMap<String, Session>,
}

impl Sessions {
    /// The sessions in this file, of those who are still signed in at this time, in Unix seconds. A file that cannot be used is not
    /// used: everybody signs in again.
    pub(crate) fn open(file: Option<PathBuf>, now: u64) -> Self {
        let saved = file.as_deref().map(read).transpose().unwrap_or_else(|error| {
            tracing::warn!(%error, "cannot use the sessions in the data folder: {error}; people sign in again");
            None
        });
        let (mut sessions, pass_secret) = saved.unwrap_or_default();
        let pass_secret = Token::kept(pass_secret).unwrap_or_else(Token::draw);
        sessions.retain(|_, session| session.account.is_some() && !session.is_over(now));
        sessions.values_mut().for_each(|session| session.written = session.last_used);
        Self { file, sessions: Mutex::new(sessions), pass_secret, writing: Mutex::default() }
    }

    /// What browsers have in a cookie that were given this code. It outlives the program, as long as the code is the same.
    pub(crate) fn pass(&self, code: &str) -> Token {
        Token::of(&format!("{} {code}", self.pass_secret.as_str()))
    }

    /// Begins a session, and returns its secret. [`save`](Self::save) keeps it.
    pub(super) fn begin(&self, account: Option<&Account>, address: IpAddr, now: u64) -> Token {
        let secret = Token::draw();
        let account =
            account.map(|account| SessionAccount { name: account.shared_name(), fingerprint: account.fingerprint() });
        let mut sessions = self.sessions();
        sessions.retain(|_, session| !session.is_over(now));
        let name = |account: &Option<SessionAccount>| account.as_ref().map(|account| Arc::clone(&account.name));
        let of = name(&account);
        end_oldest(&mut sessions, MAX_OF_ACCOUNT, |session| name(&session.account) == of);
        end_oldest(&mut sessions, MAX_SESSIONS, |_| true);
        sessions.insert(hash(secret.as_str()), Session { account, address, began: now, last_used: now, written: now });
        secret
    }

    /// The session with this secret, which is used now, and its id. The last value is `true` if that should be
    /// [written down](Self::save).
    pub(super) fn find(&self, secret: &str, address: IpAddr, now: u64) -> Option<(String, Session, bool)> {
        let id = hash(secret);
        let mut sessions = self.sessions();
        let session = sessions.get_mut(&id)?;
        if session.is_over(now) {
            sessions.remove(&id);
            return None;
        }
        session.last_used = session.last_used.max(now);
        session.address = address;
        let is_due = session.account.is_some() && session.last_used.saturating_sub(session.written) >= WRITE_INTERVAL;
        if is_due {
            session.written = session.last_used;
        }
        Some((id, session.clone(), is_due))
    }

    /// Returns `true` if there is a session with this id, and its account is there with the same password.
    pub(super) fn is_open(&self, id: &str, accounts: Option<&Accounts>) -> bool {
        let sessions = self.sessions();
        sessions.get(id).is_some_and(|session| session.account.as_ref().is_none_or(|of| of.find(accounts).is_some()))
    }

    /// Ends a session. Returns `false` if there is none with this id.
    pub(crate) fn end(&self, id: &str) -> bool {
        self.sessions().remove(id).is_some()
    }

    /// Ids and sessions, the one that was used last first.
    pub(crate) fn list(&self, now: u64) -> Vec<(String, Session)> {
        let sessions = self.sessions();
        let mut list: Vec<_> = sessions.iter().filter(|(_, session)| !session.is_over(now)).collect();
        list.sort_by(|(one, a), (other, b)| b.last_used.cmp(&a.last_used).then_with(|| one.cmp(other)));
        list.into_iter().map(|(id, session)| (id.clone(), session.clone())).collect()
    }

    /// Writes the sessions of accounts into the file, if there is one. May wait for the disk.
    pub(crate) fn save(&self) {
        let Some(file) = &self.file else { return };
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sessions = self.sessions().clone();
        sessions.retain(|_, session| session.account.is_some());
        let json = serde_json::to_vec(&Saved {
            version: VERSION,
            pass_secret: self.pass_secret.as_str().to_owned(),
            sessions,
        })
        .expect("its keys are texts");
        if let Err(error) = replace_secret_file(file, &json)
            && let Some(suppressed) = FAILURES.allows()
        {
            tracing::warn!(error = %error, suppressed, "cannot keep who is signed in for the next start: {error}");
        }
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<String, Session>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SessionAccount {
    /// The account, if it is there with the same password, and switched on.
    pub(super) fn find(&self, accounts: Option<&Accounts>) -> Option<Account> {
        accounts?.find(&self.name).filter(|account| account.is_active() && account.fingerprint() == self.fingerprint)
    }
}

/// Makes room for one more of these.
fn end_oldest(sessions: &mut HashMap<String, Session>, max: usize, is_one: impl Fn(&Session) -> bool) {
    let these = sessions.iter().filter(|(_, session)| is_one(session));
    if these.clone().count() >= max {
        let oldest = these.min_by_key(|(_, session)| session.last_used).map(|(id, _)| id.clone());
        oldest.map(|id| sessions.remove(&id));
    }
}

impl Session {
    fn is_over(&self, now: u64) -> bool {
        now.saturating_sub(self.last_used) >= MAX_IDLE
    }
}

fn read(file: &Path) -> io::Result<(HashMap<String, Session>, String)> {
    let mut json = Vec::new();
    match File::open(file) {
        Ok(file) => file.take(MAX_BYTES).read_to_end(&mut json)?,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Default::default()),
        Err(error) => return Err(error),
    };
    let Saved { version, pass_secret, sessions } = serde_json::from_slice(&json)?;
    if version > VERSION {
        return Err(io::Error::other(format!("a newer tracker wrote them (version {version})")));
    }
    Ok((sessions, pass_secret))
}

/// The hash of a secret of 128 random bits, which needs no salt.
fn hash(secret: &str) -> String {
    Token::of(secret).as_str().to_owned()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::accounts::AccountRole;

    const PHONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 168, 1, 20));

    fn anna(folder: &Path) -> Account {
        let accounts = Accounts::open(folder.join("operators.json")).unwrap();
        accounts.add("anna", AccountRole::Operator).unwrap();
        accounts.find("anna").unwrap()
    }

    #[test]
    fn sessions_of_accounts_outlive_the_program_and_no_secret_is_in_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let (file, anna) = (folder.path().join("sessions.json"), anna(folder.path()));
        let sessions = Sessions::open(Some(file.clone()), 1000);
        let (kept, lost) = (sessions.begin(Some(&anna), PHONE, 1000), sessions.begin(None, PHONE, 1000));
        sessions.save();
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains("anna") && !text.contains(kept.as_str()), "{text}");
        let again = Sessions::open(Some(file.clone()), 2000);
        let (id, session, _) = again.find(kept.as_str(), PHONE, 2000).unwrap();
        assert_eq!((session.account.unwrap().name.as_ref(), session.began, session.last_used), ("anna", 1000, 2000));
        assert!(again.find(lost.as_str(), PHONE, 2000).is_none());
        assert!(again.end(&id) && !again.end(&id));
        assert!(again.find(kept.as_str(), PHONE, 2000).is_none());
        assert_eq!(again.pass("4711").as_str(), sessions.pass("4711").as_str());
        assert_ne!(again.pass("4711").as_str(), again.pass("4712").as_str());
        assert_ne!(Sessions::open(None, 0).pass("4711").as_str(), again.pass("4711").as_str());
        // Not after a month.
        assert!(Sessions::open(Some(file.clone()), 1000 + MAX_IDLE).list(1000 + MAX_IDLE).is_empty());
        fs::write(&file, "{").unwrap();
        assert!(Sessions::open(Some(file), 2000).list(2000).is_empty());
    }

    #[test]
    fn a_session_lasts_as_long_as_it_is_used() {
        let folder = tempfile::tempdir().unwrap();
        let anna = anna(folder.path());
        let sessions = Sessions::open(None, 0);
        let secret = sessions.begin(Some(&anna), PHONE, 1000);
        let use_at = |now| sessions.find(secret.as_str(), PHONE, now).map(|(.., is_due)| is_due);
        assert_eq!(use_at(1000 + WRITE_INTERVAL - 1), Some(false));
        assert_eq!(use_at(1000 + WRITE_INTERVAL), Some(true));
        assert_eq!(use_at(1000 + WRITE_INTERVAL), Some(false));
        let month = 1000 + WRITE_INTERVAL + MAX_IDLE;
        assert_eq!(use_at(month - 1), Some(true));
        assert_eq!(use_at(month + MAX_IDLE - 2), Some(true));
        assert_eq!(use_at(month + 2 * MAX_IDLE), None);
        // A clock that was set back ends nothing.
        let secret = sessions.begin(None, PHONE, 1000);
        assert!(sessions.find(secret.as_str(), PHONE, 1).is_some());
    }

    #[test]
    fn too_many_end_the_oldest_of_their_kind() {
        let folder = tempfile::tempdir().unwrap();
        let anna = anna(folder.path());
        let sessions = Sessions::open(None, 0);
        let of_anna = sessions.begin(Some(&anna), PHONE, 999);
        let first = sessions.begin(None, PHONE, 1000);
        let second = sessions.begin(None, PHONE, 1001);
        for _ in 0..MAX_OF_ACCOUNT - 1 {
            sessions.begin(None, PHONE, 1002);
        }
        assert!(sessions.find(first.as_str(), PHONE, 1003).is_none());
        assert!(sessions.find(second.as_str(), PHONE, 1003).is_some());
        assert!(sessions.find(of_anna.as_str(), PHONE, 1003).is_some(), "others have their own");
        assert_eq!(sessions.list(1003).len(), MAX_OF_ACCOUNT + 1);

        let mut many: HashMap<_, _> =
            (0..5).map(|number| (number.to_string(), sessions.list(1003)[0].1.clone())).collect();
        many.get_mut("3").unwrap().last_used = 1;
        end_oldest(&mut many, 6, |_| true);
        assert_eq!(many.len(), 5);
        end_oldest(&mut many, 5, |_| true);
        assert!(many.len() == 4 && !many.contains_key("3"));
    }
}
