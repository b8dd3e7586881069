//! Folders, or some of their files, as zip archives.

use std::io;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::header::{ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use http_server::ConnectionPermit;
use torrent_library::{Content, ContentKey, Contents, Zip, ZipError, ZipReader};
use tracker_monitor::{Transfer, TransferPart, Way};
use url::form_urlencoded;

use super::chunks::{Source, chunks};
use super::disk::Demand;
use super::{Outgoing, SANDBOX, download, report_unopened};
use crate::web::Dashboard;
use crate::web::api::extract;
use crate::web::attachment::attachment;
use crate::web::client::Client;
use crate::web::problem::Problem;
use crate::web::public;
use crate::web::refusal::accepts_html;
use crate::web::workload::bug;

/// The maximum size of a form that chooses files: room for more than 20,000 of them. A query has room for about 1,000.
pub(super) const MAX_FORM_BYTES: usize = 256 << 10;

/// A form that [chooses files](ZipFiles::Chosen).
pub(super) struct ZipForm(pub(super) Bytes);

impl<S: Send + Sync> FromRequest<S> for ZipForm {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let too_large = || {
            let limit = MAX_FORM_BYTES >> 10;
            format!(
                "more files are chosen than a form of {limit} KiB has room for: choose fewer, or download the whole folder"
            )
        };
        extract::body(request, state, too_large).await.map(Self)
    }
}

/// A request for a folder.
pub(super) struct ZipRequest<'r> {
    pub(super) client: Client,
    pub(super) method: &'r Method,
    pub(super) headers: &'r HeaderMap,
    pub(super) content: Arc<Content>,
    pub(super) files: ZipFiles<'r>,
}

/// The files of a folder that go into an archive.
pub(super) enum ZipFiles<'f> {
    All,
    /// The files that a form has chosen: `file=INDEX` for each, in the content's order from 0.
    Chosen(&'f [u8]),
}

impl ZipRequest<'_> {
    /// Answers with an archive. It has no ranges, since the checksum of a file is known only when all of it was read.
    pub(super) async fn answer(self, dashboard: &Dashboard) -> Result<Response, Problem> {
        let Self { client, method, headers, content, files } = self;
        if !dashboard.config().zip {
            return unavailable(dashboard, headers, &content);
        }
        let chosen = files.indices(&content)?;
        let part = chosen.clone().map_or(TransferPart::Archive, TransferPart::ArchiveOf);
        let (outgoing, turn) = dashboard.0.transfers.begin_zip(client)?;
        let of_worker = Arc::clone(&content);
        // The permits go along, so that they are held until this is done, even if the client hangs up before.
        let make = move |demand: &Demand| {
            let zip = match chosen {
                None => Zip::whole(of_worker),
                Some(files) => Zip::of(of_worker, files),
            }?;
            zip.check(|| !demand.is_over())?;
            Ok((zip, outgoing, turn))
        };
        let contents = &dashboard.config().contents;
        let made = dashboard.0.transfers.preparing().run(make).await.map_err(bug)?;
        let (zip, mut outgoing, turn) = made.map_err(|ZipError { path, source }| {
            report_unopened(contents, &content, &path, &source);
            download::unopened(&path, &source)
        })?;

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
        outgoing.begin(downloads.begin(Transfer { remote: client.address, content, part, len, way: Way::Browser }));
        let (reader, contents) = (zip.reader(), contents.clone());
        let transfer = ZipTransfer { reader, left: len, contents, outgoing, _turn: turn };
        Ok((headers, Body::from_stream(chunks(transfer))).into_response())
    }
}

/// The answer where folders are not sent as archives: a page that leads to their files.
fn unavailable(dashboard: &Dashboard, headers: &HeaderMap, content: &Content) -> Result<Response, Problem> {
    let why = "folders are not given as one file here. Download the files of the folder one by one";
    if !accepts_html(headers) {
        return Err(Problem::new(StatusCode::NOT_FOUND, why));
    }
    let key = dashboard.config().contents.current_key(ContentKey::Id(content.id()));
    Ok(public::no_zip_page(dashboard, why, key))
}

impl<'f> ZipFiles<'f> {
    /// Those of a URL's query, which chooses some if it says so: `choose`, which a form has in any case, or `file=INDEX`.
    pub(super) fn of_query(query: &'f str) -> Self {
        let chooses = form_urlencoded::parse(query.as_bytes()).any(|(name, _)| matches!(&*name, "choose" | "file"));
        if chooses { Self::Chosen(query.as_bytes()) } else { Self::All }
    }

    /// The indices of the chosen files; `None` for all.
    fn indices(&self, content: &Content) -> Result<Option<Vec<usize>>, Problem> {
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
    /// The client's only one, held until it is sent.
    _turn: ConnectionPermit,
}

impl Source for ZipTransfer {
    fn left(&self) -> u64 {
        self.left
    }

    fn outgoing(&mut self) -> &mut Outgoing {
        &mut self.outgoing
    }

    /// Fails when a file cannot be read as it was listed, or the folder was found to be damaged, so that the connection is cut, and
    /// no part looks like an archive.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        if self.contents.is_damaged(self.reader.zip().content().id()) {
            return Err(io::Error::other("the folder is damaged"));
        }
        let read = self.reader.read(buffer).map_err(|error| {
            report_unopened(&self.contents, self.reader.zip().content(), &error.path, &error.source);
            io::Error::other(error)
        })?;
        assert_eq!(read, buffer.len(), "an archive is as long as it was said to be");
        self.left -= buffer.len() as u64;
        Ok(())
    }
}
