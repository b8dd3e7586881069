//! Who sent a request.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use tokio::task::spawn_blocking;
use tracker_core::UserKey;

use super::sign_in::session_secrets;
use crate::web::Dashboard;
use crate::web::role::Role;

/// Who sent a request.
#[derive(Debug, Clone)]
pub(crate) struct Visitor {
    pub(crate) role: Role,
    /// The id of the session, if there is one.
    pub(crate) session: Option<String>,
    /// The name of the account, if somebody has signed in with one.
    pub(crate) account: Option<Arc<str>>,
    /// The key in the visitor's announce URLs, where the tracker is for users.
    pub(crate) user_key: Option<UserKey>,
    /// The port of the host that was asked for, by which cookies are called.
    pub(crate) port: u16,
}

impl Visitor {
    /// Somebody who has not signed in.
    pub(super) fn unknown(port: u16) -> Self {
        Self { role: Role::Viewer, session: None, account: None, user_key: None, port }
    }

    /// A program that has the token.
    pub(super) fn with_token(port: u16) -> Self {
        Self { role: Role::Operator, ..Self::unknown(port) }
    }

    /// The one whose session has its secret in a cookie. A session of an account that is gone, or has another password, ends.
    pub(super) fn of_session(dashboard: &Dashboard, remote: IpAddr, headers: &HeaderMap, port: u16) -> Option<Self> {
        let sessions = &dashboard.0.sessions;
        let mut secrets = session_secrets(headers, port);
        let (id, session, is_due) = secrets.find_map(|secret| sessions.find(&secret, remote, dashboard.unix_now()))?;
        let Some(of) = session.account else {
            return Some(Self { session: Some(id), ..Self::with_token(port) });
        };
        let account = of.find(dashboard.config().accounts.as_ref());
        let is_over = account.is_none();
        if is_over {
            sessions.end(&id);
        }
        if is_over || is_due {
            let dashboard = dashboard.clone();
            spawn_blocking(move || dashboard.0.sessions.save());
        }
        Some(Self { role: account?.role().into(), session: Some(id), account: Some(of.name), user_key: None, port })
    }

    /// This visitor, with the key of its account, or of operators without one.
    pub(super) fn with_user_key(self, dashboard: &Dashboard) -> Self {
        let accounts = dashboard.config().accounts.as_ref().filter(|_| dashboard.is_for_users());
        let user_key = accounts.and_then(|accounts| match &self.account {
            Some(name) => accounts.find(name)?.key(),
            None if self.role == Role::Operator => accounts.operator_key(),
            None => None,
        });
        Self { user_key, ..self }
    }

    /// Returns `true` once the session has ended by which the visitor was let in.
    pub(crate) fn is_over(&self, dashboard: &Dashboard) -> bool {
        let accounts = dashboard.config().accounts.as_ref();
        self.session.as_ref().is_some_and(|session| !dashboard.0.sessions.is_open(session, accounts))
    }

    /// Returns `true` for who has signed in with an account.
    pub(super) fn is_signed_in(&self) -> bool {
        self.account.is_some()
    }
}

impl<S: Sync> FromRequestParts<S> for Visitor {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().cloned().unwrap_or_else(|| Self::unknown(80)))
    }
}
