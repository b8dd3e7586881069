//! The JSON API, and its description.
//!
//! Each route is described where its handler stands, and only so gets into the router: what is served and what
//! `openapi.json` says cannot part.
#![expect(unused_qualifications, reason = "utoipa's macro qualifies the names of queries")]

mod clients;
mod computers;
pub(super) mod extract;
mod files;
mod health;
mod history;
mod lessons;
mod log;
mod makings;
mod metrics;
mod peers;
mod seeding;
mod sessions;
mod share;
pub(super) mod stream;
mod torrents;
mod tracker;
mod users;

use axum::Router;
use axum::extract::{OriginalUri, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use serde::Serialize;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{OpenApi, Server};
use utoipa::{Modify, OpenApi as _};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Dashboard;
use super::client::Client;
use super::problem::Problem;
use super::workload::body;

pub(super) use peers::harmless;

/// The path prefix of all routes.
const ROOT: &str = "/api/v1";

/// The path of the description.
const DESCRIPTION: &str = "/api/v1/openapi.json";

/// A tracker as programs see it.
///
/// All answers are JSON unless described otherwise. Times are Unix seconds, rates bytes per second, completion goes from 0 to
/// 1, and unknown values are `null`. An error is a status of 400 or more, and a sentence for people.
///
/// Everybody whom the tracker's address policy admits may read, unless the operator has narrowed that (`--viewers`, `--code`). POST,
/// DELETE and the share folder are for operators: requests from the tracker's own machine, or with the token of the URL that the
/// tracker printed when it started, in a header `Authorization: Bearer TOKEN`, or with the cookie of who has signed in.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(title = "BitTorrent tracker"),
    // Those that only events have.
    components(schemas(stream::Missed, stream::TorrentsChanged)),
    modifiers(&Token),
    tags(
        (name = "tracker", description = "The tracker as a whole"),
        (name = "files", description = "Files, folders, and the computers that get them"),
        (name = "torrents", description = "Torrents and their peers"),
        (name = "making", description = "Making torrents of what is in the share folder"),
        (name = "lessons", description = "Lessons, and who got what in them"),
        (name = "users", description = "Accounts, and what their users do"),
        (name = "log", description = "What happens"),
    )
)]
struct Description;

/// The operator's token, as the API description declares it.
struct Token;

impl Modify for Token {
    fn modify(&self, description: &mut OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer);
        let scheme = scheme.description(Some("The token of the URL that is printed at the tracker's start"));
        let components = description.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(scheme.build()));
    }
}

pub(super) fn router() -> Router<Dashboard> {
    let (router, _) = routes().split_for_parts();
    // Not a fallback, which there can be one of for all routes.
    let router = router.route("/api", any(no_such_path)).route("/api/{*rest}", any(no_such_path));
    router.method_not_allowed_fallback(wrong_method)
}

fn routes() -> OpenApiRouter<Dashboard> {
    let api = OpenApiRouter::default()
        .routes(routes!(tracker::status))
        .routes(routes!(tracker::start))
        .routes(routes!(tracker::stop))
        .routes(routes!(history::history))
        .routes(routes!(lessons::lessons, lessons::begin))
        .routes(routes!(lessons::lesson))
        .routes(torrents::list_and_register())
        .routes(routes!(torrents::torrent, torrents::remove))
        .routes(routes!(torrents::torrent_file))
        .routes(routes!(torrents::digests))
        .routes(routes!(seeding::seeding))
        .routes(routes!(seeding::start))
        .routes(routes!(seeding::stop))
        .routes(routes!(seeding::check))
        .routes(routes!(peers::peers))
        .routes(routes!(peers::peers_csv))
        .routes(routes!(files::files))
        .routes(routes!(files::copies))
        .routes(routes!(computers::computers))
        .routes(routes!(computers::set_name))
        .routes(routes!(sessions::sessions))
        .routes(routes!(sessions::end))
        .routes(routes!(clients::rules, clients::add, clients::remove))
        .routes(routes!(users::users, users::add))
        .routes(routes!(users::change, users::remove))
        .routes(routes!(users::new_key))
        .routes(routes!(users::new_password))
        .routes(routes!(share::share))
        .routes(routes!(makings::makings, makings::make))
        .routes(routes!(makings::making, makings::cancel))
        .routes(routes!(log::log))
        .routes(routes!(log::log_ndjson))
        .routes(routes!(stream::events))
        .routes(routes!(description));
    OpenApiRouter::with_openapi(Description::openapi())
        .nest(ROOT, api)
        .routes(routes!(metrics::metrics))
        .routes(routes!(health::health))
}

/// A long list as JSON, made off the event loop. It takes a permit if it is large.
async fn long_list<T: Serialize>(
    dashboard: Dashboard,
    client: Client,
    list: impl FnOnce(&Dashboard) -> Result<T, Problem> + Send + 'static,
) -> Result<Response, Problem> {
    let make = |dashboard: &Dashboard| {
        list(dashboard).map(|list| serde_json::to_vec(&list).expect("it has only strings for keys"))
    };
    let bytes = dashboard.clone().run(make).await??;
    let permit = dashboard.0.workload.permit_for(bytes.len(), client)?;
    Ok(([(CONTENT_TYPE, "application/json")], body(permit, bytes)).into_response())
}

/// This description.
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "tracker",
    responses((status = 200, description = "OpenAPI 3.1", body = Object, content_type = "application/json"))
)]
async fn description(State(dashboard): State<Dashboard>) -> impl IntoResponse {
    let base_path = dashboard.base_path();
    let description = dashboard.0.api_description.get_or_init(|| {
        let mut description = routes().into_openapi();
        if !base_path.is_empty() {
            description.servers = Some(vec![Server::new(base_path.as_str())]);
        }
        description.to_pretty_json().expect("it has only strings for keys")
    });
    ([(CONTENT_TYPE, "application/json")], description.clone())
}

async fn no_such_path(State(dashboard): State<Dashboard>, OriginalUri(uri): OriginalUri) -> Problem {
    let path: String = uri.path().chars().take(100).collect();
    Problem::new(
        StatusCode::NOT_FOUND,
        format!("there is nothing at {path}: see {} for what there is", dashboard.path(DESCRIPTION)),
    )
}

async fn wrong_method(State(dashboard): State<Dashboard>, method: Method, OriginalUri(uri): OriginalUri) -> Problem {
    let path: String = uri.path().chars().take(100).collect();
    let what = format!("{path} does not take {method}: see {} for what it takes", dashboard.path(DESCRIPTION));
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, what)
}
