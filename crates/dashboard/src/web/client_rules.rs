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

    /// Adds a rule, unless that would shut out the sender of the request.
    pub(super) fn add_client_rule(&self, rule: ClientRule, sender: IpAddr) -> Result<(), Problem> {
        let list = self.client_list()?;
        if !list.policy_with(&rule).admits_address(sender) {
            return Err(shuts_out(sender));
        }
        list.add(rule)?;
        log_change("added");
        Ok(())
    }

    /// Removes a rule, unless that would shut out the sender of the request.
    pub(super) fn remove_client_rule(&self, rule: &ClientRule, sender: IpAddr) -> Result<(), Problem> {
        let list = self.client_list()?;
        if !list.policy_without(rule).admits_address(sender) {
            return Err(shuts_out(sender));
        }
        list.remove(rule)?;
        log_change("removed");
        Ok(())
    }
}

/// The rule that somebody has written.
pub(super) fn parse_rule(verdict: Verdict, clients: &str, note: &str) -> Result<ClientRule, Problem> {
    Ok(ClientRule::new(verdict, clients.trim().parse()?, note)?)
}

/// Who has an address that is not served does not see the page either.
fn shuts_out(sender: IpAddr) -> Problem {
    let why = format!(
        "this would shut out the computer that you are at, {sender}: do it on the tracker's own machine, or in the file of \
         rules, if that is what you want"
    );
    Problem::new(StatusCode::CONFLICT, why)
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
            ChangeClientListError::Exists { .. } | ChangeClientListError::TooMany => StatusCode::CONFLICT,
            ChangeClientListError::Unknown { .. } => StatusCode::NOT_FOUND,
            ChangeClientListError::Read(_) | ChangeClientListError::Write { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error.to_string())
    }
}
