use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use super::torrent::Torrent;
use super::wait::wait_for;

/// Longest start of a program on a busy machine.
pub(crate) const START: Duration = Duration::from_secs(30);

/// Longest transfer. Transmission 3.00 takes half a minute for 50 MB on an idle machine.
const TRANSFER: Duration = Duration::from_secs(150);

/// A BitTorrent client with one torrent, driven through its own API as its user interface drives it.
///
/// Local discovery is off in all of them, and so are PEX unless a scenario wants it, and DHT where they can do without: whom they
/// meet they know from the tracker.
pub(crate) trait Client {
    /// The client's name for people.
    fn name(&self) -> &'static str;

    /// The folder of the content.
    fn folder(&self) -> &Path;

    /// Adds the torrent and starts it.
    fn add(&mut self, torrent: &Torrent) -> anyhow::Result<()>;

    /// Adds the torrent by this magnet link alone and starts it: its metadata comes from peers.
    fn add_magnet(&mut self, torrent: &Torrent, magnet: &str) -> anyhow::Result<()>;

    fn status(&mut self) -> anyhow::Result<Status>;

    /// Limits the download to this many bytes per second, or to none.
    fn limit_download(&mut self, rate: Option<u32>) -> anyhow::Result<()>;

    /// Pauses the torrent: the client announces `stopped`.
    fn pause(&mut self) -> anyhow::Result<()>;

    /// Resumes the torrent: the client announces `started` again.
    fn resume(&mut self) -> anyhow::Result<()>;
}

/// A client's status of its torrent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Status {
    /// Peers it is connected to.
    pub(crate) peers: u64,
    /// Bytes it has, of the torrent's total.
    pub(crate) bytes: u64,
    /// `true` if it has checked everything and seeds.
    pub(crate) seeds: bool,
}

/// The result of a download.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Transfer {
    /// From adding the torrent to the first connected peer.
    pub(crate) first_peer: Duration,
    /// From the first connected peer to the checked copy.
    pub(crate) transfer: Duration,
}

/// Has a client seed content that already stands in its folder.
#[track_caller]
pub(crate) fn seed(client: &mut dyn Client, torrent: &Torrent) {
    client.add(torrent).expect("a client takes our torrent");
    let name = client.name();
    wait_for(&format!("{name} to seed"), TRANSFER, || {
        let status = client.status()?;
        ensure!(status.seeds, "{status:?}");
        Ok(())
    });
}

/// Has a client download the torrent, and measures it.
#[track_caller]
pub(crate) fn download(client: &mut dyn Client, torrent: &Torrent) -> Transfer {
    let added = Instant::now();
    client.add(torrent).expect("a client takes our torrent");
    finish_download(client, torrent, added)
}

/// Waits until a client has downloaded the torrent that it was given at `added`, and compares the copy.
#[track_caller]
pub(crate) fn finish_download(client: &mut dyn Client, torrent: &Torrent, added: Instant) -> Transfer {
    let name = client.name();
    let mut first_peer = None;
    let complete = wait_for(&format!("{name} to complete its download"), TRANSFER, || {
        let status = client.status()?;
        if status.peers > 0 || status.bytes > 0 {
            first_peer.get_or_insert_with(|| added.elapsed());
        }
        ensure!(status.seeds, "{status:?}");
        Ok(added.elapsed())
    });
    let first_peer = first_peer.context("complete without a byte").unwrap();
    torrent.content().assert_is_copied_to(client.folder());
    Transfer { first_peer, transfer: complete - first_peer }
}

/// Waits until a client has downloaded the torrent, compares the copy, and returns the times of its first byte and of its last since
/// then. The tracker's own peer is a peer, too, but gives no bytes.
#[track_caller]
pub(crate) fn wait_until_complete(client: &mut dyn Client, torrent: &Torrent, since: Instant) -> (Duration, Duration) {
    let name = client.name();
    let mut first_byte = None;
    let complete = wait_for(&format!("{name} to complete its download"), TRANSFER, || {
        let status = client.status()?;
        if status.bytes > 0 {
            first_byte.get_or_insert_with(|| since.elapsed());
        }
        ensure!(status.seeds, "{status:?}");
        Ok(since.elapsed())
    });
    torrent.content().assert_is_copied_to(client.folder());
    (first_byte.context("complete without a byte").unwrap(), complete)
}

/// Waits until a client is in the middle of its download.
#[track_caller]
pub(crate) fn wait_until_underway(client: &mut dyn Client, torrent: &Torrent) {
    let name = client.name();
    wait_for(&format!("{name} to be in the middle of its download"), TRANSFER, || {
        let status = client.status()?;
        ensure!(status.bytes >= torrent.length() / 20, "{status:?}");
        Ok(())
    });
}
