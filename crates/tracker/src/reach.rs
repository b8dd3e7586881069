//! Noticing that no other machine reaches the shared files.

use std::future::Future;
use std::time::Duration;

use dashboard::Dashboard;
use tokio::time::sleep;
use torrent_library::SharedFolder;

/// The time in which somebody in a room that waits for the files opens the page.
const PATIENCE: Duration = Duration::from_secs(120);

/// Waits until something is shared, and then for another machine to open the page at `url`. If none does, it is logged once: a
/// firewall is the usual reason.
pub(crate) async fn watch(folder: SharedFolder, dashboard: Dashboard, url: String) {
    if is_unreached(is_shared(folder), || dashboard.is_reached_from_outside()).await {
        tracing::warn!(
            event = "page_not_opened",
            url,
            "no other machine has opened {url} yet; if it does not open there, a firewall may be in the way: `tracker --firewall` \
             prints how to open the ports"
        );
    }
}

/// Waits until something can be downloaded.
async fn is_shared(folder: SharedFolder) {
    let mut changes = folder.changes();
    while folder.items().items.iter().all(|item| item.content.is_none()) && changes.changed().await.is_ok() {}
}

/// Returns `true` if nobody has come some time after `shared` is ready.
async fn is_unreached(shared: impl Future<Output = ()>, is_reached: impl Fn() -> bool) -> bool {
    shared.await;
    sleep(PATIENCE).await;
    !is_reached()
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn others_have_time_to_come_once_something_is_shared() {
        let later = Duration::from_secs(3600);
        for (comes_after, is_noticed) in [(None, true), (Some(PATIENCE * 2), true), (Some(PATIENCE / 2), false)] {
            let shared_at = Instant::now() + later;
            let is_reached = || comes_after.is_some_and(|after| Instant::now() >= shared_at + after);
            assert_eq!(is_unreached(sleep(later), is_reached).await, is_noticed, "{comes_after:?}");
            assert_eq!(Instant::now(), shared_at + PATIENCE);
        }
    }
}
