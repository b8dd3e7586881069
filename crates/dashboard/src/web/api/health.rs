//! The health of the tracker, for monitoring.

use std::fmt::{self, Display};

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use tracker_host::PartHealth;

use crate::web::Dashboard;

/// The health of all parts together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Healthy,
    /// Clients are served, and something needs the operator.
    Degraded,
    /// Clients are not served.
    Unhealthy,
}

impl Verdict {
    fn of(parts: &[PartHealth]) -> Self {
        let ill = || parts.iter().filter(|part| part.problem.is_some());
        if ill().any(|part| part.is_vital) {
            Self::Unhealthy
        } else if ill().count() > 0 {
            Self::Degraded
        } else {
            Self::Healthy
        }
    }
}

impl Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
        })
    }
}

/// Says whether the tracker serves clients: `ok`, or `unhealthy` with status 503.
///
/// With `?verbose` the text has a line for each part, as that of Kubernetes: `[+]NAME ok` or `[-]NAME: what is wrong`. The last line is
/// `healthy`, `degraded` or `unhealthy`. A degraded tracker serves clients, so that the status is 200.
#[utoipa::path(
    get,
    path = "/health",
    tag = "tracker",
    params(("verbose" = Option<String>, Query, description = "With a line for each part; the value does not matter")),
    responses(
        (status = 200, description = "Clients are served", body = String, content_type = "text/plain"),
        (status = 503, description = "Clients are not served", body = String, content_type = "text/plain"),
    )
)]
pub(super) async fn health(State(dashboard): State<Dashboard>, RawQuery(query): RawQuery) -> impl IntoResponse {
    let parts = dashboard.look_at_health().await.parts;
    let verdict = Verdict::of(&parts);
    let status = if verdict == Verdict::Unhealthy { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    let text = match verdict {
        _ if is_verbose(query.as_deref().unwrap_or_default()) => verbose(&parts, verdict),
        Verdict::Unhealthy => "unhealthy\n".to_owned(),
        Verdict::Healthy | Verdict::Degraded => "ok\n".to_owned(),
    };
    (status, text)
}

fn is_verbose(query: &str) -> bool {
    query.split('&').any(|field| field.split('=').next() == Some("verbose"))
}

fn verbose(parts: &[PartHealth], verdict: Verdict) -> String {
    let line = |part: &PartHealth| match &part.problem {
        None => format!("[+]{} ok\n", part.name),
        // A problem is one line, whatever is in a file.
        Some(problem) => format!("[-]{}: {}\n", part.name, problem.replace(char::is_control, " ")),
    };
    parts.iter().map(line).chain([format!("{verdict}\n")]).collect()
}
