//! The core's events, for several listeners.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tracker_core::{Event, EventKind, Shards, ShardsView};

/// The interval at which the core's events are fetched: the longest time until a listener is woken up for an event.
const PERIOD: Duration = Duration::from_millis(100);

/// The interval while there are many events, so that no queue gets long: a burst of 100,000 in a second comes in parts of 1,000.
const BUSY_PERIOD: Duration = Duration::from_millis(10);

/// Events in one fetch that are many.
const MANY_EVENTS: usize = 250;

/// Events for which memory is kept after a burst.
const USUAL_EVENTS: usize = 1000;

/// Hands the events of a tracker to any number of listeners. Cheap to clone; all clones are one.
///
/// The core keeps events for one reader ([`Shards::poll_events`]), which is a thread of this: nobody else should fetch them.
/// It runs until [`finish`](Self::finish), or until all clones and listeners are gone.
///
/// ```
/// use std::num::NonZeroUsize;
/// use std::sync::Arc;
/// use std::time::Duration;
/// use tracker_core::{Config, Shards};
/// use tracker_host::Events;
///
/// let config = Config::default().with(|config| config.max_pending_events = 1000);
/// let shards = Arc::new(Shards::new(config, NonZeroUsize::new(4).unwrap(), &mut rand::rng())?);
/// let events = Events::start(shards)?;
/// let listener = events.listen(1000);
/// listener.wait(Duration::from_millis(1));
/// let mut happened = Vec::new();
/// assert_eq!(listener.take(&mut happened), 0, "no event was lost");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Events(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    pump: Arc<Pump>,
    running: Mutex<Option<Running>>,
}

/// The thread. It ends when `stop` is dropped.
#[derive(Debug)]
struct Running {
    stop: Sender<Infallible>,
    thread: JoinHandle<()>,
}

/// The state of the thread.
#[derive(Debug)]
struct Pump {
    shards: Arc<Shards>,
    queues: Mutex<Vec<Weak<Queue>>>,
}

/// One listener's events.
#[derive(Debug)]
struct Queue {
    capacity: usize,
    /// Returns `true` for the kinds of events that the listener wants.
    is_wanted: fn(&EventKind) -> bool,
    state: Mutex<QueueState>,
    /// Notified when there are events, and when a wait is to end.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct QueueState {
    events: VecDeque<Event>,
    /// Events that were lost since the listener looked last, since the queue was full.
    lost: u64,
    is_woken: bool,
}

/// Gets the events of a tracker from the moment on when it was made. The queue between is bounded: when a listener is too
/// slow, the oldest events are lost and counted.
#[derive(Debug)]
pub struct EventListener {
    queue: Arc<Queue>,
    /// Keeps the thread running.
    _events: Events,
}

impl Events {
    /// Starts to fetch the events of `shards`, which must [keep](tracker_core::Config::max_pending_events) some.
    ///
    /// # Errors
    ///
    /// Returns an error if the thread cannot be started.
    pub fn start(shards: Arc<Shards>) -> io::Result<Self> {
        let events = Self::without_thread(shards);
        let (stop, stopped) = mpsc::channel();
        let pump = Arc::clone(&events.0.pump);
        let thread = thread::Builder::new().name("events".into()).spawn(move || pump.run(&stopped))?;
        *lock(&events.0.running) = Some(Running { stop, thread });
        Ok(events)
    }

    /// Hands out events only when [`pump`](Self::pump) is called: for tests, and for programs that have a thread for it.
    pub fn without_thread(shards: Arc<Shards>) -> Self {
        let pump = Arc::new(Pump { shards, queues: Mutex::default() });
        Self(Arc::new(Inner { pump, running: Mutex::default() }))
    }

    /// The swarms that the events are of, to look at.
    pub fn shards(&self) -> ShardsView {
        Arc::clone(&self.0.pump.shards).into()
    }

    /// A new listener that can be `capacity` events behind.
    pub fn listen(&self, capacity: usize) -> EventListener {
        self.listen_to(capacity, |_| true)
    }

    /// A new listener that can be `capacity` events behind, and gets only those for which `is_wanted` returns `true`.
    pub fn listen_to(&self, capacity: usize, is_wanted: fn(&EventKind) -> bool) -> EventListener {
        let queue = Arc::new(Queue { capacity, is_wanted, state: Mutex::default(), changed: Condvar::new() });
        lock(&self.0.pump.queues).push(Arc::downgrade(&queue));
        EventListener { queue, _events: self.clone() }
    }

    /// Hands the events so far to all listeners.
    pub fn pump(&self) {
        _ = self.0.pump.pump(&mut Vec::new());
    }

    /// Hands the events so far to all listeners, and ends the thread. Listeners keep what they have not taken yet.
    pub fn finish(&self) {
        if let Some(Running { stop, thread }) = lock(&self.0.running).take() {
            drop(stop);
            // If it panicked it has said so, and there is nothing to be done.
            _ = thread.join();
        }
    }
}

impl Pump {
    fn run(&self, stopped: &Receiver<Infallible>) {
        let (mut events, mut period) = (Vec::new(), PERIOD);
        loop {
            let is_last = match stopped.recv_timeout(period) {
                Err(RecvTimeoutError::Timeout) => false,
                Err(RecvTimeoutError::Disconnected) => true,
                Ok(never) => match never {},
            };
            period = period_after(self.pump(&mut events));
            if is_last {
                return;
            }
        }
    }

    /// Returns how many events there were.
    fn pump(&self, events: &mut Vec<Event>) -> usize {
        self.shards.poll_events(events);
        let count = events.len();
        if !events.is_empty() {
            lock(&self.queues).retain(|queue| queue.upgrade().map(|queue| queue.push(events)).is_some());
        }
        events.clear();
        events.shrink_to(USUAL_EVENTS);
        count
    }
}

/// The time until the next fetch, after one of this many events.
fn period_after(events: usize) -> Duration {
    if events >= MANY_EVENTS { BUSY_PERIOD } else { PERIOD }
}

impl Queue {
    /// Appends the wanted events. Room is made for them first, so that the queue never grows beyond its capacity.
    fn push(&self, events: &[Event]) {
        let is_wanted = |event: &&Event| (self.is_wanted)(&event.kind);
        let count = events.iter().filter(is_wanted).count();
        if count == 0 {
            return;
        }
        let skipped = count.saturating_sub(self.capacity);
        let mut state = lock(&self.state);
        let surplus = (state.events.len() + count - skipped).saturating_sub(self.capacity);
        state.events.drain(..surplus);
        state.events.reserve(count - skipped);
        state.events.extend(events.iter().filter(is_wanted).skip(skipped).cloned());
        state.lost += (skipped + surplus) as u64;
        self.changed.notify_all();
    }
}

impl EventListener {
    /// Appends all events that are there, those of one swarm in order. Returns how many were lost since the last call.
    pub fn take(&self, events: &mut Vec<Event>) -> u64 {
        let mut state = lock(&self.queue.state);
        events.extend(state.events.drain(..));
        state.events.shrink_to(USUAL_EVENTS);
        std::mem::take(&mut state.lost)
    }

    /// Waits until there are events, until it is [woken up](Self::wake), or until `timeout` has passed.
    pub fn wait(&self, timeout: Duration) {
        let deadline = Instant::now() + timeout;
        let mut state = lock(&self.queue.state);
        while state.events.is_empty() && !state.is_woken {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            (state, _) = self.queue.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner);
        }
        state.is_woken = false;
    }

    /// Ends a [`wait`](Self::wait), or the next one.
    pub fn wake(&self) {
        lock(&self.queue.state).is_woken = true;
        self.queue.changed.notify_all();
    }
}

/// Nothing is left half-done by a thread that panicked with the lock.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use rand::SeedableRng;
    use rand::rngs::StdRng;
    use tracker_core::{AnnounceRequest, Config, InfoHash, PeerId, Peers};

    use super::*;

    const FOREVER: Duration = Duration::from_secs(60);

    fn shards() -> Arc<Shards> {
        let config = Config::default().with(|config| config.max_pending_events = 1000);
        Arc::new(Shards::new(config, NonZeroUsize::MIN, &mut StdRng::seed_from_u64(1)).unwrap())
    }

    /// Two events: a swarm, and the peer in it.
    fn announce(shards: &Shards, torrent: u8) {
        let (remote, local) = ([10, 0, 0, 2].into(), [10, 0, 0, 1].into());
        let request =
            AnnounceRequest::new(InfoHash::new([torrent; 20]), PeerId::new([1; 20]), remote, local, 6881).with_left(1);
        let mut rng = StdRng::seed_from_u64(1);
        shards.announce(tracker_core::Instant::ZERO, &mut rng, &request, &mut Peers::default()).unwrap();
    }

    fn take(listener: &EventListener) -> (usize, u64) {
        let mut events = Vec::new();
        let lost = listener.take(&mut events);
        (events.len(), lost)
    }

    #[test]
    fn each_listener_gets_all_events_since_it_listens() {
        let shards = shards();
        let events = Events::without_thread(Arc::clone(&shards));
        let first = events.listen(100);
        announce(&shards, 1);
        events.pump();
        let second = events.listen(100);
        announce(&shards, 2);
        events.pump();
        assert_eq!(take(&first), (4, 0));
        assert_eq!(take(&second), (2, 0));
        assert_eq!(take(&first), (0, 0));
    }

    #[test]
    fn a_slow_listener_loses_the_oldest_events_and_no_other_does() {
        let shards = shards();
        let events = Events::without_thread(Arc::clone(&shards));
        let (slow, other) = (events.listen(3), events.listen(100));
        (0..5).for_each(|torrent| announce(&shards, torrent));
        events.pump();
        let mut kept = Vec::new();
        assert_eq!(slow.take(&mut kept), 7);
        assert_eq!(kept.last().unwrap().info_hash, InfoHash::new([4; 20]));
        assert_eq!((kept.len(), take(&slow)), (3, (0, 0)));
        assert_eq!(take(&other), (10, 0));
    }

    #[test]
    fn a_listener_gets_only_the_events_that_it_wants() {
        let shards = shards();
        let events = Events::without_thread(Arc::clone(&shards));
        let joined = events.listen_to(3, |kind| matches!(kind, EventKind::PeerJoined(_)));
        let left = events.listen_to(3, |kind| matches!(kind, EventKind::PeerLeft(_)));
        (0..5).for_each(|torrent| announce(&shards, torrent));
        events.pump();
        let mut kept = Vec::new();
        assert_eq!(joined.take(&mut kept), 2, "those that are not wanted take no room");
        assert!(kept.iter().all(|event| matches!(event.kind, EventKind::PeerJoined(_))), "{kept:?}");
        assert_eq!((kept.len(), take(&left)), (3, (0, 0)));
    }

    #[test]
    fn many_events_are_fetched_in_small_parts() {
        assert_eq!(period_after(0), PERIOD);
        assert_eq!(period_after(MANY_EVENTS - 1), PERIOD);
        assert_eq!(period_after(MANY_EVENTS), BUSY_PERIOD);
    }

    #[test]
    fn a_queue_keeps_little_memory_after_a_burst() {
        let shards = shards();
        let events = Events::without_thread(Arc::clone(&shards));
        let (small, large) = (events.listen(3), events.listen(10_000));
        let capacity = |listener: &EventListener| lock(&listener.queue.state).events.capacity();
        for _ in 0..5 {
            (0..=255).for_each(|torrent| announce(&shards, torrent));
            events.pump();
        }
        assert!(capacity(&small) < 10, "{}", capacity(&small));
        assert!(capacity(&large) > USUAL_EVENTS);
        assert_eq!(take(&large), (6 * 256, 0));
        assert!(capacity(&large) <= USUAL_EVENTS, "{}", capacity(&large));
    }

    #[test]
    fn listeners_that_are_gone_are_forgotten() {
        let shards = shards();
        let events = Events::without_thread(Arc::clone(&shards));
        drop(events.listen(1));
        announce(&shards, 1);
        events.pump();
        assert_eq!(lock(&events.0.pump.queues).len(), 0);
    }

    #[test]
    fn an_event_or_a_wake_up_ends_a_wait() {
        let shards = shards();
        let listener = Events::start(Arc::clone(&shards)).unwrap().listen(100);
        let started = Instant::now();
        thread::scope(|scope| {
            scope.spawn(|| announce(&shards, 1));
            listener.wait(FOREVER);
        });
        assert_eq!(take(&listener), (2, 0));
        listener.wake();
        listener.wait(FOREVER);
        assert!(started.elapsed() < FOREVER);
        listener.wait(Duration::from_millis(1));
    }

    #[test]
    fn the_last_events_are_handed_out_at_the_end() {
        let shards = shards();
        let events = Events::start(Arc::clone(&shards)).unwrap();
        let listener = events.listen(100);
        announce(&shards, 1);
        events.finish();
        assert_eq!(take(&listener), (2, 0));
        events.finish();
    }
}
