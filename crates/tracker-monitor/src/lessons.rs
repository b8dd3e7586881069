//! The lessons.

use crate::Computers;

/// The lessons: the current one, and those before it. Cheap to clone; all clones are one.
///
/// The first begins with the program, and each lasts until the operator begins the next. They are kept as long as the program
/// runs: the last [`MAX_PAST`](Self::MAX_PAST) before the current one, with a million copies of files on computers in all of them.
#[derive(Debug, Clone)]
pub struct Lessons(Computers);

impl Lessons {
    /// Lessons before the current one, at most.
    pub const MAX_PAST: usize = 100;

    pub(crate) fn new(computers: Computers) -> Self {
        Self(computers)
    }

    /// Begins a new lesson. Returns its number. What computers have that are there, and what they are downloading, goes on in it.
    pub fn begin(&self) -> u32 {
        let number = self.0.next_lesson();
        tracing::info!(event = "lesson_began", lesson = number, "lesson {number} has begun");
        number
    }
}
