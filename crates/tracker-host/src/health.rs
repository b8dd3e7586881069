//! The health of a tracker's parts.

use std::fmt::{self, Debug};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// Looks at a part, and returns what is wrong with it.
type Check = dyn Fn() -> Option<String> + Send + Sync;

/// The health of a tracker's parts, as they say it themselves, or as they are looked at when somebody asks. Cheap to clone; all clones
/// are one.
///
/// Problems are sentences for viewers: they name no path and no key.
///
/// ```
/// use tracker_host::Health;
///
/// let health = Health::default();
/// let list = health.reported("deny_list");
/// health.watch("share", || None);
/// list.failed("line 3 is no info-hash; the last valid version stays in force");
/// let problems: Vec<_> = health.look().into_iter().filter_map(|part| part.problem).collect();
/// assert_eq!(problems.len(), 1);
/// ```
#[derive(Clone, Default)]
pub struct Health(Arc<Mutex<Vec<HealthPart>>>);

/// A part of a tracker, whose health is known or can be checked. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct HealthPart {
    name: &'static str,
    is_vital: bool,
    source: Source,
}

/// The source of what is known of a part.
#[derive(Clone)]
enum Source {
    Reported(HealthReport),
    Watched(Arc<Check>),
}

/// What a part says of itself. Cheap to clone; all clones are of the same part.
#[derive(Debug, Clone, Default)]
pub struct HealthReport(Arc<Mutex<Report>>);

/// The last report.
#[derive(Debug, Clone, Default)]
struct Report {
    problem: Option<String>,
    saved: Option<SystemTime>,
}

/// The health of one part.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartHealth {
    /// Its name: lower case letters and underscores.
    pub name: &'static str,
    /// `true` if clients are not served while it has a problem.
    pub is_vital: bool,
    /// What is wrong, for people; `None` if all is well.
    pub problem: Option<String>,
    /// When it was last written to the disk, or when the tracker started; `None` if it is not written regularly.
    pub saved: Option<SystemTime>,
}

impl Health {
    /// Adds a part that says itself how it is. It is well until it says otherwise.
    pub fn reported(&self, name: &'static str) -> HealthReport {
        let report = HealthReport::default();
        self.parts_mut().push(HealthPart { name, is_vital: false, source: Source::Reported(report.clone()) });
        report
    }

    /// Adds a part at which `check` looks. It may block for a short time, and returns what is wrong.
    pub fn watch(&self, name: &'static str, check: impl Fn() -> Option<String> + Send + Sync + 'static) {
        self.parts_mut().push(HealthPart { name, is_vital: false, source: Source::Watched(Arc::new(check)) });
    }

    /// Adds a part without which clients are not served, and at which `check` looks as for [`watch`](Self::watch).
    pub fn watch_vital(&self, name: &'static str, check: impl Fn() -> Option<String> + Send + Sync + 'static) {
        self.parts_mut().push(HealthPart { name, is_vital: true, source: Source::Watched(Arc::new(check)) });
    }

    /// The parts, in the order in which they were added. Each can be looked at on its own, so that one that hangs holds up no other.
    pub fn parts(&self) -> Vec<HealthPart> {
        self.parts_mut().clone()
    }

    /// Looks at all parts, one after the other. Blocks while they are looked at.
    pub fn look(&self) -> Vec<PartHealth> {
        self.parts().iter().map(HealthPart::look).collect()
    }

    fn parts_mut(&self) -> MutexGuard<'_, Vec<HealthPart>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Health").field(&*self.parts_mut()).finish()
    }
}

impl HealthPart {
    /// Its name: lower case letters and underscores. No other part has it.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Looks at it. May block: see [`Health::watch`].
    pub fn look(&self) -> PartHealth {
        let Report { problem, saved } = match &self.source {
            Source::Reported(report) => report.lock().clone(),
            Source::Watched(check) => Report { problem: check(), saved: None },
        };
        PartHealth { name: self.name, is_vital: self.is_vital, problem, saved }
    }

    /// The health of this part if it cannot be looked at, for this reason.
    pub fn unknown(&self, problem: impl Into<String>) -> PartHealth {
        PartHealth { name: self.name, is_vital: self.is_vital, problem: Some(problem.into()), saved: None }
    }
}

impl Debug for HealthPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HealthPart").field("name", &self.name).field("is_vital", &self.is_vital).finish_non_exhaustive()
    }
}

impl HealthReport {
    /// Clears the problem.
    pub fn clear(&self) {
        self.lock().problem = None;
    }

    /// Clears the problem, and sets the time at which it was written to the disk to now.
    pub fn saved(&self) {
        *self.lock() = Report { problem: None, saved: Some(SystemTime::now()) };
    }

    /// Sets the problem.
    pub fn failed(&self, problem: impl Into<String>) {
        self.lock().problem = Some(problem.into());
    }

    fn lock(&self) -> MutexGuard<'_, Report> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn parts_are_as_they_say_or_as_they_are_found() {
        let health = Health::default();
        assert_eq!(health.look(), []);
        let is_locked = Arc::new(AtomicBool::new(true));
        let of_check = Arc::clone(&is_locked);
        health.watch_vital("swarms", move || of_check.load(Ordering::Relaxed).then(|| "locked".into()));
        let snapshot = health.reported("snapshot");
        let looked = |part: usize| health.look().swap_remove(part);
        let swarms = PartHealth { name: "swarms", is_vital: true, problem: Some("locked".into()), saved: None };
        assert_eq!(looked(0), swarms);
        assert_eq!(health.parts().swap_remove(0).unknown("locked"), swarms);
        assert_eq!((looked(1).problem, looked(1).saved, looked(1).is_vital), (None, None, false));
        is_locked.store(false, Ordering::Relaxed);
        snapshot.failed("the disk is full");
        assert_eq!((looked(0).problem, looked(1).problem), (None, Some("the disk is full".into())));
        snapshot.saved();
        assert!(looked(1).problem.is_none() && looked(1).saved.is_some());
        snapshot.failed("the disk is full");
        assert!(looked(1).saved.is_some(), "it is known how old it is");
        snapshot.clear();
        assert_eq!(looked(1).problem, None);
    }

    #[test]
    fn a_check_may_look_at_other_parts() {
        let health = Health::default();
        let snapshot = health.reported("snapshot");
        let of_check = health.clone();
        health.watch("all", move || of_check.parts().first()?.look().problem);
        assert_eq!(health.look()[1].problem, None);
        snapshot.failed("the disk is full");
        assert_eq!(health.look()[1].problem.as_deref(), Some("the disk is full"));
    }
}
