//! What this machine gives of a file to BitTorrent clients, and what the operator can do about it.

use torrent_library::{Damage, KnownTorrent};
use tracker_monitor::{CopyRow, CopyStatus, SeedingState, TorrentSeeding};

use super::computers::NameView;
use crate::web::Dashboard;
use crate::web::format::{bytes, count, counted, decimal, percent, rate};
use crate::web::seeding::Seeding;

/// Computers that are listed, at most. All are in the API's answer.
const COMPUTERS: usize = 100;

/// The number of downloads in progress from which on the way in which clients talk to each other makes a difference that is
/// worth a change of their settings.
const MANY_DOWNLOADS: usize = 10;

/// What this machine gives.
pub(super) struct Giving {
    /// What is the case, as sentences.
    pub(super) text: String,
    /// `true` if nothing is given that could be, and somebody has to do something about it.
    pub(super) is_problem: bool,
    /// How much was given.
    pub(super) given: Option<Given>,
    pub(super) action: Option<Action>,
}

/// How much was given, and to whom.
pub(super) struct Given {
    /// `1.2 GB so far, 1.1 copies, 12 MB/s now`.
    pub(super) text: String,
    /// The computers that got most, and how much.
    pub(super) to: Vec<(NameView, String)>,
    /// `30 computers`.
    pub(super) total: String,
    /// The number of those that are not listed.
    pub(super) more: Option<String>,
}

/// What the operator can do.
pub(super) struct Action {
    pub(super) label: &'static str,
    /// The last part of its path in the API, and its value in the form.
    pub(super) name: &'static str,
    /// What is asked before, and the sentence under it.
    pub(super) confirm: Option<(&'static str, &'static str)>,
}

const STOP: Action = Action {
    label: "Stop giving",
    name: "stop",
    confirm: Some((
        "Stop giving this file?",
        "No BitTorrent program gets it from this machine any more, until you give it again. Those that have it still share it, and \
         browsers can still download it.",
    )),
};

const START: Action = Action { label: "Give it again", name: "start", confirm: None };

const CHECK: Action = Action { label: "Check again", name: "check", confirm: None };

impl Giving {
    /// `None` if this machine does not have the content of the torrent, and has given nothing of it.
    pub(super) fn of(dashboard: &Dashboard, torrent: &KnownTorrent) -> Option<Self> {
        let Seeding { state, damage, given } = Seeding::of(dashboard, torrent);
        let text = match (state, &damage) {
            (SeedingState::Seeding, _) => "This machine gives it to BitTorrent programs itself. Each part goes out once before any \
                                           goes out twice, so that the computers get it from each other as soon as they can."
                .to_owned(),
            (SeedingState::LocalClient, _) => {
                let client = given.as_ref().and_then(|given| given.local_client.clone());
                let client = client.unwrap_or_else(|| "A BitTorrent program".to_owned());
                format!(
                    "{client} on this machine has it open, so giving it is left to that program: two on one machine would be in each \
                     other’s way. To let the tracker give it, remove it from that program."
                )
            }
            (SeedingState::Stopped, _) => "Giving it was stopped: no BitTorrent program gets it from this machine. Browsers can still \
                                           download it."
                .to_owned(),
            (SeedingState::Damaged, Some(damage)) => damage_text(damage),
            (SeedingState::Off, _) => "The tracker does not give files as a BitTorrent program does: it was started with --seed=false, \
                                       --peer=false or --lean. BitTorrent programs fetch it from this machine as browsers do, which is \
                                       slower when many download at once."
                .to_owned(),
            _ if given.as_ref().is_some_and(|given| given.bytes > 0) => {
                "This machine does not give it to BitTorrent programs at the moment.".to_owned()
            }
            _ => return None,
        };
        let is_checked = damage.as_ref().is_some_and(|damage| damage.check.is_some());
        Some(Self {
            text,
            is_problem: state == SeedingState::Damaged,
            action: match state {
                SeedingState::Seeding | SeedingState::LocalClient | SeedingState::Off => Some(STOP),
                SeedingState::Stopped => Some(START),
                SeedingState::Damaged if !is_checked => Some(CHECK),
                _ => None,
            },
            given: given.filter(|given| given.bytes > 0).map(Given::new),
        })
    }
}

impl Given {
    fn new(given: TorrentSeeding) -> Self {
        let mut text = format!("{} so far", bytes(given.bytes as f64));
        if let Some(copies) = given.copies {
            text.push_str(&format!(", {} copies", decimal(copies)));
        }
        if given.rate >= 1.0 {
            text.push_str(&format!(", {} now", rate(given.rate)));
        }
        let more = given.to.len().saturating_sub(COMPUTERS);
        let shown = given.to.iter().take(COMPUTERS);
        Self {
            text,
            to: shown.map(|to| (NameView::new(to.address, to.name.as_ref()), bytes(to.bytes as f64))).collect(),
            total: counted(given.to.len() as u64, "computer"),
            more: (more > 0).then(|| count(more as u64)),
        }
    }
}

fn damage_text(damage: &Damage) -> String {
    let found = match damage.bad_pieces {
        None => "A part of this file is not what it was when it was shared, although nobody has written to it since"
            .to_owned(),
        Some(1) => "One part of this file is not what it was when it was shared".to_owned(),
        Some(bad) => format!("{} parts of this file are not what they were when it was shared", count(bad.into())),
    };
    let next = match &damage.check {
        Some(check) => format!("It is being checked: {}.", percent(check.part())),
        None => "Check the disk, restore the file, then press “Check again”. The computers that have it already have the right one: \
                 their programs check each part."
            .to_owned(),
    };
    format!("{found}, so nothing of it is sent any more. {next}")
}

/// The hint for many downloads at once, some of them by qBittorrent.
pub(super) fn many_at_once(rows: &[CopyRow]) -> Option<String> {
    let downloading = || rows.iter().filter(|row| row.status == CopyStatus::Downloading && row.client.is_some());
    let number = downloading().count();
    let is_qbittorrent = |row: &CopyRow| row.client.as_deref().is_some_and(|client| client.starts_with("qBittorrent"));
    (number >= MANY_DOWNLOADS && downloading().any(is_qbittorrent)).then(|| {
        format!(
            "{} download at once, some of them by qBittorrent. It is faster for all if qBittorrent uses TCP only there: Options > \
             Connection > Peer connection protocol: TCP.",
            counted(number as u64, "computer")
        )
    })
}
