"""A tracker that runs: started on its cores, waited for, stopped."""

from __future__ import annotations

import os
import random
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .scenarios import Protocol
from .trackers import Place, Start, Tracker

START_TIMEOUT = 10.0
"""Seconds within which a tracker must answer. A list of a million torrents takes opentracker a while."""

# BEP 15: the protocol's number, action 0 (connect), any transaction.
_CONNECT = bytes.fromhex("00000417271019800000000012345678")
# An announce: connection, action, transaction, info-hash, peer id, downloaded, left, uploaded, event, address, key,
# numwant, port.
_ANNOUNCE = struct.Struct(">8sII20s20sQQQIIIiH")
_STARTED = 2
_STOPPED = 3


class TrackerError(Exception):
    """A tracker did not start, or ended by itself."""


def free_port() -> int:
    """A port of 127.0.0.1 that is free for TCP and UDP, and not one that the system gives to clients."""
    while True:
        port = random.randrange(20_000, 30_000)
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            try:
                tcp.bind(("127.0.0.1", port))
                udp.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


def cores(count: int, first: int) -> str:
    """So many of the cores that we may use, from the given one on, as taskset takes them."""
    allowed = sorted(os.sched_getaffinity(0))
    return ",".join(str(core) for core in allowed[first : first + count])


@contextmanager
def running(tracker: Tracker, place: Place, protocol: Protocol, on_cores: str) -> Iterator[int]:
    """Starts a tracker, gives its process id once it answers, and kills it at the end."""
    start = tracker.start(place)
    log = place.directory / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["taskset", "--cpu-list", on_cores, *start.command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=place.directory,
            env=_environment(start),
        )
    try:
        _wait_until_it_answers(process, place, protocol, log)
        yield process.pid
        if process.poll() is not None:
            raise TrackerError(f"ended with {process.returncode}: {_end_of(log)}")
    finally:
        process.kill()
        process.wait()


def _environment(start: Start) -> dict[str, str]:
    """Ours less our tracker's settings, which would change what is measured."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TRACKER_")}
    return {**kept, **start.environment}


def _wait_until_it_answers(process: subprocess.Popen[bytes], place: Place, protocol: Protocol, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    with place.info_hashes.open() as info_hashes:
        info_hash = bytes.fromhex(info_hashes.readline())
    while not (_answers_udp(place.port, info_hash) if protocol == "udp" else _accepts_tcp(place.port)):
        if process.poll() is not None:
            raise TrackerError(f"ended at the start with {process.returncode}: {_end_of(log)}")
        if time.monotonic() > deadline:
            raise TrackerError(f"no answer after {START_TIMEOUT:.0f} s: {_end_of(log)}")
        time.sleep(0.02)


def _accepts_tcp(port: int) -> bool:
    with socket.socket() as tcp:
        return tcp.connect_ex(("127.0.0.1", port)) == 0


def _answers_udp(port: int, info_hash: bytes) -> bool:
    """Whether a peer that joins the torrent is answered: not before a list of torrents is read. It leaves again."""
    with socket.socket(type=socket.SOCK_DGRAM) as udp:
        udp.settimeout(0.2)
        try:
            udp.connect(("127.0.0.1", port))
            udp.send(_CONNECT)
            connection = udp.recv(16)[8:]
            answers = []
            for event in (_STARTED, _STOPPED):
                peer = (info_hash, b"-SS0001-side-by-side", 0, 0, 0, event, 0, 0, 1, 6881)
                udp.send(_ANNOUNCE.pack(connection, 1, 1, *peer))
                answers.append(udp.recv(2048))
            return len(answers[0]) >= 20
        except OSError:
            return False


def _end_of(log: Path) -> str:
    return log.read_text(errors="replace").strip()[-400:] or "it said nothing"
