//! Looking through a pool for peers that are due.

use super::Pool;
use crate::Instant;
use crate::entry::Entry;
use crate::peer::Member;
use crate::rules::Rules;

/// A look at all entries for those that are due, from the last to the first, as far as it has come. So the entry which takes
/// a removed one's place was looked at already.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sweep {
    pub(crate) began: Instant,
    /// The number of entries, from the beginning, that are left to check.
    pub(crate) left: usize,
    /// The time at which the first of the others is due.
    pub(crate) next: Option<Instant>,
}

impl Sweep {
    pub(super) fn see(&mut self, due: Instant) {
        self.next = Some(self.next.map_or(due, |next| next.min(due)));
    }
}

impl<E: Entry> Pool<E> {
    /// Resumes an interrupted sweep, or starts one.
    pub(crate) fn resume_sweep(&mut self, rules: &Rules) -> Sweep {
        let interrupted = self.extras.as_mut().and_then(|extras| extras.sweep.take());
        let sweep = interrupted.unwrap_or(Sweep { began: rules.now, left: self.len(), next: None });
        // More than were left to look at may have gone since.
        Sweep { left: sweep.left.min(self.len()), ..sweep }
    }

    /// Removes peers that are due. Looks at `budget` peers at most, and takes those it looks at from it.
    ///
    /// It goes from the last position to the first, so that what a removal puts in the hole comes from behind and was looked at
    /// already. Announces between two batches swap entries, too: one that is swapped from before the sweep's position to behind
    /// it would be missed, so that `swap` looks at it then.
    pub(crate) fn sweep(
        &mut self,
        rules: &Rules,
        sweep: &mut Sweep,
        budget: &mut usize,
        mut expired: impl FnMut(&Member),
    ) {
        while sweep.left > 0 && *budget > 0 {
            *budget -= 1;
            sweep.left -= 1;
            match self.due(rules, sweep.left) {
                None => expired(&self.remove(rules, sweep.left)),
                Some(due) => sweep.see(due),
            }
        }
    }

    /// Keeps a sweep that is to be resumed.
    pub(crate) fn interrupt_sweep(&mut self, sweep: Sweep) {
        self.extras.get_or_insert_default().sweep = Some(sweep);
    }

    /// Takes in that a peer came which may be due sooner than one that announces. An interrupted sweep may have passed its position.
    pub(crate) fn see_due(&mut self, due: Instant) {
        if let Some(sweep) = self.extras.as_mut().and_then(|extras| extras.sweep.as_mut()) {
            sweep.see(due);
        }
    }
}
