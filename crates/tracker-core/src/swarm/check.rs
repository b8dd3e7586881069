//! Looking through a swarm for peers that are not served any more.

use super::Swarm;
use crate::peer::Member;
use crate::pool::Check;

impl Swarm {
    /// Goes on with a look at all peers, or begins one, until `budget` is used up. `see` returns what a peer costs. Returns `true` if all
    /// were seen that were here when it began, and still are.
    pub(crate) fn check(&mut self, budget: &mut usize, mut see: impl FnMut(&Member) -> usize) -> bool {
        let mut v4 = self.v4.resume_check();
        self.v4.check(&mut v4, budget, &mut see);
        let mut v6 = None;
        if let Some(pool) = &mut self.v6 {
            let check = v6.insert(pool.resume_check());
            pool.check(check, budget, &mut see);
        }
        let is_whole = v4.is_whole() && v6.as_ref().is_none_or(Check::is_whole);
        if !is_whole {
            self.v4.interrupt_check(v4);
            if let (Some(pool), Some(v6)) = (&mut self.v6, v6) {
                pool.interrupt_check(v6);
            }
        }
        is_whole
    }

    /// Has the next [`check`](Self::check) begin anew.
    pub(crate) fn forget_check(&mut self) {
        drop(self.v4.resume_check());
        self.v6.iter_mut().for_each(|v6| drop(v6.resume_check()));
    }
}
