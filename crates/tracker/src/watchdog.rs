//! Tells the service manager that the tracker works, as long as it does.

use std::time::Duration;

use anyhow::ensure;
use tokio::time::sleep;
use tracker::TrackerHandle;

use crate::service_manager;

/// The longest pause after a check that failed: what is overloaded for a moment is asked again soon.
const MAX_RETRY: Duration = Duration::from_secs(1);

/// Checks the tracker twice in each period, and reports each check that it passes. Does not end.
///
/// A check has three parts, and each fails by not coming back:
///
/// 1. This task runs on the event loop that the dashboard and the expiry of peers run on.
/// 2. It takes the lock of each shard once, which every announce needs. That blocks the event loop if a thread keeps one, so that
///    part 1 fails as well.
/// 3. A client port answers `/health` over HTTP, which goes through a thread that accepts and another one's event loop. Not while the
///    operator has stopped the servers, nor while they have failed: then the dashboard says why, and a restart would not help. Nor
///    while the machine does not have the address that is listened on.
///
/// Each client port has as many threads as there are cores, and the kernel deals out connections among them: one check meets one of
/// them. If one hangs, checks fail now and then, with a warning, but the next one meets another, so that the service manager does not
/// restart the tracker. UDP is not asked. Nor is the dashboard: what accepts its connections runs on the event loop of part 1.
pub(crate) async fn run(tracker: TrackerHandle, period: Duration) {
    let mut is_warned = false;
    loop {
        let pause = match check(&tracker, period / 4).await {
            Ok(()) => {
                service_manager::watchdog();
                is_warned = false;
                period / 2
            }
            Err(error) => {
                if !is_warned {
                    let error = format!("{error:#}");
                    tracing::warn!(
                        error,
                        "the tracker does not answer itself; the service manager restarts it if that goes on"
                    );
                }
                is_warned = true;
                (period / 8).min(MAX_RETRY)
            }
        };
        sleep(pause).await;
    }
}

async fn check(tracker: &TrackerHandle, patience: Duration) -> anyhow::Result<()> {
    ensure!(tracker.lock_each_shard(), "the tracker has ended");
    Ok(tracker.check_ports(patience).await?)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use tokio::runtime;
    use tokio::time::timeout;
    use tracker::LanTracker;
    use tracker_core::{AnnounceRequest, InfoHash, PeerId, Peers};
    use tracker_host::Clock;

    use super::*;

    /// Much longer than a check takes.
    const PATIENCE: Duration = Duration::from_secs(30);

    /// The time for which a thread keeps a shard. A check takes a hundredth of it.
    const HELD: Duration = Duration::from_millis(500);

    #[tokio::test]
    async fn a_shard_that_is_kept_holds_the_check_up() {
        let here = || ["127.0.7.9:0".parse().unwrap()];
        let tracker = LanTracker::builder().listen(here()).peer_listen(here()).dashboard(false).start().await.unwrap();
        let handle = tracker.handle();
        check(&handle, PATIENCE).await.unwrap();

        let info_hash = InfoHash::new([7; 20]);
        let peer =
            AnnounceRequest::new(info_hash, PeerId::new([b'a'; 20]), [10, 0, 0, 1].into(), [10, 0, 0, 2].into(), 6881);
        tracker.shards().announce(Clock::start().now(), &mut rand::rng(), &peer, &mut Peers::default()).unwrap();
        let (release, released) = mpsc::channel::<()>();
        let (hold, is_held) = mpsc::channel();
        let shards = tracker.shards().clone();
        let holding = thread::spawn(move || {
            shards.with_swarm(&info_hash, |_| {
                hold.send(()).unwrap();
                // An error says that it is to be released.
                _ = released.recv();
            })
        });
        is_held.recv().unwrap();
        let (begin, has_begun) = mpsc::channel();
        let (done, is_done) = mpsc::channel();
        let checking = thread::spawn({
            let handle = handle.clone();
            move || {
                let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
                begin.send(()).unwrap();
                done.send(runtime.block_on(check(&handle, PATIENCE)).is_ok()).unwrap();
            }
        });
        has_begun.recv().unwrap();
        assert_eq!(is_done.recv_timeout(HELD), Err(mpsc::RecvTimeoutError::Timeout));
        drop(release);
        assert_eq!(is_done.recv_timeout(PATIENCE), Ok(true));
        checking.join().unwrap();
        holding.join().unwrap().expect("there is the swarm");

        drop(tracker);
        // Its servers end in the background.
        let has_ended = async {
            while handle.lock_each_shard() {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, has_ended).await.expect("the tracker ends");
        assert_eq!(check(&handle, PATIENCE).await.unwrap_err().to_string(), "the tracker has ended");
    }
}
