//! Extractors for requests. A request that cannot be read is answered with a [`Problem`].

use std::error::Error;
use std::net::IpAddr;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use torrent_library::ContentKey;
use tracker_core::InfoHash;
use utoipa::{IntoParams, PartialSchema};

use crate::web::problem::Problem;
use tracker_monitor::{Order, PageQuery};

/// The query.
#[derive(Debug)]
pub(in crate::web) struct Query<T>(pub(in crate::web) T);

/// `{info_hash}` in the path.
#[derive(Debug)]
pub(super) struct InfoHashPath(pub(super) InfoHash);

/// `{key}` of a file in the path.
#[derive(Debug)]
pub(super) struct KeyPath(pub(super) ContentKey);

/// `{address}` in the path.
#[derive(Debug)]
pub(super) struct AddressPath(pub(super) IpAddr);

/// `{id}` in the path.
#[derive(Debug)]
pub(super) struct IdPath(pub(super) u64);

/// A body, or an answer, as JSON.
#[derive(Debug)]
pub(super) struct Json<T>(pub(super) T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = axum::extract::Query::try_from_uri(&parts.uri);
        query.map(|query| Self(query.0)).map_err(|error| {
            let detail = error.source().map_or_else(|| error.to_string(), ToString::to_string);
            Problem::new(StatusCode::BAD_REQUEST, format!("the query of this address cannot be read: {detail}"))
        })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for InfoHashPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let text = path_segment(parts, state).await?;
        text.parse().map(Self).map_err(|error| bad_request(format!("{error}")))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for KeyPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let text = path_segment(parts, state).await?;
        text.parse().map(Self).map_err(|error| bad_request(format!("{error}")))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for AddressPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let text = path_segment(parts, state).await?;
        text.parse().map(Self).map_err(|_| bad_request(format!("{text:?} is no IP address, such as 192.168.1.20")))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IdPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let text = path_segment(parts, state).await?;
        text.parse().map(Self).map_err(|_| bad_request(format!("{text:?} is no id: an id is a number, such as 1")))
    }
}

async fn path_segment<S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<String, Problem> {
    let segment = axum::extract::Path::<String>::from_request_parts(parts, state).await;
    segment.map(|path| path.0).map_err(|error| Problem::new(error.status(), error.body_text()))
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let json = axum::Json::from_request(request, state).await;
        json.map(|json| Self(json.0)).map_err(|error| {
            let detail = error.source().map_or_else(|| error.body_text(), ToString::to_string);
            Problem::new(error.status(), format!("the JSON that was sent cannot be used: {detail}"))
        })
    }
}

impl<T: Serialize> axum::response::IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

/// The body of a request, as it stands. `too_large` says what is wrong with one that is larger than the limit of its route.
pub(in crate::web) async fn body<S: Send + Sync>(
    request: Request,
    state: &S,
    too_large: impl FnOnce() -> String,
) -> Result<Bytes, Problem> {
    Bytes::from_request(request, state).await.map_err(|error| match error.status() {
        status @ StatusCode::PAYLOAD_TOO_LARGE => Problem::new(status, too_large()),
        status => Problem::new(status, format!("what was sent did not arrive: {}", error.body_text())),
    })
}

/// The query of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery<S: Default + PartialSchema> {
    /// Only items that contain this, in either case: torrents in their name or at the beginning of their info-hash, peers in
    /// their address or client.
    #[serde(default)]
    search: String,
    #[serde(default)]
    #[param(inline)]
    sort: S,
    #[serde(default)]
    #[param(inline)]
    order: Order,
    /// The page, from 1.
    #[serde(default = "first_page")]
    #[param(minimum = 1, default = 1)]
    page: u32,
    /// Items on a page.
    #[serde(default = "page_size")]
    #[param(minimum = 1, maximum = 1000, default = 50)]
    page_size: u32,
}

pub(super) fn first_page() -> u32 {
    1
}

fn page_size() -> u32 {
    PageQuery::<()>::DEFAULT_PAGE_SIZE as u32
}

impl<S: Default + PartialSchema> ListQuery<S> {
    /// The part of a list that is asked for, if there can be such a part.
    pub(super) fn into_page_query(self) -> Result<PageQuery<S>, Problem> {
        let Self { search, sort, order, page, page_size } = self;
        let (page, page_size, max) = (page as usize, page_size as usize, PageQuery::<S>::MAX_PAGE_SIZE);
        if page == 0 {
            return Err(bad_request("page is 0, but pages are counted from 1".to_owned()));
        }
        if !(1..=max).contains(&page_size) {
            return Err(bad_request(format!("page_size is {page_size}, but must be from 1 to {max}")));
        }
        Ok(PageQuery { search, sort, order, page, page_size })
    }
}

pub(super) fn bad_request(error: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, error)
}
