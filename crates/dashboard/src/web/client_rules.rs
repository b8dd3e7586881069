//! The rules about which clients are served, as the API and the page change them.

use std::net::IpAddr;

use axum::http::StatusCode;

use super::Dashboard;
use super::problem::Problem;
use crate::client_list::{ChangeClientListError, ClientList, ClientRule, ParseRuleError, Verdict};

impl Dashboard {
    /// The list of clients, if there is one.
    pub(super) fn client_list(&self) -> Result<&ClientList, Problem> {
        let why = "this tracker has no list of clients";
        self.config().client_list.as_ref().ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, why))
    }

    /// Adds a rule, unless that would shut out the sender of the request, who would not see the page any more either.
    pub(super) fn add_client_rule(&self, rule: &ClientRule, sender: IpAddr) -> Result<(), Problem> {
        self.client_list()?.add(rule, Some(sender))?;
        log_change("added");
        Ok(())
    }

    /// Removes a rule, unless that would shut out the sender of the request.
    pub(super) fn remove_client_rule(&self, rule: &ClientRule, sender: IpAddr) -> Result<(), Problem> {
        self.client_list()?.remove(rule, Some(sender))?;
        log_change("removed");
        Ok(())
    }
}

/// The rule that somebody has written.
pub(super) fn parse_rule(verdict: Verdict, clients: &str, note: &str) -> Result<ClientRule, Problem> {
    Ok(ClientRule::new(verdict, clients.trim().parse()?, note)?)
}

/// Logs what an operator has done. Without the rule: everybody who may look sees the log.
fn log_change(done: &str) {
    tracing::info!(event = "client_rules_changed", "an operator has {done} a rule about who may use the tracker");
}

impl From<ParseRuleError> for Problem {
    fn from(error: ParseRuleError) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string())
    }
}

impl From<ChangeClientListError> for Problem {
    fn from(error: ChangeClientListError) -> Self {
        let status = match error {
            ChangeClientListError::Exists { .. }
            | ChangeClientListError::TooMany
            | ChangeClientListError::Busy { .. }
            | ChangeClientListError::ShutsOut { .. } => StatusCode::CONFLICT,
            ChangeClientListError::Unknown { .. } => StatusCode::NOT_FOUND,
            ChangeClientListError::Read(_) | ChangeClientListError::Write { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error.to_string())
    }
}
