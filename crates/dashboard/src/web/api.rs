//! The JSON API.

use axum::Router;

use super::Dashboard;

pub(super) fn router() -> Router<Dashboard> {
    Router::new()
}
