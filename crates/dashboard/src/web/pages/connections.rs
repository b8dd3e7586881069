//! The connections between the computers that have a file: which of them cannot be reached, and who is connected to whom.

use torrent_library::ContentKey;
use tracker_monitor::{Computers, CopyRow, ReachabilityNote};

use super::picture::Picture;
use crate::web::format::counted;

/// Pairs of computers that are named.
const PAIRS: usize = 5;

/// Computers of which it is said what to do.
const EXPLAINED: usize = 12;

/// Computers that are named after these.
const NAMED: usize = 40;

/// What is known of the connections between computers.
pub(super) struct Connections {
    /// Those for which there is something to do come first.
    pub(super) notes: Vec<Note>,
    /// `18 more: lab-08, lab-09, …`.
    pub(super) more: Option<String>,
    pub(super) picture: Option<Picture>,
}

/// A sentence on one computer, or on two.
pub(super) struct Note {
    pub(super) what: String,
    pub(super) advice: &'static str,
    pub(super) is_problem: bool,
}

impl From<ReachabilityNote> for Note {
    fn from(note: ReachabilityNote) -> Self {
        Self { what: note.what, advice: note.advice, is_problem: note.is_problem }
    }
}

impl Connections {
    /// Those of the file or folder with this key, which the computers in these rows have or want; `None` if there is nothing to
    /// say.
    pub(super) fn new(computers: &Computers, key: ContentKey, rows: &[CopyRow]) -> Option<Self> {
        let (mut notes, more_pairs) = pairs(computers, key);
        let mut of_one: Vec<_> = rows.iter().filter_map(|row| Some((name(row), note(row)?))).collect();
        of_one.sort_by_key(|(_, note)| !note.is_problem);
        let rest = of_one.split_off(of_one.len().min(EXPLAINED));
        notes.extend(of_one.into_iter().map(|(_, note)| note.into()));
        let more = [more_pairs, more(&rest)].into_iter().flatten().collect::<Vec<_>>().join("; ");
        let picture = computers.connections(key, Picture::MAX_COMPUTERS).map(|graph| Picture::new(&graph));
        let is_any = !notes.is_empty() || picture.is_some();
        is_any.then(|| Self { notes, more: Some(more).filter(|more| !more.is_empty()), picture })
    }
}

/// The first pairs of computers that cannot reach each other, and how many more there are.
fn pairs(computers: &Computers, key: ContentKey) -> (Vec<Note>, Option<String>) {
    let pairs = computers.unreachable_pairs(key);
    let note = |(a, b)| ReachabilityNote::of_pair(&computers.name_or_address(a), &computers.name_or_address(b));
    let more = pairs.len().saturating_sub(PAIRS);
    let more = (more > 0).then(|| format!("{} that cannot reach each other", counted(more as u64, "more pair")));
    (pairs.into_iter().take(PAIRS).map(|pair| note(pair).into()).collect(), more)
}

fn note(row: &CopyRow) -> Option<ReachabilityNote> {
    ReachabilityNote::new(&name(row), row.port?, "this file", row.reachability, row.reason)
}

/// The computers that are left out.
fn more(rest: &[(String, ReachabilityNote)]) -> Option<String> {
    let problems = rest.iter().filter(|(_, note)| note.is_problem).map(|(name, _)| name.as_str());
    let (number, names) = (problems.clone().count(), problems.take(NAMED).collect::<Vec<_>>().join(", "));
    let and = if number > NAMED { ", …" } else { "" };
    (number > 0).then(|| format!("{number} more that cannot be reached: {names}{and}"))
}

fn name(row: &CopyRow) -> String {
    row.name.as_ref().map_or_else(|| row.address.to_string(), |name| name.name.to_string())
}
