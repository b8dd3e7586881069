"""simulate-swarm, run once against a tracker."""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .scenarios import Load, Row
from .trackers import TRACKERS

SEED = 1

TIMEOUT = 120.0
"""Seconds that one run may take."""

SETTLE_TIME = 3.0
"""Seconds after which memory is looked at again."""
SETTLED = 0.005
"""The share that it changes by in this time when it stands still."""
SETTLE_TIMEOUT = 30.0
"""Seconds after which it is taken as it is."""


class LoadError(Exception):
    """simulate-swarm failed."""


@dataclass(frozen=True)
class Sample:
    """The figures of one run: of its steady phase, or of the fill where there is none. None: not measured."""

    requests: int
    errors: int
    requests_per_second: float
    cpu_us_per_request: float | None
    latency_p50_us: float | None
    latency_p99_us: float | None
    answer_bytes: float | None
    peers_per_answer: float | None
    rss_bytes_per_peer: float | None
    rss_mib_before: float | None
    rss_mib_after: float | None
    bottleneck: str
    violations: int
    violations_by_kind: dict[str, int] = field(default_factory=dict)


def write_info_hashes(load: Load, program: Path, file: Path) -> None:
    """Writes the info-hashes that the load is about, in hex, one a line."""
    command = [str(program), _url(load, 1), *flags(load), "--info-hashes", str(file)]
    _simulate_swarm(command)


def run(row: Row, port: int, pid: int, program: Path, on_cores: str, directory: Path) -> Sample:
    """Puts the row's load on the tracker with that port and process id, and reads what was measured."""
    tracker = TRACKERS[row.tracker]
    claims = ["--seeds-to-seeds"] if tracker.seeds_to_seeds else []
    start = ["taskset", "--cpu-list", on_cores, str(program)]
    fill = fill_of(row)
    if fill is not None:
        _simulate_swarm([*start, _url(fill, port), *flags(fill), *claims, "--quiet"])
    written = directory / "simulate-swarm.json"
    measured = ["--pid", str(pid), "--json", str(written), "--quiet"]
    _simulate_swarm([*start, _url(row.load, port), *flags(row.load), *claims, *measured])
    sample = _sample(json.loads(written.read_text()), row.load)
    return sample if row.load.seconds else _with_settled_memory(sample, pid)


def fill_of(row: Row) -> Load | None:
    """The load that fills the row's tracker beforehand, over another protocol, if there is one."""
    is_filled = row.load.fill_over is not None and TRACKERS[row.tracker].kind != "reference"
    return row.load.fill() if is_filled else None


def _url(load: Load, port: int) -> str:
    return f"{load.protocol}://127.0.0.1:{port}/announce"


def flags(load: Load) -> list[str]:
    """What makes simulate-swarm play a load."""
    settings: dict[str, object] = {
        "--seed": SEED,
        "--peers": load.peers,
        "--torrents": load.torrents,
        "--zipf": load.zipf,
        "--numwant": load.numwant,
        "--concurrency": load.concurrency,
        "--scrapes": load.scrapes_percent,
        "--connection": "keep-alive" if load.keep_alive else "new",
        "--spread": "even" if load.torrents == load.peers else "zipf",
    }
    if load.returning_percent is None:
        settings["--leaving"] = load.leaving_percent
    else:
        settings |= {"--completed": load.returning_percent, "--stopped": load.returning_percent}
    if load.rate is not None:
        settings["--rate"] = load.rate
    if load.sources is not None:
        settings["--sources"] = load.sources
    if load.seconds:
        settings["--duration"] = f"{load.seconds * 1000:.0f}ms"
    # Whether or not there was somebody to fill.
    skips = [] if load.fill_over is None else ["--skip-fill"]
    parts = [str(part) for setting in settings.items() for part in setting]
    return [*parts, *skips] if load.seconds else [*parts, "--fill-only"]


def _simulate_swarm(command: list[str]) -> None:
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    except subprocess.TimeoutExpired as error:
        raise LoadError(f"not done after {TIMEOUT:.0f} s") from error
    # 1 says that there were violations or errors, which are figures here.
    if ended.returncode not in (0, 1):
        raise LoadError(f"simulate-swarm ended with {ended.returncode}: {ended.stderr.strip()[-400:]}")


def _sample(report: dict[str, Any], load: Load) -> Sample:
    # Where the fill fails there is no steady phase.
    phase = report["steady" if load.seconds else "fill"] or report["fill"]
    if not phase["requests"]:
        raise LoadError(f"no request was answered; {phase['first_error']}; violations: {phase['violations']}")
    cost = phase["tracker"] or {}
    return Sample(
        requests=phase["requests"],
        errors=phase["errors_total"],
        requests_per_second=phase["requests_per_second"],
        cpu_us_per_request=cost.get("cpu_us_per_request"),
        latency_p50_us=phase["latency_us"]["p50"],
        latency_p99_us=phase["latency_us"]["p99"],
        answer_bytes=phase["answer_bytes_mean"],
        peers_per_answer=phase["peers_per_answer_mean"] if phase["announces"] else None,
        rss_bytes_per_peer=cost.get("rss_bytes_per_peer"),
        rss_mib_before=_mib(cost.get("rss_bytes_before")),
        rss_mib_after=_mib(cost.get("rss_bytes_after")),
        bottleneck=phase["bottleneck"],
        violations=phase["violations_total"],
        violations_by_kind=phase["violations"],
    )


def _with_settled_memory(sample: Sample, pid: int) -> Sample:
    """The figures of a fill, with the memory as it is once it stands still: some of it comes and goes after the answers."""
    deadline = time.monotonic() + SETTLE_TIMEOUT
    latest = _resident(pid)
    while time.monotonic() < deadline:
        time.sleep(SETTLE_TIME)
        before, latest = latest, _resident(pid)
        if abs(latest - before) < before * SETTLED:
            break
    if sample.rss_mib_before is None or latest == 0:
        return sample
    growth = latest - sample.rss_mib_before
    return replace(sample, rss_mib_after=latest, rss_bytes_per_peer=growth * 2**20 / sample.requests)


def _resident(pid: int) -> float:
    """The resident memory of a process, in MiB; 0 if it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return 0.0
    found = [line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(found[0]) / 1024 if found else 0.0


def _mib(size: float | None) -> float | None:
    return None if size is None else size / 2**20
