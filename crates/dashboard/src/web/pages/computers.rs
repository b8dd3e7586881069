//! The computers of the lesson: their names, what they have, and by which program.

use std::net::IpAddr;

use askama::Template;
use axum::Form;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use tracker_monitor::{ComputerName, ComputerRow, NameSource, Reachability, ReachabilityReason};

use super::search::Search;
use crate::web::Dashboard;
use crate::web::api::extract::Query;
use crate::web::format::{Moment, MomentStyle, bytes, count, counted, rate};
use crate::web::problem::Problem;
use crate::web::role::{Operator, Role};
use crate::web::shell::{Section, Shell, link, render, render_blocking};
use crate::web::table::{Pages, Part, page_number};

/// The path of this page.
const PATH: &str = "/manage/computers";

/// Computers on a page.
const PAGE: usize = 100;

#[derive(Template)]
#[template(path = "computers.html")]
struct ComputersPage {
    shell: Shell,
    search: String,
    /// `30 computers`.
    total: String,
    is_empty: bool,
    rows: Vec<Row>,
    pages: Pages,
    /// The computer that is given a name.
    naming: Option<Naming>,
}

/// The form for the name of a computer.
struct Naming {
    address: String,
    /// The name that it was given.
    name: String,
    /// What it is called otherwise.
    otherwise: Option<String>,
    /// The part of the list to go back to.
    search: String,
    page: String,
    /// Its link.
    back: String,
}

struct Row {
    id: String,
    name: NameView,
    counts: bool,
    /// The link to the form for its name, for the operator.
    rename: Option<String>,
    /// What it has.
    has: String,
    /// What it is doing.
    doing: Option<String>,
    stuck: Option<String>,
    /// What it got from this machine: `1.2 GB`.
    sent: Option<String>,
    rate: Option<String>,
    program: Option<String>,
    reach: &'static str,
    last_seen: Option<Moment>,
    log: String,
}

/// The name of a computer with its address under it, or the address alone.
#[derive(Template)]
#[template(
    source = "{% if let Some(name) = name %}<span class=\"name\">{{ name }}</span><span class=\"small muted under\"><code>{{ address }}</code></span>{% else %}<code>{{ address }}</code>{% endif %}",
    ext = "html"
)]
pub(super) struct NameView {
    name: Option<String>,
    address: String,
}

impl NameView {
    pub(super) fn new(address: IpAddr, name: Option<&ComputerName>) -> Self {
        Self::of(address, name.map(|name| &*name.name))
    }

    pub(super) fn of(address: IpAddr, name: Option<&str>) -> Self {
        Self { name: name.map(ToOwned::to_owned), address: address.to_string() }
    }
}

/// The query of `GET /manage/computers`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ComputersParams {
    search: Option<String>,
    page: Option<String>,
    /// The address of a computer that is to be given a name.
    name: Option<String>,
}

/// The form with the name of a computer.
#[derive(Debug, Deserialize)]
pub(super) struct NameForm {
    address: IpAddr,
    /// Empty to take the name back.
    name: String,
    /// The part of the list to go back to.
    #[serde(default)]
    search: String,
    #[serde(default)]
    page: String,
}

/// `GET /manage/computers`.
pub(super) async fn page(
    State(dashboard): State<Dashboard>,
    role: Role,
    Query(params): Query<ComputersParams>,
) -> Response {
    render_blocking(dashboard, move |dashboard| computers(dashboard, role, &params)).await
}

/// `POST /manage/computers`: gives a computer a name, also where scripts do not run.
pub(super) async fn name(State(dashboard): State<Dashboard>, _: Operator, Form(form): Form<NameForm>) -> Response {
    let set = move |dashboard: &Dashboard| match dashboard
        .config()
        .observer
        .computers()
        .set_name(form.address, form.name.trim())
    {
        Ok(()) => {
            let list = link(PATH, &[("search", &form.search), ("page", &form.page)]);
            Redirect::to(&format!("{list}#computer-{}", form.address)).into_response()
        }
        Err(error) => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()).into_response(),
    };
    render_blocking(dashboard, set).await
}

fn computers(dashboard: &Dashboard, role: Role, params: &ComputersParams) -> Response {
    let shell = Shell::new(dashboard, role, Section::Computers);
    let computers = &dashboard.config().observer.computers();
    let all = computers.all();
    let search = Search::new(params.search.as_deref());
    let texts: Vec<_> = all.iter().map(|row| (searched(row), row)).collect();
    let found = search.find(&texts, |(text, _)| text);
    let part = Part::new(&found, PAGE, page_number(params.page.as_deref()));
    let list = [("search", search.text()), ("page", params.page.as_deref().unwrap_or_default())];
    let naming = params.name.as_ref().filter(|_| shell.operator()).and_then(|address| address.parse().ok());
    render(&ComputersPage {
        total: match search.text().is_empty() {
            true => counted(all.len() as u64, "computer"),
            false => format!("{} found", count(found.len() as u64)),
        },
        is_empty: all.is_empty(),
        rows: part.items.iter().map(|(_, row)| Row::new(&shell, row, list)).collect(),
        pages: part.pages(PATH, &[("search", search.text())]),
        naming: naming.map(|address| Naming::new(address, computers.name(address), list)),
        search: search.into_text(),
        shell,
    })
}

/// What a computer is found by.
fn searched(row: &ComputerRow) -> String {
    let name = row.name.as_ref().map_or("", |name| &*name.name);
    format!("{name} {} {}", row.address, row.client.as_deref().unwrap_or_default())
}

impl Naming {
    fn new(address: IpAddr, name: Option<ComputerName>, list: [(&str, &str); 2]) -> Self {
        let (given, other) = match name {
            Some(ComputerName { name, source: NameSource::Given, .. }) => (Some(name), None),
            Some(ComputerName { name, .. }) => (None, Some(name)),
            None => (None, None),
        };
        Self {
            address: address.to_string(),
            name: given.map(|name| name.to_string()).unwrap_or_default(),
            otherwise: other.map(|name| name.to_string()),
            back: link(PATH, &list),
            search: list[0].1.to_owned(),
            page: list[1].1.to_owned(),
        }
    }
}

impl Row {
    /// `list` is the query of the part of the list that is shown.
    fn new(shell: &Shell, row: &ComputerRow, list: [(&str, &str); 2]) -> Self {
        let address = row.address.to_string();
        Self {
            name: NameView::new(row.address, row.name.as_ref()),
            counts: row.counts,
            rename: shell.operator().then(|| link(PATH, &[&list[..], &[("name", &address)]].concat())),
            has: has_text(row),
            doing: (row.downloading > 0).then(|| format!("is downloading {}", counted(row.downloading.into(), "file"))),
            stuck: (row.stuck > 0).then(|| format!("stuck with {}", counted(row.stuck.into(), "file"))),
            sent: Some(row.sent.total()).filter(|&sent| sent > 0).map(|sent| bytes(sent as f64)),
            rate: (row.rate >= 1.0).then(|| rate(row.rate)),
            reach: reach_text(row),
            program: programs(row.client.as_deref(), row.has_browser),
            last_seen: row.last_seen.map(|at| shell.moment(at, MomentStyle::Ago)),
            log: link("/manage/log", &[("computer", &address)]),
            id: address,
        }
    }
}

/// The programs by which a computer gets files: its BitTorrent client, and a browser if it has used one.
pub(super) fn programs(client: Option<&str>, has_browser: bool) -> Option<String> {
    match (client, has_browser) {
        (Some(client), true) => Some(format!("{client}, and a browser")),
        (Some(client), false) => Some(client.to_owned()),
        (None, true) => Some("a browser".to_owned()),
        (None, false) => None,
    }
}

/// `lecture.mp4, slides.pdf and 3 more`.
fn has_text(row: &ComputerRow) -> String {
    let names = row.has_names.iter().map(|name| &**name).collect::<Vec<_>>().join(", ");
    match (row.has, u64::from(row.has).saturating_sub(row.has_names.len() as u64)) {
        (0, _) => "nothing yet".to_owned(),
        (_, 0) => names,
        (_, more) => format!("{names} and {} more", count(more)),
    }
}

/// Whether others can connect to it, as far as the tracker knows.
fn reach_text(row: &ComputerRow) -> &'static str {
    use ReachabilityReason::{EncryptedOnly, NoAnswer, OtherClient, Refused, SameMachine, UtpOnly};
    match (row.reachability, row.reason) {
        (Reachability::No, Some(NoAnswer)) => "no: no answer (its firewall)",
        (Reachability::No, Some(Refused)) => "no: refused (no program listens on the port of its client)",
        (Reachability::No, _) => {
            "cannot be reached: its client listens on no port, or announces from an address to which nobody can connect"
        }
        (_, Some(EncryptedOnly)) => "by encrypted connections only",
        (_, Some(UtpOnly)) => "over UDP only",
        (_, Some(OtherClient)) => "yes, but another BitTorrent client answers",
        (Reachability::Yes, _) => "yes",
        (Reachability::Unknown, Some(SameMachine)) => "on this machine: not checked",
        (Reachability::Unknown, _) if row.client.is_none() => "–",
        (Reachability::Unknown, _) => "not checked",
    }
}
