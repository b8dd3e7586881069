//! What the model makes of images.

use std::time::Duration;

use tracker_core::{DownloadImage, Instant, PeerImage, PeerState, Reachability, SwarmImage, Verdict};

use super::fairness::Networks;
use super::subject::Heard;
use super::users::Users;
use super::{Member, Members, Model, Tally, is_usable, told};

impl Model {
    /// Forgets everything but the settings and the time, as a program that ends and starts again.
    pub(crate) fn restart(&mut self) {
        self.networks = Networks::new(&self.config);
        self.swarms.clear();
        self.users = Users::default();
        self.tally = Tally::default();
        (self.announces, self.refused, self.scrapes) = (0, 0, 0);
    }

    pub(crate) fn has_own_peer(&self) -> bool {
        self.has_own_peer
    }

    /// Takes a swarm in that was taken out of a tracker `age` ago. Returns what a listener should hear.
    pub(crate) fn restore(&mut self, now: Instant, image: &SwarmImage, age: Duration) -> Vec<Heard> {
        self.now = self.now.max(now);
        let info_hash = image.info_hash;
        if self.config.torrents.verdict(&info_hash) != Verdict::Served {
            return Vec::new();
        }
        let had_peer_here = self.has_peer_here(&info_hash);
        let mut heard = Vec::new();
        for peer in &image.peers {
            let Some(member) = self.restored(peer, age) else { continue };
            let members = self.members(&info_hash);
            let with_peers = self.swarms.values().filter(|members| !members.peers.is_empty()).count();
            if self.peers() >= self.config.max_peers || members.is_empty() && with_peers >= self.config.max_swarms {
                break;
            }
            let group = self.networks.group(member.address.ip());
            let at_address = members.iter().filter(|known| self.networks.group(known.address.ip()) == group).count();
            let is_known = members.iter().any(|known| {
                known.is_at(member.address) || known.is_client(member.address.ip(), member.peer_id, member.key)
            });
            let has_room = members.len() < self.config.max_peers_per_swarm;
            if is_known || !has_room || at_address >= self.config.max_peers_per_address {
                continue;
            }
            heard.push(Heard::Came(info_hash, member.address, None));
            let members = self.swarm_of(image);
            members.forgotten = None;
            members.peers.push(member);
        }
        if image.completed > 0 {
            let forgotten = self.now + self.config.swarm_timeout;
            let members = self.swarm_of(image);
            members.completed = members.completed.max(image.completed);
            if members.peers.is_empty() {
                members.forgotten.get_or_insert(forgotten);
            }
        }
        if self.has_peer_here(&info_hash) && !had_peer_here {
            heard.push(Heard::IsHere(info_hash));
        }
        heard
    }

    fn swarm_of(&mut self, image: &SwarmImage) -> &mut Members {
        self.swarms.entry(image.info_hash).or_insert_with(|| {
            self.tally.created += 1;
            Members::default()
        })
    }

    /// The peer, if it is not due, and admitted now.
    fn restored(&self, peer: &PeerImage, age: Duration) -> Option<Member> {
        let ip = peer.address.ip().to_canonical();
        let mut address = peer.address;
        address.set_ip(ip);
        let claimed = peer.detail.as_ref().is_some_and(|detail| detail.is_claimed);
        let is_admitted = if claimed {
            !self.config.trusted_networks.is_empty() && is_usable(ip) && !ip.is_loopback()
        } else {
            self.config.access.admits(ip)
        };
        if !is_admitted {
            return None;
        }
        let mut member = Member {
            memory: self.config.memory,
            address,
            peer_id: super::OWN_PEER_ID,
            key: Default::default(),
            state: peer.state,
            transfer: (0, 0, None),
            first_seen: self.now,
            last_seen: self.now,
            expires: self.now,
            seen_leeching: peer.state == PeerState::Leecher || peer.download != DownloadImage::Unseen,
            counted: peer.download == DownloadImage::Counted,
            claimed,
            here: false,
            reachability: Reachability::Unknown,
        };
        if !self.keeps_all() {
            let left = peer.expires_in.saturating_sub(age);
            member.expires = self.due(left);
            return (left > Duration::ZERO && !self.is_denied(&member)).then_some(member);
        }
        let detail = peer.detail.as_ref()?;
        let ago = |duration: Duration| {
            Instant::from_secs(self.now.as_secs().saturating_sub((duration + age).as_secs() as u32))
        };
        let timeout = self.config.peer_timeout.max(2 * detail.interval + Duration::from_secs(60));
        member.peer_id = detail.peer_id;
        member.key = detail.key;
        member.transfer = (told(detail.uploaded), told(detail.downloaded), detail.left.map(told));
        member.first_seen = ago(detail.known_for);
        member.last_seen = ago(detail.silent_for);
        member.expires = member.last_seen + timeout;
        member.here = self.is_on_machine(ip);
        if !claimed {
            member.reachability = detail.reachability;
        }
        (member.expires > self.now && !self.is_denied(&member)).then_some(member)
    }
}
