//! Tells the tracker which clients it serves, as the list of clients says.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use dashboard::ClientList;
use tracker_core::Shards;

use crate::keeper_thread::{Finish, KeeperThread, chain_without_folders};

/// How often it is looked whether the list has changed.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// The pause between two batches of peers that are compared with new rules.
const PAUSE: Duration = Duration::from_millis(1);

/// Follows the list until the thread is dropped. `shards` have its policy as it is now.
pub(crate) fn start(list: ClientList, shards: Arc<Shards>) -> io::Result<KeeperThread> {
    let count = list.rules().len();
    if count > 0 {
        tracing::info!(rules = count, "list of clients read");
    }
    KeeperThread::spawn("client-list", move |ended| follow(&list, &shards, ended))
}

fn follow(list: &ClientList, shards: &Shards, ended: &Receiver<Finish>) {
    let mut known = None;
    loop {
        if let Err(error) = list.refresh() {
            let error = chain_without_folders(&*error, &[error.path()]);
            tracing::error!("{error}; the last valid version stays in force");
        }
        let changes = list.changes();
        if known.replace(changes) != Some(changes) {
            set(list, shards);
        }
        if ended.recv_timeout(LOOK_INTERVAL) != Err(RecvTimeoutError::Timeout) {
            return;
        }
    }
}

fn set(list: &ClientList, shards: &Shards) {
    let policy = list.policy();
    if *shards.clients() == policy {
        return;
    }
    tracing::info!(rules = list.rules().len(), "the list of clients has changed");
    shards.set_clients_with_pauses(policy, || thread::sleep(PAUSE));
}
