//! The tracker itself: running or stopped, its ports and its announce URLs; and its plots as images.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, UNIX_EPOCH};

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::client_rules::RulesView;
use crate::web::Dashboard;
use crate::web::access::{Session, Visitor};
use crate::web::api::extract::Query;
use crate::web::plot::{self, Axis, Plot, Shape, Theme};
use crate::web::problem::Problem;
use crate::web::public::PageLink;
use crate::web::reached_at::ReachedAt;
use crate::web::role::Role;
use tracker_host::ServiceState;
use tracker_monitor::{PageQuery, Sample, Span};

use crate::web::format::{Moment, MomentStyle, count, counted, decimal, rate};
use crate::web::shell::{Section, Shell, link, render, render_blocking};

#[derive(Template)]
#[template(path = "tracker.html")]
struct TrackerPage {
    shell: Shell,
    service: ServiceView,
    own_peer: Option<OwnPeerView>,
    health: Vec<HealthLine>,
    /// The page for everybody.
    page_link: Option<PageLink>,
    only_known: bool,
    is_for_users: bool,
    /// The rules about which clients are served, for operators.
    client_rules: Option<RulesView>,
    has_tls: bool,
    /// Who is signed in, for operators.
    sessions: Vec<SessionRow>,
    torrents: String,
    seeders: String,
    leechers: String,
    completed: String,
    announces: String,
    rate: String,
    spans: Vec<SpanLink>,
    plots: Vec<Figure>,
}

/// The state of the service for clients.
enum ServiceView {
    Running { since: Moment, elapsed: Moment, ports: String, announce_urls: Vec<String> },
    Stopped { since: Moment, error: Option<String> },
}

/// Where the tracker's own peer listens.
#[derive(Debug, PartialEq, Eq)]
enum OwnPeerView {
    Listening { ports: String },
    NotListening { why: Option<String> },
}

/// A browser that is signed in.
struct SessionRow {
    id: String,
    /// The name of the account, or how it was opened.
    who: String,
    address: String,
    began: Moment,
    last_used: Moment,
    is_this: bool,
}

/// What is known of who reaches the tracker.
struct HealthLine {
    class: &'static str,
    text: String,
}

/// A span that can be chosen.
struct SpanLink {
    label: &'static str,
    href: String,
    chosen: bool,
}

/// A plot in the page.
struct Figure {
    name: &'static str,
    title: &'static str,
    /// For the script.
    values: String,
    /// Drawn in all shapes of which the style sheet may choose one.
    drawings: Vec<String>,
    legend: &'static [(&'static str, &'static str)],
}

/// The query of `GET /manage/tracker`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct TrackerParams {
    span: Option<String>,
}

/// `GET /manage/tracker`.
pub(super) async fn page(
    State(dashboard): State<Dashboard>,
    visitor: Visitor,
    viewer: ReachedAt,
    Query(params): Query<TrackerParams>,
) -> Response {
    render_blocking(dashboard, move |dashboard| tracker(dashboard, &visitor, viewer, params)).await
}

fn tracker(dashboard: &Dashboard, visitor: &Visitor, viewer: ReachedAt, params: TrackerParams) -> Response {
    let shell = Shell::new(dashboard, visitor.role, Section::Tracker);
    let config = &dashboard.0.config;
    let status = config.observer.status();
    let span = params.span.as_deref().and_then(span).unwrap_or(Span::TenMinutes);
    let torrents = config.observer.torrents(&PageQuery { page_size: 1, ..PageQuery::default() });
    let Sample { announces, download_rate, .. } = status.last;
    let page = TrackerPage {
        service: service(&shell, config.service.state()),
        own_peer: config.own_peer.as_ref().map(OwnPeerView::new),
        health: health(dashboard),
        page_link: PageLink::of(dashboard, viewer, None),
        only_known: config.only_known,
        is_for_users: dashboard.is_for_users(),
        client_rules: RulesView::new(dashboard, visitor.role),
        has_tls: dashboard.has_tls(),
        sessions: if shell.operator() { sessions(dashboard, &shell, visitor) } else { Vec::new() },
        torrents: count(torrents.total as u64),
        seeders: count(status.totals.seeders),
        leechers: count(status.totals.leechers),
        completed: count(status.totals.completed),
        announces: decimal(announces),
        rate: rate(download_rate),
        spans: SPANS
            .iter()
            .map(|&(name, label, of)| SpanLink {
                label,
                href: link("/manage/tracker", &[("span", name)]),
                chosen: of == span,
            })
            .collect(),
        plots: figures(dashboard, &shell, span),
        shell,
    };
    render(&page)
}

/// Sessions that are shown.
const MAX_SESSIONS: usize = 50;

fn sessions(dashboard: &Dashboard, shell: &Shell, visitor: &Visitor) -> Vec<SessionRow> {
    let at = |unix| UNIX_EPOCH + Duration::from_secs(unix);
    let row = |(id, session): (String, Session)| SessionRow {
        who: session.account.map_or_else(|| "the URL with the token".to_owned(), |account| account.name.to_string()),
        address: session.address.to_string(),
        began: shell.wall(at(session.began), MomentStyle::Clock),
        last_used: shell.wall(at(session.last_used), MomentStyle::Ago),
        is_this: visitor.session.as_ref() == Some(&id),
        id,
    };
    dashboard.0.sessions.list(dashboard.unix_now()).into_iter().take(MAX_SESSIONS).map(row).collect()
}

/// Their names in URLs and on the page.
const SPANS: [(&str, &str, Span); 3] =
    [("10m", "10 min", Span::TenMinutes), ("2h", "2 h", Span::TwoHours), ("2d", "2 days", Span::TwoDays)];

fn span(name: &str) -> Option<Span> {
    SPANS.iter().find(|(known, ..)| *known == name).map(|(.., span)| *span)
}

fn figures(dashboard: &Dashboard, shell: &Shell, span: Span) -> Vec<Figure> {
    let series = dashboard.0.config.observer.history(span);
    let axis = Axis { now: shell.now, span };
    let figure = |plot: Plot| {
        let values = plot.values(&series, axis);
        let shapes: &[Shape] = if plot == Plot::Peers { &[Shape::Wide, Shape::Narrow] } else { &[Shape::Narrow] };
        let draw = |shape: &Shape| plot::draw(plot, &values, axis, Theme::Page, *shape);
        Figure {
            name: plot.name(),
            title: plot.title(),
            drawings: shapes.iter().map(draw).collect(),
            values: values.json(),
            legend: if plot == Plot::Peers { &[("seeders", "Seeders"), ("leechers", "Leechers")] } else { &[] },
        }
    };
    Plot::ALL.map(figure).into()
}

fn service(shell: &Shell, state: ServiceState) -> ServiceView {
    match state {
        ServiceState::Running { since, addresses, announce_urls } => ServiceView::Running {
            since: shell.wall(since, MomentStyle::Clock),
            elapsed: shell.wall(since, MomentStyle::Elapsed),
            ports: ports(&addresses, &announce_urls),
            announce_urls,
        },
        ServiceState::Stopped { since, error } => {
            ServiceView::Stopped { since: shell.wall(since, MomentStyle::Clock), error }
        }
    }
}

impl OwnPeerView {
    fn new(listening: &Result<Vec<SocketAddr>, String>) -> Self {
        match listening {
            Ok(addresses) if addresses.is_empty() => Self::NotListening { why: None },
            Ok(addresses) => Self::Listening { ports: format!("{}, TCP", port_numbers(addresses)) },
            Err(why) => Self::NotListening { why: Some(why.clone()) },
        }
    }
}

/// Good news only of what was seen; what was not seen yet may be on its way.
fn health(dashboard: &Dashboard) -> Vec<HealthLine> {
    let observer = &dashboard.config().observer;
    let (clients, unreachable) = observer.computers().clients();
    let (clients, unreachable) = (clients as u64, unreachable as u64);
    let good = |text: String| HealthLine { class: "is-good", text };
    let open = |text: &str| HealthLine { class: "is-open", text: text.to_owned() };
    let of_clients = match clients {
        0 if observer.lessons().current() > 1 => {
            open("No BitTorrent client of another computer has reached the tracker in this lesson yet.")
        }
        0 => open("No BitTorrent client of another computer has reached the tracker yet."),
        1 => good("The BitTorrent client of 1 other computer has reached the tracker.".to_owned()),
        _ => good(format!("The BitTorrent clients of {} other computers have reached the tracker.", count(clients))),
    };
    let of_page = if dashboard.is_reached_from_outside() {
        good("Other computers have opened the page.".to_owned())
    } else {
        open(
            "No other computer has opened the page yet. If they cannot, most often a firewall on this machine keeps them \
             out: “tracker --firewall” says how to open the ports.",
        )
    };
    let mut lines = vec![of_clients, of_page];
    if unreachable > 0 {
        let text = format!(
            "The BitTorrent clients of {} cannot be reached by others: see the page Computers.",
            counted(unreachable, "computer")
        );
        lines.push(HealthLine { class: "is-bad", text });
    }
    lines
}

/// The ports and their protocols: `6969, TCP and UDP`.
fn ports(addresses: &[SocketAddr], announce_urls: &[String]) -> String {
    let speaks = |scheme: &str| announce_urls.iter().any(|url| url.starts_with(scheme));
    let protocols = match (speaks("http"), speaks("udp:")) {
        (true, true) => ", TCP and UDP",
        (true, false) => ", TCP",
        (false, true) => ", UDP",
        (false, false) => "",
    };
    format!("{}{protocols}", port_numbers(addresses))
}

/// Each port once: `6969, 7000`.
fn port_numbers(addresses: &[SocketAddr]) -> String {
    let numbers: BTreeSet<_> = addresses.iter().map(SocketAddr::port).collect();
    numbers.iter().map(u16::to_string).collect::<Vec<_>>().join(", ")
}

#[derive(Debug, Deserialize)]
pub(super) struct PlotQuery {
    span: Option<String>,
    #[serde(default)]
    theme: Theme,
}

/// `GET /plots/{peers|announces|rate}.svg`: a plot as an image, for other pages.
pub(super) async fn plot(
    State(dashboard): State<Dashboard>,
    Path(name): Path<String>,
    Query(query): Query<PlotQuery>,
) -> Response {
    let plot = name.strip_suffix(".svg").and_then(|name| Plot::ALL.into_iter().find(|plot| plot.name() == name));
    let span = query.span.as_deref().map_or(Some(Span::TenMinutes), span);
    let (Some(plot), Some(span)) = (plot, span) else {
        let error =
            "there is no such plot: they are peers.svg, announces.svg and rate.svg, each with a span of 10m, 2h or 2d";
        return Problem::new(StatusCode::NOT_FOUND, error).into_response();
    };
    let draw = move |dashboard: &Dashboard| {
        let axis = Axis { now: Shell::new(dashboard, Role::Viewer, Section::None).now, span };
        let values = plot.values(&dashboard.0.config.observer.history(span), axis);
        let svg = plot::draw(plot, &values, axis, query.theme, Shape::Wide);
        ([(CONTENT_TYPE, "image/svg+xml"), (CACHE_CONTROL, "no-store")], svg).into_response()
    };
    render_blocking(dashboard, draw).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_named_once_with_their_protocols() {
        let address = |text: &str| text.parse().unwrap();
        let addresses = [address("0.0.0.0:6969"), address("[::]:6969")];
        let urls = ["http://h:6969/announce".to_owned(), "udp://h:6969/announce".to_owned()];
        assert_eq!(ports(&addresses, &urls), "6969, TCP and UDP");
        assert_eq!(ports(&addresses[..1], &urls[1..]), "6969, UDP");
        assert_eq!(ports(&[address("0.0.0.0:1"), address("0.0.0.0:2")], &urls[..1]), "1, 2, TCP");
    }
}
