//! The data folder.

use std::io;
use std::path::Path;

use tracker::DataFolder;

use super::finding::Finding;
use super::writable;
use crate::settings::{Data, Settings};
use crate::text::in_shell;

/// The name of these findings.
const CHECK: &str = "data";

/// With less room than this, what is kept may soon not be written any more, in bytes: 100 MiB.
const LITTLE_ROOM: u64 = 100 << 20;

/// With less room than this nothing can be kept, in bytes: 1 MiB.
const NO_ROOM: u64 = 1 << 20;

/// The folder, and what can be done with it.
#[derive(Debug)]
pub(super) struct Folder {
    data: Data,
    /// Something is shared, all of which is hashed anew at each start of a tracker without a data folder.
    is_shared: bool,
    state: Result<Usable, io::Error>,
}

/// A folder that can be written into.
#[derive(Debug, Clone, Copy)]
struct Usable {
    /// A tracker uses it now.
    is_in_use: bool,
    /// Bytes that can be written, where that is known.
    room: Option<u64>,
}

/// Looks at the folder, or, if it is not there yet, at the one in which it would be made.
pub(super) fn look(settings: &Settings) -> Folder {
    let data = settings.data();
    let state = data.path().map_or(Ok(Usable { is_in_use: false, room: None }), usable);
    Folder { data, is_shared: settings.share.is_some(), state }
}

fn usable(folder: &Path) -> io::Result<Usable> {
    let existing = writable(folder)?;
    Ok(Usable { is_in_use: DataFolder::is_in_use(folder)?, room: room(existing) })
}

#[cfg(unix)]
fn room(folder: &Path) -> Option<u64> {
    let system = rustix::fs::statvfs(folder).ok()?;
    Some(system.f_bavail.saturating_mul(system.f_frsize))
}

#[cfg(not(unix))]
fn room(_folder: &Path) -> Option<u64> {
    None
}

/// Says whether what outlives the tracker can be kept. A tracker that answers at the ports for clients is the one that uses the folder.
pub(super) fn judge(folder: &Folder, is_served: bool) -> Finding {
    let (path, is_default) = match &folder.data {
        Data::None => {
            let text = "all is kept in memory: peers, names, accounts and lessons are lost at the end";
            return Finding::good(CHECK, text).with_advice("to keep them, name a folder with --data DIR");
        }
        Data::Folder(path) => (path, false),
        Data::Default(path) => (path, true),
    };
    let name = path.display();
    // As the tracker itself does: it goes on without a default folder, unless there is a lot to lose.
    let bad = |is_needed: bool, text: String, advice: &str| match is_needed {
        true => Finding::wrong(CHECK, text, advice),
        false => Finding::warning(CHECK, format!("{text}, so that the tracker would keep all in memory"), advice),
    };
    match &folder.state {
        Err(error) => bad(
            !is_default,
            format!("the data folder {name} cannot be written into: {error}"),
            &format!(
                "give it to the account of the tracker, such as by `sudo chown ACCOUNT {}`, or choose another one with --data DIR",
                in_shell(&path.to_string_lossy())
            ),
        ),
        Ok(Usable { is_in_use: true, .. }) if is_served => {
            Finding::good(CHECK, format!("the tracker that runs uses the data folder {name}"))
        }
        Ok(Usable { is_in_use: true, .. }) => bad(
            !is_default || folder.is_shared,
            format!("another tracker, which has other ports, uses the data folder {name}"),
            "stop it, or choose another folder with --data DIR",
        ),
        Ok(Usable { room: Some(room), .. }) if *room < NO_ROOM => Finding::wrong(
            CHECK,
            format!("there is no room left for the data folder {name}"),
            "make room, or choose another folder with --data DIR",
        ),
        Ok(Usable { room: Some(room), .. }) if *room < LITTLE_ROOM => {
            let text = format!("there are only {} MiB left for the data folder {name}", room >> 20);
            Finding::warning(CHECK, text, "make room, or choose another folder with --data DIR")
        }
        Ok(Usable { room, .. }) => {
            let room = room.map(|room| format!("; room left: {} MiB", room >> 20)).unwrap_or_default();
            Finding::good(CHECK, format!("the data folder {name} can be written into{room}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;
    use crate::check::finding::Kind;

    #[test]
    fn a_folder_is_needed_unless_it_is_the_default_one() {
        let [named, default] = [Data::Folder("/srv/data".into()), Data::Default("/srv/data".into())];
        let usable = |is_in_use, room| Some(Usable { is_in_use, room: Some(room) });
        let much = 1 << 40;
        for (data, is_shared, state, is_served, expected) in [
            (&Data::None, true, usable(false, 0), false, Kind::Good),
            (&named, true, usable(false, much), false, Kind::Good),
            (&named, true, usable(false, 10 << 20), false, Kind::Warning),
            (&default, false, usable(false, 10), false, Kind::Wrong),
            (&named, false, None, false, Kind::Wrong),
            (&default, true, None, false, Kind::Warning),
            (&named, false, usable(true, much), true, Kind::Good),
            (&named, false, usable(true, much), false, Kind::Wrong),
            (&default, true, usable(true, much), false, Kind::Wrong),
            (&default, false, usable(true, much), false, Kind::Warning),
        ] {
            let state = state.ok_or_else(|| ErrorKind::PermissionDenied.into());
            let folder = Folder { data: data.clone(), is_shared, state };
            let found = judge(&folder, is_served);
            assert_eq!(found.kind(), expected, "{folder:?} {is_served}: {found:?}");
        }
    }

    #[test]
    fn a_folder_that_is_not_there_stays_away() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("a/b");
        let found = usable(&folder).unwrap();
        assert!(!found.is_in_use && !place.path().join("a").exists());
        assert_eq!(found.room.is_some(), cfg!(unix));
        let _used = DataFolder::open(&folder).unwrap();
        assert!(usable(&folder).unwrap().is_in_use);
        usable(&folder.join("lock")).unwrap_err();
    }
}
