//! Runs operations against a tracker and the model, and compares.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use tracker_core::{Config, InfoHash, Instant, Memory, OwnPeer, Peer, Peers, SwarmCounts, SwarmImage, Tracker};

use super::journal::Journal;
use super::subject::{Heard, HeardShards, Subject};
use super::world::{Input, Operation, TORRENTS, World};
use super::{Model, OWN_PEER_ID, OWN_PORT, users};

/// Makes a configuration and operations of the input, and runs them.
pub(crate) fn tracker_ops(input: &[u8]) {
    let mut choices = Input(input);
    let config = World::config(&mut choices);
    let mut world = World::new(6, &mut choices);
    let mut rng = StdRng::seed_from_u64(0);
    let tracker = Tracker::new(config.clone(), &mut rng).expect("a valid configuration");
    let shards = HeardShards::new(config.clone(), SHARDS, &mut rng);
    let mut trial = Trial::new(tracker, config.clone(), 0);
    let mut trial_of_shards = Trial::new(shards, config, 0);
    while !choices.0.is_empty() {
        let operation = world.next(&mut choices);
        trial.run(&operation);
        trial_of_shards.run(&operation);
    }
}

pub(crate) const SHARDS: NonZeroUsize = NonZeroUsize::new(3).unwrap();

/// Steps between comparisons of everything, and not only of the swarm that an operation is about.
const FULL_CHECK: usize = 16;

#[derive(Debug)]
pub(crate) struct Trial<S> {
    subject: S,
    model: Model,
    journal: Journal,
    /// Images, and when they were made.
    kept: (Instant, Vec<SwarmImage>),
    rng: StdRng,
    peers: Peers,
    counts: Vec<SwarmCounts>,
    steps: usize,
    /// The time that has passed since nothing was left to expire.
    behind: Duration,
}

impl<S: Subject> Trial<S> {
    /// `subject` is new, and was made with `config`.
    pub(crate) fn new(subject: S, config: Config, seed: u64) -> Self {
        let mut subject = subject;
        subject.set_users(Instant::ZERO);
        Self {
            subject,
            model: Model::new(config),
            journal: Journal::default(),
            kept: (Instant::ZERO, Vec::new()),
            rng: StdRng::seed_from_u64(seed),
            peers: Peers::default(),
            counts: Vec::new(),
            steps: 0,
            behind: Duration::ZERO,
        }
    }

    pub(crate) fn run(&mut self, operation: &Operation) {
        let mut everything = self.steps.is_multiple_of(FULL_CHECK);
        self.steps += 1;
        if let Operation::Announce { now, .. } | Operation::TakeIn { now } = operation
            && self.model.config().memory == Memory::Lean
        {
            self.keep_up(*now);
        }
        match operation {
            Operation::Announce { now, request } => {
                let answer = self.subject.announce(*now, &mut self.rng, request, &mut self.peers);
                let members = self.subject.swarm(&request.info_hash).map(|(_, members)| members).unwrap_or_default();
                let peers: Vec<_> = self.peers.iter().collect();
                let heard = self.model.announce(*now, request, &answer, &peers, &members, &self.left());
                assert!(self.subject.heard().is_none_or(|told| told == heard), "{heard:?} should have been heard");
                self.check_swarm(&request.info_hash);
            }
            Operation::Scrape { remote, user_key, info_hashes } => {
                let answer = self.subject.scrape(*remote, user_key.as_ref(), info_hashes, &mut self.counts);
                self.model.scrape(*remote, user_key.as_ref(), info_hashes, &answer, &self.counts);
            }
            Operation::Expire { now, wholly } => {
                if *wholly {
                    self.expire_wholly(*now);
                } else {
                    _ = self.expire(*now);
                }
                everything = true;
            }
            Operation::SetTorrents(torrents) => {
                self.subject.set_torrents(torrents);
                self.model.set_torrents(torrents, &self.left());
                everything = true;
            }
            Operation::SetClients(clients) => {
                self.subject.set_clients(clients);
                self.model.set_clients(clients, &self.left());
                everything = true;
            }
            Operation::Sample(request) => {
                self.subject.sample(&mut self.rng, request, &mut self.peers);
                self.model.sample(request, &self.peers.iter().collect::<Vec<_>>());
                self.check_swarm(&request.info_hash);
            }
            Operation::SetOwnPeer(is_there) => {
                self.subject.set_own_peer(is_there.then_some(OwnPeer::new(OWN_PORT, OWN_PEER_ID)));
                self.model.set_own_peer(*is_there);
            }
            Operation::TakeOut => self.take_out(),
            Operation::TakeIn { now } => {
                self.take_in(*now);
                everything = true;
            }
            Operation::Restart { now } => {
                self.restart(*now);
                everything = true;
            }
            Operation::FindOut { info_hash, address, peer_id, reachability } => {
                let is_there = self.subject.set_reachability(info_hash, *address, *peer_id, *reachability);
                assert_eq!(is_there, self.model.find_out(info_hash, *address, *peer_id, *reachability));
                if is_there {
                    let address = SocketAddr::new(address.ip().to_canonical(), address.port());
                    self.journal.find_out(info_hash, address, *reachability);
                }
                self.check_swarm(info_hash);
            }
        }
        self.check_events();
        let now = self.model.now();
        for (_, rule) in users::rules() {
            let totals = self.subject.with_users(|users| users.totals(now, rule.user));
            totals.iter().for_each(|totals| self.model.check_user(rule.user, totals));
        }
        self.model.check_totals(&self.subject.totals());
        self.model.check_next_expiry(self.subject.next_expiry());
        if everything {
            self.check_everything();
        }
    }

    fn take_out(&mut self) {
        let now = self.model.now();
        if self.model.config().memory == Memory::Lean {
            // It does not know for how long something is due.
            self.expire_wholly(now);
        }
        self.kept = (now, self.subject.images(now));
    }

    /// Takes in what was kept. Returns the number of peers that came.
    fn take_in(&mut self, now: Instant) -> usize {
        let now = now.max(self.model.now());
        let (made, images) = std::mem::take(&mut self.kept);
        let mut count = 0;
        for image in &images {
            let came = self.subject.restore(now, image, now.since(made));
            let heard = self.model.restore(now, image, now.since(made));
            assert_eq!(came, heard.iter().filter(|heard| matches!(heard, Heard::Came(..))).count(), "{heard:?}");
            assert!(self.subject.heard().is_none_or(|told| told == heard), "{heard:?} should have been heard");
            count += came;
        }
        self.kept = (made, images);
        self.check_events();
        if self.model.config().max_pending_events > 0 {
            self.journal.restore(self.left());
        }
        count
    }

    fn restart(&mut self, now: Instant) {
        self.take_out();
        self.check_events();
        let now = now.max(self.model.now());
        self.subject.renew(self.model.config().clone(), &mut self.rng);
        self.subject.set_users(now);
        self.subject.set_own_peer(self.model.has_own_peer().then_some(OwnPeer::new(OWN_PORT, OWN_PEER_ID)));
        self.model.restart();
        self.journal = Journal::default();
        self.behind = Duration::ZERO;
        // The time, also if there is nothing to take in.
        self.subject.expire(now);
        self.model.expire(now, &self.left());
        self.take_in(now);
        assert_eq!(self.take_in(now), 0, "nothing comes twice");
    }

    /// A lean tracker must not be left alone for long with what is due.
    fn keep_up(&mut self, now: Instant) {
        let (then, longest) = (self.model.now(), self.model.longest_timeout());
        if self.behind > longest {
            self.expire_wholly(then);
        }
        // When nothing happens for longer than that, the tracker does not count it.
        self.behind += Duration::from_secs(now.as_secs().saturating_sub(then.as_secs()).into()).min(longest);
        _ = self.expire(now);
    }

    /// Expires one batch. Returns `true` if nothing is left to expire.
    fn expire(&mut self, now: Instant) -> bool {
        self.subject.expire(now);
        self.model.expire(now, &self.left());
        self.check_events();
        let is_done = self.subject.next_expiry().is_none_or(|next| next > self.model.now());
        if is_done {
            self.model.check_nothing_is_due();
            self.behind = Duration::ZERO;
        }
        is_done
    }

    /// The swarms and peers that the tracker has.
    fn left(&self) -> BTreeMap<InfoHash, Vec<Peer>> {
        let swarm = |info_hash| self.subject.swarm(&info_hash).map(|(_, members)| (info_hash, members));
        self.subject.info_hashes().into_iter().filter_map(swarm).collect()
    }

    fn expire_wholly(&mut self, now: Instant) {
        // One peer or swarm in each batch; and what was looked at when a batch began anew, once more. Then there are places that
        // swarms had, of which there are no more than torrents.
        let enough = 2 * self.model.size() + 2 + usize::from(TORRENTS);
        assert!((0..enough).any(|_| self.expire(now)), "there is no end to it: {:?}", self.subject.next_expiry());
    }

    fn check_swarm(&self, info_hash: &InfoHash) {
        assert_eq!(self.subject.has_peer_here(info_hash), self.model.has_peer_here(info_hash));
        match self.subject.swarm(info_hash) {
            Some((counts, members)) => {
                assert_eq!(counts, self.model.counts(info_hash));
                self.model.check_members(info_hash, &members);
            }
            None => self.model.check_members(info_hash, &[]),
        }
    }

    fn check_events(&mut self) {
        let events = self.subject.events();
        if self.model.config().max_pending_events == 0 {
            assert_eq!(events, [], "nobody listens");
            return;
        }
        for event in events {
            assert_eq!(event.at, self.model.now());
            self.journal.take(event);
        }
        assert_eq!(self.journal.tally(), self.model.tally());
    }

    fn check_everything(&self) {
        let mut info_hashes = self.subject.info_hashes();
        info_hashes.sort_unstable();
        assert!(info_hashes.iter().eq(self.model.info_hashes()), "the swarms are {info_hashes:?}");
        for info_hash in &info_hashes {
            self.check_swarm(info_hash);
        }
        if self.model.config().max_pending_events > 0 {
            assert!(self.journal.swarms().keys().eq(&info_hashes), "by its events: {:?}", self.journal.swarms().keys());
            for (info_hash, members) in self.journal.swarms() {
                self.model.check_members(info_hash, members);
            }
        }
    }
}
