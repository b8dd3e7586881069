//! The pages.

use axum::Router;
use axum::routing::get;

use super::Dashboard;

pub(super) fn router() -> Router<Dashboard> {
    Router::new().route("/", get(async || "dashboard\n"))
}
