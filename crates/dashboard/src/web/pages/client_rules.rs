//! The rules about which clients are served, on the page *Tracker*.

use std::sync::Arc;

use axum::Form;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use crate::client_list::{ClientRule, Clients, ReadClientListError, Verdict};
use crate::web::Dashboard;
use crate::web::client::Client;
use crate::web::client_rules::parse_rule;
use crate::web::problem::Problem;
use crate::web::role::{Operator, Role};
use crate::web::shell::render_blocking;

pub(super) const PATH: &str = "/manage/tracker/clients";

/// The page that shows the rules.
pub(super) const SHOWN_ON: &str = "/manage/tracker";

/// The rules, for the page.
pub(super) struct RulesView {
    pub(super) rows: Vec<RuleRow>,
    /// `false` if they are forgotten when the program ends.
    pub(super) is_kept: bool,
    /// Why the file cannot be used as it is now.
    pub(super) error: Option<Arc<ReadClientListError>>,
}

/// A rule, for the page.
pub(super) struct RuleRow {
    pub(super) verdict: Verdict,
    pub(super) clients: String,
    pub(super) note: Option<String>,
    pub(super) meaning: &'static str,
}

impl RulesView {
    /// The rules, for operators.
    pub(super) fn new(dashboard: &Dashboard, role: Role) -> Option<Self> {
        let list = dashboard.client_list().ok().filter(|_| role == Role::Operator)?;
        let rows = list.rules().into_iter().map(RuleRow::new).collect();
        Some(Self { rows, is_kept: list.is_kept(), error: list.problem() })
    }
}

impl RuleRow {
    fn new(rule: ClientRule) -> Self {
        let meaning = match (rule.verdict, rule.clients) {
            (Verdict::Allow, Clients::PeerId(_)) => {
                "Of programs, only those whose peer id begins with this may use the tracker"
            }
            (Verdict::Deny, Clients::PeerId(_)) => "Programs whose peer id begins with this may not use the tracker",
            (Verdict::Allow, Clients::Network(_)) => {
                "Only computers with this address, or in this network, may use the tracker and this page"
            }
            (Verdict::Deny, Clients::Network(_)) => {
                "Computers with this address, or in this network, may use neither the tracker nor this page"
            }
        };
        Self { verdict: rule.verdict, clients: rule.clients.to_string(), note: rule.note, meaning }
    }
}

/// What is done to a rule.
#[derive(Debug, Deserialize)]
pub(super) struct RuleForm {
    action: RuleAction,
    verdict: String,
    clients: String,
    /// Of `add`.
    #[serde(default)]
    note: String,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RuleAction {
    Add,
    Remove,
}

/// `POST /manage/tracker/clients`: changes the rules, also where scripts do not run.
pub(super) async fn change(
    State(dashboard): State<Dashboard>,
    _: Operator,
    sender: Client,
    Form(form): Form<RuleForm>,
) -> Response {
    // What is reloaded is the page after it, and not the change.
    render_blocking(dashboard, move |dashboard| match act(dashboard, sender, &form) {
        Ok(()) => Redirect::to(&format!("{SHOWN_ON}#clients")).into_response(),
        Err(problem) => problem.into_response(),
    })
    .await
}

fn act(dashboard: &Dashboard, sender: Client, form: &RuleForm) -> Result<(), Problem> {
    let rule = parse_rule(form.verdict.parse()?, &form.clients, &form.note)?;
    match form.action {
        RuleAction::Add => dashboard.add_client_rule(&rule, sender.address),
        RuleAction::Remove => dashboard.remove_client_rule(&rule, sender.address),
    }
}
