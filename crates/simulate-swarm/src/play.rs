//! A phase in progress, from which clients take requests and to which they return answers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crate::answer::{AnnounceAnswer, NoAnswer, ScrapeCounts};
use crate::ask::{Announce, Ask, Kind, Scraped};
use crate::check::{Claims, check_announce, check_scraped};
use crate::own_peer::OwnPeer;
use crate::pace::{Due, Schedule};
use crate::progress::Bar;
use crate::record::{Exchange, Record};
use crate::traffic::{Traffic, Turn};
use crate::violation::{Violation, Violations};

/// The next step of a client.
#[derive(Debug)]
pub(crate) enum Next {
    /// Send this request. On a schedule, its latency counts from the time given.
    Ask(Ask, Option<Instant>),
    /// Wait until this time.
    NotBefore(Instant),
    /// Wait for an answer.
    Busy,
    /// The phase is over.
    Over,
}

/// A phase in progress.
#[derive(Debug)]
pub(crate) struct Play<'a> {
    pub(crate) traffic: &'a mut Traffic,
    pub(crate) own_peer: &'a mut OwnPeer,
    pub(crate) record: Record,
    pub(crate) schedule: Schedule,
    pub(crate) claims: Claims,
    /// Set by Ctrl-C.
    pub(crate) stop: &'a AtomicBool,
    pub(crate) bar: &'a Bar,
    pub(crate) is_open_loop: bool,
}

impl Play<'_> {
    /// Returns the next step for a group of places.
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

    /// Returns `true` if the first 100 requests all failed: there is no tracker, or it refuses everything.
    pub(crate) fn is_hopeless(&self) -> bool {
        const MAX_ERRORS: u64 = 100;
        self.record.requests() == 0 && self.record.errors.total() >= MAX_ERRORS
    }

    /// Updates samples and progress bar; to be called several times a second.
    pub(crate) fn tick(&mut self, now: Instant) {
        self.record.tick(now);
        self.bar.show(self.record.announces, self.schedule.progress(now));
    }

    /// Checks and counts the answer to an announce.
    pub(crate) fn announced(
        &mut self,
        ask: &Ask,
        announce: &Announce,
        answer: &AnnounceAnswer<'_>,
        exchange: Exchange,
        found: &mut Violations,
    ) {
        check_announce(&mut self.traffic.population, self.own_peer, self.claims, ask, announce, answer, found);
        self.record.announce(exchange, answer.peers.len() / 6 + answer.peers6.len() / 18);
        self.traffic.answered(announce);
    }

    /// Checks and counts the answer to a scrape. The counts are in the order of the torrents.
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

    /// Counts a request without a useful answer.
    pub(crate) fn failed(&mut self, ask: &Ask, reason: NoAnswer) {
        self.record.error(reason);
        if let Kind::Announce(announce) = &ask.kind {
            self.traffic.failed(announce);
        }
    }

    /// Counts the violations of one answer.
    pub(crate) fn found(&mut self, found: Violations) {
        self.record.violations(found);
    }

    /// Counts an answer with one violation.
    pub(crate) fn violation(&mut self, violation: Violation) {
        let mut found = Violations::default();
        found.add(violation);
        self.found(found);
    }
}
