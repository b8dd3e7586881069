"""The ways to give a file away that are compared."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.parse
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from .install import PYTHON
from .network import Host

CLIENT = Path(__file__).with_name("libtorrent_client.py")
_TRACKER_PORT = 6969
_PAGE_PORT = 6970
_NGINX_PORT = 8000
_START = 30.0
"""Seconds within which a program must answer."""
_HASHING = 120.0
"""Seconds within which the tracker must have hashed the file."""

# As Debian sets it, but for the access log, which the tracker does not write either.
_NGINX = """\
daemon off;
user root;
worker_processes auto;
pid {folder}/nginx.pid;
error_log stderr;
events {{ worker_connections 768; }}
http {{
    sendfile on;
    tcp_nopush on;
    types {{}}
    default_type application/octet-stream;
    access_log off;
    server {{ listen {port}; root {root}; }}
}}
"""

Fetch = Literal["curl", "libtorrent"]


class SourceError(Exception):
    """A program did not start, or does not have the file."""


@dataclass(frozen=True)
class Programs:
    """Where our own programs are, and the piece length of torrents that make-torrent makes, if it is not to choose."""

    release: Path
    piece_length: str | None


@dataclass(frozen=True)
class Offer:
    """What a leecher needs to get the file: a URL or, for libtorrent, also a path."""

    location: str
    piece_length: int | None = None


class Started:
    """The programs that run on the source's host."""

    def __init__(self, host: Host, programs: Programs, file: Path) -> None:
        self.host = host
        self.programs = programs
        self.file = file
        self._stack = ExitStack()
        self._processes: list[tuple[str, subprocess.Popen[bytes]]] = []

    def __enter__(self) -> Started:
        return self

    def __exit__(self, *_: object) -> None:
        for _, process in self._processes:
            process.kill()
            process.wait()
        self._stack.close()

    def start(self, command: list[str], **streams: int) -> subprocess.Popen[bytes]:
        """Starts a program with its output in a log."""
        name = Path(command[1] if command[0] == PYTHON else command[0]).stem
        log = self._stack.enter_context((self.host.folder / f"{name}.log").open("ab"))
        process = self.host.start(command, **{"stdout": log, "stderr": log, **streams})
        self._processes.append((name, process))
        return process

    def get(self, url: str, *options: str) -> bytes:
        """What a server on the host answers to the host itself."""
        return self.host.run(["curl", "--silent", "--fail", "--max-time", "10", *options, url])

    def wait_for(
        self, url: str, *options: str, seconds: float = _START, holds: Callable[[bytes], bool] = lambda _: True
    ) -> bytes:
        """Waits until a server on the host answers as it should, and returns the answer."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                if holds(answer := self.get(url, *options)):
                    return answer
            except subprocess.CalledProcessError:
                pass
            for name, process in self._processes:
                if process.poll() is not None:
                    end = (self.host.folder / f"{name}.log").read_text(errors="replace")[-400:]
                    raise SourceError(f"{name} ended with {process.returncode}: {end}")
            if time.monotonic() > deadline:
                raise SourceError(f"{url} does not answer as it should after {seconds:.0f} s")
            time.sleep(0.05)

    def url(self, port: int, path: str) -> str:
        """The URL for everybody on the network."""
        return f"http://{self.host.address}:{port}/{path}"

    def torrent(self, *more: str) -> Offer:
        """Has our make-torrent describe the file for clients of our tracker, which is started, too."""
        tracker = [str(self.programs.release / "tracker"), "--listen", f"0.0.0.0:{_TRACKER_PORT}", "--dashboard=false"]
        self.start([*tracker, "--data", "none", "--log-level", "warn"])
        self.wait_for(self.url(_TRACKER_PORT, "health"))
        path = self.host.folder / "made.torrent"
        command = [str(self.programs.release / "make-torrent"), "--announce", self.url(_TRACKER_PORT, "announce")]
        if self.programs.piece_length:
            command += ["--piece-length", self.programs.piece_length]
        subprocess.run([*command, *more, "--output", str(path), str(self.file)], check=True, capture_output=True)
        return Offer(str(path), self.piece_length_of(path))

    def piece_length_of(self, torrent: Path) -> int:
        """The bytes of a piece."""
        show = [str(self.programs.release / "make-torrent"), "show", "--json", str(torrent)]
        return json.loads(subprocess.run(show, check=True, capture_output=True).stdout)["piece_length"]

    def nginx(self) -> str:
        """Starts nginx, and gives the URL of the file."""
        config = self.host.folder / "nginx.conf"
        config.write_text(_NGINX.format(folder=self.host.folder, port=_NGINX_PORT, root=self.file.parent))
        self.start(["nginx", "-e", "stderr", "-p", str(self.host.folder), "-c", str(config)])
        url = self.url(_NGINX_PORT, urllib.parse.quote(self.file.name))
        self.wait_for(url, "--head")
        return url

    def ours(self) -> str:
        """Starts our tracker with the file's folder, waits until the file is hashed, and gives its info-hash."""
        command = [str(self.programs.release / "tracker"), str(self.file.parent), "--data", "none", "--log-level", "warn"]
        self.start([*command, "--listen", f"0.0.0.0:{_TRACKER_PORT}", "--dashboard-listen", f"0.0.0.0:{_PAGE_PORT}"])
        torrents = self.wait_for(
            self.url(_PAGE_PORT, "api/v1/torrents"),
            seconds=_HASHING,
            holds=lambda answer: bool(json.loads(answer)["items"]),
        )
        return json.loads(torrents)["items"][0]["info_hash"]


@dataclass(frozen=True)
class Source:
    """A row of the table."""

    key: str
    name: str
    kind: Literal["ours", "other"]
    fetch: Fetch
    offer: Callable[[Started], Offer]


def _nginx_alone(started: Started) -> Offer:
    return Offer(started.nginx())


def _nginx_web_seed(started: Started) -> Offer:
    return started.torrent("--web-seed", started.nginx())


def _libtorrent_seed(started: Started) -> Offer:
    offer = started.torrent()
    command = [PYTHON, str(CLIENT), offer.location, str(started.file.parent)]
    seed = started.start(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert seed.stdin and seed.stdout
    seed.stdin.write(b"\n")
    seed.stdin.flush()
    # "ready", and "complete" when it has checked the file.
    for _ in range(2):
        if not seed.stdout.readline():
            raise SourceError("the seed ended")
    return offer


def _our_web_seed(started: Started) -> Offer:
    url = started.url(_PAGE_PORT, f"api/v1/torrents/{started.ours()}/torrent")
    torrent = started.host.folder / "ours.torrent"
    torrent.write_bytes(started.get(url))
    # Each leecher fetches it from its own address, as a user does: the web seed's URL depends on that.
    return Offer(url, started.piece_length_of(torrent))


def _our_page(started: Started) -> Offer:
    return Offer(started.url(_PAGE_PORT, f"download/{started.ours()}"))


SOURCES = [
    Source("nginx", "plain HTTP by nginx, no BitTorrent", "other", "curl", _nginx_alone),
    Source("page", "plain HTTP by the tracker, no BitTorrent", "ours", "curl", _our_page),
    Source("nginx-web-seed", "web seed by nginx", "other", "libtorrent", _nginx_web_seed),
    Source("web-seed", "web seed by the tracker", "ours", "libtorrent", _our_web_seed),
    Source("seed", "a libtorrent seed on the tracker's machine", "other", "libtorrent", _libtorrent_seed),
]
