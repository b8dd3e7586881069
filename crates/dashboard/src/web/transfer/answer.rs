//! The answer to a request for a shared file.

use std::ops::Range;
use std::sync::Arc;

use axum::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, LAST_MODIFIED,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use torrent_library::{Content, OpenError, SharedFile};
use tracker_monitor::{Transfer, TransferPart, Way};

use super::conditions::{Outcome, Validators};
use super::file_body::{FileTransfer, Handover};
use super::range::Selection;
use super::{Outgoing, SANDBOX, report_unopened};
use crate::web::Dashboard;
use crate::web::attachment::attachment;
use crate::web::client::Client;
use crate::web::problem::Problem;
use crate::web::workload::blocking;

/// What is asked for.
#[derive(Debug)]
pub(super) struct FileRequest {
    pub(super) client: Client,
    pub(super) way: Way,
    pub(super) content: Arc<Content>,
    /// The index of the file in it.
    pub(super) index: usize,
}

/// Why a file is not sent.
#[derive(Debug)]
pub(super) enum FileError {
    /// It cannot be opened as the one that was shared, which is reported already.
    Open(OpenError),
    /// It would exceed the limits, or there is a bug.
    Problem(Problem),
}

impl FileRequest {
    /// Opens the file and answers: all of it, or the part that the request asks for, or that there is nothing to send.
    pub(super) async fn answer(self, dashboard: &Dashboard, request: &Parts) -> Result<Response, FileError> {
        let Self { client, way, content, index } = self;
        // Limits the opening of files, too.
        let outgoing = dashboard.0.transfers.begin(client).map_err(FileError::Problem)?;
        let of_worker = Arc::clone(&content);
        let opened = blocking(move || of_worker.open(index)).await.map_err(FileError::Problem)?;
        let file = opened.map_err(|error| {
            report_unopened(&dashboard.config().contents, &content, content.files()[index].path(), &error);
            FileError::Open(error)
        })?;
        let name = content.file_name(index).to_owned();
        let begin = |mut outgoing: Outgoing, range: &Range<u64>| {
            let (len, part) = (range.end - range.start, TransferPart::File { index, range: range.clone() });
            let downloads = dashboard.config().observer.downloads();
            outgoing.begin(downloads.begin(Transfer { remote: client.address, content, part, len, way }));
            outgoing
        };
        Ok(answer(request, file, &name, |range| begin(outgoing, range)))
    }
}

/// `begin` begins the transfer of some of its bytes.
fn answer(request: &Parts, file: SharedFile, name: &str, begin: impl FnOnce(&Range<u64>) -> Outgoing) -> Response {
    let len = file.len;
    let validators = Validators::new(file.etag(), file.modified);
    let (status, range) = select(request, &validators, len);
    let text = |text: String| HeaderValue::try_from(text).expect("it is of visible ASCII");

    let mut headers = HeaderMap::from_iter([
        SANDBOX,
        // May be kept, and is asked for again each time.
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (ACCEPT_RANGES, HeaderValue::from_static("bytes")),
    ]);
    headers.extend(validators.last_modified().map(|date| (LAST_MODIFIED, text(date))));
    headers.insert(ETAG, text(validators.etag));
    match (status, &range) {
        (StatusCode::PARTIAL_CONTENT, Some(Range { start, end })) => {
            headers.insert(CONTENT_RANGE, text(format!("bytes {start}-{}/{len}", end - 1)));
        }
        (StatusCode::RANGE_NOT_SATISFIABLE, _) => {
            headers.insert(CONTENT_RANGE, text(format!("bytes */{len}")));
        }
        _ => {}
    }
    let Some(range) = range else { return (status, headers).into_response() };
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(CONTENT_DISPOSITION, text(attachment(name)));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(range.end - range.start));
    if range.is_empty() || request.method == Method::HEAD {
        return (status, headers).into_response();
    }
    let outgoing = begin(&range);
    let handover = Handover::new(FileTransfer { file, rest: range, outgoing });
    let mut response = (status, headers, handover.body()).into_response();
    response.extensions_mut().insert(handover);
    response
}

/// The status, and the bytes to send, if there are any to be.
fn select(request: &Parts, validators: &Validators, len: u64) -> (StatusCode, Option<Range<u64>>) {
    let headers = &request.headers;
    let selection = match validators.evaluate(headers) {
        Outcome::NotModified => return (StatusCode::NOT_MODIFIED, None),
        Outcome::Failed => return (StatusCode::PRECONDITION_FAILED, None),
        // Of all methods only GET has ranges.
        Outcome::Send { ranges: true } if request.method == Method::GET => Selection::of(headers, len),
        Outcome::Send { .. } => Selection::Whole,
    };
    match selection {
        Selection::Whole => (StatusCode::OK, Some(0..len)),
        Selection::Part(range) => (StatusCode::PARTIAL_CONTENT, Some(range)),
        Selection::Unsatisfiable => (StatusCode::RANGE_NOT_SATISFIABLE, None),
    }
}
