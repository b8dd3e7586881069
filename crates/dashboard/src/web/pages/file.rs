//! A file for the operator: who has it, who does not, and why.

use askama::Template;
use axum::Form;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use torrent_library::{ContentKey, KnownTorrent};
use tracker_monitor::{CopyRow, CopyStatus, FileProgress, TorrentRow, Way};

use super::completion::completion_plot;
use super::computers::{NameView, programs};
use super::connections::Connections;
use super::course::CoursePlot;
use super::files::{Has, preparing_text, source_text, time_left_text, withheld_text};
use super::giving::{Giving, many_at_once};
use super::missing::Missing;
use crate::web::Dashboard;
use crate::web::api::extract::Query;
use crate::web::files::Source;
use crate::web::format::{Bar, Moment, MomentStyle, bytes, counted, duration, percent, rate};
use crate::web::problem::Problem;
use crate::web::public::{Offer, PageLink, TorrentDetails, TorrentOf};
use crate::web::reached_at::ReachedAt;
use crate::web::role::{Operator, Role};
use crate::web::seeding::{self, SeedingAction};
use crate::web::shell::{Section, Shell, file_href, render, render_blocking};
use crate::web::table::{Pages, Part, PartParams};

/// Computers on a page.
const PAGE: usize = 100;

/// Computers that are named for each reason why they do not have it.
const NAMED: usize = 40;

/// Seconds after which what a computer said is marked as old.
const STALE_AFTER: u64 = 90;

#[derive(Template)]
#[template(path = "file.html")]
struct FilePage {
    shell: Shell,
    key: String,
    name: String,
    /// `true` if the name is not known, and this is the info-hash.
    is_hash: bool,
    size: Option<String>,
    source: String,
    is_nowhere: bool,
    preparing: Option<String>,
    has: Has,
    others: Option<String>,
    time_left: Option<String>,
    rate: String,
    missing: Missing,
    giving: Option<Giving>,
    /// The hint for many downloads at once.
    many_at_once: Option<String>,
    connections: Option<Connections>,
    /// `true` if a download is seen as it goes on, so that the page is worth a look each second.
    is_live: bool,
    /// `true` if what some computer has is only known from its reports.
    has_reports: bool,
    /// `30 computers`.
    computers_total: String,
    computers: Vec<ComputerView>,
    pages: Pages,
    plot: Option<CoursePlot>,
    /// The page for everybody.
    page_link: Option<PageLink>,
    torrent: Option<TorrentDetails>,
    info_hash: Option<String>,
    /// `12 files`.
    files: Option<String>,
}

/// A computer in the list.
struct ComputerView {
    id: String,
    name: NameView,
    client: Option<String>,
    status: &'static str,
    class: &'static str,
    completion: Bar,
    time_left: Option<String>,
    rate: Option<String>,
    /// `true` if it was last heard of long ago.
    stale: bool,
    last_seen: Option<Moment>,
}

/// What the page is about.
enum Subject {
    Offer(Offer),
    /// A torrent that clients announce, of which the .torrent is not known.
    Unnamed(TorrentRow),
}

/// `GET /manage/files/{key}`.
pub(super) async fn page(
    State(dashboard): State<Dashboard>,
    role: Role,
    viewer: ReachedAt,
    Path(key): Path<String>,
    Query(params): Query<PartParams>,
) -> Response {
    render_blocking(dashboard, move |dashboard| file(dashboard, role, viewer, &key, &params)).await
}

fn file(dashboard: &Dashboard, role: Role, viewer: ReachedAt, text: &str, params: &PartParams) -> Response {
    let config = dashboard.config();
    let Ok(key) = text.parse::<ContentKey>() else { return not_known() };
    let current = config.contents.current_key(key);
    if current != key {
        return Redirect::temporary(&file_href(current)).into_response();
    }
    let subject = match (Offer::find(dashboard, key), key) {
        (Some(offer), _) => Subject::Offer(offer),
        (None, ContentKey::Swarm(info_hash)) => match config.observer.torrent(&info_hash) {
            Some(row) => Subject::Unnamed(row),
            None => return not_known(),
        },
        (None, ContentKey::Id(_)) => return not_known(),
    };
    render(&FilePage::new(dashboard, role, viewer, &subject, params))
}

/// The form on the page.
#[derive(Debug, Deserialize)]
pub(super) struct SeedingForm {
    action: SeedingAction,
}

/// `POST /manage/files/{key}`: stops giving a file and the like, also where scripts do not run.
pub(super) async fn change(
    State(dashboard): State<Dashboard>,
    _: Operator,
    Path(key): Path<String>,
    Form(SeedingForm { action }): Form<SeedingForm>,
) -> Response {
    let change = move |dashboard: &Dashboard| {
        let Ok(info_hash) = key.parse() else { return not_known() };
        match seeding::change(dashboard, &info_hash, action) {
            Ok(()) => Redirect::to(&file_href(ContentKey::Swarm(info_hash))).into_response(),
            Err(problem) => problem.into_response(),
        }
    };
    render_blocking(dashboard, change).await
}

fn is_damaged(dashboard: &Dashboard, key: ContentKey) -> bool {
    matches!(key, ContentKey::Swarm(info_hash) if dashboard.config().contents.damage(&info_hash).is_some())
}

fn not_known() -> Response {
    let error =
        "the tracker does not know this file: it is not shared any more, or has been replaced by a newer version";
    Problem::new(StatusCode::NOT_FOUND, error).into_response()
}

impl Subject {
    fn key(&self) -> ContentKey {
        match self {
            Self::Offer(offer) => offer.key,
            Self::Unnamed(row) => ContentKey::Swarm(row.info_hash),
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Offer(offer) => offer.name.to_string(),
            Self::Unnamed(TorrentRow { name: Some(name), .. }) => name.to_string(),
            Self::Unnamed(row) => row.info_hash.to_string(),
        }
    }

    fn offer(&self) -> Option<&Offer> {
        match self {
            Self::Offer(offer) => Some(offer),
            Self::Unnamed(_) => None,
        }
    }

    /// Returns `true` if nobody knows its name.
    fn is_hash(&self) -> bool {
        matches!(self, Self::Unnamed(TorrentRow { name: None, .. }))
    }

    fn size_text(&self) -> Option<String> {
        match self {
            Self::Offer(offer) => Some(offer.size_text()),
            Self::Unnamed(row) => row.size.map(|size| bytes(size as f64)),
        }
    }

    /// The number of the files of a torrent.
    fn file_count(&self) -> Option<usize> {
        match self {
            Self::Offer(_) => self.known().map(KnownTorrent::file_count),
            Self::Unnamed(row) => row.file_count,
        }
    }

    fn known(&self) -> Option<&KnownTorrent> {
        match self {
            Self::Offer(Offer { torrent: TorrentOf::Known(known), .. }) => Some(known),
            _ => None,
        }
    }
}

impl FilePage {
    fn new(dashboard: &Dashboard, role: Role, viewer: ReachedAt, subject: &Subject, params: &PartParams) -> Self {
        let shell = Shell::new(dashboard, role, Section::Files);
        let (key, offer) = (subject.key(), subject.offer());
        let computers = &dashboard.config().observer.computers();
        let progress: FileProgress = computers.progress(key);
        let rows = computers.of_file(key);
        let source = Source::of(dashboard, key, &progress);
        let part = Part::new(&rows, PAGE, params.page());
        Self {
            name: subject.name(),
            is_hash: subject.is_hash(),
            size: subject.size_text(),
            source: subject
                .known()
                .and_then(|known| withheld_text(dashboard, known))
                .unwrap_or_else(|| source_text(source)),
            is_nowhere: source == Source::Nobody && !is_damaged(dashboard, key),
            preparing: offer.and_then(|offer| preparing_text(&offer.torrent)),
            has: Has::new(&progress),
            others: progress.average_of_others.map(percent),
            time_left: time_left_text(&progress),
            rate: rate(progress.rate),
            missing: Missing::new(&rows, NAMED),
            giving: subject.known().and_then(|known| Giving::of(dashboard, known)),
            many_at_once: many_at_once(&rows).filter(|_| shell.operator()),
            connections: Connections::new(computers, key, &rows),
            is_live: rows.iter().any(|row| row.is_live && is_downloading(row)),
            has_reports: rows.iter().any(|row| !row.is_live && is_downloading(row)),
            computers_total: counted(rows.len() as u64, "computer"),
            computers: part.items.iter().map(|row| ComputerView::new(&shell, row)).collect(),
            pages: part.pages(&file_href(key), &[]),
            plot: completion_plot("completion".to_owned(), &computers.plot(key)),
            page_link: PageLink::of(dashboard, viewer, Some(key)),
            torrent: subject.known().map(|known| TorrentDetails::of(dashboard, viewer, known)),
            info_hash: match key {
                ContentKey::Swarm(info_hash) => Some(info_hash.to_string()),
                ContentKey::Id(_) => None,
            },
            files: subject.file_count().map(|files| counted(files as u64, "file")),
            key: key.to_string(),
            shell,
        }
    }
}

impl ComputerView {
    fn new(shell: &Shell, row: &CopyRow) -> Self {
        let (status, class) = match row.status {
            CopyStatus::HasIt => ("Has it", "seeding"),
            CopyStatus::Downloading => ("Is downloading", "downloading"),
            CopyStatus::HasSelection => ("Has its part", "partial"),
            CopyStatus::Stuck(_) => ("Stuck", "stuck"),
            CopyStatus::Stopped => ("Stopped", "silent"),
            CopyStatus::NotBegun => ("Has not begun", "partial"),
        };
        let last_seen = row.last_seen.map(|at| shell.moment(at, MomentStyle::Ago));
        Self {
            id: row.address.to_string(),
            name: NameView::new(row.address, row.name.as_ref()),
            client: client_text(row),
            status,
            class,
            completion: Bar(row.completion),
            time_left: row.time_left.map(|left| duration(left.as_secs().max(1))),
            rate: row.rate.filter(|bytes| *bytes >= 1.0).map(rate),
            stale: is_downloading(row)
                && last_seen.is_some_and(|seen| seen.now.saturating_sub(seen.at) > STALE_AFTER as i64),
            last_seen,
        }
    }
}

fn is_downloading(row: &CopyRow) -> bool {
    matches!(row.status, CopyStatus::Downloading | CopyStatus::Stuck(_))
}

/// By which program a computer gets a file.
fn client_text(row: &CopyRow) -> Option<String> {
    let unnamed = || (row.way == Some(Way::WebSeed)).then(|| "a BitTorrent client".to_owned());
    programs(row.client.as_deref(), row.way == Some(Way::Browser)).or_else(unnamed)
}
