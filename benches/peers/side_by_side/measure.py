"""The rounds: every row of a scenario, in turn."""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

from . import load
from .load import LoadError, Sample
from .process import TrackerError, cores, free_port, running
from .results import Outcome, Result
from .scenarios import Row, Scenario
from .trackers import TRACKERS, Installed, Place


@dataclass(frozen=True)
class Settings:
    """How the run goes."""

    installed: Installed
    rounds: int
    quick: bool

    @property
    def simulate_swarm(self) -> Path:
        """The load generator."""
        return self.installed.release / "simulate-swarm"


def measure(scenario: Scenario, settings: Settings) -> Outcome:
    """Runs all rows of a scenario in every round, each round beginning with another row."""
    rows = [replace(row, load=row.load.quick()) for row in scenario.rows] if settings.quick else list(scenario.rows)
    results = [Result(row) for row in rows]
    for number in range(min(settings.rounds, scenario.most_rounds)):
        first = number % len(results)
        for result in results[first:] + results[:first]:
            _measure_row(scenario, result, number, settings)
    return Outcome(scenario, results)


def _measure_row(scenario: Scenario, result: Result, number: int, settings: Settings) -> None:
    began = time.monotonic()
    try:
        sample = _run(result.row, settings)
    except (LoadError, TrackerError) as error:
        result.failure = str(error)
        _say(f"{scenario.key}, round {number + 1}: {result.row.name}: {error}")
        return
    result.samples[number] = sample
    figure = getattr(sample, scenario.figure)
    shown = "–" if figure is None else f"{figure:,.1f}"
    took = time.monotonic() - began
    _say(f"{scenario.key}, round {number + 1}: {result.row.name}: {shown} {scenario.figure}, {took:.0f} s")


def _run(row: Row, settings: Settings) -> Sample:
    tracker = TRACKERS[row.tracker]
    if not tracker.program(settings.installed).exists():
        raise TrackerError("not installed, see benches/peers/install")
    with tempfile.TemporaryDirectory(prefix="side-by-side-") as name:
        directory = Path(name)
        # opentracker gives up its rights before it reads here.
        directory.chmod(0o755)
        info_hashes = directory / "info-hashes"
        load.write_info_hashes(row.load, settings.simulate_swarm, info_hashes)
        place = Place(settings.installed, directory, free_port(), row.threads, info_hashes)
        first = load.fill_of(row) or row.load
        with running(tracker, place, first.protocol, cores(1, 0)) as pid:
            return load.run(row, place.port, pid, settings.simulate_swarm, cores(1, 1), directory)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
