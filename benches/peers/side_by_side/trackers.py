"""The trackers, the reference servers, and how each of them is started."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Kind = Literal["ours", "peer", "reference"]

# Peers in an answer that every tracker is set to, where it can be set.
MOST_PEERS = 50


@dataclass(frozen=True)
class Installed:
    """Where programs are."""

    peers: Path
    """Where `install` has put those of others."""
    release: Path
    """Where cargo has put our own."""


@dataclass(frozen=True)
class Place:
    """What one start of a tracker is given."""

    installed: Installed
    directory: Path
    """An empty directory, that anybody may read."""
    port: int
    """The port on 127.0.0.1, of TCP and UDP, that is free."""
    threads: int
    """How many threads it is to serve with, where that is a setting."""
    info_hashes: Path
    """The info-hashes of the run, in hex, one a line."""

    @property
    def address(self) -> str:
        """Where to listen."""
        return f"127.0.0.1:{self.port}"


@dataclass(frozen=True)
class Start:
    """A command line, and what it needs in its environment besides what is there."""

    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Tracker:
    """A program to compare."""

    name: str
    kind: Kind
    start: Callable[[Place], Start]
    program: Callable[[Installed], Path]
    """The file that must be there for it to run."""
    version: Callable[[Installed], str]
    settings: str = ""
    """What it is set to, for the reader."""
    seeds_to_seeds: bool = True
    """Whether it tells seeders of seeders, which is not counted as a violation then."""


def _ours(*flags: str) -> Callable[[Place], Start]:
    def start(place: Place) -> Start:
        # As it does by default, but for the ports.
        listen = f"0.0.0.0:{place.port},[::]:{place.port}"
        ports = ["--listen", listen, "--dashboard-listen", "127.0.0.1:0", "--peer-listen", "127.0.0.1:0"]
        program = str(place.installed.release / "tracker")
        return Start([program, *ports, "--threads", str(place.threads), "--data", "none", *flags])

    return start


def _our_tracker(name: str, *flags: str) -> Tracker:
    return Tracker(
        name=name,
        kind="ours",
        start=_ours(*flags),
        program=lambda installed: installed.release / "tracker",
        version=_our_version,
        seeds_to_seeds=False,
        settings=f"`{' '.join(flags)}`"
        if flags
        else "dashboard, a peer of its own, and a line in the log for each peer that comes or goes",
    )


def _our_version(installed: Installed) -> str:
    version = _output([str(installed.release / "tracker"), "--version"])
    commit = _output(["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"])
    return f"{version.removeprefix('tracker ')} ({commit})"


def _opentracker(place: Place) -> Start:
    """Debian's build serves a list of torrents only. It changes its root to the directory: paths begin there."""
    root = place.installed.peers / "opentracker"
    (place.directory / "torrents").write_bytes(place.info_hashes.read_bytes())
    settings = [f"listen.udp.workers {place.threads}", f"listen.tcp_udp {place.address}", "access.whitelist /torrents"]
    configuration = place.directory / "opentracker.conf"
    configuration.write_text("".join(f"{line}\n" for line in settings))
    program = str(root / "usr/bin/opentracker")
    command = [program, "-u", "nobody", "-d", str(place.directory), "-f", str(configuration)]
    return Start(command, {"LD_LIBRARY_PATH": str(root / "usr/lib")})


def _aquatic(name: str, settings: str) -> Callable[[Place], Start]:
    def start(place: Place) -> Start:
        configuration = place.directory / "aquatic.toml"
        network = f'socket_workers = {place.threads}\n[network]\naddress = "{place.address}"\n'
        configuration.write_text(network + settings)
        return Start([str(place.installed.peers / "bin" / name), "--config-file", str(configuration)])

    return start


def _torrust(place: Place) -> Start:
    configuration = place.directory / "tracker.toml"
    configuration.write_text(
        f"""
[metadata]
schema_version = "2.0.0"
[logging]
threshold = "error"
[core]
listed = false
private = false
tracker_usage_statistics = false
[core.database]
driver = "sqlite3"
path = "{place.directory / "torrust.sqlite3"}"
[core.tracker_policy]
persistent_torrent_completed_stat = false
remove_peerless_torrents = false
[[udp_trackers]]
bind_address = "{place.address}"
[[http_trackers]]
bind_address = "{place.address}"
[health_check_api]
bind_address = "127.0.0.1:0"
"""
    )
    program = str(place.installed.peers / "bin/torrust-tracker")
    return Start([program], {"TORRUST_TRACKER_CONFIG_TOML_PATH": str(configuration)})


def _bittorrent_tracker(place: Place) -> Start:
    return Start(["node", str(place.installed.peers / "bittorrent-tracker/serve.mjs"), str(place.port)])


def _bittorrent_tracker_version(installed: Installed) -> str:
    package = installed.peers / "bittorrent-tracker/node_modules/bittorrent-tracker/package.json"
    return f"{json.loads(package.read_text())['version']}, node {_output(['node', '--version'])}"


def _installed(name: str) -> Callable[[Installed], Path]:
    return lambda installed: installed.peers / name


def _cargo_version(name: str) -> Callable[[Installed], str]:
    def version(installed: Installed) -> str:
        listed = _output(["cargo", "install", "--list", "--root", str(installed.peers)])
        found = [line.split()[1] for line in listed.splitlines() if line.startswith(f"{name} ")]
        return found[0].rstrip(":").removeprefix("v") if found else "?"

    return version


def _reference(name: str, title: str) -> Tracker:
    program = _installed(f"bin/{name}")
    return Tracker(
        name=title,
        kind="reference",
        start=lambda place: Start([str(program(place.installed)), place.address]),
        program=program,
        version=_cargo_version("references"),
    )


def _output(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ).stdout.strip()


TRACKERS: dict[str, Tracker] = {
    tracker.name: tracker
    for tracker in [
        _our_tracker("tracker", "--dashboard=false", "--peer=false", "--log-level", "warn"),
        _our_tracker("tracker --lean", "--dashboard=false", "--log-level", "warn", "--lean"),
        _our_tracker("tracker, as it comes"),
        Tracker(
            "opentracker",
            "peer",
            _opentracker,
            _installed("opentracker/usr/bin/opentracker"),
            lambda installed: (installed.peers / "opentracker/version").read_text().strip(),
            "Debian's build; a list of the run's torrents, since it serves no others; closes after every HTTP answer; "
            "hands out what is asked for, at most 200 peers",
        ),
        Tracker(
            "aquatic_http",
            "peer",
            _aquatic("aquatic_http", f"[protocol]\nmax_peers = {MOST_PEERS}\n"),
            _installed("bin/aquatic_http"),
            _cargo_version("aquatic_http"),
            f"as it comes (keep-alive on, log at warn), at most {MOST_PEERS} peers an answer; a socket worker and a "
            "swarm worker, both on the one core",
        ),
        Tracker(
            "aquatic_udp",
            "peer",
            _aquatic("aquatic_udp", f"[protocol]\nmax_response_peers = {MOST_PEERS}\n"),
            _installed("bin/aquatic_udp"),
            _cargo_version("aquatic_udp"),
            f"as it comes (log at error), but at most {MOST_PEERS} peers an answer instead of 30",
        ),
        Tracker(
            "torrust-tracker",
            "peer",
            _torrust,
            _installed("bin/torrust-tracker"),
            _cargo_version("torrust-tracker"),
            "as its configuration for benchmarks: log at error, no statistics; at most 74 peers an answer, whatever is "
            "asked for; it takes all of 127.0.0.0/8 for its own machine, so that its peers have one address",
        ),
        Tracker(
            "bittorrent-tracker",
            "peer",
            _bittorrent_tracker,
            _installed("bittorrent-tracker/serve.mjs"),
            _bittorrent_tracker_version,
            "HTTP only, without its statistics page; keeps at most 1,000 peers of a torrent",
        ),
        _reference("fixed-axum", "axum, fixed answer"),
        _reference("bare-http", "bare epoll loop"),
        _reference("bare-udp", "bare recv-send loop"),
    ]
}
