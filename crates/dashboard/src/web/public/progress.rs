//! Who has what, as the pages for everybody show it.

use std::fmt::{self, Display, Formatter};
use std::net::IpAddr;
use std::time::Duration;

use askama::filters::HtmlSafe;
use torrent_library::ContentKey;
use tracker_monitor::{CopyStatus, FileProgress, OwnCopy};

use super::offers::Offer;
use crate::web::Dashboard;
use crate::web::files::Source;
use crate::web::format::{Meter, count, counted, duration, have_it, percent};

/// The maximum number of the viewer's own downloads that are shown in a list.
const OWN: usize = 3;

/// The maximum number of computers that are named as missing a file.
const NAMED: usize = 12;

/// How many have a file: `27 of 30 have it`, and a bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Have {
    has: u32,
    /// At least 1.
    of: u32,
}

impl Have {
    /// `None` while no computer was seen that may want it.
    pub(super) fn of(progress: &FileProgress) -> Option<Self> {
        (progress.of > 0).then_some(Self { has: progress.has, of: progress.of })
    }
}

impl Display for Have {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { has, of } = *self;
        let meter = Meter(f64::from(has) / f64::from(of));
        write!(f, "<span class=\"have-text\">{}</span> {meter}", have_it(has, of))
    }
}

impl HtmlSafe for Have {}

/// Where an offer comes from that this machine does not have, or does not send since it is damaged.
pub(super) fn source(dashboard: &Dashboard, offer: &Offer, progress: &FileProgress) -> Option<String> {
    let info_hash = offer.info_hash()?;
    if dashboard.config().contents.damage(&info_hash).is_some() {
        return Some(
            "damaged on the computer that shares it, which sends nothing of it: tell the person in charge".to_owned(),
        );
    }
    match Source::of(dashboard, offer.key, progress) {
        Source::ThisMachine => None,
        Source::Computers(number) => Some(format!("by {}", counted(number.into(), "computer"))),
        Source::Nobody => Some("nobody has it yet".to_owned()),
    }
}

/// The names of the computers that do not have an offer, the first of them if there are many.
pub(super) fn missing(dashboard: &Dashboard, offer: &Offer) -> Option<String> {
    let (names, total) = dashboard.config().observer.computers().missing(offer.key, NAMED);
    missing_text(&names, total)
}

fn missing_text(names: &[impl AsRef<str>], total: usize) -> Option<String> {
    let listed = names.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(", ");
    match total.saturating_sub(names.len()) {
        _ if total == 0 => None,
        0 => Some(listed),
        more => Some(format!("{listed}, and {} more", count(more as u64))),
    }
}

/// The number of downloads in progress that this machine sends to browsers.
pub(super) fn downloads(dashboard: &Dashboard) -> usize {
    dashboard.config().observer.computers().downloads().running()
}

/// What the viewer's own computer has of a file.
pub(super) struct Mine {
    /// `This computer: lecture.mp4 43%, about 2 min left`.
    pub(super) text: String,
    /// While it does not have all of it.
    pub(super) meter: Option<Meter>,
}

impl Mine {
    /// What the computer at an address has of one file.
    pub(super) fn of_file(dashboard: &Dashboard, viewer: IpAddr, key: ContentKey) -> Vec<Self> {
        let copies = own_copies(dashboard, viewer);
        copies.iter().filter(|(of, _)| *of == key).map(|(_, copy)| Self::new(copy, None)).collect()
    }

    /// The downloads of the computer at an address that are not finished.
    pub(super) fn unfinished(dashboard: &Dashboard, viewer: IpAddr, offers: &[Offer]) -> Vec<Self> {
        let copies = own_copies(dashboard, viewer);
        let unfinished = copies.iter().filter(|(_, copy)| {
            !matches!(copy.status, CopyStatus::HasIt | CopyStatus::HasSelection | CopyStatus::NotBegun)
        });
        let offered = unfinished.filter_map(|(key, copy)| {
            let offer = offers.iter().find(|offer| offer.key == *key)?;
            Some(Self::new(copy, Some(&offer.name)))
        });
        offered.take(OWN).collect()
    }

    /// `name` is that of the file, unless the page is about it.
    fn new(copy: &OwnCopy, name: Option<&str>) -> Self {
        let name = name.map(|name| format!("{name} ")).unwrap_or_default();
        let has = copy.completion.map(|part| match copy.age.as_secs() {
            0..60 => percent(part),
            age => format!("{} ({} ago)", percent(part), duration(age)),
        });
        // What it has is not known of a magnet link without metadata, for one.
        let and = |doing: &str| has.as_ref().map_or_else(|| doing.to_owned(), |has| format!("{has}, {doing}"));
        let state = match copy.status {
            CopyStatus::HasIt => "has it".to_owned(),
            CopyStatus::HasSelection => "has a part of it".to_owned(),
            CopyStatus::Downloading => match copy.time_left {
                Some(left) => and(&left_text(left)),
                None => has.unwrap_or_else(|| "is downloading".to_owned()),
            },
            CopyStatus::Stuck(_) => and("gets nothing at the moment"),
            _ => and("stopped"),
        };
        let is_over = matches!(copy.status, CopyStatus::HasIt | CopyStatus::HasSelection);
        Self { text: format!("This computer: {name}{state}"), meter: copy.completion.filter(|_| !is_over).map(Meter) }
    }
}

/// What the computer at an address has, each with the key by which it is offered.
fn own_copies(dashboard: &Dashboard, viewer: IpAddr) -> Vec<(ContentKey, OwnCopy)> {
    let contents = &dashboard.config().contents;
    let copies = dashboard.config().observer.computers().own_copies(viewer);
    copies.into_iter().map(|copy| (contents.current_key(copy.key), copy)).collect()
}

/// `about 2 min left`; the last seconds are not counted, for they jump.
fn left_text(left: Duration) -> String {
    match left.as_secs() {
        0..10 => "a few seconds left".to_owned(),
        secs @ 10..60 => format!("about {} left", duration(secs.next_multiple_of(10))),
        secs => format!("about {} left", duration(secs + 30)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_miss_it_are_named_as_far_as_there_is_room() {
        assert_eq!(missing_text(&["lab-07", "lab-12"], 2).as_deref(), Some("lab-07, lab-12"));
        assert_eq!(missing_text(&["lab-07"], 13).as_deref(), Some("lab-07, and 12 more"));
        assert_eq!(missing_text(&[] as &[&str], 0), None);
    }

    #[test]
    fn an_old_completion_has_its_age() {
        let text = |age| {
            let mut copy =
                OwnCopy::new(ContentKey::Swarm([1; 20].into()), "lecture.mp4".into(), CopyStatus::Downloading);
            (copy.completion, copy.age) = (Some(0.43), Duration::from_secs(age));
            Mine::new(&copy, None).text
        };
        assert_eq!(text(59), "This computer: 43%");
        assert_eq!(text(250), "This computer: 43% (4 min ago)");
    }

    #[test]
    fn the_time_left_is_about_that() {
        for (secs, expected) in [
            (0, "a few seconds left"),
            (9, "a few seconds left"),
            (11, "about 20 s left"),
            (51, "about 1 min left"),
            (95, "about 2 min left"),
            (3600, "about 1 h left"),
        ] {
            assert_eq!(left_text(Duration::from_secs(secs)), expected, "{secs}");
        }
    }
}
