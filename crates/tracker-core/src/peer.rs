//! One peer of a swarm.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::detail::{Detail, Facts};
use crate::entry::{DigestOrExpiry, Download, Tag};
use crate::interval::Lifetimes;
use crate::rules::Rules;
use crate::{AnnounceEvent, AnnounceRequest, Instant, Memory, PeerId, PeerImage, PeerKey, address};

/// The download state of a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PeerState {
    /// Not everything yet.
    Leecher,
    /// All it wants, but not everything ([BEP 21](https://www.bittorrent.org/beps/bep_0021.html)).
    PartialSeed,
    /// Everything.
    Seeder,
}

impl PeerState {
    /// The state of the sender of an announce. `completed` makes a seeder whatever `left` says: some clients send
    /// it with a wrong one, or with none.
    pub(crate) fn announced(event: Option<AnnounceEvent>, left: Option<u64>) -> Self {
        match (event, left) {
            (Some(AnnounceEvent::Completed), _) | (_, Some(0)) => Self::Seeder,
            (Some(AnnounceEvent::Paused), _) => Self::PartialSeed,
            _ => Self::Leecher,
        }
    }
}

/// The reachability of a peer, as far as the embedder has found out: can others connect to it? The tracker itself connects to nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Reachability {
    /// Nobody has found out, or not since the peer came to its address and port.
    #[default]
    Unknown,
    /// They can.
    Yes,
    /// They cannot, as when a firewall is in the way. The peer can still connect to others.
    No,
    /// They cannot, and need not: the embedder tells the peer of each newcomer as it comes, so that it connects to them. It is handed
    /// out to nobody, since a newcomer that tries in vain to connect to it may refuse its connection meanwhile.
    Introduced,
}

/// A peer as the tracker knows it: a copy to look at, in events and snapshots.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peer {
    /// The address it announced from, or [claims to have](PeerDetail::is_claimed), with the port it listens on; 0 or 1 if it does not
    /// listen.
    pub address: SocketAddr,
    /// Its download state.
    pub state: PeerState,
    /// Whether others can connect to it, as [`Tracker::set_reachability`](crate::Tracker::set_reachability) says.
    pub reachability: Reachability,
    /// Further details; `None` where that is [not kept](crate::Memory::Lean).
    pub detail: Option<PeerDetail>,
}

impl Peer {
    /// Returns `true` if it listens on a port. Of those that do not there may be several at one address and port, which only
    /// their peer ids and keys tell apart.
    pub const fn is_listening(&self) -> bool {
        address::is_listening(self.address.port())
    }

    /// Returns `true` if others can be given it. Nobody can dial a peer that does not listen, or that announced from a link-local
    /// IPv6 address.
    pub fn is_dialable(&self) -> bool {
        address::is_dialable(self.address.ip(), self.address.port())
    }
}

/// Details of a peer beside its address and state.
///
/// Numbers of bytes are exact below 512 GiB, from there on rounded down to 4 KiB, and at most
/// [`MAX_BYTES`](Self::MAX_BYTES).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerDetail {
    /// Its peer id.
    pub peer_id: PeerId,
    /// Its key.
    pub key: PeerKey,
    /// Bytes uploaded since it started, as it counts.
    pub uploaded: u64,
    /// Bytes downloaded since it started, as it counts.
    pub downloaded: u64,
    /// Bytes it still wants; `None` when it does not say.
    pub left: Option<u64>,
    /// The time of its first announce.
    pub first_seen: Instant,
    /// The time of its last announce.
    pub last_seen: Instant,
    /// The interval in the answer to its last announce.
    pub interval: Duration,
    /// The time at which it is dropped unless it announces again.
    pub expires: Instant,
    /// `true` if its address is not the one that it announced from, but one that it
    /// [claims to have](crate::AnnounceRequest::claimed_ip).
    pub is_claimed: bool,
    /// `true` if it is on the tracker's machine, or in a [container](crate::Config::container_networks) on it: others get it under
    /// the address by which they reach this machine. It announced over loopback, from one of
    /// [the machine's addresses](crate::Config::own_addresses), or from the very address that its request went to.
    pub is_here: bool,
}

impl PeerDetail {
    /// The largest number of bytes that is kept: almost 2 PiB. Larger ones are cut to this.
    pub const MAX_BYTES: u64 = ((1 << 39) - 2) * 4096;
}

/// The identity by which a peer is recognised when its client announces again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Identity {
    /// The address that the peer is kept under.
    pub(crate) ip: IpAddr,
    pub(crate) port: u16,
    pub(crate) peer_id: PeerId,
    pub(crate) key: PeerKey,
}

impl Identity {
    /// The identity of the sender of an announce, whose peer is kept under `ip`.
    pub(crate) fn new(ip: IpAddr, request: &AnnounceRequest) -> Self {
        Self { ip, port: request.port, peer_id: request.peer_id, key: request.key }
    }

    /// The identity of a peer, as far as it is known.
    pub(crate) fn of(member: &Member) -> Self {
        let unknown = (PeerId::new([0; 20]), PeerKey::NONE);
        let (peer_id, key) = member.detail.map_or(unknown, |detail| (detail.peer_id, detail.key));
        Self { ip: member.ip, port: member.port, peer_id, key }
    }

    /// Returns `true` if the client named neither port nor key.
    pub(crate) fn is_nameless(&self) -> bool {
        !address::is_listening(self.port) && self.key == PeerKey::NONE
    }
}

/// A peer of a swarm, taken out of the arrays that it is kept in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Member {
    pub(crate) ip: IpAddr,
    pub(crate) port: u16,
    pub(crate) tag: Tag,
    pub(crate) detail: Option<Detail>,
}

impl Member {
    /// The member that an announce makes of its sender, whose peer is kept under `ip`. `is_here` says whether that is on the
    /// tracker's machine.
    pub(crate) fn new(ip: IpAddr, is_here: bool, request: &AnnounceRequest, interval: Duration, rules: &Rules) -> Self {
        let now = rules.now;
        let state = PeerState::announced(request.event, request.left);
        let download = if state == PeerState::Leecher { Download::Begun } else { Download::Unseen };
        let (detail, digest_or_expiry) = match rules.memory {
            Memory::Full => {
                let facts = Facts::default()
                    .with(Facts::CLAIMED, request.claimed_ip().is_some() && ip != request.remote())
                    .with(Facts::HERE, is_here);
                (Some(Detail::new(request, facts, now, interval)), digest(request.peer_id))
            }
            Memory::Lean => (None, rules.lifetimes.expiry(now + rules.lifetimes.timeout(interval))),
        };
        Self { ip, port: request.port, tag: Tag { state, download, digest_or_expiry }, detail }
    }

    /// Carries over what is known of the same peer from an earlier announce. Says whether its download is completed now.
    pub(crate) fn continue_from(&mut self, earlier: &Self) -> bool {
        if !address::is_listening(self.port) {
            // libtorrent 1.1 announces once for each socket, also for one that does not listen.
            self.port = earlier.port;
        }
        if let (Some(detail), Some(known)) = (&mut self.detail, earlier.detail) {
            detail.first_seen = known.first_seen;
            if self.port == earlier.port {
                detail.inherit_reachability(&known);
            }
        }
        let completed = earlier.tag.download == Download::Begun && self.tag.state == PeerState::Seeder;
        self.tag.download = match earlier.tag.download {
            _ if completed => Download::Counted,
            Download::Unseen => self.tag.download,
            seen => seen,
        };
        completed
    }

    /// The peer that was taken out of a tracker `age` ago, if it is not due. What has no details cannot be kept with them.
    pub(crate) fn restored(image: &PeerImage, is_here: bool, age: Duration, rules: &Rules) -> Option<Self> {
        let Rules { now, lifetimes, memory, .. } = rules;
        let (detail, digest_or_expiry) = match memory {
            Memory::Full => {
                let detail = Detail::restored(image.detail.as_ref()?, is_here, age, *now, lifetimes)?;
                (Some(detail), digest(detail.peer_id))
            }
            Memory::Lean => {
                let left = image.expires_in.checked_sub(age).filter(|left| !left.is_zero())?.min(lifetimes.longest());
                (None, lifetimes.expiry(*now + left))
            }
        };
        let download = match image.download.into() {
            // Whoever leeches was seen doing so.
            Download::Unseen if image.state == PeerState::Leecher => Download::Begun,
            download => download,
        };
        let tag = Tag { state: image.state, download, digest_or_expiry };
        let member = Self { ip: image.address.ip().to_canonical(), port: image.address.port(), tag, detail };
        member.due(rules).map(|_| member)
    }

    /// What is to be known of the peer later.
    pub(crate) fn image(&self, now: Instant, rules: &Rules) -> PeerImage {
        PeerImage {
            address: self.address(),
            state: self.tag.state,
            download: self.tag.download.into(),
            expires_in: self.due(rules).unwrap_or(now).since(now),
            detail: self.detail.map(|detail| detail.image(now)),
        }
    }

    /// The time at which the peer is dropped unless it announces again, if that has not come.
    pub(crate) fn due(&self, rules: &Rules) -> Option<Instant> {
        match self.detail {
            Some(detail) => Some(detail.expires(&rules.lifetimes)).filter(|&due| due > rules.now),
            None => rules.lifetimes.due_after(rules.now, self.tag.digest_or_expiry),
        }
    }

    /// Returns `true` if it is on the tracker's machine, as far as is known.
    pub(crate) fn is_here(&self) -> bool {
        self.detail.is_some_and(|detail| detail.is_here())
    }

    /// Returns `true` if it has this peer id, as far as is known.
    pub(crate) fn may_be(&self, peer_id: PeerId) -> bool {
        self.detail.is_none_or(|detail| detail.peer_id == peer_id)
    }

    /// Returns `true` if it has this key, as far as is known.
    pub(crate) fn may_have(&self, key: PeerKey) -> bool {
        self.detail.is_none_or(|detail| detail.has_key(key))
    }

    /// Returns `true` if it had to go since another client announced from its address and port, and it is not overdue. A lean
    /// tracker cannot tell.
    pub(crate) fn gave_way_to(&self, other: &Identity, rules: &Rules) -> bool {
        (self.ip, self.port) == (other.ip, other.port)
            && address::is_listening(self.port)
            && self
                .detail
                .is_some_and(|detail| detail.peer_id != other.peer_id && detail.expires(&rules.lifetimes) > rules.now)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::new(self.ip, self.port)
    }

    /// The less, the longer it was silent; comparable within a tracker.
    pub(crate) fn order_of_silence(&self, rules: &Rules) -> Instant {
        match self.detail {
            Some(detail) => detail.last_seen,
            None => rules.lifetimes.due_after(rules.now, self.tag.digest_or_expiry).unwrap_or(rules.now),
        }
    }

    pub(crate) fn peer(&self, lifetimes: &Lifetimes) -> Peer {
        Peer {
            address: self.address(),
            state: self.tag.state,
            reachability: self.detail.map(|detail| detail.reachability()).unwrap_or_default(),
            detail: self.detail.map(|detail| detail.to_public(lifetimes)),
        }
    }
}

/// A digest that mostly distinguishes two peer ids. Their ends are random, and their beginnings name the client.
pub(crate) fn digest(peer_id: PeerId) -> DigestOrExpiry {
    let [.., a, b, c, d] = *peer_id.as_bytes();
    DigestOrExpiry::new(
        u32::from_le_bytes([a, b, c, d]).wrapping_mul(0x9e37_79b9) >> (u32::BITS - DigestOrExpiry::BITS),
    )
}
