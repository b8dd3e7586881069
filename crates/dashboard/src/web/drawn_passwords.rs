//! Passwords that were drawn and have not been shown yet.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use super::access::Token;

/// The maximum number of passwords that wait to be shown. The oldest goes.
const MAX: usize = 16;

/// Passwords that were drawn and have not been shown yet: each is shown once, on the page after the change, however often that is loaded.
#[derive(Default)]
pub(crate) struct DrawnPasswords(Mutex<VecDeque<(String, Drawn)>>);

/// A password, and whose it is.
pub(crate) struct Drawn {
    pub(crate) name: String,
    pub(crate) password: String,
}

impl DrawnPasswords {
    /// Keeps a password. Returns the id by which it is [taken](Self::take).
    pub(crate) fn add(&self, name: String, password: String) -> String {
        let id = Token::draw().as_str().to_owned();
        let mut drawn = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if drawn.len() >= MAX {
            drawn.pop_front();
        }
        drawn.push_back((id.clone(), Drawn { name, password }));
        id
    }

    /// Takes the password with this id, if it is still there.
    pub(crate) fn take(&self, id: &str) -> Option<Drawn> {
        let mut drawn = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = drawn.iter().position(|(known, _)| known == id)?;
        drawn.remove(place).map(|(_, drawn)| drawn)
    }
}

impl fmt::Debug for DrawnPasswords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DrawnPasswords")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_shown_once() {
        let passwords = DrawnPasswords::default();
        let ids: Vec<_> = (0..=MAX).map(|number| passwords.add(number.to_string(), "secret".into())).collect();
        assert!(passwords.take(&ids[0]).is_none() && passwords.take("").is_none());
        assert_eq!(passwords.take(&ids[1]).map(|drawn| drawn.name).as_deref(), Some("1"));
        assert!(passwords.take(&ids[1]).is_none() && passwords.take(&ids[MAX]).is_some());
        assert!(!format!("{passwords:?}").contains("secret"));
    }
}
