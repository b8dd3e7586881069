//! Which contents there are to be given, and to which connections.

use tracker_core::InfoHash;

use super::{Connection, Driver};
use crate::planner::ConnectionId;
use crate::session::GivenTorrent;

impl Driver {
    /// Looks which contents there are to be given, if that may have changed.
    pub(super) fn look_up_contents(&mut self) {
        // Before, so that what changes meanwhile is looked at next time.
        let version = self.torrents.content_version();
        if version != self.content_version {
            self.content_version = version;
            self.swarms.keys().for_each(|swarm| self.look_up_content(*swarm));
        }
    }

    pub(super) fn look_up_content(&self, info_hash: InfoHash) {
        if self.uploads.set_content(self.now(), info_hash, self.torrents.content(&info_hash)) {
            let connections = self.connections.iter().filter(|(_, connection)| connection.info_hash == info_hash);
            connections.for_each(|(&id, connection)| connection.commands.set_given(self.given(id, &info_hash)));
        }
    }

    /// What a connection is to give, if anything.
    fn given(&self, connection: ConnectionId, info_hash: &InfoHash) -> Option<GivenTorrent> {
        let upload = self.uploads.get(info_hash)?;
        let address = self.planner().address_of(connection)?;
        Some(GivenTorrent { upload, address })
    }

    /// Has a connection that is established give what there is.
    pub(super) fn give(&self, connection: ConnectionId) {
        if let Some(Connection { info_hash, commands, .. }) = self.connections.get(&connection)
            && let Some(given) = self.given(connection, info_hash)
        {
            commands.set_given(Some(given));
        }
    }
}
