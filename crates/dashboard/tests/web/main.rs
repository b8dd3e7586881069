//! What the people's door serves, without a socket.

mod support;

use axum::http::StatusCode;

use crate::support::Fixture;

#[tokio::test]
async fn there_is_a_page() {
    assert_eq!(Fixture::new().get("/").await.status, StatusCode::OK);
}
