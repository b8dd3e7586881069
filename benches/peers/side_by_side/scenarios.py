"""What is asked of the trackers: loads, the trackers that they are put on, and the goals."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Protocol = Literal["http", "udp"]
Figure = Literal["cpu_us_per_request", "rss_bytes_per_peer", "latency_p99_us"]

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
    """Share of the announces by which a peer completes, stops or vanishes, and a new one comes."""
    returning_percent: float | None = None
    """Instead: the share by which a peer completes, and the share by which one stops, which comes back."""
    scrapes_percent: int = 0
    rate: int | None = None
    """Requests per second; as many as the tracker answers if there is none."""
    concurrency: int = 64
    sources: int | None = None
    """How many addresses the peers have; each one of its own, or each kept connection one, if there is none. With kept
    connections it is given where `fill_over` is."""
    fill_over: Protocol | None = None
    """What the peers arrive over, where that is faster. Reference servers are not filled then, as they know no peers."""

    def fill(self) -> Load:
        """The load that fills a tracker for this one, over the other protocol."""
        assert self.fill_over is not None
        filled = replace(self, protocol=self.fill_over, seconds=0, keep_alive=False, rate=None, fill_over=None)
        return replace(filled, concurrency=Load.concurrency)

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
    threads: int = 1
    """Threads that the tracker serves with, where that is a setting; for HTTP and as many for UDP. They share one core."""

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
_MILLION_UDP = Load("udp", peers=_MILLION, zipf=1.0, numwant=30, returning_percent=2.5, seconds=4.0)
_MILLION_HTTP_NEW = replace(_MILLION_UDP, protocol="http", fill_over="udp")
# As above: the most popular torrent has 100,000 peers, 80 an address. Of the addresses some have a connection.
_MILLION_HTTP_KEPT = replace(_MILLION_HTTP_NEW, keep_alive=True, concurrency=128, sources=1280)

_MEMORY_UDP = replace(_MILLION_UDP, seconds=0)
# aquatic_http closes no connection, so that only kept ones are of use; few, since they take memory, too. It is slow.
_MEMORY_HTTP = replace(_HTTP_KEPT, peers=_MILLION // 10, seconds=0, concurrency=32)
_SMALL_UDP = replace(_MEMORY_UDP, peers=_MILLION // 10, torrents=1000)
_TORRENTS_UDP = replace(_MEMORY_UDP, torrents=_MILLION)


def _one_swarm(load: Load) -> tuple[Row, ...]:
    return tuple(
        Row(OURS, replace(load, peers=peers, torrents=1), f"{load.protocol.upper()}, {peers:,} peers")
        for peers in (100, 100_000)
    )


_MILLION_TEXT = """\
A million peers in 10,000 torrents, of which the largest has 100,000, announce themselves again; by 2.5 % of the announces \
one completes, by 2.5 % one stops, which comes back. 30 peers are wanted."""

SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        "http-new",
        "Announce over HTTP, a new connection each",
        "What BitTorrent clients do.",
        "cpu_us_per_request",
        _rows(_HTTP_NEW, OURS, "opentracker", "bittorrent-tracker", AXUM),
        (Goal(OURS, 0.65, "opentracker"),),
    ),
    Scenario(
        "http-keep-alive",
        "Announce over HTTP, connections kept",
        "What clients behind a proxy do.",
        "cpu_us_per_request",
        _rows(_HTTP_KEPT, OURS, "aquatic_http", AXUM),
        (Goal(OURS, 1.3, AXUM),),
    ),
    Scenario(
        "udp-announce",
        "Announce over UDP",
        "One worker each.",
        "cpu_us_per_request",
        _rows(_UDP, OURS, "opentracker", "aquatic_udp", "torrust-tracker"),
        (Goal(OURS, 0.8, "aquatic_udp"),),
    ),
    Scenario(
        "million-udp",
        "A million peers held: announce over UDP",
        _MILLION_TEXT,
        "cpu_us_per_request",
        _rows(_MILLION_UDP, OURS, LEAN, AS_IT_COMES, "opentracker", "aquatic_udp", BARE_UDP),
        (Goal(OURS, 0.85, "aquatic_udp"), Goal(AS_IT_COMES, 1.0, "aquatic_udp"), Goal(AS_IT_COMES, 1.1, OURS)),
    ),
    Scenario(
        "million-scrape",
        "A million peers held: scrape over UDP",
        "One info-hash a request, as popular as its torrent.",
        "cpu_us_per_request",
        _rows(replace(_MILLION_UDP, scrapes_percent=100), OURS, AS_IT_COMES, "opentracker", BARE_UDP),
        (Goal(OURS, 1.0, BEST_PEER), Goal(AS_IT_COMES, 1.1, OURS)),
        most_rounds=2,
    ),
    Scenario(
        "million-http-new",
        "A million peers held: announce over HTTP, a new connection each",
        "The same announces.",
        "cpu_us_per_request",
        _rows(_MILLION_HTTP_NEW, OURS, AS_IT_COMES, "opentracker", BARE_HTTP),
        (Goal(OURS, 0.62, "opentracker"), Goal(AS_IT_COMES, 1.1, OURS)),
    ),
    Scenario(
        "million-http-kept",
        "A million peers held: announce over HTTP, connections kept",
        f"The same announces, by the peers of {_MILLION_HTTP_KEPT.concurrency} of "
        f"{_MILLION_HTTP_KEPT.sources:,} addresses, a connection each.",
        "cpu_us_per_request",
        _rows(_MILLION_HTTP_KEPT, OURS, AS_IT_COMES, AXUM, BARE_HTTP),
        (Goal(OURS, 1.3, AXUM), Goal(AS_IT_COMES, 1.1, OURS)),
    ),
    *(
        Scenario(
            f"million-latency-{rate}",
            f"A million peers held: latency at {rate:,} new connections per second",
            "The same announces over HTTP, on a fixed schedule.",
            "latency_p99_us",
            _rows(replace(_MILLION_HTTP_NEW, rate=rate), OURS, AS_IT_COMES, "opentracker", BARE_HTTP),
            (Goal(OURS, 1.0, "opentracker"), Goal(AS_IT_COMES, 1.3, OURS)),
        )
        for rate in (1_000, 5_000)
    ),
    Scenario(
        "memory",
        "Memory for a million peers",
        "Growth of the resident memory while a million peers join 10,000 torrents, by peer. Ours keeps what the "
        "dashboard shows of a peer (id, key, left, uploaded, downloaded); with `--lean`, what opentracker keeps.",
        "rss_bytes_per_peer",
        (
            *_rows(_MEMORY_UDP, OURS, LEAN, AS_IT_COMES, "opentracker", "aquatic_udp"),
            *_rows(_MEMORY_HTTP, "aquatic_http"),
        ),
        (Goal(OURS, 64), Goal(LEAN, 1.0, "opentracker"), Goal(AS_IT_COMES, 80)),
        most_rounds=1,
    ),
    Scenario(
        "memory-small",
        "Memory for 100,000 peers",
        "The same for 100,000 peers in 1,000 torrents, where what a program takes in any case weighs more.",
        "rss_bytes_per_peer",
        _rows(_SMALL_UDP, OURS, LEAN, AS_IT_COMES, "opentracker"),
        (Goal(AS_IT_COMES, 120),),
        most_rounds=1,
    ),
    Scenario(
        "memory-torrents",
        "Memory for a million torrents of one peer",
        "Growth of the resident memory while a million peers join a torrent each, by torrent.",
        "rss_bytes_per_peer",
        _rows(_TORRENTS_UDP, OURS, LEAN, AS_IT_COMES, "opentracker", "aquatic_udp", "torrust-tracker"),
        (Goal(LEAN, 130), Goal(OURS, 180), Goal(AS_IT_COMES, 180)),
        most_rounds=1,
    ),
    Scenario(
        "one-swarm",
        "One swarm, small and large",
        "All peers share one torrent. An announce is to cost hardly more where there are many.",
        "cpu_us_per_request",
        (*_one_swarm(_HTTP_NEW), *_one_swarm(_UDP)),
        tuple(Goal(f"{OURS}, {name}, 100,000 peers", 1.1, f"{OURS}, {name}, 100 peers") for name in ("HTTP", "UDP")),
    ),
    Scenario(
        "threads",
        "More threads than cores",
        "One core, which the tracker's threads share: what their taking turns costs.",
        "cpu_us_per_request",
        tuple(
            Row(OURS, load, f"{load.protocol.upper()}, {count} {'thread' if count == 1 else 'threads'}", threads=count)
            for load in (_UDP, _HTTP_NEW)
            for count in (1, 2, 4)
        ),
        most_rounds=2,
    ),
)
