//! Who is signed in.

use std::net::IpAddr;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::extract::Json;
use crate::web::Dashboard;
use crate::web::access::Visitor;
use crate::web::problem::Problem;
use crate::web::role::Operator;

/// The browsers that are signed in.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SessionList {
    /// The one that was used last comes first.
    sessions: Vec<SessionDto>,
}

/// A browser that is signed in.
#[derive(Debug, Serialize, ToSchema)]
struct SessionDto {
    id: String,
    /// The name of the account; `null` if it was opened by the URL with the token.
    account: Option<String>,
    /// The address that it was last used from.
    #[schema(value_type = String)]
    address: IpAddr,
    began: u64,
    last_used: u64,
    /// `true` for the one that asks.
    is_this: bool,
}

/// The browsers that are signed in, with an account or by the URL with the token. Operators only.
#[utoipa::path(
    get,
    path = "/sessions",
    tag = "tracker",
    security((), ("token" = [])),
    responses((status = 200, body = SessionList), (status = 403, body = Problem))
)]
pub(super) async fn sessions(State(dashboard): State<Dashboard>, visitor: Visitor, _: Operator) -> Json<SessionList> {
    let sessions = dashboard.0.sessions.list(dashboard.unix_now()).into_iter().map(|(id, session)| SessionDto {
        account: session.account.map(|account| account.name.to_string()),
        address: session.address,
        began: session.began,
        last_used: session.last_used,
        is_this: visitor.session.as_ref() == Some(&id),
        id,
    });
    Json(SessionList { sessions: sessions.collect() })
}

/// Signs a browser out. Operators only.
#[utoipa::path(
    delete,
    path = "/sessions/{id}",
    tag = "tracker",
    security((), ("token" = [])),
    params(("id" = String, Path, description = "The id of the session")),
    responses(
        (status = 204, description = "It is signed out"),
        (status = 403, body = Problem),
        (status = 404, body = Problem, description = "There is no such session"),
    )
)]
pub(super) async fn end(
    State(dashboard): State<Dashboard>,
    _: Operator,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let end = move |dashboard: &Dashboard| {
        let is_ended = dashboard.0.sessions.end(&id);
        dashboard.0.sessions.save();
        is_ended
    };
    match dashboard.run(end).await? {
        true => {
            tracing::info!(event = "signed_out", "an operator has signed out another browser");
            Ok(StatusCode::NO_CONTENT)
        }
        false => Err(Problem::new(StatusCode::NOT_FOUND, "there is no such session, or it has ended")),
    }
}
