//! The users as the API and the page for operators see them: accounts, and what the tracker knows of each.

use axum::http::StatusCode;
use tracker_core::{UserId, UserTotals};

use super::problem::Problem;
use super::{Dashboard, Viewers};
use crate::accounts::{Account, Accounts, AddAccountError, EditAccountError};

impl Dashboard {
    /// Returns `true` if accounts decide who may do what, so that operators look after them on the page.
    pub(super) fn has_users(&self) -> bool {
        self.config().accounts.is_some() && (self.is_for_users() || self.config().viewers == Viewers::Login)
    }

    /// The accounts, if they are kept anywhere.
    pub(super) fn accounts(&self) -> Result<&Accounts, Problem> {
        let why = "this tracker keeps no accounts: it has no data folder, or cannot read them (see its log)";
        self.config().accounts.as_ref().ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, why))
    }

    /// The account with this number.
    pub(super) fn account(&self, id: u64) -> Result<Account, Problem> {
        let mut accounts = self.accounts()?.list().into_iter();
        let account = accounts.find(|account| u64::from(account.user().0) == id && id != 0);
        account.ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "there is no such user"))
    }

    /// Gives a user a new key: that with this number, or operators without an account, who have 0.
    pub(super) fn new_key(&self, id: u64) -> Result<(), Problem> {
        if id == u64::from(Accounts::OPERATOR.0) {
            return Ok(self.accounts()?.new_operator_key().map_err(EditAccountError::from)?);
        }
        self.accounts()?.new_key(self.account(id)?.name())?;
        Ok(())
    }

    /// What the tracker knows of a user; nothing unless it is for users.
    pub(super) fn user_totals(&self, user: UserId) -> UserTotals {
        let config = self.config();
        config.shards.user_totals(config.clock.now(), user).unwrap_or_default()
    }
}

/// Logs what an operator has done. Without the user's name: everybody who may look sees the log.
pub(super) fn log_change(done: &str) {
    tracing::info!(event = "users_changed", "an operator has {done}");
}

impl From<AddAccountError> for Problem {
    fn from(error: AddAccountError) -> Self {
        let status = match error {
            AddAccountError::Name { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            AddAccountError::Exists { .. } | AddAccountError::TooMany => StatusCode::CONFLICT,
            AddAccountError::Change(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error.to_string())
    }
}

impl From<EditAccountError> for Problem {
    fn from(error: EditAccountError) -> Self {
        let status = match error {
            EditAccountError::Unknown { .. } => StatusCode::NOT_FOUND,
            EditAccountError::Name { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            EditAccountError::Exists { .. } => StatusCode::CONFLICT,
            EditAccountError::Change(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error.to_string())
    }
}
