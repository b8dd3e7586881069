"""One run: a source, its leechers, and when each of them has the file."""

from __future__ import annotations

import hashlib
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from .install import PYTHON
from .network import Host, Lan, lan
from .sources import CLIENT, Offer, Programs, Source, SourceError, Started

_READY = 60.0
"""Seconds within which all leechers must be ready."""
_NAME = "lecture.bin"


@dataclass(frozen=True)
class Settings:
    """What is the same in all rows."""

    leechers: int
    mbit: float
    rounds: int
    programs: Programs


@dataclass(frozen=True)
class Sample:
    """What one run measured."""

    seconds: list[float]
    """When each leecher had the file, earliest first."""
    sent: int
    """Bytes that left the source's host meanwhile."""
    busy: float
    """The share of the machine's processors that was in use meanwhile. Near one, they were the limit and not the links."""
    piece_length: int | None


@dataclass
class Cell:
    """The runs of one source and one size."""

    source: Source
    size: int
    samples: list[Sample]
    failures: list[str]

    def last(self, mbit: float) -> float | None:
        """When the last leecher had the file, as a multiple of the nominal link time of one copy: the median."""
        link_time = self.size * 8 / (mbit * 1e6)
        return median(sample.seconds[-1] / link_time for sample in self.samples) if self.samples else None

    def copies(self) -> float | None:
        """The bytes that the source sent, as a multiple of the file's size: the median."""
        return median(sample.sent / self.size for sample in self.samples) if self.samples else None


def measure(sources: list[Source], sizes: list[int], settings: Settings) -> list[Cell]:
    """Runs all sources with all sizes. They take turns, each round beginning with another one.

    Without BitTorrent all sizes take as many link times as there are leechers: those sources give only the smallest file.
    """
    pairs = [(source, size) for size in sizes for source in sources if source.fetch == "libtorrent" or size == min(sizes)]
    cells = [Cell(source, size, [], []) for source, size in pairs]
    for number in range(settings.rounds):
        turn = number % len(cells)
        for cell in cells[turn:] + cells[:turn]:
            try:
                sample = _run(cell.source, cell.size, settings)
            except SourceError as error:
                cell.failures.append(str(error))
                _say(f"round {number + 1}: {cell.source.key}, {cell.size / 1e6:g} MB: {error}")
            else:
                cell.samples.append(sample)
                link_time = cell.size * 8 / (settings.mbit * 1e6)
                _say(
                    f"round {number + 1}: {cell.source.key}, {cell.size / 1e6:g} MB: last {sample.seconds[-1] / link_time:.2f}, "
                    f"copies {sample.sent / cell.size:.2f}, processors {sample.busy:.0%} busy"
                )
    return cells


def _run(source: Source, size: int, settings: Settings) -> Sample:
    # In memory: disks are not what is measured.
    with tempfile.TemporaryDirectory(prefix="lan-", dir="/dev/shm") as name:
        folder = Path(name)
        file = folder / "share" / _NAME
        file.parent.mkdir()
        file.write_bytes(os.urandom(size))
        with lan(settings.leechers, settings.mbit, folder) as network:
            with Started(network.source, settings.programs, file) as started:
                return _download(source, source.offer(started), network, file, size * 8 / (settings.mbit * 1e6))


def _download(source: Source, offer: Offer, network: Lan, file: Path, link_time: float) -> Sample:
    # A leecher that libtorrent runs goes on seeding, and all of them end with the run.
    with ExitStack() as stack:
        leechers = [stack.enter_context(_Leecher(source, host, offer)) for host in network.leechers]
        _lines(leechers, "ready", _READY)
        sent, busy, began = network.source.sent(), _processor_seconds(), time.monotonic()
        for leecher in leechers:
            leecher.go()
        # Plain HTTP takes one copy's link time for each leecher; anything needs some time to begin.
        _lines(leechers, "complete", 60 + 4 * len(leechers) * link_time)
        took = time.monotonic() - began
        sent = network.source.sent() - sent
        busy = (_processor_seconds() - busy) / (took * (os.cpu_count() or 1))
    digest = _sha256(file)
    for leecher in leechers:
        if _sha256(leecher.host.folder / _NAME) != digest:
            raise SourceError("a copy differs from the file")
    return Sample(sorted(leecher.complete - began for leecher in leechers), sent, busy, offer.piece_length)


class _Leecher:
    """A program that downloads the file into the folder of its host."""

    def __init__(self, source: Source, host: Host, offer: Offer) -> None:
        self.host = host
        self.complete = 0.0
        if source.fetch == "libtorrent":
            command = [PYTHON, str(CLIENT), offer.location, str(host.folder)]
        else:
            # Waits for the line that lets it go, as the other one does.
            script = 'echo ready && read -r _ && curl --silent --fail --output "$1" "$2" && echo complete'
            command = ["sh", "-c", script, "sh", _NAME, offer.location]
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
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()


def _lines(leechers: Iterable[_Leecher], word: str, seconds: float) -> None:
    """Waits until each leecher has said a word, and notes when."""
    waiting = {leecher.output: leecher for leecher in leechers}
    deadline = time.monotonic() + seconds
    while waiting:
        readable, _, _ = select.select(list(waiting), [], [], max(0.0, deadline - time.monotonic()))
        if not readable:
            raise SourceError(f"{len(waiting)} leechers are not {word} after {seconds:.0f} s")
        for output in readable:
            if output.readline().strip() != word.encode():
                raise SourceError("a leecher ended")
            waiting.pop(output).complete = time.monotonic()


def _processor_seconds() -> float:
    """Seconds for which processors of the machine were in use since its start, in all."""
    fields = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    idle = fields[3] + fields[4]
    return (sum(fields) - idle) / os.sysconf("SC_CLK_TCK")


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
