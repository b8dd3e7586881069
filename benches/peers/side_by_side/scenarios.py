"""What is asked of the trackers: loads, the trackers that they are put on, and the goals."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Protocol = Literal["http", "udp"]
Figure = Literal["cpu_us_per_request", "rss_bytes_per_peer", "latency_p99_us", "requests_per_second"]

OURS = "tracker"
LEAN = "tracker --lean"
AS_IT_COMES = "tracker, as it comes"
AXUM = "axum, fixed answer"
BARE_HTTP = "bare epoll loop"
BARE_UDP = "bare recv-send loop"


@dataclass(frozen=True)
class Load:
    """The arguments of simulate-swarm. First every peer announces itself (the fill), then the time runs (the steady
    phase), unless there is none. Torrents are as popular as Zipf's law has it; where there are as many as peers, each
    has one."""

    protocol: Protocol
    peers: int = 50_000
    torrents: int = 10_000
    zipf: float = 1.2
    """The exponent. With these numbers an answer has about 40 peers."""
    seconds: float = 3.0
    """How long the steady phase takes; 0 for no steady phase."""
    keep_alive: bool = False
    numwant: int = 50
    leaving_percent: int = 5
    scrapes_percent: int = 0
    rate: int | None = None
    """Requests per second; as many as the tracker answers if there is none."""
    concurrency: int = 64

    def quick(self) -> Load:
        """The same in little: enough to see that it works."""
        share = 10 if self.peers > 1000 else 1
        torrents = max(self.torrents // share, 1)
        return replace(self, peers=self.peers // share, torrents=torrents, seconds=min(self.seconds, 1.0))


@dataclass(frozen=True)
class Row:
    """A tracker under a load."""

    tracker: str
    load: Load
    label: str = ""
    """What tells it from other rows of the tracker."""
    cores: int = 1
    """1: the tracker has the first core and the load the second. 2: both share both."""

    @property
    def name(self) -> str:
        """What it is called, once in a scenario."""
        return f"{self.tracker}, {self.label}" if self.label else self.tracker


@dataclass(frozen=True)
class Goal:
    """That the scenario's figure of one row is at most so many times that of another, or an absolute value."""

    row: str
    most: float
    against: str | None = None
    """A row; all peers' best if this is "best peer"; None when `most` is the figure itself."""


@dataclass(frozen=True)
class Scenario:
    """Rows that are compared by one figure."""

    key: str
    title: str
    text: str
    figure: Figure
    rows: tuple[Row, ...]
    goals: tuple[Goal, ...] = ()
    most_rounds: int = 99
    """A figure that repeats to the percent is not taken again."""


BEST_PEER = "best peer"


def _rows(load: Load, *trackers: str) -> tuple[Row, ...]:
    return tuple(Row(tracker, load) for tracker in trackers)


_HTTP_NEW = Load("http")
# Each connection is an address, of which our tracker takes 128 peers a torrent; the most popular one has 10,000.
_HTTP_KEPT = Load("http", keep_alive=True, concurrency=128)
_UDP = Load("udp")

_MILLION = 1_000_000
_MEMORY_UDP = Load("udp", peers=_MILLION, seconds=0)
# aquatic_http closes no connection, so that only kept ones are of use; few, since they take memory, too. It is slow.
_MEMORY_HTTP = replace(_HTTP_KEPT, peers=_MILLION // 10, seconds=0, concurrency=32)
_TORRENTS_UDP = replace(_MEMORY_UDP, torrents=_MILLION)
_TORRENTS_HTTP = replace(_MEMORY_HTTP, torrents=_MEMORY_HTTP.peers)


def _latency_rows(rate: int) -> tuple[Row, ...]:
    http = replace(_HTTP_NEW, rate=rate)
    udp = replace(_UDP, rate=rate)
    return tuple(
        Row(tracker, load, label)
        for load, label, trackers in [
            (http, "HTTP", (OURS, "opentracker", AXUM)),
            (udp, "UDP", (OURS, "opentracker", "aquatic_udp")),
        ]
        for tracker in trackers
    )


def _one_swarm(load: Load) -> tuple[Row, ...]:
    return tuple(
        Row(OURS, replace(load, peers=peers, torrents=1), f"{load.protocol.upper()}, {peers:,} peers")
        for peers in (100, 100_000)
    )


def _by_cores(load: Load, *trackers: str) -> tuple[Row, ...]:
    return tuple(
        Row(tracker, load, f"{load.protocol.upper()}, {cores} {'core' if cores == 1 else 'cores'}", cores)
        for tracker in trackers
        for cores in (1, 2)
    )


SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        "http-new",
        "Announce over HTTP, a new connection each",
        "What BitTorrent clients do.",
        "cpu_us_per_request",
        _rows(_HTTP_NEW, OURS, LEAN, AS_IT_COMES, "opentracker", "bittorrent-tracker", AXUM, BARE_HTTP),
        (Goal(OURS, 0.65, "opentracker"),),
    ),
    Scenario(
        "http-keep-alive",
        "Announce over HTTP, connections kept",
        "What clients behind a proxy do.",
        "cpu_us_per_request",
        _rows(_HTTP_KEPT, OURS, "aquatic_http", "torrust-tracker", AXUM, BARE_HTTP),
        (Goal(OURS, 1.3, AXUM),),
    ),
    Scenario(
        "udp-announce",
        "Announce over UDP",
        "One worker each.",
        "cpu_us_per_request",
        _rows(_UDP, OURS, LEAN, AS_IT_COMES, "opentracker", "aquatic_udp", "torrust-tracker", BARE_UDP),
        (Goal(OURS, 0.8, "aquatic_udp"),),
    ),
    Scenario(
        "udp-scrape",
        "Scrape over UDP",
        "One info-hash a request.",
        "cpu_us_per_request",
        _rows(replace(_UDP, scrapes_percent=100), OURS, "opentracker", "aquatic_udp", BARE_UDP),
        (Goal(OURS, 1.0, BEST_PEER),),
    ),
    Scenario(
        "memory",
        "Memory for a million peers",
        "Growth of the resident memory while a million peers join 10,000 torrents, by peer. Ours keeps what the "
        "dashboard shows of a peer (id, key, left, uploaded, downloaded); with `--lean`, what opentracker keeps.",
        "rss_bytes_per_peer",
        (
            *_rows(_MEMORY_UDP, OURS, LEAN, "opentracker", "aquatic_udp"),
            *_rows(_MEMORY_HTTP, "aquatic_http"),
            *_rows(replace(_MEMORY_UDP, peers=_MILLION // 5), "torrust-tracker"),
        ),
        (Goal(OURS, 64), Goal(LEAN, 1.0, "opentracker")),
        most_rounds=1,
    ),
    Scenario(
        "memory-torrents",
        "Memory for a million torrents of one peer",
        "Growth of the resident memory while a million peers join a torrent each, by torrent.",
        "rss_bytes_per_peer",
        (
            *_rows(_TORRENTS_UDP, OURS, LEAN, "opentracker", "aquatic_udp"),
            *_rows(_TORRENTS_HTTP, "aquatic_http"),
            *_rows(_TORRENTS_UDP, "torrust-tracker"),
        ),
        (Goal(OURS, 1.0, BEST_PEER),),
        most_rounds=1,
    ),
    *(
        Scenario(
            f"latency-{rate}",
            f"Latency at {rate:,} announces per second",
            "HTTP with a new connection each, and UDP.",
            "latency_p99_us",
            _latency_rows(rate),
            tuple(
                Goal(f"{OURS}, {protocol}", 1.0, f"{peer}, {protocol}")
                for protocol, peer in [("HTTP", "opentracker"), ("UDP", "opentracker"), ("UDP", "aquatic_udp")]
            ),
        )
        for rate in (1_000, 10_000)
    ),
    Scenario(
        "one-swarm",
        "One swarm, small and large",
        "All peers share one torrent. An announce is to cost no more where there are many.",
        "cpu_us_per_request",
        (*_one_swarm(_HTTP_NEW), *_one_swarm(_UDP)),
        tuple(Goal(f"{OURS}, {name}, 100,000 peers", 1.0, f"{OURS}, {name}, 100 peers") for name in ("HTTP", "UDP")),
    ),
    Scenario(
        "cores",
        "One core and two",
        "With one core, the tracker has one and the load the other; with two, both share both, so that twice as much "
        "is not to be had.",
        "requests_per_second",
        (*_by_cores(_HTTP_NEW, OURS, "opentracker"), *_by_cores(_UDP, OURS, "opentracker")),
    ),
)
