//! Host names of addresses, by the resolver of the system.

use std::collections::{HashMap, VecDeque};
use std::fmt::{self, Debug};
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::names::name_of;

/// The maximum number of addresses whose names are remembered: more than there are machines in most networks. Each takes about
/// 150 bytes.
const MAX_NAMES: usize = 4096;

/// The maximum number of addresses that wait to be looked up. Further ones are looked up when they are asked for again.
const MAX_WAITING: usize = 256;

/// The maximum number of lookups at a time, each on a thread of its own. The resolver may take its time with each, half a minute
/// where a name server does not answer.
const MAX_THREADS: usize = 8;

/// The time after which a lookup is given up: its address counts as having no name.
const GIVE_UP: Duration = Duration::from_secs(2);

/// The time for which a name is taken for right.
const KEEP_NAME: Duration = Duration::from_secs(60 * 60);

/// The time for which an address is taken to have no name.
const KEEP_NONE: Duration = Duration::from_secs(10 * 60);

/// The longest name, as DNS has it.
const MAX_LEN: usize = 253;

/// The host name of an address, if it is known: as the resolver of the system has it, that is, by the hosts file, reverse DNS,
/// and whatever else the system is set up for, such as multicast DNS.
///
/// It returns at once: what is not known is looked up in the background, and known at a later call. The names of up to 4096
/// addresses are kept, for an hour, and also for ten minutes that an address has none, or none within two seconds. A name is what
/// some name server says, so that it may be shown, but decides nothing; it has only letters, digits, hyphens, underscores and
/// dots.
pub fn host_name(address: IpAddr) -> Option<Arc<str>> {
    static NAMES: LazyLock<ReverseNames> = LazyLock::new(|| ReverseNames::new(name_of));
    NAMES.name(address, Instant::now())
}

/// Names that are looked up by a function which may block.
///
/// Workers take addresses from a queue, and end when there are none. An entry is pending from when its address is queued; its
/// worker may still be at work when the entry counts as nameless, and nobody waits for it. If it then finds a name, that is
/// taken.
#[derive(Clone)]
struct ReverseNames(Arc<Inner>);

struct Inner {
    look_up: Box<dyn Fn(IpAddr) -> Option<String> + Send + Sync>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    entries: HashMap<IpAddr, Entry>,
    /// Those that no worker has taken yet, the oldest first.
    waiting: VecDeque<IpAddr>,
    workers: usize,
}

#[derive(Debug)]
struct Entry {
    name: Option<Arc<str>>,
    /// The time after which it is looked up again.
    until: Instant,
    /// The time when it was last asked for.
    used: Instant,
}

impl Debug for ReverseNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReverseNames").field("state", &self.0.state).finish_non_exhaustive()
    }
}

impl ReverseNames {
    fn new(look_up: impl Fn(IpAddr) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(Inner { look_up: Box::new(look_up), state: Mutex::default() }))
    }

    fn name(&self, address: IpAddr, now: Instant) -> Option<Arc<str>> {
        let mut state = self.state();
        let known = state.entries.get_mut(&address);
        let name = known.as_ref().and_then(|entry| entry.name.clone());
        let is_fresh = known.is_some_and(|entry| {
            entry.used = now;
            now < entry.until
        });
        if !is_fresh && state.waiting.len() < MAX_WAITING && !state.waiting.contains(&address) {
            state.make_room(&address);
            // What is known of it, if only that it had no name, holds until there is something new.
            state.entries.insert(address, Entry { name: name.clone(), until: now + KEEP_NONE, used: now });
            state.waiting.push_back(address);
            if state.workers < MAX_THREADS {
                state.workers += 1;
                drop(state);
                self.start_worker();
            }
        }
        name
    }

    fn start_worker(&self) {
        let names = self.clone();
        let started = thread::Builder::new().name("host names".into()).spawn(move || names.work());
        if started.is_err() {
            let mut state = self.state();
            state.workers -= 1;
            // They are asked for again.
            for address in std::mem::take(&mut state.waiting) {
                state.entries.remove(&address);
            }
        }
    }

    fn work(&self) {
        loop {
            let address = {
                let mut state = self.state();
                let Some(address) = state.waiting.pop_front() else {
                    state.workers -= 1;
                    return;
                };
                address
            };
            let began = Instant::now();
            // After a panic the address counts as having no name, and the worker goes on.
            let found = catch_unwind(AssertUnwindSafe(|| (self.0.look_up)(address))).unwrap_or_default();
            let name = found.and_then(|name| displayable(&name));
            let now = Instant::now();
            self.state().learn(address, name, now - began, now);
        }
    }

    /// Locks despite a panic elsewhere: nothing is left in an inconsistent state.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Makes room for an entry of this address: at the cost of the one that nobody has asked for the longest time.
    fn make_room(&mut self, address: &IpAddr) {
        if self.entries.len() < MAX_NAMES || self.entries.contains_key(address) {
            return;
        }
        let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.used).map(|(address, _)| *address);
        oldest.and_then(|oldest| self.entries.remove(&oldest));
    }

    /// Takes in what a lookup has found by now, after so long.
    fn learn(&mut self, address: IpAddr, name: Option<String>, took: Duration, now: Instant) {
        // It may have been forgotten meanwhile.
        let Some(entry) = self.entries.get_mut(&address) else { return };
        match name {
            Some(name) => (entry.name, entry.until) = (Some(name.into()), now + KEEP_NAME),
            None if took < GIVE_UP => (entry.name, entry.until) = (None, now + KEEP_NONE),
            // It was given up: it has no name for as long as was noted when it was queued.
            None => entry.name = None,
        }
    }
}

/// A name that can be shown: not the address itself, and nothing but letters, digits, hyphens, underscores and dots.
fn displayable(name: &str) -> Option<String> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let is_name = (1..=MAX_LEN).contains(&name.len()) && name.bytes().all(is_plain) && name.parse::<IpAddr>().is_err();
    is_name.then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use super::*;

    /// Waits until all lookups are over.
    fn settle(names: &ReverseNames) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while names.state().workers > 0 {
            assert!(Instant::now() < deadline);
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn address(number: u32) -> IpAddr {
        Ipv4Addr::from_bits(0x0a00_0000 + number).into()
    }

    #[test]
    fn names_and_that_there_is_none_are_remembered() {
        let lookups = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&lookups);
        let names = ReverseNames::new(move |of| {
            counter.fetch_add(1, Ordering::Relaxed);
            (of == address(1)).then(|| "lab-07.fritz.box.".to_owned())
        });
        let start = Instant::now();
        let look = |now| [names.name(address(1), now), names.name(address(2), now)];
        assert_eq!(look(start), [None, None], "nobody waits for it");
        settle(&names);
        for _ in 0..100 {
            assert_eq!(look(Instant::now()), [Some("lab-07.fritz.box".into()), None]);
        }
        assert_eq!(lookups.load(Ordering::Relaxed), 2);
        // Each has its time; an old name is shown until there is a new one.
        look(Instant::now() + KEEP_NONE);
        settle(&names);
        assert_eq!(lookups.load(Ordering::Relaxed), 3);
        assert_eq!(look(Instant::now() + 2 * KEEP_NAME), [Some("lab-07.fritz.box".into()), None]);
        settle(&names);
        assert_eq!(lookups.load(Ordering::Relaxed), 5);
    }

    #[test]
    fn a_name_server_that_does_not_answer_holds_up_nobody() {
        let (done, wait) = mpsc::channel::<()>();
        let wait = Mutex::new(wait);
        let names = ReverseNames::new(move |_| {
            _ = wait.lock().unwrap().recv();
            None
        });
        let start = Instant::now();
        for number in 0..10_000 {
            assert_eq!(names.name(address(number), start), None);
        }
        let state = names.state();
        assert!(state.waiting.len() <= MAX_WAITING && state.workers <= MAX_THREADS, "{state:?}");
        assert!(state.entries.len() <= MAX_WAITING + MAX_THREADS, "the others are looked up when asked for again");
        drop(state);
        drop(done);
        settle(&names);
    }

    #[test]
    fn a_lookup_that_panics_costs_no_worker() {
        let names = ReverseNames::new(|of| {
            assert!(of == address(0), "this lookup panics");
            Some("lab-07".to_owned())
        });
        let start = Instant::now();
        for number in 1..=4 * MAX_THREADS as u32 {
            assert_eq!(names.name(address(number), start), None);
        }
        settle(&names);
        names.name(address(0), start);
        settle(&names);
        assert_eq!(names.name(address(0), start).as_deref(), Some("lab-07"));
        assert_eq!(names.name(address(1), start), None, "it counts as having no name");
    }

    #[test]
    fn what_was_given_up_is_not_looked_up_again_at_once() {
        let mut state = State::default();
        let start = Instant::now();
        let entry = || Entry { name: Some("old".into()), until: start + KEEP_NONE, used: start };
        for (name, took, expected, until) in [
            (None, GIVE_UP * 10, None, start + KEEP_NONE),
            (None, Duration::ZERO, None, start + GIVE_UP + KEEP_NONE),
            (Some("late"), GIVE_UP * 10, Some("late"), start + GIVE_UP + KEEP_NAME),
        ] {
            state.entries.insert(address(1), entry());
            state.learn(address(1), name.map(str::to_owned), took, start + GIVE_UP);
            let entry = &state.entries[&address(1)];
            assert_eq!((entry.name.as_deref(), entry.until), (expected, until), "{name:?} {took:?}");
        }
    }

    #[test]
    fn names_are_bounded() {
        let names = ReverseNames::new(|_| None);
        let start = Instant::now();
        for number in 0..MAX_NAMES as u32 + 100 {
            names.name(address(number), start + Duration::from_millis(number.into()));
            if number.is_multiple_of(64) {
                settle(&names);
            }
        }
        settle(&names);
        let state = names.state();
        assert_eq!(state.entries.len(), MAX_NAMES);
        assert!(!state.entries.contains_key(&address(0)) && state.entries.contains_key(&address(MAX_NAMES as u32)));
    }

    #[test]
    fn a_name_is_only_a_name() {
        for name in ["lab-07", "lab-07.local", "_x.example.org", "1-2-3-4.example.org"] {
            assert_eq!(displayable(name).as_deref(), Some(name));
        }
        assert_eq!(displayable("lab-07.fritz.box.").as_deref(), Some("lab-07.fritz.box"));
        let long = "a".repeat(MAX_LEN + 1);
        for name in ["", ".", "10.0.0.7", "fe80::1", "<script>", "a b", "a\n", "m\u{fc}ller", &long] {
            assert_eq!(displayable(name).filter(|name| name != "."), None, "{name:?}");
        }
    }

    #[test]
    fn this_machine_has_a_name_or_not() {
        let name = name_of(Ipv4Addr::LOCALHOST.into()).and_then(|name| displayable(&name));
        assert!(name.is_none_or(|name| !name.is_empty()));
    }
}
