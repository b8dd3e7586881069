//! One phase in progress: what clients ask for work and bring their answers to.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crate::answer::{AnnounceAnswer, NoAnswer, ScrapeCounts};
use crate::ask::{Announce, Ask, Kind, Scraped};
use crate::check::{Claims, check_announce, check_scraped};
use crate::pace::{Due, Schedule};
use crate::progress::Bar;
use crate::record::{Exchange, Record};
use crate::traffic::{Traffic, Turn};
use crate::violation::{Violation, Violations};

/// What to do next.
#[derive(Debug)]
pub(crate) enum Next {
    /// Ask this. Latency counts from when it was to begin, where that is on a schedule.
    Ask(Ask, Option<Instant>),
    /// Nothing before this time.
    NotBefore(Instant),
    /// Nothing before an answer comes.
    Busy,
    /// Nothing any more.
    Over,
}

/// A phase in progress.
#[derive(Debug)]
pub(crate) struct Play<'a> {
    pub(crate) traffic: &'a mut Traffic,
    pub(crate) record: Record,
    pub(crate) schedule: Schedule,
    pub(crate) claims: Claims,
    /// Somebody has pressed Ctrl-C.
    pub(crate) stop: &'a AtomicBool,
    pub(crate) bar: &'a Bar,
    pub(crate) is_open_loop: bool,
}

impl Play<'_> {
    /// What a group of places does next.
    pub(crate) fn next(&mut self, now: Instant, group: u32) -> Next {
        if self.stop.load(Ordering::Relaxed) || self.is_hopeless() {
            return Next::Over;
        }
        let since = match self.schedule.due(now) {
            Due::Over => return Next::Over,
            Due::At(at) => return Next::NotBefore(at),
            Due::Now(at) => at,
        };
        match self.traffic.next(group) {
            Turn::Over => Next::Over,
            Turn::Busy => Next::Busy,
            Turn::Ask(ask) => {
                self.schedule.begun(matches!(ask.kind, Kind::Announce(_)));
                Next::Ask(ask, self.is_open_loop.then_some(since))
            }
        }
    }

    /// Nothing but errors: there is no tracker, or it wants nothing of us.
    pub(crate) fn is_hopeless(&self) -> bool {
        const PATIENCE: u64 = 100;
        self.record.requests() == 0 && self.record.errors.total() >= PATIENCE
    }

    /// To be called now and then.
    pub(crate) fn tick(&mut self, now: Instant) {
        self.record.tick(now);
        self.bar.show(self.record.announces, self.schedule.progress(now));
    }

    /// An announce was answered.
    pub(crate) fn announced(
        &mut self,
        ask: &Ask,
        announce: &Announce,
        answer: &AnnounceAnswer<'_>,
        exchange: Exchange,
        found: &mut Violations,
    ) {
        check_announce(&mut self.traffic.population, self.claims, ask, announce, answer, found);
        self.record.announce(exchange, answer.peers.len() / 6 + answer.peers6.len() / 18);
        self.traffic.answered(announce);
    }

    /// A scrape was answered, with counts for each torrent in order.
    pub(crate) fn scraped(
        &mut self,
        scraped: &[Scraped],
        counts: impl Iterator<Item = Option<ScrapeCounts>>,
        exchange: Exchange,
        found: &mut Violations,
    ) {
        for (scraped, counts) in scraped.iter().zip(counts) {
            check_scraped(&self.traffic.population, scraped, counts, found);
        }
        self.record.scrape(exchange);
    }

    /// A request got no useful answer.
    pub(crate) fn failed(&mut self, ask: &Ask, reason: NoAnswer) {
        self.record.error(reason);
        if let Kind::Announce(announce) = &ask.kind {
            self.traffic.failed(announce);
        }
    }

    /// An answer had these things wrong with it.
    pub(crate) fn found(&mut self, found: Violations) {
        self.record.violations(found);
    }

    /// One thing was wrong with something that came.
    pub(crate) fn violation(&mut self, violation: Violation) {
        let mut found = Violations::default();
        found.add(violation);
        self.found(found);
    }
}
