//! Log lines about computers to which others cannot connect.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use tracing::info;
use tracker_core::InfoHash;
use tracker_host::host_name;

use super::{LineBudget, TARGET, file, who};
use crate::observer::PeerReachability;
use crate::{Computers, Reachability, ReachabilityNote, ReachabilityReason};

/// Clients of which it is remembered what was logged. With more of them it is forgotten, and may be logged again.
const MAX_CLIENTS: usize = 10_000;

/// Pairs that are logged of one swarm at a time. The computers themselves are logged each.
const MAX_PAIRS: usize = 5;

/// Swarms whose pairs are looked for.
const MAX_SWARMS: usize = 100;

/// Logs what is new about whether others can connect to computers: each thing once, until it changes.
#[derive(Debug, Default)]
pub(crate) struct ReachabilityLog {
    /// What was logged last of a client, in whatever torrent it was noticed.
    clients: HashMap<SocketAddr, (Reachability, Option<ReachabilityReason>)>,
    /// Clients that do not have a torrent.
    without_torrent: HashSet<(InfoHash, SocketAddr)>,
    pairs: BTreeSet<(InfoHash, IpAddr, IpAddr)>,
    budget: LineBudget,
}

impl ReachabilityLog {
    /// Logs what was found of peers, and how many more there are.
    pub(crate) fn log(&mut self, peers: &[PeerReachability], more: u64, computers: &Computers) {
        let now = Instant::now();
        for peer in peers {
            let PeerReachability { info_hash, address, reachability, reason } = *peer;
            let is_news = if reason == Some(ReachabilityReason::NotThisTorrent) {
                self.without_torrent.insert((info_hash, address))
            } else {
                self.without_torrent.remove(&(info_hash, address));
                let before = self.clients.insert(address, (reachability, reason));
                let was_unreachable = before.is_some_and(|(before, _)| before == Reachability::No);
                let is_worth_it = was_unreachable || reason.is_some();
                is_worth_it && before != Some((reachability, reason))
            };
            if is_news && self.budget.allows(address.ip(), now) {
                log_peer(peer, computers);
            }
        }
        if more > 0 {
            info!(
                event = "more_peers_reachability",
                peers = more,
                "it has changed for {more} more BitTorrent clients whether others can connect to them"
            );
        }
        if self.clients.len() > MAX_CLIENTS || self.without_torrent.len() > MAX_CLIENTS {
            self.clients.clear();
            self.without_torrent.clear();
        }
        self.budget.report(now);
    }

    /// Logs the pairs of peers of these swarms that cannot reach each other and could before.
    pub(crate) fn log_pairs(&mut self, swarms: &[InfoHash], computers: &Computers) {
        let now = Instant::now();
        let mut pairs = BTreeSet::new();
        for info_hash in swarms.iter().take(MAX_SWARMS) {
            let pairs_of_swarm = computers.pairs_of_swarm(info_hash);
            let all: BTreeSet<_> = pairs_of_swarm.into_iter().map(|(a, b)| (*info_hash, a, b)).collect();
            let news: Vec<_> = all.difference(&self.pairs).copied().collect();
            for &(info_hash, a, b) in news.iter().take(MAX_PAIRS) {
                if self.budget.allows(a, now) {
                    log_pair(&info_hash, a, b, computers);
                }
            }
            if let Some(more @ 1..) = news.len().checked_sub(MAX_PAIRS) {
                let file = file(computers, info_hash);
                info!(
                    target: TARGET,
                    event = "more_peers_unreachable",
                    %info_hash,
                    pairs = more,
                    "{more} more pairs of computers with {file} cannot reach each other"
                );
            }
            pairs.extend(all);
        }
        self.pairs = pairs;
    }
}

fn log_peer(peer: &PeerReachability, computers: &Computers) {
    let PeerReachability { info_hash, address, reachability, reason } = *peer;
    let (who, file) = (who(computers, address.ip()), file(computers, &info_hash));
    let sentence = match ReachabilityNote::new(&who, address.port(), &file, reachability, reason) {
        Some(note) => format!("{}. {}", note.what, note.advice),
        None if reachability == Reachability::Yes => format!("{who} can be reached on port {} now", address.port()),
        None => return,
    };
    let reason = reason.and_then(|reason| serde_json::to_value(reason).ok());
    info!(
        target: TARGET,
        event = match reachability {
            Reachability::No => "peer_unreachable",
            Reachability::Yes | Reachability::Unknown => "peer_reachable",
        },
        %info_hash,
        %address,
        host = host_name(address.ip()).as_deref(),
        reason = reason.as_ref().and_then(serde_json::Value::as_str),
        "{}",
        sentence.trim_end_matches('.')
    );
}

fn log_pair(info_hash: &InfoHash, a: IpAddr, b: IpAddr, computers: &Computers) {
    let ReachabilityNote { what, advice, .. } = ReachabilityNote::of_pair(&who(computers, a), &who(computers, b));
    info!(
        target: TARGET,
        event = "peers_unreachable",
        %info_hash,
        address = %a,
        other = %b,
        "{what}. {}",
        advice.trim_end_matches('.')
    );
}
