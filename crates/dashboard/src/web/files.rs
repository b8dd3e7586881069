//! The files that are shared or known, with how far each has come: for the operator's list and the API.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};
use torrent_library::ContentKey;
use tracker_monitor::{FileProgress, Order, Page, PageQuery};
use utoipa::ToSchema;

use super::Dashboard;
use super::public::{Offer, Offers};

/// The column by which files are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FileSort {
    /// In natural order: `day 2` before `day 10`.
    #[default]
    Name,
    Size,
    /// The number of computers that have it.
    Has,
    /// The average completion of the others.
    AverageOfOthers,
    TimeLeft,
    /// Bytes per second that all computers download of it.
    Rate,
}

/// A file or folder, and how far it has come.
#[derive(Debug)]
pub(crate) struct FileEntry {
    pub(crate) offer: Offer,
    pub(crate) progress: FileProgress,
    pub(crate) source: Source,
}

/// Where a file comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// This machine shares it, at least with browsers.
    ThisMachine,
    /// The BitTorrent clients of so many computers have all of it.
    Computers(u32),
    /// Nobody who is there has all of it.
    Nobody,
}

/// The part of the list that is asked for.
pub(crate) fn list(dashboard: &Dashboard, query: &PageQuery<FileSort>) -> Page<FileEntry> {
    let offers = Offers::of(dashboard);
    let search = query.search.trim().to_lowercase();
    let is_found = |offer: &&Offer| offer.name.to_lowercase().contains(&search) || is_key(&offer.key, &search);
    // Only those that are shown, unless the order depends on all of them.
    let mut found: Vec<_> = offers.all().iter().filter(is_found).map(|offer| (offer, None)).collect();
    let computers = dashboard.config().observer.computers();
    let look = |found: &mut [(&Offer, Option<FileProgress>)]| {
        let keys: Vec<_> = found.iter().map(|(offer, _)| offer.key).collect();
        let looked = found.iter_mut().zip(computers.progress_of(&keys));
        looked.for_each(|((_, progress), now)| *progress = Some(now));
    };
    if query.sort.is_of_progress() {
        look(&mut found);
    }
    // They are in natural order already, in which those stay that are alike.
    let compare = |a: &(&Offer, Option<FileProgress>), b: &(&Offer, Option<FileProgress>)| {
        compare(query.sort, query.order, (a.0, a.1.as_ref()), (b.0, b.1.as_ref()))
    };
    match (query.sort, query.order) {
        (FileSort::Name, Order::Ascending) => {}
        (FileSort::Name, Order::Descending) => found.reverse(),
        _ => found.sort_by(compare),
    }
    let total = found.len();
    let page_size = query.page_size.clamp(1, PageQuery::<FileSort>::MAX_PAGE_SIZE);
    let page = query.page.max(1);
    let mut shown: Vec<_> = found.into_iter().skip((page - 1).saturating_mul(page_size)).take(page_size).collect();
    if !query.sort.is_of_progress() {
        look(&mut shown);
    }
    let entry = |(offer, progress): (&Offer, Option<FileProgress>)| {
        let progress = progress.unwrap_or_default();
        FileEntry { source: Source::of(dashboard, offer.key, &progress), offer: offer.clone(), progress }
    };
    Page { items: shown.into_iter().map(entry).collect(), total, page, page_size }
}

fn is_key(key: &ContentKey, search: &str) -> bool {
    search.len() >= MIN_DIGITS && key.to_string().starts_with(search)
}

/// Digits of an info-hash from which on it is searched for: names may begin with fewer.
const MIN_DIGITS: usize = 6;

impl FileSort {
    fn is_of_progress(self) -> bool {
        !matches!(self, Self::Name | Self::Size)
    }
}

fn compare(
    sort: FileSort,
    order: Order,
    (a, progress_of_a): (&Offer, Option<&FileProgress>),
    (b, progress_of_b): (&Offer, Option<&FileProgress>),
) -> Ordering {
    let directed = |ordering: Ordering| if order == Order::Ascending { ordering } else { ordering.reverse() };
    // Those without a value come last in both directions.
    fn optional<T>(a: Option<T>, b: Option<T>, compare: impl FnOnce(&T, &T) -> Ordering) -> Ordering {
        match (&a, &b) {
            (Some(a), Some(b)) => compare(a, b),
            _ => b.is_some().cmp(&a.is_some()),
        }
    }
    let (Some(of_a), Some(of_b)) = (progress_of_a, progress_of_b) else { return directed(a.size.cmp(&b.size)) };
    match sort {
        FileSort::Name | FileSort::Size => directed(a.size.cmp(&b.size)),
        FileSort::Has => directed(of_a.has.cmp(&of_b.has)),
        FileSort::AverageOfOthers => {
            optional(of_a.average_of_others, of_b.average_of_others, |a, b| directed(a.total_cmp(b)))
        }
        FileSort::TimeLeft => optional(of_a.time_left, of_b.time_left, |a, b| directed(a.cmp(b))),
        FileSort::Rate => directed(of_a.rate.total_cmp(&of_b.rate)),
    }
}

impl Source {
    /// The source of the file with this key.
    pub(crate) fn of(dashboard: &Dashboard, key: ContentKey, progress: &FileProgress) -> Self {
        let config = dashboard.config();
        match progress.sources {
            _ if config.contents.get(key).is_some_and(|content| !config.contents.is_damaged(content.id())) => {
                Self::ThisMachine
            }
            // The operator's own client, say.
            0 if config.observer.computers().is_seeded_here(key) => Self::Computers(1),
            0 => Self::Nobody,
            sources => Self::Computers(sources),
        }
    }
}
