//! Shared files on their way to those who get them: the web seed for BitTorrent clients, and downloads for browsers.
//!
//! Nothing that is shared is ever shown by a browser as a page of this server: it is sent as a file to save, of no type that a
//! browser renders, with a policy that would run and load nothing.

mod answer;
mod chunks;
mod conditions;
mod disk;
mod download;
mod file_body;
mod outgoing;
mod pace;
mod path;
mod range;
mod seed;
mod send_file;
mod zip;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::header::{CONTENT_SECURITY_POLICY, RETRY_AFTER};
use axum::http::{HeaderName, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http_server::{ConnectionLimit, ConnectionLimitError, ConnectionPermit};
use torrent_library::{Content, Contents, OpenError};
use tracker_host::{LogThrottle, UploadLimit};

pub(super) use file_body::Handover;
pub(crate) use outgoing::Outgoing;
pub(super) use send_file::send_file;

use super::Dashboard;
use super::client::Client;
use super::problem::{Problem, RETRY_AFTER_SECONDS};
use disk::Disk;

/// The maximum number of transfers at the same time.
const MAX_TRANSFERS: usize = 256;

/// The number of transfers that are reserved for this machine.
const TRANSFERS_RESERVED: usize = 8;

/// The maximum number of transfers to one address at the same time. This machine has no limit of its own: a proxy may bring many
/// clients from there.
const MAX_TRANSFERS_PER_ADDRESS: usize = 8;

/// The maximum number of zip archives at the same time. Each holds up to 512 KiB of its data for as long as its client takes.
const MAX_ZIPS: usize = 64;

/// The number of zip archives that are reserved for this machine.
const ZIPS_RESERVED: usize = 4;

/// The maximum number of zip archives to one address at the same time: each reads a whole folder.
const MAX_ZIPS_PER_ADDRESS: usize = 1;

/// Limits the log lines about files that cannot be read.
static UNREADABLE: LogThrottle = LogThrottle::new(Duration::from_secs(60));

/// The policy for what is shared, if it were shown in spite of all.
const SANDBOX: (HeaderName, HeaderValue) =
    (CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox; default-src 'none'"));

pub(super) fn router() -> Router<Dashboard> {
    let form_limit = DefaultBodyLimit::max(zip::MAX_FORM_BYTES);
    Router::new()
        .route("/seed/{*path}", get(seed::file))
        .route("/download/{hash}", get(download::whole).post(download::chosen).layer(form_limit))
        .route("/download/{hash}/", get(download::whole))
        .route("/download/{hash}/{*path}", get(download::part))
}

/// Returns `true` if what is asked for is for BitTorrent clients, which read no pages.
pub(super) fn is_for_clients(uri: &Uri) -> bool {
    uri.path().starts_with("/seed/")
}

/// An error for a BitTorrent client: a short text, and when to ask again.
pub(super) fn plain_error(problem: &Problem) -> Response {
    let mut response = (problem.status, [SANDBOX], format!("{}\n", problem.error)).into_response();
    if matches!(problem.status, StatusCode::NOT_FOUND | StatusCode::SERVICE_UNAVAILABLE) {
        response.headers_mut().insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
    }
    response
}

/// Reports a file of a content, at this path in it, that cannot be opened: to the log if it cannot be read, else to those who
/// look after what is shared, since it has changed.
fn report_unopened(contents: &Contents, content: &Content, path: &str, error: &OpenError) {
    if let OpenError::Read(error) = error {
        if let Some(suppressed) = UNREADABLE.allows() {
            tracing::warn!(name = content.name(), path, suppressed, "a shared file cannot be read: {error}");
        }
    } else {
        contents.report_changed(content.id());
    }
}

/// The limits on transfers. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub(super) struct Transfers {
    limit: Arc<ConnectionLimit>,
    zips: Arc<ConnectionLimit>,
    upload_limit: Option<UploadLimit>,
    sending: Disk,
    preparing: Disk,
}

impl Transfers {
    pub(super) fn new(upload_limit: Option<UploadLimit>) -> Self {
        let limit = ConnectionLimit::new(MAX_TRANSFERS, MAX_TRANSFERS_PER_ADDRESS, TRANSFERS_RESERVED);
        let zips = ConnectionLimit::new(MAX_ZIPS, MAX_ZIPS_PER_ADDRESS, ZIPS_RESERVED);
        Self {
            limit: Arc::new(limit),
            zips: Arc::new(zips),
            upload_limit,
            sending: Disk::for_sending(),
            preparing: Disk::for_preparing(),
        }
    }

    /// Where archives are prepared.
    fn preparing(&self) -> &Disk {
        &self.preparing
    }

    /// A transfer of a zip archive to this client, if the limits allow one more, and the client's turn to have one.
    pub(super) fn begin_zip(&self, client: Client) -> Result<(Outgoing, ConnectionPermit), Problem> {
        let turn = self.zips.acquire(client.group, client.is_this_machine).map_err(|error| match error {
            ConnectionLimitError::Address { .. } => busy(
                "a computer at your address is already downloading a folder. Wait until that is done, then try again, or \
                 download the files one by one",
            ),
            _ => too_many(),
        })?;
        Ok((self.begin(client)?, turn))
    }

    /// A transfer to this client, if the limits allow one more.
    pub(super) fn begin(&self, client: Client) -> Result<Outgoing, Problem> {
        let permit = self.limit.acquire(client.group, client.is_this_machine).map_err(|error| match error {
            ConnectionLimitError::Address { .. } => busy(
                "there are too many downloads to your address at once. Wait until one of them is done, then try again",
            ),
            _ => too_many(),
        })?;
        Ok(Outgoing::new(permit, self.clone(), client.group))
    }

    /// Returns `true` if others than this machine get no transfer now.
    fn are_all_taken(&self) -> bool {
        self.limit.used() >= MAX_TRANSFERS - TRANSFERS_RESERVED
    }
}

fn too_many() -> Problem {
    busy("too many computers are downloading at once. Try again in a few seconds")
}

fn busy(why: &str) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, why)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io;
    use std::net::IpAddr;

    use torrent_library::Share;
    use tracing_subscriber::layer::SubscriberExt;
    use tracker_host::AddressGroup;
    use tracker_monitor::{LogBuffer, LogFilter};

    use super::*;

    fn client(host: usize) -> Client {
        let address: IpAddr = format!("10.0.0.{host}").parse().unwrap();
        Client { address, group: AddressGroup::of(address, address), is_this_machine: false }
    }

    #[test]
    fn a_slow_client_loses_its_place_only_to_others() {
        let transfers = Transfers::new(None);
        let mut slow = transfers.begin(client(0)).unwrap();
        slow.waited(Duration::from_secs(3600)).unwrap();
        let mut others: Vec<_> = (8..255).map(|number| transfers.begin(client(number / 8)).unwrap()).collect();
        assert!(transfers.begin(client(250)).is_err());
        assert_eq!(slow.waited(Duration::ZERO).unwrap_err().kind(), io::ErrorKind::TimedOut);
        others[0].waited(Duration::from_secs(59)).unwrap();
        others.pop();
        slow.waited(Duration::ZERO).unwrap();
    }

    #[test]
    fn a_file_that_cannot_be_read_does_not_flood_the_log() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("film"), "film").unwrap();
        let content = Content::list(&Share::open(folder.path().to_owned()).unwrap(), "film").unwrap();
        let log = LogBuffer::new();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(log.layer()), || {
            for _ in 0..1000 {
                let error = OpenError::Read(io::Error::other("a bad disk"));
                report_unopened(&Contents::default(), &content, "", &error);
            }
        });
        let lines = log.entries(&LogFilter::default(), 0, 10);
        assert!(lines.len() == 1 && format!("{lines:?}").contains("a bad disk"), "{lines:?}");
    }
}
