//! One account.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tracker_core::{UserId, UserKey, UserRule};

use super::password::PasswordHash;
use super::saved_key;

/// An account.
#[derive(Clone, Serialize, Deserialize)]
pub struct Account {
    /// Drawn when it is made, and kept when it is renamed. 0 if an older program made it.
    #[serde(default)]
    pub(super) id: u32,
    pub(super) name: Arc<str>,
    pub(super) role: AccountRole,
    pub(super) password: PasswordHash,
    #[serde(default, with = "saved_key")]
    pub(super) key: Option<UserKey>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) is_off: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) max_addresses: Option<NonZeroU32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) max_torrents: Option<NonZeroU32>,
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

impl Account {
    pub(super) fn new(name: &str, role: AccountRole, password: PasswordHash) -> Self {
        Self {
            id: 0,
            name: name.into(),
            role,
            password,
            key: None,
            is_off: false,
            max_addresses: None,
            max_torrents: None,
        }
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The role.
    pub fn role(&self) -> AccountRole {
        self.role
    }

    /// The number by which the tracker knows the user. It stays the same when the account is renamed.
    pub fn user(&self) -> UserId {
        UserId(self.id)
    }

    /// The key in the announce URLs of this user. `None` if an older program made the account, and nothing has been changed since.
    pub fn key(&self) -> Option<UserKey> {
        self.key
    }

    /// `false` if it is switched off: nobody signs in with it, and announces with its key are refused.
    pub fn is_active(&self) -> bool {
        !self.is_off
    }

    /// The most addresses from which clients of this user may announce at the same time.
    pub fn max_addresses(&self) -> Option<NonZeroU32> {
        self.max_addresses
    }

    /// The most torrents in which clients of this user may be at the same time.
    pub fn max_torrents(&self) -> Option<NonZeroU32> {
        self.max_torrents
    }

    /// What its key allows.
    pub(super) fn rule(&self) -> Option<(UserKey, UserRule)> {
        let rule = UserRule::new(self.user()).with(|rule| {
            rule.is_active = self.is_active();
            rule.max_addresses = self.max_addresses;
            rule.max_torrents = self.max_torrents;
        });
        self.key.map(|key| (key, rule))
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

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("name", &self.name).field("role", &self.role).finish_non_exhaustive()
    }
}
