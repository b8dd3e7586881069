//! Log lines about what computers get over HTTP.

use torrent_library::ContentKey;
use tracing::info;

use super::{TARGET, of_all, who};
use crate::downloads::Running;
use crate::{Computers, Way};

/// Logs that a computer begins to get a file over HTTP, which it did not before.
pub(crate) fn log_beginning(computers: &Computers, running: &Running) {
    let (who, name) = (who(computers, running.address), &running.name);
    let (event, how) = match running.way {
        Way::Browser => ("browser_began", "in a browser"),
        Way::WebSeed => ("web_seed_began", "from this machine by its BitTorrent client"),
    };
    let info_hash = computers.contents().info_hash_of(running.content).map(tracing::field::display);
    info!(target: TARGET, event, info_hash, content = %running.content, address = %running.address, file = name, "{who} began {name} {how}");
}

/// Logs that a browser was sent the last byte of a file that its computer did not have.
pub(crate) fn log_end(computers: &Computers, running: &Running) {
    let (who, name) = (who(computers, running.address), &running.name);
    let info_hash = computers.contents().info_hash_of(running.content).map(tracing::field::display);
    let of_all = of_all(computers, ContentKey::Id(running.content));
    info!(
        target: TARGET,
        event = "browser_completed",
        info_hash,
        content = %running.content,
        address = %running.address,
        file = name,
        "{who} has finished {name} in a browser{of_all}"
    );
}
