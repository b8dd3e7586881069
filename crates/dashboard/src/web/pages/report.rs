//! The report of a lesson, to look at and to print.

use std::ops::Range;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use tracker_monitor::{CopyCheck, CopyReport, FileReport, LessonReport, NetworkPoint};

use super::completion::completion_plot;
use super::computers::NameView;
use super::course::{CourseLine, CoursePlot};
use crate::web::Dashboard;
use crate::web::api::extract::Query;
use crate::web::format::{Moment, MomentStyle, bits, bytes, count, counted, duration, elapsed, have_it, percent, rate};
use crate::web::problem::Problem;
use crate::web::report::{answer_times, compared_with_link, report, sent_text, setup_text, way_with_bytes};
use crate::web::role::{Operator, Role};
use crate::web::shell::{Section, Shell, link, render, render_blocking};
use crate::web::table::{Pages, page_number};

/// The path of this page.
const PATH: &str = "/manage/report";

/// Files on a page, at most.
const FILES: usize = 50;

/// Copies on a page, at most, unless a single file has more: they take some 2 MB.
const COPIES: usize = 2000;

/// Computers of a file on the page, at most. All are in the CSV.
const COMPUTERS: usize = 500;

/// Digests of a folder on the page, at most. All are in the JSON.
const DIGESTS: usize = 20;

#[derive(Template)]
#[template(path = "report.html")]
struct ReportPage {
    shell: Shell,
    number: u32,
    /// The numbers of all lessons, the current one first.
    lessons: Vec<u32>,
    /// The day on which it began.
    day: Moment,
    started: Moment,
    ended: Option<Moment>,
    lasted: String,
    computers: String,
    is_complete: bool,
    link: Option<String>,
    answers: Option<String>,
    files: Vec<FileView>,
    pages: Pages,
    peers: Option<CoursePlot>,
    rates: Option<CoursePlot>,
}

struct FileView {
    /// A part of its element ids.
    id: usize,
    name: String,
    size: Option<String>,
    has: String,
    facts: Vec<(&'static str, String)>,
    digests: Vec<(String, String)>,
    more_digests: Option<String>,
    copies: Vec<CopyView>,
    more_copies: Option<String>,
    plot: Option<CoursePlot>,
}

struct CopyView {
    name: NameView,
    came: Moment,
    setup: Option<String>,
    took: Option<String>,
    mean: Option<String>,
    peak: Option<String>,
    completion: String,
    way: String,
    client: Option<String>,
    check: &'static str,
}

/// The query of `GET /manage/report`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ReportParams {
    lesson: Option<String>,
    page: Option<String>,
}

/// `GET /manage/report`: of the current lesson, if no other is asked for.
pub(super) async fn page(
    State(dashboard): State<Dashboard>,
    role: Role,
    Query(params): Query<ReportParams>,
) -> Response {
    render_blocking(dashboard, move |dashboard| show(dashboard, role, &params)).await
}

/// `POST /manage/report`: begins a new lesson, also where scripts do not run.
pub(super) async fn begin(State(dashboard): State<Dashboard>, _: Operator) -> Response {
    let begin = |dashboard: &Dashboard| {
        dashboard.config().observer.lessons().begin();
        Redirect::to(PATH).into_response()
    };
    render_blocking(dashboard, begin).await
}

fn show(dashboard: &Dashboard, role: Role, params: &ReportParams) -> Response {
    let lessons = dashboard.config().observer.lessons();
    let asked = params.lesson.as_deref().map(str::trim).filter(|number| !number.is_empty());
    let number = asked.map_or_else(|| Some(lessons.current()), |number| number.parse().ok());
    let cached = |number| dashboard.0.reports.get(number, || report(dashboard, number));
    let Some(report) = number.and_then(cached) else {
        let why = "there is no such lesson, or not any more: choose one on the page Report";
        return Problem::new(StatusCode::NOT_FOUND, why).into_response();
    };
    let shell = Shell::new(dashboard, role, Section::Report);
    let numbers = lessons.list(shell.zero).iter().map(|lesson| lesson.number).collect();
    render(&ReportPage::new(shell, &report, numbers, page_number(params.page.as_deref())))
}

impl ReportPage {
    fn new(shell: Shell, report: &LessonReport, lessons: Vec<u32>, page: usize) -> Self {
        let moment = |unix: u64| Moment {
            at: i64::try_from(unix).unwrap_or(i64::MAX),
            now: shell.now,
            style: MomentStyle::Clock,
        };
        let parts = parts(report.files.iter().map(|file| file.copies.len().min(COMPUTERS)));
        let link = |page: usize| link(PATH, &[("lesson", &*report.number.to_string()), ("page", &page.to_string())]);
        let pages = Pages::new(page, 1, parts.len(), link);
        let shown = parts.get(pages.page - 1).map(|part| &report.files[part.clone()]).unwrap_or_default();
        let files = shown.iter().enumerate().map(|(id, file)| FileView::new(id, file, moment));
        Self {
            number: report.number,
            lessons,
            day: Moment { style: MomentStyle::Day, ..moment(report.started) },
            started: moment(report.started),
            ended: report.ended.map(moment),
            lasted: duration(report.secs),
            computers: counted(report.computers.into(), "computer"),
            is_complete: report.is_complete,
            link: report.link_speed.map(bits),
            answers: report.answers.as_ref().map(answer_times),
            files: files.collect(),
            pages,
            peers: peers_plot(&report.plot),
            rates: rates_plot(&report.plot),
            shell,
        }
    }
}

impl FileView {
    fn new(id: usize, file: &FileReport, moment: impl Fn(u64) -> Moment) -> Self {
        let digests = file.digests.iter().filter_map(|digest| {
            let path = if file.digests.len() > 1 { digest.path.clone() } else { String::new() };
            Some((path, digest.sha256.clone()?))
        });
        let digests: Vec<_> = digests.collect();
        let more =
            |all: usize, shown: usize| all.checked_sub(shown).filter(|&more| more > 0).map(|more| count(more as u64));
        Self {
            id,
            name: file.name.to_string(),
            size: file.size.map(|size| bytes(size as f64)),
            has: have_it(file.progress.has, file.progress.of),
            facts: facts(file),
            more_digests: more(digests.len(), DIGESTS),
            digests: digests.into_iter().take(DIGESTS).collect(),
            copies: file.copies.iter().take(COMPUTERS).map(|copy| CopyView::new(copy, &moment)).collect(),
            more_copies: more(file.copies.len(), COMPUTERS),
            plot: completion_plot(format!("completion-{id}"), &file.plot),
        }
    }
}

/// The figures of a file that are known.
fn facts(file: &FileReport) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    if let Some(secs) = file.spread_secs {
        facts.push(("Until the last copy", format!("{} after the first computer asked for it", elapsed(secs))));
    }
    facts.extend(compared_with_link(file).map(|compared| ("What is possible", compared)));
    facts.extend(sent_text(file).map(|sent| ("Sent by this machine", sent)));
    facts
}

impl CopyView {
    fn new(copy: &CopyReport, moment: &impl Fn(u64) -> Moment) -> Self {
        Self {
            name: NameView::of(copy.address, copy.name.as_deref()),
            came: moment(copy.came),
            setup: setup_text(copy),
            took: copy.took_secs.map(elapsed),
            mean: copy.mean_rate.map(rate),
            peak: copy.peak_rate.map(rate),
            completion: copy.completion.map_or_else(|| "unknown".to_owned(), percent),
            way: way_with_bytes(copy),
            client: copy.client.clone(),
            check: match copy.check {
                CopyCheck::Pieces => "every piece, by its program",
                CopyCheck::Digest => "not yet: compare the SHA-256",
                CopyCheck::Incomplete => "–",
            },
        }
    }
}

/// The files of each page, by how many copies each of them shows.
fn parts(copies: impl Iterator<Item = usize>) -> Vec<Range<usize>> {
    let (mut parts, mut on_page): (Vec<Range<usize>>, _) = (Vec::new(), 0);
    for (file, copies) in copies.enumerate() {
        on_page += copies;
        match parts.last_mut() {
            Some(part) if part.len() < FILES && on_page <= COPIES => part.end = file + 1,
            _ => {
                parts.push(file..file + 1);
                on_page = copies;
            }
        }
    }
    parts
}

fn peers_plot(points: &[NetworkPoint]) -> Option<CoursePlot> {
    let last = points.last().filter(|_| points.len() >= 2)?;
    let top = points.iter().map(|point| point.seeders.max(point.leechers)).fold(4.0, f64::max);
    let line = |color, value: fn(&NetworkPoint) -> f64| CourseLine::new(color, points, |point| point.secs, value);
    Some(CoursePlot {
        id: "peers".to_owned(),
        description: format!(
            "At the end {} BitTorrent clients have all of a file, and {} are downloading.",
            count(last.seeders.round() as u64),
            count(last.leechers.round() as u64),
        ),
        lines: vec![line("leechers", |point| point.leechers), line("seeders", |point| point.seeders)],
        top: (top / 2.0).ceil() * 2.0,
        label: |value| count(value.round() as u64),
        left: 48.0,
    })
}

fn rates_plot(points: &[NetworkPoint]) -> Option<CoursePlot> {
    let most = |value: fn(&NetworkPoint) -> f64| points.iter().map(value).fold(0.0, f64::max);
    let (sent, downloaded) = (most(|point| point.sent_rate), most(|point| point.download_rate));
    let line = |color, value: fn(&NetworkPoint) -> f64| CourseLine::new(color, points, |point| point.secs, value);
    (points.len() >= 2).then(|| CoursePlot {
        id: "rates".to_owned(),
        description: format!(
            "This machine sends {} at most, and BitTorrent clients download {} at most.",
            rate(sent),
            rate(downloaded),
        ),
        lines: vec![line("leechers", |point| point.download_rate), line("rate", |point| point.sent_rate)],
        top: round_top(sent.max(downloaded).max(1e6)),
        label: rate,
        left: 84.0,
    })
}

/// The next number that is 1, 2, 4 or 6 times a power of ten, so that half of it is a round one, too.
fn round_top(most: f64) -> f64 {
    let power = 10f64.powf(most.log10().floor());
    let steps = [1.0, 2.0, 4.0, 6.0, 10.0];
    steps.into_iter().map(|step| step * power).find(|&top| top >= most).unwrap_or(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_few_files_or_few_copies() {
        let parts = |copies: &[usize]| parts(copies.iter().copied());
        assert!(parts(&[]).is_empty());
        assert_eq!(parts(&[30; 120]), [0..50, 50..100, 100..120]);
        assert_eq!(parts(&[500; 9]), [0..4, 4..8, 8..9]);
        assert_eq!(parts(&[0, COPIES + 1, 1]), [0..1, 1..2, 2..3]);
    }

    #[test]
    fn axes_end_at_round_numbers() {
        for (most, top) in [(1e6, 1e6), (1.1e6, 2e6), (3.9e7, 4e7), (6.5e8, 1e9), (1e9, 1e9)] {
            assert!((round_top(most) / top - 1.0).abs() < 1e-9, "{most}");
        }
    }
}
