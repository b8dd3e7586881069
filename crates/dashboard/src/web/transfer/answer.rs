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
use super::{SANDBOX, report_unopened};
use crate::web::Dashboard;
use crate::web::attachment::attachment;
use crate::web::client::Client;
use crate::web::problem::Problem;
use crate::web::workload::bug;

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
        let (disk, of_worker) = (outgoing.disk(), Arc::clone(&content));
        // The transfer goes along, so that its place is taken until the file is open, even if the client hangs up before.
        let opening = disk.run(move |_| of_worker.open(index).map(|file| (file, outgoing)));
        let contents = &dashboard.config().contents;
        let (file, mut outgoing) = opening.await.map_err(|error| FileError::Problem(bug(error)))?.map_err(|error| {
            report_unopened(contents, &content, content.files()[index].path(), &error);
            FileError::Open(error)
        })?;
        let name = content.file_name(index).to_owned();
        let begin = |file: SharedFile, rest: Range<u64>| {
            let (len, part) = (rest.end - rest.start, TransferPart::File { index, range: rest.clone() });
            let downloads = dashboard.config().observer.downloads();
            let transfer = Transfer { remote: client.address, content: Arc::clone(&content), part, len, way };
            outgoing.begin(downloads.begin(transfer));
            FileTransfer { file, content, way, contents: contents.clone(), rest, outgoing }
        };
        Ok(answer(request, file, &name, begin))
    }
}

/// `begin` begins the transfer of some of its bytes.
fn answer(
    request: &Parts,
    file: SharedFile,
    name: &str,
    begin: impl FnOnce(SharedFile, Range<u64>) -> FileTransfer,
) -> Response {
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
    let handover = Handover::new(begin(file, range));
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
