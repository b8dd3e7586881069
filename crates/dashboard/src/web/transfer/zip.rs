//! Folders, or some of their files, as zip archives.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::header::{ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::BytesMut;
use futures_util::{Stream, stream};
use http_server::ConnectionPermit;
use tokio::task::spawn_blocking;
use torrent_library::{Content, Contents, OpenError, Zip, ZipError, ZipReader};
use tracker_monitor::{Transfer, TransferHandle, TransferPart, Way};
use url::form_urlencoded;

use super::{Outgoing, SANDBOX, download};
use crate::web::Dashboard;
use crate::web::api::download::attachment;
use crate::web::client::Client;
use crate::web::problem::Problem;
use crate::web::public;
use crate::web::refusal::accepts_html;
use crate::web::workload::blocking;

/// The maximum size of a form that chooses files: room for more than 20,000 of them. A query has room for about 1,000.
pub(super) const MAX_FORM_BYTES: usize = 256 << 10;

/// Bytes of one read. A connection holds two chunks at most: one that is being sent, and the next.
const CHUNK: usize = 256 << 10;

/// A request for a folder.
pub(super) struct ZipRequest<'r> {
    pub(super) client: Client,
    /// Its address.
    pub(super) remote: IpAddr,
    pub(super) method: &'r Method,
    pub(super) headers: &'r HeaderMap,
    pub(super) content: Arc<Content>,
    pub(super) wanted: Wanted<'r>,
}

/// What is wanted of a folder.
pub(super) enum Wanted<'f> {
    All,
    /// The files that a form has chosen: `file=INDEX` for each, in the content's order from 0.
    Chosen(&'f [u8]),
}

impl ZipRequest<'_> {
    /// Answers with an archive. It has no ranges, since the checksum of a file is known only when all of it was read.
    pub(super) async fn answer(self, dashboard: &Dashboard) -> Result<Response, Problem> {
        let Self { client, remote, method, headers, content, wanted } = self;
        if !dashboard.config().zip {
            return unavailable(dashboard, headers, &content);
        }
        let chosen = wanted.files(&content)?;
        let part = chosen.clone().map_or(TransferPart::Archive, TransferPart::ArchiveOf);
        let (outgoing, turn) = dashboard.0.transfers.begin_zip(client)?;
        let of_worker = Arc::clone(&content);
        let make = move || {
            let zip = match chosen {
                None => Zip::whole(of_worker),
                Some(files) => Zip::of(of_worker, files),
            }?;
            // A broken archive helps nobody: what has changed already is told at once.
            zip.check()?;
            Ok(zip)
        };
        let contents = &dashboard.config().contents;
        let made = blocking(make).await?.inspect_err(|error| report(contents, &content, error));
        let zip = made.map_err(|ZipError { path, source }| download::unopened(&path, &source))?;

        let len = zip.len();
        let name = HeaderValue::try_from(attachment(zip.file_name())).expect("it is of visible ASCII");
        let headers = HeaderMap::from_iter([
            SANDBOX,
            (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
            (ACCEPT_RANGES, HeaderValue::from_static("none")),
            (CONTENT_TYPE, HeaderValue::from_static("application/zip")),
            (CONTENT_DISPOSITION, name),
            (CONTENT_LENGTH, HeaderValue::from(len)),
        ]);
        if method == Method::HEAD {
            return Ok(headers.into_response());
        }
        let downloads = dashboard.config().observer.downloads();
        let handle = downloads.begin(Transfer { remote, content, part, len, way: Way::Browser });
        let (reader, contents) = (zip.reader(), contents.clone());
        let transfer = ZipTransfer { reader, left: len, contents, outgoing, handle, _turn: turn };
        Ok((headers, Body::from_stream(transfer.chunks())).into_response())
    }
}

/// The answer where folders are not sent as archives: a page that leads to their files.
fn unavailable(dashboard: &Dashboard, headers: &HeaderMap, content: &Content) -> Result<Response, Problem> {
    let why = "folders are not given as one file here. Download the files of the folder one by one";
    if !accepts_html(headers) {
        return Err(Problem::new(StatusCode::NOT_FOUND, why));
    }
    let id = content.id();
    let key = dashboard.config().contents.info_hash_of(id).map_or_else(|| id.to_string(), |hash| hash.to_string());
    Ok(public::no_zip_page(dashboard, why, &key))
}

impl Wanted<'_> {
    /// The indices of the chosen files; `None` if all are wanted.
    fn files(&self, content: &Content) -> Result<Option<Vec<usize>>, Problem> {
        let Self::Chosen(form) = self else { return Ok(None) };
        let index = |text: &str| text.parse().ok().filter(|&index: &usize| index < content.files().len());
        let chosen = form_urlencoded::parse(form).filter(|(name, _)| name == "file").map(|(_, text)| index(&text));
        let chosen: Option<Vec<usize>> = chosen.collect();
        match chosen {
            None => Err(Problem::new(StatusCode::NOT_FOUND, "a file was chosen that is not in this folder")),
            Some(chosen) if chosen.is_empty() => {
                Err(Problem::new(StatusCode::BAD_REQUEST, "no file is chosen. Go back, and choose one or more"))
            }
            Some(chosen) => Ok(Some(chosen)),
        }
    }
}

/// An archive on its way to a client.
struct ZipTransfer {
    reader: ZipReader,
    left: u64,
    contents: Contents,
    outgoing: Outgoing,
    /// Counts what is sent.
    handle: TransferHandle,
    /// The client's only one, held until it is sent.
    _turn: ConnectionPermit,
}

impl ZipTransfer {
    /// Fails when a file cannot be read as it was listed, so that the connection is cut, and no part looks like an archive.
    fn chunks(self) -> impl Stream<Item = io::Result<Bytes>> {
        stream::try_unfold((self, BytesMut::new()), async |(mut transfer, mut buffer)| {
            if transfer.left == 0 {
                return Ok(None);
            }
            let want = usize::try_from(transfer.left).unwrap_or(CHUNK).min(CHUNK);
            let len = transfer.outgoing.may_send(want, transfer.left).await;
            let read = spawn_blocking(move || {
                // The memory is that of the chunk before, if it was sent.
                buffer.reserve(CHUNK);
                transfer.read(&mut buffer, len)?;
                let chunk = buffer.split().freeze();
                Ok(Some((chunk, (transfer, buffer))))
            });
            read.await.map_err(io::Error::other)?
        })
    }

    /// Reads the next `len` bytes, of those that are left.
    fn read(&mut self, buffer: &mut BytesMut, len: usize) -> io::Result<()> {
        buffer.resize(len, 0);
        let read = self.reader.read(buffer).map_err(|error| {
            report(&self.contents, self.reader.zip().content(), &error);
            io::Error::other(error)
        })?;
        assert_eq!(read, len, "an archive is as long as it was said to be");
        self.left -= len as u64;
        self.handle.sent(len as u64);
        Ok(())
    }
}

/// Reports that a file cannot be put into an archive.
fn report(contents: &Contents, content: &Content, ZipError { path, source }: &ZipError) {
    let name = content.name();
    if let OpenError::Read(error) = source {
        tracing::warn!(name, path, "a shared file cannot be read: {error}");
    } else {
        contents.report_changed(content.id());
    }
}
