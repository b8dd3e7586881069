//! The rules about which clients are served.

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::extract::{Json, Query};
use crate::client_list::{ClientRule, Verdict};
use crate::web::Dashboard;
use crate::web::client::Client;
use crate::web::client_rules::parse_rule;
use crate::web::problem::Problem;
use crate::web::role::Operator;

/// The rules about which clients are served. Without one, all are that the tracker serves at all.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ClientRuleList {
    /// In the order of the file.
    rules: Vec<ClientRuleDto>,
    /// `false` if they are forgotten when the program ends.
    kept: bool,
    /// Why the file cannot be used as it is now, if it cannot. The rules are those of its last valid version then, which stay in force.
    error: Option<ClientRuleListError>,
}

/// What is wrong with the file of rules.
#[derive(Debug, Serialize, ToSchema)]
struct ClientRuleListError {
    /// The number of the line that is no rule, from 1, if it is that.
    line: Option<usize>,
    reason: String,
}

/// A rule about which clients are served.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = ClientRule)]
pub(super) struct ClientRuleDto {
    verdict: Verdict,
    /// An address, a network such as `10.1.0.0/16`, or the beginning of the peer ids, such as `-qB`. Bytes of it that are no visible
    /// ASCII characters, and `\` and `#`, are `\x` and two hexadecimal digits.
    clients: String,
    /// What somebody has written beside it.
    #[serde(default)]
    note: Option<String>,
}

impl From<&ClientRule> for ClientRuleDto {
    fn from(rule: &ClientRule) -> Self {
        Self { verdict: rule.verdict, clients: rule.clients.to_string(), note: rule.note.clone() }
    }
}

/// The rules about which clients are served. Operators only.
#[utoipa::path(
    get,
    path = "/clients",
    tag = "tracker",
    security((), ("token" = [])),
    responses(
        (status = 200, body = ClientRuleList),
        (status = 403, body = Problem),
        (status = 404, body = Problem, description = "This tracker has no list of clients"),
    )
)]
pub(super) async fn rules(State(dashboard): State<Dashboard>, _: Operator) -> Result<Json<ClientRuleList>, Problem> {
    let list = dashboard.client_list()?;
    let rules = list.rules().iter().map(ClientRuleDto::from).collect();
    let error = list.problem().map(|error| ClientRuleListError { line: error.line(), reason: error.reason() });
    Ok(Json(ClientRuleList { rules, kept: list.is_kept(), error }))
}

/// Adds a rule. Clients that are not served any more leave their swarms within a second. Operators only.
#[utoipa::path(
    post,
    path = "/clients",
    tag = "tracker",
    security((), ("token" = [])),
    request_body = ClientRuleDto,
    responses(
        (status = 201, description = "It is added"),
        (status = 403, body = Problem),
        (status = 404, body = Problem, description = "This tracker has no list of clients"),
        (status = 409, body = Problem, description = "There is such a rule, there are too many, or it would shut out the sender"),
        (status = 422, body = Problem, description = "It cannot be a rule"),
    )
)]
pub(super) async fn add(
    State(dashboard): State<Dashboard>,
    _: Operator,
    sender: Client,
    Json(rule): Json<ClientRuleDto>,
) -> Result<StatusCode, Problem> {
    let rule = parse_rule(rule.verdict, &rule.clients, rule.note.as_deref().unwrap_or_default())?;
    let add = move |dashboard: &Dashboard| dashboard.add_client_rule(&rule, sender.address);
    dashboard.run(add).await?.map(|()| StatusCode::CREATED)
}

/// The rule that is to be removed.
#[derive(Debug, Deserialize, IntoParams)]
pub(super) struct RuleParams {
    #[param(inline)]
    verdict: Verdict,
    /// As it is listed.
    clients: String,
}

/// Removes a rule. Operators only.
#[utoipa::path(
    delete,
    path = "/clients",
    tag = "tracker",
    security((), ("token" = [])),
    params(RuleParams),
    responses(
        (status = 204, description = "It is removed"),
        (status = 400, body = Problem, description = "The query cannot be read"),
        (status = 403, body = Problem),
        (status = 404, body = Problem, description = "There is no such rule"),
        (status = 409, body = Problem, description = "That would shut out the sender"),
        (status = 422, body = Problem, description = "It cannot be a rule"),
    )
)]
pub(super) async fn remove(
    State(dashboard): State<Dashboard>,
    _: Operator,
    sender: Client,
    Query(params): Query<RuleParams>,
) -> Result<StatusCode, Problem> {
    let rule = parse_rule(params.verdict, &params.clients, "")?;
    let remove = move |dashboard: &Dashboard| dashboard.remove_client_rule(&rule, sender.address);
    dashboard.run(remove).await?.map(|()| StatusCode::NO_CONTENT)
}
