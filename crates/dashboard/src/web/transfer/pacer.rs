//! The upload limit.
//!
//! Limiters such as `governor` decide for each key by itself; here one rate is to be shared, and by addresses, however many
//! connections each of them has. So there is a queue of addresses, and each has a queue of transfers that wait. One task grants
//! bytes, a few at a time, to the first transfer of the first address, and puts that address last: deficit round robin with equal
//! quanta. It sleeps until the bytes that it has granted are paid for, and ends when nobody waits.

use std::collections::{HashMap, VecDeque};
use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};
use tracker_host::AddressGroup;

/// One grant is what the rate allows in this time, within [`QUANTUM`].
const PERIOD: Duration = Duration::from_millis(20);

/// Bytes of one grant, at least and at most. At 1 GB/s the most lasts 4 ms, in which those who wait can ask again; with less, one
/// transfer would not get as much as several of another address.
const QUANTUM: (u64, u64) = (1 << 10, 4 << 20);

/// What was not used for so long is lost: timers are late by a few milliseconds.
const BURST: Duration = Duration::from_millis(40);

/// Shares a rate between addresses. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub(super) struct Pacer(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Bytes per second.
    rate: NonZeroU64,
    /// Bytes of one grant, at most.
    quantum: u64,
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

#[derive(Debug)]
struct Waiting {
    bytes: u64,
    grant: oneshot::Sender<u64>,
}

impl Pacer {
    /// So many bytes per second.
    pub(super) fn new(rate: NonZeroU64) -> Self {
        let in_period = u128::from(rate.get()) * PERIOD.as_millis() / 1000;
        let quantum = u64::try_from(in_period).unwrap_or(u64::MAX).clamp(QUANTUM.0, QUANTUM.1);
        Self(Arc::new(Inner { rate, quantum, queue: Mutex::default() }))
    }

    /// Waits for the turn of a transfer to this address, and returns the number of bytes that it may send: from 1 to `want`.
    pub(super) async fn take(&self, address: AddressGroup, want: u64) -> u64 {
        let (grant, granted) = oneshot::channel();
        {
            let mut queue = self.queue();
            let Queue { waiting, turns, is_served, .. } = &mut *queue;
            let of_address = waiting.entry(address).or_default();
            if of_address.is_empty() {
                turns.push_back(address);
            }
            of_address.push_back(Waiting { bytes: want.min(self.0.quantum), grant });
            if !*is_served {
                *is_served = true;
                let pacer = self.clone();
                tokio::spawn(async move { pacer.serve().await });
            }
        }
        granted.await.expect("the task grants until nobody waits")
    }

    /// Grants until nobody waits.
    async fn serve(&self) {
        while let Some(paid) = self.next_turn() {
            sleep_until(paid).await;
            self.grant();
        }
    }

    /// The time of the next turn; `None` if nobody waits, which ends the task.
    fn next_turn(&self) -> Option<Instant> {
        let mut queue = self.queue();
        queue.is_served = !queue.turns.is_empty();
        queue.is_served.then(|| queue.paid.unwrap_or_else(Instant::now))
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
        let cost = u128::from(granted) * 1_000_000_000 / u128::from(self.0.rate.get());
        let cost = Duration::from_nanos(u64::try_from(cost).unwrap_or(u64::MAX));
        *paid = Some(paid.unwrap_or(now).max(earliest) + cost);
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::sync::atomic::{AtomicU64, Ordering};

    use tokio::task::{JoinSet, yield_now};
    use tokio::time::sleep;

    use super::*;

    fn address(text: &str) -> AddressGroup {
        let address: IpAddr = text.parse().unwrap();
        AddressGroup::of(address, address)
    }

    fn pacer(rate: u64) -> Pacer {
        Pacer::new(NonZeroU64::new(rate).unwrap())
    }

    /// Takes bytes until it is dropped, as many at a time as there may be.
    fn spawn_taker(tasks: &mut JoinSet<()>, pacer: &Pacer, address: AddressGroup) -> Arc<AtomicU64> {
        let taken = Arc::new(AtomicU64::new(0));
        let (pacer, count) = (pacer.clone(), Arc::clone(&taken));
        tasks.spawn(async move {
            loop {
                let granted = pacer.take(address, 1 << 30).await;
                count.fetch_add(granted, Ordering::Relaxed);
            }
        });
        taken
    }

    #[tokio::test(start_paused = true)]
    async fn the_rate_is_kept_and_shared_by_addresses() {
        for rate in [1_000, 10_000, 1_000_000, 100_000_000, 1_000_000_000] {
            let pacer = pacer(rate);
            let mut tasks = JoinSet::new();
            let many: Vec<_> = (0..8).map(|_| spawn_taker(&mut tasks, &pacer, address("10.0.0.2"))).collect();
            let one = spawn_taker(&mut tasks, &pacer, address("10.0.0.3"));
            let seconds = if rate < 10_000 { 100 } else { 2 };
            sleep(Duration::from_secs(seconds)).await;
            tasks.shutdown().await;
            let many: u64 = many.iter().map(|taken| taken.load(Ordering::Relaxed)).sum();
            let one = one.load(Ordering::Relaxed);
            let (expected, quantum) = (rate * seconds, pacer.0.quantum);
            let most = expected + expected / 20 + 2 * quantum;
            assert!((expected * 9 / 10..=most).contains(&(many + one)), "{rate}: {many} and {one}");
            assert!(many.abs_diff(one) <= 2 * quantum, "{rate}: {many} and {one}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_alone_has_all_of_it_and_time_unused_is_lost() {
        let pacer = pacer(1_000_000);
        let start = Instant::now();
        let mut rest = 1_000_000;
        while rest > 0 {
            rest -= pacer.take(address("10.0.0.2"), rest).await;
        }
        assert!((0.9..1.1).contains(&start.elapsed().as_secs_f64()), "{:?}", start.elapsed());
        assert!(!pacer.queue().is_served || pacer.queue().turns.is_empty());

        sleep(Duration::from_secs(100)).await;
        let start = Instant::now();
        let mut rest = 1_000_000;
        while rest > 0 {
            rest -= pacer.take(address("10.0.0.2"), rest).await;
        }
        assert!((0.9..1.1).contains(&start.elapsed().as_secs_f64()), "{:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_leave_take_nothing_with_them() {
        let pacer = pacer(10_000);
        let mut tasks = JoinSet::new();
        for _ in 0..100 {
            spawn_taker(&mut tasks, &pacer, address("10.0.0.2"));
        }
        sleep(Duration::from_millis(500)).await;
        tasks.shutdown().await;
        let start = Instant::now();
        assert_eq!(pacer.take(address("10.0.0.3"), 100).await, 100);
        assert!(start.elapsed() < Duration::from_millis(300), "{:?}", start.elapsed());
        while pacer.queue().is_served {
            yield_now().await;
        }
        assert!(pacer.queue().waiting.is_empty() && pacer.queue().turns.is_empty());
    }
}
