use std::thread;
use std::time::{Duration, Instant};

/// Time between two looks at a condition.
const POLL: Duration = Duration::from_millis(20);

/// Looks at a condition until it holds and returns what it yields.
///
/// `look` answers with an error that says what it saw instead, for the message when `deadline` has passed.
///
/// # Panics
///
/// If the condition does not hold in time.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, deadline: Duration, mut look: impl FnMut() -> anyhow::Result<T>) -> T {
    let start = Instant::now();
    loop {
        match look() {
            Ok(value) => return value,
            Err(seen) if start.elapsed() >= deadline => {
                panic!("waited {} s for {what}; last seen: {seen:#}", deadline.as_secs());
            }
            Err(_) => thread::sleep(POLL),
        }
    }
}
