//! Simulated peers over UDP (BEP 15).

mod packet;
mod socket;

use std::time::{Duration, Instant};

use anyhow::Result;

use self::packet::{ANNOUNCE_ANSWER, Action, CONNECT_ANSWER, HEAD, u32_at};
use self::socket::BatchSocket;
use crate::address::Sources;
use crate::answer::{AnnounceAnswer, NoAnswer, ScrapeCounts};
use crate::ask::{Ask, Kind};
use crate::play::{Next, Play};
use crate::record::Exchange;
use crate::target::Target;
use crate::violation::{Violation, Violations};

/// The lifetime of a connection id (BEP 15), less a margin.
const ID_LIFE: Duration = Duration::from_secs(55);
/// A request is sent again after this time, once more after twice the time, and fails after four times the time.
const PATIENCE: Duration = Duration::from_secs(1);
/// The maximum number of times that a request is sent.
const TRIES: u8 = 3;
/// The time between checks for requests to send again.
const LOOK: Duration = Duration::from_millis(50);
/// A transaction id at most this far behind the current one may belong to a duplicate answer.
const REMEMBERED: u16 = 16;

/// All simulated peers, on one socket.
#[derive(Debug)]
pub(crate) struct UdpClient {
    socket: BatchSocket,
    flights: Flights,
}

/// The requests in flight.
#[derive(Debug)]
struct Flights {
    slots: Vec<Slot>,
    idle: Vec<u16>,
    /// Slots with a packet to send, also again.
    to_send: Vec<u16>,
    /// Connection ids by source.
    ids: Vec<Option<ConnectionId>>,
    /// The size of a peer in an answer, in bytes.
    stride: usize,
    next_look: Instant,
}

#[derive(Debug, Clone, Copy)]
struct ConnectionId {
    id: u64,
    since: Instant,
}

/// A request in flight, if any.
#[derive(Debug)]
struct Slot {
    /// The lower half of the transaction id; the upper half is the index of the slot.
    generation: u16,
    flight: Option<Flight>,
}

#[derive(Debug)]
struct Flight {
    ask: Ask,
    /// The time from which its latency counts; `None` if that is the time of sending and it has not been sent.
    since: Option<Instant>,
    sent: Instant,
    tries: u8,
    /// The packet in flight is a connect, or there is none yet.
    is_connecting: bool,
}

impl UdpClient {
    /// Makes a client with this maximum of requests in flight.
    pub(crate) fn open(target: &Target, sources: &Sources, concurrency: u16) -> Result<Self> {
        let flights = Flights {
            // Random ids of a tracker are unlikely to equal these.
            slots: (0..concurrency).map(|slot| Slot { generation: slot.wrapping_mul(40_503), flight: None }).collect(),
            idle: (0..concurrency).rev().collect(),
            to_send: Vec::new(),
            ids: Vec::new(),
            stride: if target.address.is_ipv4() { 6 } else { 18 },
            next_look: Instant::now(),
        };
        Ok(Self { socket: BatchSocket::open(target.address, sources)?, flights })
    }

    /// Plays one phase to its end.
    pub(crate) fn run(&mut self, play: &mut Play<'_>) -> Result<()> {
        let Self { socket, flights } = self;
        loop {
            let now = Instant::now();
            let begun = flights.begin(play, now);
            flights.send(socket, play, now)?;
            let is_idle = flights.idle.len() == flights.slots.len();
            let wake = match begun {
                Begun::Over if is_idle => return Ok(()),
                Begun::Over | Begun::Full => flights.next_look,
                Begun::Until(at) => at.min(flights.next_look),
            };
            let mut count = socket.receive()?;
            if count == 0 && !wake.saturating_duration_since(now).is_zero() {
                socket.wait(wake - now)?;
                count = socket.receive()?;
            }
            let now = Instant::now();
            for index in 0..count {
                let (packet, is_from_tracker) = socket.packet(index);
                flights.take(play, packet, is_from_tracker, now);
            }
            if now >= flights.next_look {
                flights.look(play, now);
                play.tick(now);
            }
        }
    }
}

/// The reason that no more requests begin now.
#[derive(Debug, Clone, Copy)]
enum Begun {
    Over,
    Until(Instant),
    Full,
}

impl Flights {
    /// Begins the requests that are due.
    fn begin(&mut self, play: &mut Play<'_>, now: Instant) -> Begun {
        while let Some(&slot) = self.idle.last() {
            let (ask, since) = match play.next(now, 0) {
                Next::Ask(ask, since) => (ask, since),
                Next::NotBefore(at) => return Begun::Until(at),
                Next::Busy => return Begun::Full,
                Next::Over => return Begun::Over,
            };
            self.idle.pop();
            self.slots[usize::from(slot)].flight =
                Some(Flight { ask, since, sent: now, tries: 0, is_connecting: false });
            self.to_send.push(slot);
        }
        Begun::Full
    }

    /// Sends the packets of all slots in the queue; a connect first, if there is no valid connection id.
    fn send(&mut self, socket: &mut BatchSocket, play: &Play<'_>, now: Instant) -> Result<()> {
        let sources = &play.traffic.population.sources;
        for &index in &self.to_send {
            let slot = &mut self.slots[usize::from(index)];
            let Some(flight) = &mut slot.flight else { continue };
            let source = sources.source(flight.ask.number);
            let from = sources.address(source);
            let id = self.ids.get(source as usize).copied().flatten();
            let id = id.filter(|id| now.saturating_duration_since(id.since) < ID_LIFE);
            if flight.send(id.is_none(), now) {
                // The id has expired, or another request of this source has got one: the answer to what was sent before
                // must not pass for the answer to this.
                slot.generation = slot.generation.wrapping_add(1);
            }
            let transaction = u32::from(index) << 16 | u32::from(slot.generation);
            let Some(ConnectionId { id, .. }) = id else {
                socket.send(from, |out| packet::connect(out, transaction))?;
                continue;
            };
            flight.since.get_or_insert(now);
            let traffic = &play.traffic;
            let (number, head) = (flight.ask.number, (id, transaction));
            socket.send(from, |out| match &flight.ask.kind {
                Kind::Announce(announce) => {
                    let info_hash = traffic.info_hash(announce.torrent);
                    packet::announce(out, head, info_hash, (number, sources.port(number)), announce)
                }
                Kind::Scrape(scraped) => {
                    packet::scrape(out, head, scraped.iter().map(|one| traffic.info_hash(one.torrent)))
                }
            })?;
        }
        self.to_send.clear();
        socket.flush()
    }

    /// Processes a packet that was received.
    fn take(&mut self, play: &mut Play<'_>, packet: &[u8], is_from_tracker: bool, now: Instant) {
        if !is_from_tracker {
            play.violation(Violation::SourceAddress);
        }
        if packet.len() < HEAD {
            return play.violation(Violation::Length);
        }
        let transaction = u32_at(packet, 4);
        let (index, generation) = ((transaction >> 16) as u16, transaction as u16);
        let Some(slot) = self.slots.get_mut(usize::from(index)) else {
            return play.violation(Violation::TransactionId);
        };
        if slot.generation != generation || slot.flight.is_none() {
            let behind = slot.generation.wrapping_sub(generation);
            if behind <= REMEMBERED && play.record.retransmits > 0 {
                play.record.late_answers += 1;
            } else {
                play.violation(Violation::TransactionId);
            }
            return;
        }
        slot.generation = slot.generation.wrapping_add(1);
        let Some(flight) = slot.flight.take() else { return };
        if flight.is_connecting {
            self.connected(play, flight, index, packet, now);
        } else {
            self.idle.push(index);
            answered(play, &flight, packet, self.stride, now);
        }
    }

    /// Processes the answer to a connect, after which the actual request can be sent.
    fn connected(&mut self, play: &mut Play<'_>, mut flight: Flight, index: u16, packet: &[u8], now: Instant) {
        let problem = match (u32_at(packet, 0), packet.len()) {
            (action, _) if action == Action::Error as u32 => Err(refusal(packet)),
            (action, _) if action != Action::Connect as u32 => Ok(Some(Violation::Action)),
            (_, CONNECT_ANSWER) => Ok(None),
            _ => Ok(Some(Violation::Length)),
        };
        let failure = match problem {
            Ok(None) => {
                let id = u64::from_be_bytes(packet[8..16].try_into().expect("8 bytes"));
                let source = play.traffic.population.sources.source(flight.ask.number) as usize;
                if self.ids.len() <= source {
                    self.ids.resize(source + 1, None);
                }
                self.ids[source] = Some(ConnectionId { id, since: now });
                play.record.connects += 1;
                flight.tries = 0;
                self.slots[usize::from(index)].flight = Some(flight);
                self.to_send.push(index);
                return;
            }
            Ok(Some(violation)) => {
                play.violation(violation);
                NoAnswer::Unreadable
            }
            Err(refusal) => refusal,
        };
        self.idle.push(index);
        play.failed(&flight.ask, failure);
    }

    /// Sends requests again that have no answer in time, and fails those that were sent often enough.
    fn look(&mut self, play: &mut Play<'_>, now: Instant) {
        self.next_look = now + LOOK;
        for (index, slot) in (0..).zip(&mut self.slots) {
            let Some(flight) = &slot.flight else { continue };
            if now.saturating_duration_since(flight.sent) < PATIENCE * 2_u32.pow(u32::from(flight.tries.max(1)) - 1) {
                continue;
            }
            if flight.tries < TRIES {
                play.record.retransmits += 1;
                self.to_send.push(index);
                continue;
            }
            // The tracker may have restarted and not know the id.
            let source = play.traffic.population.sources.source(flight.ask.number) as usize;
            if let Some(id) = self.ids.get_mut(source) {
                *id = None;
            }
            play.failed(&flight.ask, NoAnswer::TimedOut);
            slot.flight = None;
            slot.generation = slot.generation.wrapping_add(1);
            self.idle.push(index);
        }
    }
}

impl Flight {
    /// Counts a packet. Returns `true` if it replaces one of the other kind.
    fn send(&mut self, is_connecting: bool, now: Instant) -> bool {
        let is_other = self.tries > 0 && self.is_connecting != is_connecting;
        self.is_connecting = is_connecting;
        self.sent = now;
        self.tries += 1;
        is_other
    }
}

/// Processes the answer to an announce or a scrape.
fn answered(play: &mut Play<'_>, flight: &Flight, packet: &[u8], stride: usize, now: Instant) {
    let exchange = Exchange { since: flight.since.unwrap_or(flight.sent), now, bytes: packet.len() };
    let mut found = Violations::default();
    let expected = match flight.ask.kind {
        Kind::Announce(_) => Action::Announce,
        Kind::Scrape(_) => Action::Scrape,
    };
    let action = u32_at(packet, 0);
    if action == Action::Error as u32 {
        return play.failed(&flight.ask, refusal(packet));
    }
    let is_whole = match &flight.ask.kind {
        _ if action != expected as u32 => {
            found.add(Violation::Action);
            false
        }
        Kind::Announce(announce) => announce_answer(packet, stride)
            .map(|answer| play.announced(&flight.ask, announce, &answer, exchange, &mut found))
            .is_some(),
        Kind::Scrape(scraped) => scrape_answer(packet, scraped.len())
            .map(|counts| play.scraped(scraped, counts, exchange, &mut found))
            .is_some(),
    };
    if !is_whole {
        if action == expected as u32 {
            found.add(Violation::Length);
        }
        play.failed(&flight.ask, NoAnswer::Unreadable);
    }
    play.found(found);
}

/// Decodes the answer to an announce. `None` if its length is impossible.
fn announce_answer(packet: &[u8], stride: usize) -> Option<AnnounceAnswer<'_>> {
    let peers = packet.get(ANNOUNCE_ANSWER..)?;
    if !peers.len().is_multiple_of(stride) {
        return None;
    }
    let (peers, peers6) = if stride == 6 { (peers, &[][..]) } else { (&[][..], peers) };
    Some(AnnounceAnswer {
        interval: i64::from(u32_at(packet, 8).cast_signed()),
        leechers: Some(u32_at(packet, 12).into()),
        seeders: Some(u32_at(packet, 16).into()),
        peers,
        peers6,
    })
}

/// Decodes the answer to a scrape. `None` if its length is impossible.
fn scrape_answer(packet: &[u8], torrents: usize) -> Option<impl Iterator<Item = Option<ScrapeCounts>>> {
    (packet.len() == HEAD + torrents * 12).then(|| {
        packet[HEAD..]
            .chunks(12)
            .map(|counts| Some(ScrapeCounts { seeders: u32_at(counts, 0).into(), leechers: u32_at(counts, 8).into() }))
    })
}

fn refusal(packet: &[u8]) -> NoAnswer {
    NoAnswer::Refused(String::from_utf8_lossy(&packet[HEAD..]).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_that_replaces_another_kind_is_recognised() {
        let now = Instant::now();
        let ask = Ask { moment: 0, number: 0, kind: Kind::Scrape(Vec::new()) };
        let mut flight = Flight { ask, since: None, sent: now, tries: 0, is_connecting: false };
        assert!(!flight.send(true, now), "the first");
        assert!(!flight.send(true, now), "the same again");
        assert!(flight.send(false, now), "somebody else has connected");
        assert!(flight.send(true, now), "the id has expired");
        assert_eq!(flight.tries, 4);
        // Connected: the actual request is next.
        flight.tries = 0;
        assert!(!flight.send(false, now));
    }
}
