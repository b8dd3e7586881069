//! Noticing where the page moves to, and that no other machine reaches it.

use std::pin::pin;
use std::time::Duration;

use dashboard::Dashboard;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::urls::DashboardUrls;

/// The target of the log lines about where other machines find the page, and that none has opened it. Operators need them at
/// every level.
pub const PAGE_LOG: &str = "tracker::page";

/// The time in which somebody in a room that waits for the files opens the page.
const PATIENCE: Duration = Duration::from_secs(120);

/// News of the page for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
enum News {
    /// The page has another URL than before.
    Moved(String),
    /// No other machine has opened the page at this URL.
    NotOpened(String),
}

/// Logs the page's URL for others when it is another one, and for each URL if no other machine opens the page within some time: a
/// firewall is the usual reason, of which the line has the `advice`. Ends when the page is gone.
pub(crate) async fn watch(dashboard: Dashboard, urls: watch::Receiver<DashboardUrls>, advice: String) {
    let is_reached = || dashboard.is_reached_from_outside();
    follow(urls, is_reached, |news| match news {
        News::Moved(url) => {
            tracing::info!(target: PAGE_LOG, event = "page_moved", url, "other computers and phones open {url} from now on");
        }
        News::NotOpened(url) => tracing::warn!(
            target: PAGE_LOG,
            event = "page_not_opened",
            url,
            "no other machine has opened {url} yet; if it does not open there, a firewall may be in the way{advice}"
        ),
    })
    .await;
}

async fn follow(mut urls: watch::Receiver<DashboardUrls>, is_reached: impl Fn() -> bool, tell: impl Fn(News)) {
    // The log is no place for a code.
    let without_code = |url: &String| url.split('?').next().unwrap_or_default().to_owned();
    let best = |urls: &DashboardUrls| urls.viewers().first().map(without_code);
    let mut url = best(&urls.borrow());
    loop {
        let known = url.clone();
        let mut other = pin!(async { urls.wait_for(|urls| best(urls) != known).await.map(|urls| best(&urls)) });
        let next = match timeout(PATIENCE, &mut other).await {
            Ok(next) => next,
            Err(_) => {
                if let Some(url) = url.clone().filter(|_| !is_reached()) {
                    tell(News::NotOpened(url));
                }
                other.await
            }
        };
        let Ok(next) = next else { return };
        url = next;
        if let Some(url) = url.clone() {
            tell(News::Moved(url));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicBool, Ordering};

    use tokio::time::sleep;
    use tracker_host::Addresses;

    use super::*;

    /// The URLs of a machine with this address, if it has one.
    fn urls_at(address: Option<&str>) -> DashboardUrls {
        let lan = address.into_iter().map(|address| address.parse().unwrap()).collect();
        let machine = Addresses { lan, ..Addresses::default() };
        DashboardUrls::of_machine(&["0.0.0.0:6970".parse().unwrap()], &machine, |_| String::new())
    }

    #[tokio::test(start_paused = true)]
    async fn each_url_is_told_and_has_time_to_be_opened() {
        let told = Mutex::new(Vec::new());
        let is_reached = AtomicBool::new(false);
        // At the start the machine has no address.
        let (sender, urls) = watch::channel(urls_at(None));
        let following = follow(urls, || is_reached.load(Ordering::Relaxed), |news| told.lock().unwrap().push(news));
        let events = async {
            let after = async |time: Duration| {
                sleep(time).await;
                std::mem::take(&mut *told.lock().unwrap())
            };
            let url = |address: &str| format!("http://{address}:6970/");
            assert_eq!(after(PATIENCE * 2).await, [], "there is nothing to open");

            sender.send_replace(urls_at(Some("192.168.1.5")));
            assert_eq!(after(PATIENCE / 2).await, [News::Moved(url("192.168.1.5"))]);
            // A change of something else.
            sender.send_replace(urls_at(Some("192.168.1.5")));
            assert_eq!(after(PATIENCE).await, [News::NotOpened(url("192.168.1.5"))]);
            assert_eq!(after(PATIENCE * 9).await, [], "once is enough");

            sender.send_replace(urls_at(Some("10.77.0.1")));
            assert_eq!(after(PATIENCE / 2).await, [News::Moved(url("10.77.0.1"))]);
            is_reached.store(true, Ordering::Relaxed);
            assert_eq!(after(PATIENCE * 9).await, []);

            sender.send_replace(urls_at(None));
            assert_eq!(after(PATIENCE * 9).await, []);
            drop(sender);
        };
        tokio::join!(following, events);
    }
}
