//! Lessons and their reports.

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tracker_monitor::{LessonReport, LessonSummary};
use utoipa::{IntoParams, ToSchema};

use super::extract::{IdPath, Json, Query};
use crate::web::attachment::download;
use crate::web::client::Client;
use crate::web::problem::Problem;
use crate::web::role::Operator;
use crate::web::workload::body;
use crate::web::{Dashboard, report};

/// The lessons.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LessonList {
    /// The current one first, then those before it, at most 100.
    lessons: Vec<LessonSummary>,
}

/// A lesson that has begun.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct NewLesson {
    /// Its number.
    number: u32,
}

/// The form of a report.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum ReportFormat {
    /// All figures, with those for plots.
    #[default]
    Json,
    /// A table for spreadsheets: a line for each copy of a file on a computer.
    Csv,
    /// A text for the terminal, with times in the zone of the tracker's machine.
    Text,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ReportQuery {
    /// The form of the answer.
    #[serde(default)]
    #[param(inline, default = "json")]
    format: ReportFormat,
}

/// The lessons. The first begins with the program, and each lasts until the next one begins. They are kept across
/// restarts, except with `--data none`.
#[utoipa::path(
    get,
    path = "/lessons",
    tag = "lessons",
    responses(
        (status = 200, body = LessonList),
        (status = 503, description = "Too many requests; try again in a few seconds", body = Problem),
    )
)]
pub(super) async fn lessons(State(dashboard): State<Dashboard>) -> Result<Json<LessonList>, Problem> {
    let list = |dashboard: &Dashboard| dashboard.config().observer.lessons().list(dashboard.zero());
    Ok(Json(LessonList { lessons: dashboard.run(list).await? }))
}

/// Begins a new lesson: who has which file is counted anew, from the computers that are there. Operators only.
#[utoipa::path(
    post,
    path = "/lessons",
    tag = "lessons",
    security((), ("token" = [])),
    responses(
        (status = 201, body = NewLesson),
        (status = 403, description = "Operators only", body = Problem),
        (status = 503, description = "Too many requests; try again in a few seconds", body = Problem),
    )
)]
pub(super) async fn begin(
    State(dashboard): State<Dashboard>,
    _: Operator,
) -> Result<(StatusCode, Json<NewLesson>), Problem> {
    let number = dashboard.run(|dashboard| dashboard.config().observer.lessons().begin()).await?;
    Ok((StatusCode::CREATED, Json(NewLesson { number })))
}

/// The report of a lesson: for each file and computer when it came, when it had all of it, how fast and by which way. The number
/// 0 is the current lesson. A request starts computing the digests that are missing; repeat it to get them.
#[utoipa::path(
    get,
    path = "/lessons/{id}",
    tag = "lessons",
    params(("id" = u32, Path, description = "The lesson's number; 0 for the current one"), ReportQuery),
    responses(
        (
            status = 200,
            content(
                (LessonReport = "application/json"),
                (String = "text/csv"),
                (String = "text/plain"),
            )
        ),
        (status = 400, description = "No such form", body = Problem),
        (status = 404, description = "There is no such lesson, or none any more", body = Problem),
        (status = 503, description = "Too many requests; try again in a few seconds", body = Problem),
    )
)]
pub(super) async fn lesson(
    State(dashboard): State<Dashboard>,
    client: Client,
    IdPath(number): IdPath,
    Query(ReportQuery { format }): Query<ReportQuery>,
) -> Result<Response, Problem> {
    let make = move |dashboard: &Dashboard| {
        let number = match u32::try_from(number).ok()? {
            0 => dashboard.config().observer.lessons().current(),
            number => number,
        };
        let report = report::report(dashboard, number)?;
        let bytes = match format {
            ReportFormat::Json => serde_json::to_vec(&report).expect("it has only strings for keys"),
            ReportFormat::Csv => report::table(&report),
            ReportFormat::Text => report::text(&report).into_bytes(),
        };
        Some((number, bytes))
    };
    let (number, bytes) = dashboard.clone().run(make).await?.ok_or_else(|| {
        Problem::new(StatusCode::NOT_FOUND, "there is no such lesson, or none any more: see /api/v1/lessons")
    })?;
    let permit = dashboard.0.workload.permit_for(bytes.len(), client)?;
    let body = body(permit, bytes);
    Ok(match format {
        ReportFormat::Json => ([(CONTENT_TYPE, "application/json")], body).into_response(),
        ReportFormat::Csv => download("text/csv; charset=utf-8", &format!("lesson-{number}.csv"), body),
        ReportFormat::Text => ([(CONTENT_TYPE, "text/plain; charset=utf-8")], body).into_response(),
    })
}
