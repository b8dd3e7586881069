//! What this machine gives of a torrent to BitTorrent clients, why it does not, and what the operator changes about it.

use axum::http::StatusCode;
use torrent_library::{ContentKey, Damage, KnownTorrent};
use tracker_core::InfoHash;
use tracker_monitor::{SeedingState, TorrentSeeding};

use super::Dashboard;
use super::problem::Problem;

/// What this machine gives of a torrent.
#[derive(Debug)]
pub(crate) struct Seeding {
    pub(crate) state: SeedingState,
    /// What is wrong with the content, if something is.
    pub(crate) damage: Option<Damage>,
    /// What the tracker's own peer has given; `None` if there is no such peer.
    pub(crate) given: Option<TorrentSeeding>,
}

/// What the operator wants of a torrent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SeedingAction {
    /// Give it to nobody by BitTorrent.
    Stop,
    /// Give it again.
    Start,
    /// Check whether its content is as it was shared.
    Check,
}

impl Seeding {
    /// That of a torrent whose .torrent is known.
    pub(crate) fn of(dashboard: &Dashboard, torrent: &KnownTorrent) -> Self {
        let config = dashboard.config();
        let given = config.observer.computers().seeding(&torrent.info_hash);
        let damage = config.contents.damage(&torrent.info_hash);
        let state = state(dashboard, &torrent.info_hash, || given.as_ref().map(|given| given.state));
        Self { state, damage, given }
    }
}

/// Whether this machine gives a torrent, without how much.
pub(crate) fn seeding_state(dashboard: &Dashboard, info_hash: &InfoHash) -> SeedingState {
    state(dashboard, info_hash, || dashboard.config().observer.computers().seeding_state(info_hash))
}

/// What is stopped or damaged is given to no client over HTTP either, whether there is an own peer or not.
fn state(
    dashboard: &Dashboard,
    info_hash: &InfoHash,
    of_own_peer: impl FnOnce() -> Option<SeedingState>,
) -> SeedingState {
    let contents = &dashboard.config().contents;
    if contents.get(ContentKey::Swarm(*info_hash)).is_none() {
        SeedingState::NotShared
    } else if contents.damage(info_hash).is_some() {
        SeedingState::Damaged
    } else if contents.is_stopped(info_hash) {
        SeedingState::Stopped
    } else {
        of_own_peer().unwrap_or(SeedingState::Off)
    }
}

/// Does what the operator wants. May wait for the disk.
pub(crate) fn change(dashboard: &Dashboard, info_hash: &InfoHash, action: SeedingAction) -> Result<(), Problem> {
    let config = dashboard.config();
    let conflict = |why: &str| Err(Problem::new(StatusCode::CONFLICT, why.to_owned()));
    let Some(torrent) = config.library.get(info_hash) else {
        let why = "the tracker does not have the .torrent file of this info-hash: register it";
        return Err(Problem::new(StatusCode::NOT_FOUND, why));
    };
    let info_hash = &torrent.info_hash;
    let folder = config.shared_folder.as_ref();
    match action {
        SeedingAction::Start | SeedingAction::Stop => {
            let stops = action == SeedingAction::Stop;
            if config.contents.get(ContentKey::Swarm(*info_hash)).is_none() && stops {
                return conflict("this machine does not have the content of this torrent, and gives nothing of it");
            }
            match folder {
                Some(folder) if stops => _ = folder.stop_seeding(info_hash),
                Some(folder) => _ = folder.seed_again(info_hash),
                None => config.contents.set_stopped(&torrent, stops),
            }
            Ok(())
        }
        SeedingAction::Check => match (config.contents.damage(info_hash), folder) {
            (None, _) => {
                conflict("no part of this torrent's content was found to be damaged, so there is nothing to check")
            }
            // It is being checked already.
            (Some(Damage { check: Some(_), .. }), _) => Ok(()),
            (Some(_), Some(folder)) => {
                folder.check_again(info_hash);
                Ok(())
            }
            (Some(_), None) => conflict("this machine has no share folder whose files could be checked"),
        },
    }
}
