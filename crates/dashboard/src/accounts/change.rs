//! A change of an account.

use std::num::NonZeroU32;

use super::{Account, AccountRole};

/// What is to be changed of an account. By default nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AccountChange {
    /// Another name. Browsers that are signed in with the old one are signed out.
    pub name: Option<String>,
    /// Another role.
    pub role: Option<AccountRole>,
    /// `false` to switch it off: browsers that are signed in with it are signed out, and announces with its key are refused.
    pub is_active: Option<bool>,
    /// Another limit on the addresses from which clients of this user may announce at the same time, or none.
    pub max_addresses: Option<Option<NonZeroU32>>,
    /// Another limit on the torrents in which clients of this user may be at the same time, or none.
    pub max_torrents: Option<Option<NonZeroU32>>,
}

impl AccountChange {
    /// This change with some of its fields changed.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    pub(super) fn apply_to(&self, account: &mut Account) {
        if let Some(name) = &self.name {
            account.name = name.as_str().into();
        }
        account.role = self.role.unwrap_or(account.role);
        account.is_off = self.is_active.map_or(account.is_off, |is_active| !is_active);
        account.max_addresses = self.max_addresses.unwrap_or(account.max_addresses);
        account.max_torrents = self.max_torrents.unwrap_or(account.max_torrents);
    }
}
