//! The upload limit.
//!
//! Limiters such as `governor` decide for each key by itself; here one rate is to be shared, and by addresses, however many
//! connections each of them has. So there is a queue of addresses, and each has a queue of transfers that wait. One task grants
//! bytes, a few at a time, to the first transfer of the first address, and puts that address last: deficit round robin with equal
//! quanta. It sleeps until the bytes that it has granted are paid for, and ends when nobody waits.

use std::collections::{HashMap, VecDeque};
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout};

use crate::AddressGroup;

/// One grant is what the rate allows in this time, within [`QUANTUM`].
const PERIOD: Duration = Duration::from_millis(20);

/// Bytes of one grant, at least and at most. At 1 GB/s the most lasts 4 ms, in which those who wait can ask again; with less, one
/// transfer would not get as much as several of another address.
const QUANTUM: (u64, u64) = (1 << 10, 4 << 20);

/// Those who wait look so often whether there is still a task that grants.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// What was not used for so long is lost: timers are late by a few milliseconds.
const BURST: Duration = Duration::from_millis(40);

/// The maximum rate at which this machine sends what is shared, over all protocols together, and a fair share of it for each
/// address that gets something, however many connections it has. Cheap to clone; all clones are one.
///
/// Those who wait take some kilobytes of memory for each hundred of them. Time in which nobody sends is not made up for, except
/// for the last 40 ms.
#[derive(Debug, Clone)]
pub struct UploadLimit(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Bytes per second, never 0.
    rate: AtomicU64,
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    /// Those who wait, by address; none is empty.
    waiting: HashMap<AddressGroup, VecDeque<Waiting>>,
    /// Their addresses, in the order of their turns.
    turns: VecDeque<AddressGroup>,
    /// The time at which all grants so far are paid for.
    paid: Option<Instant>,
    /// `true` while there is a task that grants.
    is_served: bool,
}

/// The task that grants. Its runtime may end before others that wait.
struct Serving {
    limit: UploadLimit,
    /// `true` when nobody waited any more.
    is_over: bool,
}

impl Serving {
    /// Nobody waited any more, which the queue knows.
    fn end(&mut self) {
        self.is_over = true;
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // There may be another one already if this is over.
        if !self.is_over {
            self.limit.queue().is_served = false;
        }
    }
}

#[derive(Debug)]
struct Waiting {
    bytes: u64,
    grant: oneshot::Sender<u64>,
}

impl UploadLimit {
    /// A limit of so many bytes per second.
    pub fn new(rate: NonZeroU64) -> Self {
        Self(Arc::new(Inner { rate: rate.get().into(), queue: Mutex::default() }))
    }

    /// Changes the limit, of all clones. What was granted before is still paid for at the rate of then, which takes 20 ms, or the
    /// time for 1 KiB at a rate of less than 50 KiB per second.
    pub fn set_rate(&self, rate: NonZeroU64) {
        self.0.rate.store(rate.get(), Ordering::Relaxed);
    }

    /// Waits for the turn of a transfer to this address, and returns the number of bytes that it may send: from 1 to `want`,
    /// which must not be 0. What was granted a moment before is lost if the future is dropped. Must be called within a Tokio runtime with time enabled,
    /// which may be another one for each call, and may end.
    pub async fn take(&self, address: AddressGroup, want: u64) -> u64 {
        let (grant, mut granted) = oneshot::channel();
        {
            let mut queue = self.queue();
            let Queue { waiting, turns, .. } = &mut *queue;
            let of_address = waiting.entry(address).or_default();
            if of_address.is_empty() {
                turns.push_back(address);
            }
            of_address.push_back(Waiting { bytes: want.min(self.quantum()), grant });
        }
        loop {
            self.serve();
            if let Ok(granted) = timeout(LOOK_INTERVAL, &mut granted).await {
                return granted.expect("who waits stays in the queue until it is granted something");
            }
        }
    }

    /// Has a task grant until nobody waits, if there is none.
    fn serve(&self) {
        if std::mem::replace(&mut self.queue().is_served, true) {
            return;
        }
        let mut serving = Serving { limit: self.clone(), is_over: false };
        tokio::spawn(async move {
            while let Some(paid) = serving.limit.next_turn() {
                sleep_until(paid).await;
                serving.limit.grant();
            }
            serving.end();
        });
    }

    /// The time of the next turn; `None` if nobody waits, which ends the task.
    fn next_turn(&self) -> Option<Instant> {
        let mut queue = self.queue();
        if queue.turns.is_empty() {
            // Before the lock is released, so that who comes next has another task begin.
            queue.is_served = false;
            return None;
        }
        Some(queue.paid.unwrap_or_else(Instant::now))
    }

    /// Gives the first address its turn.
    fn grant(&self) {
        let mut queue = self.queue();
        let Queue { waiting, turns, paid, .. } = &mut *queue;
        let Some(address) = turns.pop_front() else { return };
        let of_address = waiting.get_mut(&address).expect("an address with a turn waits");
        // One that was given up takes nothing.
        let granted = loop {
            let Some(Waiting { bytes, grant }) = of_address.pop_front() else { break 0 };
            if grant.send(bytes).is_ok() {
                break bytes;
            }
        };
        if of_address.is_empty() {
            waiting.remove(&address);
        } else {
            turns.push_back(address);
        }
        let now = Instant::now();
        let earliest = now.checked_sub(BURST).unwrap_or(now);
        let cost = u128::from(granted) * 1_000_000_000 / u128::from(self.rate());
        let cost = Duration::from_nanos(u64::try_from(cost).unwrap_or(u64::MAX));
        *paid = Some(paid.unwrap_or(now).max(earliest) + cost);
    }

    fn rate(&self) -> u64 {
        self.0.rate.load(Ordering::Relaxed)
    }

    /// Bytes of one grant, at most.
    fn quantum(&self) -> u64 {
        let in_period = u128::from(self.rate()) * PERIOD.as_millis() / 1000;
        u64::try_from(in_period).unwrap_or(u64::MAX).clamp(QUANTUM.0, QUANTUM.1)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use tokio::runtime;
    use tokio::task::{JoinSet, yield_now};
    use tokio::time::{sleep, timeout};

    use super::*;

    fn address(text: &str) -> AddressGroup {
        let address: IpAddr = text.parse().unwrap();
        AddressGroup::of(address, address)
    }

    fn limit_of(rate: u64) -> UploadLimit {
        UploadLimit::new(NonZeroU64::new(rate).unwrap())
    }

    /// Takes bytes until it is dropped, as many at a time as there may be.
    fn spawn_taker(tasks: &mut JoinSet<()>, limit: &UploadLimit, address: AddressGroup) -> Arc<AtomicU64> {
        let taken = Arc::new(AtomicU64::new(0));
        let (limit, count) = (limit.clone(), Arc::clone(&taken));
        tasks.spawn(async move {
            loop {
                let granted = limit.take(address, 1 << 30).await;
                count.fetch_add(granted, Ordering::Relaxed);
            }
        });
        taken
    }

    #[tokio::test(start_paused = true)]
    async fn the_rate_is_kept_and_shared_by_addresses() {
        for rate in [1_000, 10_000, 1_000_000, 100_000_000, 1_000_000_000] {
            let limit = limit_of(rate);
            let mut tasks = JoinSet::new();
            let many: Vec<_> = (0..8).map(|_| spawn_taker(&mut tasks, &limit, address("10.0.0.2"))).collect();
            let one = spawn_taker(&mut tasks, &limit, address("10.0.0.3"));
            let seconds = if rate < 10_000 { 100 } else { 2 };
            sleep(Duration::from_secs(seconds)).await;
            tasks.shutdown().await;
            let many: u64 = many.iter().map(|taken| taken.load(Ordering::Relaxed)).sum();
            let one = one.load(Ordering::Relaxed);
            let (expected, quantum) = (rate * seconds, limit.quantum());
            let most = expected + expected / 20 + 2 * quantum;
            assert!((expected * 9 / 10..=most).contains(&(many + one)), "{rate}: {many} and {one}");
            assert!(many.abs_diff(one) <= 2 * quantum, "{rate}: {many} and {one}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_alone_has_all_of_it_and_time_unused_is_lost() {
        let limit = limit_of(1_000_000);
        let start = Instant::now();
        let mut rest = 1_000_000;
        while rest > 0 {
            rest -= limit.take(address("10.0.0.2"), rest).await;
        }
        assert!((0.9..1.1).contains(&start.elapsed().as_secs_f64()), "{:?}", start.elapsed());
        assert!(!limit.queue().is_served || limit.queue().turns.is_empty());

        sleep(Duration::from_secs(100)).await;
        let start = Instant::now();
        let mut rest = 1_000_000;
        while rest > 0 {
            rest -= limit.take(address("10.0.0.2"), rest).await;
        }
        assert!((0.9..1.1).contains(&start.elapsed().as_secs_f64()), "{:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_that_is_changed_holds_for_who_waits_too() {
        let limit = limit_of(10_000);
        let mut tasks = JoinSet::new();
        let taken = spawn_taker(&mut tasks, &limit, address("10.0.0.2"));
        for rate in [10_000, 1_000_000, 20_000] {
            limit.set_rate(rate.try_into().unwrap());
            // What was granted at the rate before.
            sleep(Duration::from_secs(1)).await;
            let before = taken.load(Ordering::Relaxed);
            sleep(Duration::from_secs(10)).await;
            let taken = taken.load(Ordering::Relaxed) - before;
            assert!((rate * 9..=rate * 11).contains(&taken), "{rate}: {taken}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_leave_take_nothing_with_them() {
        let limit = limit_of(10_000);
        let mut tasks = JoinSet::new();
        for _ in 0..100 {
            spawn_taker(&mut tasks, &limit, address("10.0.0.2"));
        }
        sleep(Duration::from_millis(500)).await;
        tasks.shutdown().await;
        let start = Instant::now();
        assert_eq!(limit.take(address("10.0.0.3"), 100).await, 100);
        assert!(start.elapsed() < Duration::from_millis(300), "{:?}", start.elapsed());
        while limit.queue().is_served {
            yield_now().await;
        }
        assert!(limit.queue().waiting.is_empty() && limit.queue().turns.is_empty());
    }

    #[test]
    fn others_go_on_when_the_runtime_of_the_first_has_ended() {
        let limit = limit_of(100_000);
        let first = runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        first.block_on(async {
            // It waits for long, and so does the task that grants.
            limit.take(address("10.0.0.2"), 2_000).await;
            let long = limit.take(address("10.0.0.2"), 2_000);
            timeout(Duration::from_millis(1), long).await.expect_err("it has to wait");
        });
        assert!(limit.queue().is_served);
        let second = runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let waiting = second.spawn(async move { limit.take(address("10.0.0.3"), 2_000).await });
        second.block_on(yield_now());
        drop(first);
        let granted = second.block_on(async { timeout(Duration::from_secs(10), waiting).await });
        assert_eq!(granted.unwrap().unwrap(), 2_000);
    }
}
