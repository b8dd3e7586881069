//! Looking through a pool for peers that are not served any more.

use super::Pool;
use crate::entry::Entry;
use crate::peer::Member;

/// A look at all entries for those that are not served any more, in the same order, as far as it has come.
#[derive(Debug)]
pub(crate) struct Check {
    /// The number of entries, from the beginning, that are left to check.
    pub(super) left: usize,
    /// Peers that went from there to behind it meanwhile, and so are left to check, too: at most seven for each peer that came. They
    /// are the first that are checked when it goes on.
    pub(super) moved: Vec<Member>,
}

impl Check {
    pub(crate) fn is_whole(&self) -> bool {
        self.left == 0 && self.moved.is_empty()
    }
}

impl<E: Entry> Pool<E> {
    /// Resumes an interrupted check, or starts one.
    pub(crate) fn resume_check(&mut self) -> Check {
        let interrupted = self.extras.as_mut().and_then(|extras| extras.check.take());
        self.extras.take_if(|extras| extras.is_empty());
        let check = interrupted.unwrap_or_else(|| Check { left: self.len(), moved: Vec::new() });
        // More than were left to check may have gone since.
        Check { left: check.left.min(self.len()), ..check }
    }

    /// Checks peers until `budget` is used up. `see` returns what a peer costs.
    ///
    /// It goes from the last position to the first, as [`sweep`](Self::sweep) does, and so misses none but those that `swap` notes.
    pub(crate) fn check(&self, check: &mut Check, budget: &mut usize, mut see: impl FnMut(&Member) -> usize) {
        while *budget > 0 && !check.is_whole() {
            let member = check.moved.pop().unwrap_or_else(|| {
                check.left -= 1;
                self.member(check.left)
            });
            *budget = budget.saturating_sub(see(&member));
        }
    }

    /// Keeps a check that is to be resumed.
    pub(crate) fn interrupt_check(&mut self, check: Check) {
        self.extras.get_or_insert_default().check = Some(check);
    }
}
