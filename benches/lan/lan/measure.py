"""One run: a source, its leechers, and when each of them has the file."""

from __future__ import annotations

import hashlib
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from math import floor, log2
from pathlib import Path
from statistics import median
from threading import Timer

from .install import PYTHON
from .network import Host, Lan, lan
from .sources import CLIENTS, MIXED, Client, Offer, Programs, Source, SourceError, Started

_READY = 60.0
"""Seconds within which all leechers must be ready."""
_WRITTEN = 15.0
"""Seconds within which a client that has everything must have written it."""
_TRIES = 3
"""How often a run is tried that is void."""
_HEADS = 1.046
"""Bytes on the wire for each byte of the file: the heads of Ethernet, IP and TCP."""
_NAME = "lecture.bin"
_SLOWER = 10
"""How many times slower the link of a slow leecher is."""


@dataclass(frozen=True)
class Settings:
    """What is the same in all rows."""

    busy: float
    """The share of its time for which a processor may be in use; a run in which one was busier is void."""
    programs: Programs


@dataclass(frozen=True)
class Setup:
    """The network and the file."""

    leechers: int
    mbit: float
    """Mbit/s of each link, either way."""
    size: int
    """Bytes of the file."""
    arrivals: float = 0
    """Seconds over which the leechers arrive, one after the other at equal distances; 0 if all arrive together."""
    slow: int = 0
    """How many of them are behind a link of a tenth of the rate. The others are judged, and the run ends with them."""

    def manner(self) -> str:
        """What is special about it, for people."""
        arrivals = f", arriving over {self.arrivals:g} s" if self.arrivals else ""
        slow = f", {self.slow} of them at {self.mbit / _SLOWER:g} Mbit/s" if self.slow else ""
        return arrivals + slow

    def leecher_mbit(self) -> list[float]:
        """The rate of each leecher's link. The last ones are the slow ones."""
        return [self.mbit] * (self.leechers - self.slow) + [self.mbit / _SLOWER] * self.slow

    @property
    def link_time(self) -> float:
        """The nominal time that one copy takes on a link, in seconds."""
        return self.size * 8 / (self.mbit * 1e6)

    def bound(self, piece_length: int) -> float:
        """The least multiple of the link time after which the last one can have it, if whole pieces are passed on."""
        pieces = -(-self.size // piece_length)
        return _HEADS * (1 + floor(log2(self.leechers)) / pieces)


@dataclass(frozen=True)
class Arrival:
    """A leecher that is judged."""

    program: str
    began: float
    """Seconds after the first one."""
    took: float
    """Seconds from then until it had the file."""


@dataclass(frozen=True)
class Sample:
    """What one run measured."""

    arrivals: list[Arrival]
    """The leechers that are judged, as they had the file."""
    sent: int
    """Bytes that left the source's host meanwhile."""
    busy: float
    """The share of the time for which the busiest processor was in use. Near one, it was the limit and not the links."""
    piece_length: int | None

    def first(self) -> float:
        """What the fastest leecher took, in seconds."""
        return min(arrival.took for arrival in self.arrivals)

    def last(self) -> float:
        """What the slowest one took."""
        return max(arrival.took for arrival in self.arrivals)

    def of(self, program: str) -> list[float]:
        """What those with this program took, shortest first."""
        return sorted(arrival.took for arrival in self.arrivals if arrival.program == program)

    def complete(self) -> list[float]:
        """When each had it, in seconds after the first one arrived."""
        return sorted(arrival.began + arrival.took for arrival in self.arrivals)


@dataclass
class Cell:
    """The runs of one row."""

    source: Source
    client: Client
    setup: Setup
    samples: list[Sample] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    void: list[float] = field(default_factory=list)
    """How busy the busiest processor was in each run that is void."""

    def last(self) -> float | None:
        """What the slowest leecher took, as a multiple of the nominal link time of one copy: the median."""
        return self._median(lambda sample: sample.last() / self.setup.link_time)

    def last_of(self, program: str) -> float | None:
        """The same for the leechers with this program."""
        return self._median(lambda sample: sample.of(program)[-1] / self.setup.link_time)

    def copies(self) -> float | None:
        """The bytes that the source sent, as a multiple of the file's size: the median."""
        return self._median(lambda sample: sample.sent / self.setup.size)

    def bound(self) -> float | None:
        """The least that is possible with these pieces."""
        lengths = [sample.piece_length for sample in self.samples if sample.piece_length]
        return self.setup.bound(lengths[0]) if lengths else None

    def name(self) -> str:
        """For people who look at the measurement."""
        setup = self.setup
        name = f"{self.source.key} to {setup.leechers} {self.client} at {setup.mbit:g} Mbit/s, {setup.size / 1e6:g} MB"
        return name + setup.manner()

    def _median(self, figure: Callable[[Sample], float]) -> float | None:
        return median(map(figure, self.samples)) if self.samples else None


def measure_round(cells: list[Cell], settings: Settings, number: int) -> Iterator[Cell]:
    """Runs each row once. They take turns: each round, of which the first is 1, begins with another one."""
    turn = (number - 1) % len(cells)
    for cell in cells[turn:] + cells[:turn]:
        try:
            _measure(cell, settings, number)
        except SourceError as error:
            cell.failures.append(str(error))
            _say(f"round {number}: {cell.name()}: {error}")
        yield cell


def _measure(cell: Cell, settings: Settings, number: int) -> None:
    is_hopeless = cell.void and not cell.samples
    for _ in range(1 if is_hopeless else _TRIES):
        sample = _run(cell, settings.programs)
        is_void = sample.busy > settings.busy
        _say(
            f"round {number}: {cell.name()}: last {sample.last() / cell.setup.link_time:.2f}, "
            f"copies {sample.sent / cell.setup.size:.2f}, a processor {sample.busy:.0%} busy{', void' if is_void else ''}"
        )
        if not is_void:
            cell.samples.append(sample)
            return
        cell.void.append(sample.busy)
    raise SourceError(f"void: a processor was more than {settings.busy:.0%} busy")


def _run(cell: Cell, programs: Programs) -> Sample:
    # In memory: disks are not what is measured.
    with tempfile.TemporaryDirectory(prefix="lan-", dir="/dev/shm") as name:
        folder = Path(name)
        file = folder / "share" / _NAME
        file.parent.mkdir()
        file.write_bytes(os.urandom(cell.setup.size))
        setup = cell.setup
        with lan(setup.mbit, setup.leecher_mbit(), folder) as network, Started(network.source, programs, file) as started:
            return _download(cell, cell.source.offer(started), network, file)


def _download(cell: Cell, offer: Offer, network: Lan, file: Path) -> Sample:
    setup = cell.setup
    programs = MIXED.get(cell.client, [cell.client])
    # A BitTorrent client goes on seeding, and all of them end with the run.
    with ExitStack() as stack:
        leechers = [
            stack.enter_context(_Leecher(programs[number % len(programs)], host, offer))
            for number, host in enumerate(network.leechers)
        ]
        _lines(leechers, "ready", _READY)
        sent, busy, began = network.source.sent(), _processor_seconds(), time.monotonic()
        for number, leecher in enumerate(leechers):
            timer = Timer(setup.arrivals * number / setup.leechers, leecher.go)
            stack.callback(timer.cancel)
            timer.start()
        judged = leechers[: setup.leechers - setup.slow]
        # Plain HTTP takes one copy's link time for each leecher; anything needs some time to begin.
        _lines(judged, "complete", 60 + setup.arrivals + 4 * len(leechers) * setup.link_time)
        took = time.monotonic() - began
        sent = network.source.sent() - sent
        busiest = max(after - before for before, after in zip(busy, _processor_seconds(), strict=True)) / took
        digest = _sha256(file)
        for leecher in judged:
            leecher.check(digest)
    arrivals = [Arrival(leecher.program, leecher.began - began, leecher.complete - leecher.began) for leecher in judged]
    return Sample(sorted(arrivals, key=lambda arrival: arrival.began + arrival.took), sent, busiest, offer.piece_length)


class _Leecher:
    """A program that downloads the file into the folder of its host."""

    def __init__(self, program: str, host: Host, offer: Offer) -> None:
        self.program = program
        self.host = host
        self.began = 0.0
        self.complete = 0.0
        if program == "curl":
            # Waits for the line that lets it go, as the others do.
            script = 'echo ready && read -r _ && curl --silent --fail --output "$1" "$2" && echo complete'
            command = ["sh", "-c", script, "sh", _NAME, offer.location]
        else:
            command = [PYTHON, str(CLIENTS), program, offer.location, str(host.folder)]
        self._process = host.start(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdout
        self.output = self._process.stdout

    def __enter__(self) -> _Leecher:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self.output.close()
        if self._process.stdin:
            self._process.stdin.close()

    def go(self) -> None:
        """Lets it begin."""
        assert self._process.stdin
        self.began = time.monotonic()
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()

    def check(self, digest: str) -> None:
        """Compares its copy, which it may still be writing."""
        deadline = time.monotonic() + _WRITTEN
        copy = self.host.folder / _NAME
        while not copy.exists() or _sha256(copy) != digest:
            if time.monotonic() > deadline:
                raise SourceError(f"the copy of {self.program} differs from the file")
            time.sleep(0.5)


def _lines(leechers: Iterable[_Leecher], word: str, seconds: float) -> None:
    """Waits until each leecher has said a word, and notes when."""
    waiting = {leecher.output: leecher for leecher in leechers}
    deadline = time.monotonic() + seconds
    while waiting:
        readable, _, _ = select.select(list(waiting), [], [], max(0.0, deadline - time.monotonic()))
        if not readable:
            programs = ", ".join(sorted(leecher.program for leecher in waiting.values()))
            raise SourceError(f"{programs}: not {word} after {seconds:.0f} s")
        for output in readable:
            if output.readline().strip() != word.encode():
                raise SourceError(f"{waiting[output].program} ended")
            waiting.pop(output).complete = time.monotonic()


def _processor_seconds() -> list[float]:
    """Seconds for which each processor of the machine was in use since its start, also by other virtual machines."""
    lines = Path("/proc/stat").read_text().splitlines()
    processors = [line.split()[1:9] for line in lines if line.startswith("cpu") and not line.startswith("cpu ")]
    # All but "idle" and "iowait".
    return [sum(int(ticks) for ticks in fields[:3] + fields[5:]) / os.sysconf("SC_CLK_TCK") for fields in processors]


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
