//! Simulated peers over HTTP (BEP 3, BEP 48).

mod connection;
mod request;
mod response;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::socket::SockaddrStorage;
use nix::sys::time::TimeSpec;

use self::connection::Connection;
use self::request::RequestText;
use self::response::{Head, NotHttp};
use crate::address::Sources;
use crate::answer::{NoAnswer, read_announce, read_scrape};
use crate::ask::{Ask, Kind};
use crate::play::{Next, Play};
use crate::record::Exchange;
use crate::target::Target;
use crate::violation::{Violation, Violations};

/// The maximum time of an exchange.
const PATIENCE: Duration = Duration::from_secs(10);
/// The time between checks for exchanges that take longer.
const LOOK: Duration = Duration::from_millis(50);
/// Shorter waits are to end in time.
const COARSE: Duration = Duration::from_millis(10);
/// The initial size of the buffer for an answer.
const USUAL_ANSWER: usize = 8 << 10;
/// Longer answers are refused, as libtorrent does.
const LONGEST_ANSWER: usize = 1 << 20;
/// The number of open files besides connections.
const OTHER_FILES: u64 = 64;

/// All simulated peers.
#[derive(Debug)]
pub(crate) struct HttpClient {
    epoll: Epoll,
    tracker: SockaddrStorage,
    text: RequestText,
    slots: Vec<Slot>,
    /// Used in turn, so that all are used at low rates, too.
    idle: VecDeque<u16>,
    keeps_connections: bool,
    /// Each slot has an address of its own, and so its own peers.
    has_groups: bool,
    next_look: Instant,
}

/// A request in flight and a connection, if any.
#[derive(Debug, Default)]
struct Slot {
    connection: Option<Connection>,
    flight: Option<Flight>,
    request: Vec<u8>,
    answer: Vec<u8>,
    /// The length of the part of `answer` that has arrived.
    filled: usize,
}

#[derive(Debug)]
struct Flight {
    ask: Ask,
    /// The time from which its latency counts.
    since: Instant,
    begun: Instant,
    sent: usize,
    head: Option<Head>,
    /// The answer is complete, but the connection is still open.
    is_answered: bool,
}

/// The reason that no more requests begin now.
#[derive(Debug, Clone, Copy)]
enum Begun {
    Over,
    Until(Instant),
    Full,
}

/// The next step of a slot.
#[derive(Debug)]
enum Step {
    Wait,
    /// The exchange is over. `true`: the connection can be used again.
    Done {
        keep: bool,
    },
    /// The connection cannot be used any more.
    Broken(Errno),
}

impl HttpClient {
    /// Makes a client with this maximum of requests in flight.
    pub(crate) fn open(target: &Target, sources: &Sources, concurrency: u16, keeps_connections: bool) -> Result<Self> {
        allow_open_files(u64::from(concurrency) + OTHER_FILES)?;
        Ok(Self {
            epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).context("cannot wait for connections")?,
            tracker: target.address.into(),
            text: RequestText::new(&target.protocol, keeps_connections).context("the tracker does not speak HTTP")?,
            slots: (0..concurrency).map(|_| Slot { answer: vec![0; USUAL_ANSWER], ..Slot::default() }).collect(),
            idle: (0..concurrency).collect(),
            keeps_connections,
            has_groups: keeps_connections && sources.count() > 1,
            next_look: Instant::now(),
        })
    }

    /// Plays one phase to its end.
    pub(crate) fn run(&mut self, play: &mut Play<'_>) -> Result<()> {
        let mut events = vec![EpollEvent::empty(); self.slots.len().min(1024)];
        loop {
            let now = Instant::now();
            let wake = match self.begin(play, now) {
                Begun::Over if self.idle.len() == self.slots.len() => return Ok(()),
                Begun::Over | Begun::Full => self.next_look,
                Begun::Until(at) => at.min(self.next_look),
            };
            let count = self.wait(&mut events, wake)?;
            let now = Instant::now();
            for event in &events[..count] {
                let index = u16::try_from(event.data()).expect("the index of a slot");
                self.advance(play, index, event.events(), now);
            }
            if now >= self.next_look {
                self.look(play, now);
                play.tick(now);
            }
        }
    }

    /// Begins the requests that are due.
    fn begin(&mut self, play: &mut Play<'_>, now: Instant) -> Begun {
        let mut begun = Begun::Full;
        for _ in 0..self.idle.len() {
            let Some(index) = self.idle.pop_front() else { break };
            let group = if self.has_groups { u32::from(index) } else { 0 };
            let (ask, since) = match play.next(now, group) {
                Next::Ask(ask, since) => (ask, since),
                other => {
                    self.idle.push_back(index);
                    match other {
                        Next::NotBefore(at) => return Begun::Until(at),
                        Next::Over => begun = Begun::Over,
                        _ => {}
                    }
                    // Other groups may have requests.
                    if self.has_groups { continue } else { break }
                }
            };
            self.write_request(play, index, &ask);
            // Time passes while connections are made.
            let begun = Instant::now();
            let slot = &mut self.slots[usize::from(index)];
            slot.filled = 0;
            slot.flight =
                Some(Flight { ask, since: since.unwrap_or(begun), begun, sent: 0, head: None, is_answered: false });
            self.advance(play, index, EpollFlags::empty(), now);
        }
        begun
    }

    fn write_request(&mut self, play: &Play<'_>, index: u16, ask: &Ask) {
        let out = &mut self.slots[usize::from(index)].request;
        let port = play.traffic.population.sources.port(ask.number);
        match &ask.kind {
            Kind::Announce(announce) => {
                self.text.announce(out, play.traffic.info_hash(announce.torrent), (ask.number, port), announce);
            }
            Kind::Scrape(scraped) => {
                self.text.scrape(out, scraped.iter().map(|one| play.traffic.info_hash(one.torrent)));
            }
        }
    }

    /// Continues a slot as far as possible without waiting. `events` are the ones that epoll reported for it.
    fn advance(&mut self, play: &mut Play<'_>, index: u16, events: EpollFlags, now: Instant) {
        let slot = &mut self.slots[usize::from(index)];
        if slot.flight.is_none() {
            // The tracker has closed an idle connection.
            slot.connection = None;
            return;
        }
        let step = match slot.write(&self.epoll, &self.tracker, play, index) {
            Ok(true) => slot.read(play, self.keeps_connections, events.contains(EpollFlags::EPOLLRDHUP), now),
            Ok(false) => Step::Wait,
            Err(errno) => Step::Broken(errno),
        };
        match step {
            Step::Wait => return,
            Step::Done { keep: true } => {}
            Step::Done { keep: false } => slot.connection = None,
            Step::Broken(errno) => {
                let was_used = slot.connection.take().is_some_and(|connection| connection.answers > 0);
                if let Some(flight) = &mut slot.flight
                    && was_used
                    && slot.filled == 0
                {
                    // The tracker closed the connection while the request was on its way, which it may do at any time.
                    flight.sent = 0;
                    return self.advance(play, index, EpollFlags::empty(), now);
                }
                if let Some(flight) = &slot.flight
                    && !flight.is_answered
                {
                    play.failed(&flight.ask, NoAnswer::Connection(errno.desc().to_owned()));
                }
            }
        }
        slot.flight = None;
        self.idle.push_back(index);
    }

    /// Waits for events, until `wake` at the latest.
    fn wait(&self, events: &mut [EpollEvent], wake: Instant) -> Result<usize> {
        let left = wake.saturating_duration_since(Instant::now());
        let timeout = if left < COARSE {
            // epoll counts in milliseconds.
            let mut epoll = [PollFd::new(self.epoll.0.as_fd(), PollFlags::POLLIN)];
            match ppoll(&mut epoll, Some(TimeSpec::from_duration(left)), None) {
                Ok(_) | Err(Errno::EINTR) => EpollTimeout::ZERO,
                Err(error) => return Err(error).context("cannot wait for answers"),
            }
        } else {
            EpollTimeout::from(u16::try_from(left.as_millis()).unwrap_or(u16::MAX))
        };
        match self.epoll.wait(events, timeout) {
            Err(Errno::EINTR) => Ok(0),
            waited => waited.context("cannot wait for answers"),
        }
    }

    /// Ends the exchanges that take too long.
    fn look(&mut self, play: &mut Play<'_>, now: Instant) {
        self.next_look = now + LOOK;
        for (index, slot) in (0..).zip(&mut self.slots) {
            let Some(flight) = &slot.flight else { continue };
            if now.saturating_duration_since(flight.begun) < PATIENCE {
                continue;
            }
            if flight.is_answered {
                // It was asked to close the connection.
                play.violation(Violation::HttpFraming);
            } else {
                play.failed(&flight.ask, NoAnswer::TimedOut);
            }
            slot.flight = None;
            slot.connection = None;
            self.idle.push_back(index);
        }
    }
}

impl Slot {
    /// Connects if necessary, and sends the request. Returns `true` once all of it is sent.
    fn write(
        &mut self,
        epoll: &Epoll,
        tracker: &SockaddrStorage,
        play: &mut Play<'_>,
        index: u16,
    ) -> nix::Result<bool> {
        let Some(flight) = &mut self.flight else { return Ok(false) };
        if flight.sent == self.request.len() {
            return Ok(true);
        }
        let is_new = self.connection.is_none();
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => {
                let sources = &play.traffic.population.sources;
                let from = SocketAddr::new(sources.address(sources.source(flight.ask.number)), 0);
                play.record.connects += 1;
                none.insert(Connection::open(from, tracker)?)
            }
        };
        // On loopback a connection is established at once.
        while let Some(sent) = connection.send(&self.request[flight.sent..])? {
            flight.sent += sent;
            if flight.sent == self.request.len() {
                break;
            }
        }
        let is_sent = flight.sent == self.request.len();
        let mut interest = EpollFlags::EPOLLIN | EpollFlags::EPOLLRDHUP;
        interest.set(EpollFlags::EPOLLOUT, !is_sent);
        let mut event = EpollEvent::new(interest, index.into());
        if is_new {
            epoll.add(&*connection, event)?;
        } else if connection.is_watched_for_writing == is_sent {
            epoll.modify(&*connection, &mut event)?;
        }
        connection.is_watched_for_writing = !is_sent;
        // What has just been sent has no answer yet.
        Ok(false)
    }

    /// Receives the part of the answer that has arrived. `is_ending`: the tracker sends nothing after it.
    fn read(&mut self, play: &mut Play<'_>, keeps_connections: bool, is_ending: bool, now: Instant) -> Step {
        let (Some(connection), Some(flight)) = (&mut self.connection, &mut self.flight) else { return Step::Wait };
        loop {
            if self.filled == self.answer.len() {
                self.answer.resize(self.answer.len() * 2, 0);
            }
            let room = self.answer.len() - self.filled;
            let received = match connection.receive(&mut self.answer[self.filled..]) {
                Ok(Some(received)) => received,
                Ok(None) => return Step::Wait,
                Err(errno) => return Step::Broken(errno),
            };
            // A partly filled buffer means that nothing is left to receive.
            let is_closed = received == 0 || is_ending && received < room;
            self.filled += received;
            if is_closed && self.filled == 0 {
                return Step::Broken(Errno::ECONNRESET);
            }
            let answer = &self.answer[..self.filled];
            if !flight.is_answered && flight.is_whole(answer, is_closed) {
                connection.answers += 1;
                flight.is_answered = true;
                take(play, flight, answer, now);
            } else if flight.is_answered && received > 0 {
                // Bytes behind the answer.
                play.violation(Violation::HttpFraming);
                return Step::Done { keep: false };
            }
            let closes = flight.head.is_none_or(|head| head.closes);
            match (flight.is_answered, is_closed) {
                (_, true) => return Step::Done { keep: false },
                (true, false) if keeps_connections => return Step::Done { keep: !closes },
                _ if received < room => return Step::Wait,
                _ => {}
            }
        }
    }
}

impl Flight {
    /// Returns `true` if the answer is complete, or can never become so.
    fn is_whole(&mut self, answer: &[u8], is_closed: bool) -> bool {
        if self.head.is_none() {
            match Head::parse(answer) {
                Ok(head) => self.head = head,
                // Nothing that arrives later can make it HTTP.
                Err(NotHttp) => return true,
            }
        }
        is_closed || answer.len() > LONGEST_ANSWER || self.head.is_some_and(|head| head.is_whole(answer, is_closed))
    }
}

/// Processes an answer that is complete, or never will be.
fn take(play: &mut Play<'_>, flight: &Flight, answer: &[u8], now: Instant) {
    let mut found = Violations::default();
    let outcome = match flight.head {
        Some(head) => {
            if !head.is_framed_well(answer) {
                found.add(Violation::HttpFraming);
            }
            let exchange = Exchange { since: flight.since, now, bytes: answer.len() };
            take_body(play, flight, &head, &answer[head.length..], exchange, &mut found)
        }
        None => {
            found.add(Violation::HttpFraming);
            Err(NoAnswer::Unreadable)
        }
    };
    if let Err(reason) = outcome {
        play.failed(&flight.ask, reason);
    }
    play.found(found);
}

fn take_body(
    play: &mut Play<'_>,
    flight: &Flight,
    head: &Head,
    body: &[u8],
    exchange: Exchange,
    found: &mut Violations,
) -> Result<(), NoAnswer> {
    if head.status != 200 {
        return Err(NoAnswer::Status(head.status));
    }
    if head.is_chunked || head.content_length.is_some_and(|length| length > body.len()) {
        return Err(NoAnswer::Unreadable);
    }
    let body = &body[..head.content_length.unwrap_or(body.len())];
    match &flight.ask.kind {
        Kind::Announce(announce) => read_announce(body, found, |answer, found| {
            play.announced(&flight.ask, announce, answer, exchange, found);
        }),
        Kind::Scrape(scraped) => {
            let info_hashes: Vec<_> = scraped.iter().map(|one| *play.traffic.info_hash(one.torrent)).collect();
            let counts = read_scrape(body, &info_hashes, found)?;
            play.scraped(scraped, counts.into_iter(), exchange, found);
            Ok(())
        }
    }
}

/// Raises the soft limit of open files to the hard limit, if necessary.
fn allow_open_files(needed: u64) -> Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).context("cannot read the limit of open files")?;
    if soft >= needed {
        return Ok(());
    }
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).ok();
    anyhow::ensure!(hard >= needed, "only {hard} files may be open: give --concurrency {} at most", hard - OTHER_FILES);
    Ok(())
}
