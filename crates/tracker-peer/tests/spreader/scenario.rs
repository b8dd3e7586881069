//! What is simulated, and what came of it.

use std::time::Duration;

use tracker_peer::spreader::Layout;

use crate::source::Source;
use crate::swarm::Swarm;

/// A computer that wants the file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Machine {
    /// Bytes per second, either way.
    pub(crate) up: f64,
    pub(crate) down: f64,
    pub(crate) joins: Duration,
    /// It leaves then, complete or not.
    pub(crate) leaves: Option<Duration>,
}

/// What all leechers run.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Clients {
    /// With the slots that libtorrent has by default: eight.
    Libtorrent,
    /// With the slots of the protocol's first client, and of qBittorrent for each torrent: four that give most, and one at
    /// random.
    Strict,
    /// With four slots in all, as qBittorrent has for each torrent.
    Four,
}

impl Clients {
    /// The slots for those who give most. There is one more for one at random.
    pub(crate) const fn regular_slots(self) -> usize {
        match self {
            Self::Libtorrent => 7,
            Self::Strict => 4,
            Self::Four => 3,
        }
    }
}

/// What is simulated.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    pub(crate) layout: Layout,
    /// Of the source's link, in bytes per second.
    pub(crate) source: f64,
    pub(crate) leechers: Vec<Machine>,
    /// Other leechers that one is connected to: all, or so many on average.
    pub(crate) neighbours: usize,
    /// The time that a message takes.
    pub(crate) latency: Duration,
    pub(crate) clients: Clients,
    pub(crate) seed: u64,
}

/// What came of it. Times are multiples of the time that one copy takes on the source's link.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    /// How long each leecher took that did not leave, sorted.
    pub(crate) times: Vec<f64>,
    /// What the source sent, as a multiple of the file.
    pub(crate) copies: f64,
    /// When the first copy of everything had left the source.
    pub(crate) once: f64,
}

impl Outcome {
    pub(crate) fn last(&self) -> f64 {
        *self.times.last().expect("somebody stayed")
    }

    pub(crate) fn median(&self) -> f64 {
        self.times[self.times.len() / 2]
    }
}

impl Scenario {
    pub(crate) fn run(&self, source: &mut dyn Source) -> Outcome {
        let mut swarm = Swarm::new(self, source);
        let limit = Duration::from_secs_f64(200.0 * self.copy_time());
        while swarm.is_busy() {
            assert!(swarm.now < limit, "nobody gets any further: {:?}", swarm.stuck());
            swarm.pass();
        }
        let times = swarm
            .leechers
            .iter()
            .filter_map(|leecher| Some((leecher.completed? - leecher.machine.joins).as_secs_f64() / self.copy_time()));
        let mut times: Vec<_> = times.collect();
        times.sort_by(f64::total_cmp);
        let once = swarm.once.expect("what somebody has was sent").as_secs_f64() / self.copy_time();
        Outcome { times, copies: swarm.sent / self.bytes(), once }
    }

    pub(crate) fn bytes(&self) -> f64 {
        (0..self.layout.count()).map(|piece| f64::from(self.layout.length_of(piece))).sum()
    }

    /// Seconds that one copy takes on the source's link.
    pub(crate) fn copy_time(&self) -> f64 {
        self.bytes() / self.source
    }
}
