//! The peers that a peer is told of.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use super::client::PexRate;
use crate::{MAX_PEX_SENT, Pex, PexFlags, PexPeer};

/// The most peers that a peer was told of and not told to be gone. libtorrent ignores what is beyond 50 on a connection.
const MAX_TOLD: usize = 50;

/// The most peers that wait to be told: those of one message.
const MAX_QUEUED: usize = MAX_PEX_SENT;

const _: () = assert!(MAX_TOLD <= MAX_PEX_SENT && MAX_QUEUED <= MAX_TOLD, "all may be dropped or added in one message");

/// Whom a peer was told of by peer exchange, whom it is to be told of, and when the next message may leave.
#[derive(Debug, Default)]
pub(super) struct Introductions {
    queued: Vec<PexPeer>,
    /// The oldest first.
    told: VecDeque<Told>,
    /// The times of the latest messages, the oldest first.
    sent: VecDeque<Duration>,
}

#[derive(Debug)]
struct Told {
    address: SocketAddr,
    /// `true` if the next message says so.
    is_gone: bool,
}

impl Introductions {
    /// Queues peers, and takes back those that are gone. Peers that the peer was told of are not told again. When too many wait,
    /// the oldest give way, seeds last.
    pub(super) fn introduce(&mut self, added: &[PexPeer], gone: &[SocketAddr]) {
        for address in gone {
            self.queued.retain(|queued| queued.address != *address);
            for told in self.told.iter_mut().filter(|told| told.address == *address) {
                told.is_gone = true;
            }
        }
        for peer in added {
            if let Some(queued) = self.queued.iter_mut().find(|queued| queued.address == peer.address) {
                queued.flags = peer.flags;
            } else if !self.told.iter().any(|told| told.address == peer.address && !told.is_gone) {
                if self.queued.len() >= MAX_QUEUED {
                    let oldest = self.queued.iter().position(|queued| !queued.flags.contains(PexFlags::SEED));
                    self.queued.remove(oldest.unwrap_or(0));
                }
                self.queued.push(*peer);
            }
        }
    }

    /// The message that is to be sent now, seeds first. Room for those who are added is made by dropping those who have been told
    /// longest. That somebody is gone is no reason for a message: it goes with the next.
    pub(super) fn message(&mut self, now: Duration, rate: PexRate) -> Option<Pex> {
        if self.next_message(now, rate)? > now {
            return None;
        }
        let mut added = std::mem::take(&mut self.queued);
        added.sort_by_key(|peer| !peer.flags.contains(PexFlags::SEED));

        let mut dropped = Vec::new();
        self.told.retain(|told| {
            if told.is_gone {
                dropped.push(told.address);
            }
            !told.is_gone
        });
        let surplus = (self.told.len() + added.len()).saturating_sub(MAX_TOLD);
        dropped.extend(self.told.drain(..surplus).map(|told| told.address));
        self.told.extend(added.iter().map(|peer| Told { address: peer.address, is_gone: false }));

        if self.sent.len() >= PexRate::MOST {
            self.sent.pop_front();
        }
        self.sent.push_back(now);
        Some(Pex { added, dropped })
    }

    /// The time at which there is a message: `now` or later. `None` if there is nobody to tell of.
    pub(super) fn next_message(&self, now: Duration, rate: PexRate) -> Option<Duration> {
        if self.queued.is_empty() {
            return None;
        }
        let earlier = self.sent.len().checked_sub(rate.count).and_then(|index| self.sent.get(index));
        Some(earlier.map_or(now, |earlier| now.max(*earlier + rate.period)))
    }

    /// The bytes of memory that it has allocated.
    pub(super) fn allocated(&self) -> usize {
        self.queued.capacity() * size_of::<PexPeer>()
            + self.told.capacity() * size_of::<Told>()
            + self.sent.capacity() * size_of::<Duration>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEVERAL: PexRate = PexRate { count: 5, period: Duration::from_secs(60) };
    const ONE: PexRate = PexRate { count: 1, period: Duration::from_secs(65) };

    fn address(n: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], n))
    }

    fn leecher(n: u16) -> PexPeer {
        PexPeer { address: address(n), flags: PexFlags::default() }
    }

    fn seed(n: u16) -> PexPeer {
        PexPeer { address: address(n), flags: PexFlags::SEED }
    }

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    /// The ports of the peers in a message: those added, and those dropped.
    fn ports(message: Option<Pex>) -> Option<(Vec<u16>, Vec<u16>)> {
        let message = message?;
        let added = message.added.iter().map(|peer| peer.address.port());
        Some((added.collect(), message.dropped.iter().map(SocketAddr::port).collect()))
    }

    #[test]
    fn seeds_come_first_and_nobody_is_told_twice() {
        let mut introductions = Introductions::default();
        assert_eq!(introductions.message(secs(0), SEVERAL), None);
        introductions.introduce(&[leecher(1), seed(2), leecher(3)], &[]);
        introductions.introduce(&[seed(3), leecher(1)], &[]);
        assert_eq!(ports(introductions.message(secs(0), SEVERAL)), Some((vec![2, 3, 1], vec![])));
        introductions.introduce(&[leecher(1), seed(1)], &[]);
        assert_eq!(introductions.next_message(secs(9), SEVERAL), None);
        assert_eq!(introductions.message(secs(9), SEVERAL), None);
    }

    #[test]
    fn those_who_are_gone_go_with_the_next_message() {
        let mut introductions = Introductions::default();
        introductions.introduce(&[leecher(1), leecher(2), leecher(3)], &[]);
        introductions.introduce(&[], &[address(2), address(77)]);
        assert_eq!(ports(introductions.message(secs(0), SEVERAL)), Some((vec![1, 3], vec![])));
        introductions.introduce(&[], &[address(3)]);
        assert_eq!(introductions.message(secs(1), SEVERAL), None);
        introductions.introduce(&[leecher(4)], &[]);
        assert_eq!(ports(introductions.message(secs(2), SEVERAL)), Some((vec![4], vec![3])));
        // One that came back is told of again.
        introductions.introduce(&[], &[address(1)]);
        introductions.introduce(&[leecher(1)], &[]);
        assert_eq!(ports(introductions.message(secs(3), SEVERAL)), Some((vec![1], vec![1])));
    }

    #[test]
    fn the_fifty_first_takes_the_place_of_the_first() {
        let mut introductions = Introductions::default();
        let first: Vec<_> = (1..=50).map(leecher).collect();
        introductions.introduce(&first, &[]);
        assert_eq!(ports(introductions.message(secs(0), SEVERAL)), Some(((1..=50).collect(), vec![])));
        introductions.introduce(&[leecher(51), leecher(52)], &[address(7)]);
        assert_eq!(ports(introductions.message(secs(1), SEVERAL)), Some((vec![51, 52], vec![7, 1])));
        let others: Vec<_> = (101..=150).map(leecher).collect();
        introductions.introduce(&others, &[]);
        let (added, dropped) = ports(introductions.message(secs(2), SEVERAL)).expect("a message");
        assert_eq!(added, (101..=150).collect::<Vec<_>>());
        assert_eq!(dropped, (2..=6).chain(8..=52).collect::<Vec<_>>());
    }

    #[test]
    fn the_queue_is_bounded_and_seeds_stay_longest() {
        let mut introductions = Introductions::default();
        introductions.introduce(&[seed(1), leecher(2), seed(3)], &[]);
        let others: Vec<_> = (4..=51).map(leecher).collect();
        introductions.introduce(&others, &[]);
        let (added, _) = ports(introductions.message(secs(0), SEVERAL)).expect("a message");
        assert_eq!(added, [1, 3].into_iter().chain(4..=51).collect::<Vec<_>>());

        let seeds: Vec<_> = (101..=151).map(seed).collect();
        introductions.introduce(&seeds, &[]);
        let (added, _) = ports(introductions.message(secs(1), SEVERAL)).expect("a message");
        assert_eq!(added, (102..=151).collect::<Vec<_>>());
    }

    #[test]
    fn messages_keep_to_the_rate() {
        let mut introductions = Introductions::default();
        for n in 0..5 {
            introductions.introduce(&[leecher(n)], &[]);
            assert_eq!(introductions.next_message(secs(n.into()), SEVERAL), Some(secs(n.into())));
            assert!(introductions.message(secs(n.into()), SEVERAL).is_some());
        }
        introductions.introduce(&[leecher(5)], &[]);
        assert_eq!(introductions.next_message(secs(5), SEVERAL), Some(secs(60)));
        assert_eq!(introductions.message(secs(59), SEVERAL), None);
        introductions.introduce(&[leecher(6)], &[]);
        assert_eq!(ports(introductions.message(secs(60), SEVERAL)), Some((vec![5, 6], vec![])));
        introductions.introduce(&[leecher(7)], &[]);
        assert_eq!(introductions.next_message(secs(60), SEVERAL), Some(secs(61)));

        let mut introductions = Introductions::default();
        introductions.introduce(&[leecher(1)], &[]);
        assert!(introductions.message(secs(10), ONE).is_some());
        introductions.introduce(&[leecher(2)], &[]);
        assert_eq!(introductions.next_message(secs(11), ONE), Some(secs(75)));
        assert_eq!(introductions.message(secs(74), ONE), None);
        assert!(introductions.message(secs(75), ONE).is_some());
        // After more messages than one, the latest counts.
        introductions.introduce(&[leecher(3)], &[]);
        assert_eq!(introductions.next_message(secs(76), ONE), Some(secs(140)));
    }

    #[test]
    fn memory_is_bounded() {
        let mut introductions = Introductions::default();
        for minute in 0..100 {
            let peers: Vec<_> = (0..100).map(|n| leecher(100 * minute + n)).collect();
            introductions.introduce(&peers, &[]);
            introductions.message(secs(60 * u64::from(minute)), SEVERAL);
            assert!(introductions.allocated() < 5000, "{}", introductions.allocated());
        }
    }
}
