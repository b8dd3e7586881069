//! The computers of the current lesson.

use std::net::IpAddr;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use tracker_monitor::{BytesSent, ComputerName, ComputerRow, Reachability, ReachabilityReason, rounded};
use utoipa::ToSchema;

use super::extract::{AddressPath, Json};
use super::long_list;
use crate::web::Dashboard;
use crate::web::client::Client;
use crate::web::problem::Problem;
use crate::web::role::Operator;

/// The computers of the current lesson.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ComputerList {
    /// The current time.
    now: u64,
    /// By address.
    computers: Vec<Computer>,
}

/// A computer, and what it has.
#[derive(Debug, Serialize, ToSchema)]
struct Computer {
    #[schema(value_type = String)]
    address: IpAddr,
    name: Option<ComputerName>,
    /// `false` if there is a names file and the computer is not in it, so that it does not count.
    counts: bool,
    /// When it was first seen in this lesson; `null` if it is only in the names file.
    first_seen: Option<u64>,
    last_seen: Option<u64>,
    /// The BitTorrent client that was seen last.
    client: Option<String>,
    /// `true` if it has downloaded in a browser.
    has_browser: bool,
    /// Whether others can connect to its BitTorrent client.
    reachable: Reachability,
    /// The reason for that; `null` if there is nothing to say.
    reason: Option<ReachabilityReason>,
    /// The number of files that it has.
    has: u32,
    /// The number of files that it is downloading.
    downloading: u32,
    /// The number of files that it is downloading and gets nothing of.
    stuck: u32,
    /// Bytes per second that it downloads.
    rate: f64,
    /// Bytes that it got from this machine in this lesson.
    sent: BytesSent,
}

/// The name of a computer.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct NewName {
    /// At most 64 characters; empty to take the name back.
    name: String,
}

impl Computer {
    fn new(row: ComputerRow, dashboard: &Dashboard) -> Self {
        Self {
            address: row.address,
            name: row.name,
            counts: row.counts,
            first_seen: row.first_seen.map(|at| dashboard.unix(at)),
            last_seen: row.last_seen.map(|at| dashboard.unix(at)),
            client: row.client,
            has_browser: row.has_browser,
            reachable: row.reachability,
            reason: row.reason,
            has: row.has,
            downloading: row.downloading,
            stuck: row.stuck,
            rate: rounded(row.rate),
            sent: row.sent,
        }
    }
}

/// The computers of the current lesson: all that have asked for something, and those in the names file.
#[utoipa::path(
    get,
    path = "/computers",
    tag = "files",
    responses(
        (status = 200, body = ComputerList),
        (status = 503, description = "Too many requests; try again in a few seconds", body = Problem),
    )
)]
pub(super) async fn computers(State(dashboard): State<Dashboard>, client: Client) -> Result<Response, Problem> {
    let computers = |dashboard: &Dashboard| ComputerList {
        now: dashboard.unix(dashboard.config().clock.now()),
        computers: dashboard
            .config()
            .observer
            .computers()
            .all()
            .into_iter()
            .map(|row| Computer::new(row, dashboard))
            .collect(),
    };
    long_list(dashboard, client, move |dashboard| Ok(computers(dashboard))).await
}

/// Gives a computer a name, which goes before all others that it has. Operators only.
#[utoipa::path(
    post,
    path = "/computers/{address}/name",
    tag = "files",
    params(("address" = String, Path, description = "The IP address of the computer")),
    request_body = NewName,
    security((), ("token" = [])),
    responses(
        (status = 204, description = "It has the name"),
        (status = 400, description = "Invalid address", body = Problem),
        (status = 403, description = "Operators only", body = Problem),
        (status = 415, description = "The body is not JSON", body = Problem),
        (status = 422, description = "The name cannot be used or saved", body = Problem),
        (status = 503, description = "Too many requests; try again in a few seconds", body = Problem),
    )
)]
pub(super) async fn set_name(
    _: Operator,
    State(dashboard): State<Dashboard>,
    AddressPath(address): AddressPath,
    Json(NewName { name }): Json<NewName>,
) -> Result<StatusCode, Problem> {
    let set = move |dashboard: &Dashboard| dashboard.config().observer.computers().set_name(address, name.trim());
    match dashboard.run(set).await? {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(error) => Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string())),
    }
}
