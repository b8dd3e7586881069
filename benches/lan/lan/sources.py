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

CLIENTS = Path(__file__).resolve().parents[1] / "clients"
"""Runs a BitTorrent client, as its documentation says."""
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

Client = Literal["curl", "libtorrent", "libtorrent-tcp", "qbittorrent", "qbittorrent-tcp", "mixed", "mixed-tcp"]
"""What the leechers run; "mixed" and "mixed-tcp" are as many of each of MIXED."""

MIXED: dict[Client, list[str]] = {
    "mixed": ["libtorrent", "aria2", "transmission", "qbittorrent", "rtorrent"],
    "mixed-tcp": ["libtorrent-tcp", "aria2-tcp", "transmission-tcp", "qbittorrent-tcp", "rtorrent-tcp"],
}

CLIENT_NAMES: dict[Client, str] = {
    "curl": "curl",
    "libtorrent": "libtorrent",
    "libtorrent-tcp": "libtorrent, TCP only",
    "qbittorrent": "qBittorrent",
    "qbittorrent-tcp": "qBittorrent, TCP only",
    "mixed": "as many each of libtorrent, aria2, Transmission, qBittorrent and rTorrent",
    "mixed-tcp": "as many each of libtorrent, aria2, Transmission, qBittorrent and rTorrent, TCP only",
}


class SourceError(Exception):
    """A program did not start, or does not have the file."""


@dataclass(frozen=True)
class Programs:
    """Where programs are, and the piece length of torrents that make-torrent makes, if it is not to choose."""

    release: Path
    peers: Path
    """What benches/peers/install has installed."""
    piece_length: str | None


@dataclass(frozen=True)
class Offer:
    """What a leecher needs to get the file: a URL or, for BitTorrent, also a path."""

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
        name = command[2] if command[0] == PYTHON else Path(command[0]).stem
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
        """Starts our tracker, and has our make-torrent describe the file for its clients."""
        tracker = [str(self.programs.release / "tracker"), "--listen", f"0.0.0.0:{_TRACKER_PORT}", "--dashboard=false"]
        self.start([*tracker, "--data", "none", "--log-level", "warn"])
        self.wait_for(self.url(_TRACKER_PORT, "health"))
        return self._make_torrent(self.host.folder / "made.torrent", *more)

    def opentracker_torrent(self) -> Offer:
        """The same with opentracker. Debian's build serves a list of torrents only, in its folder, which is its root."""
        offer = self._make_torrent(self.host.folder / "made.torrent")
        info_hash = self._show(Path(offer.location))["info_hash"]
        folder = self.host.folder / "opentracker"
        folder.mkdir()
        (folder / "torrents").write_text(f"{info_hash}\n")
        configuration = folder / "opentracker.conf"
        configuration.write_text(f"listen.tcp_udp {self.host.address}:{_TRACKER_PORT}\naccess.whitelist /torrents\n")
        installed = self.programs.peers / "opentracker/usr"
        command = [str(installed / "bin/opentracker"), "-u", "nobody", "-d", str(folder), "-f", str(configuration)]
        if not Path(command[0]).exists():
            raise SourceError(f"{command[0]} is missing: benches/peers/install installs it")
        self.start(["env", f"LD_LIBRARY_PATH={installed / 'lib'}", *command])
        escaped = "".join(f"%{info_hash[at : at + 2]}" for at in range(0, len(info_hash), 2))
        self.wait_for(self.url(_TRACKER_PORT, f"scrape?info_hash={escaped}"))
        return offer

    def _make_torrent(self, path: Path, *more: str) -> Offer:
        command = [str(self.programs.release / "make-torrent"), "--announce", self.url(_TRACKER_PORT, "announce")]
        if self.programs.piece_length:
            command += ["--piece-length", self.programs.piece_length]
        subprocess.run([*command, *more, "--output", str(path), str(self.file)], check=True, capture_output=True)
        return Offer(str(path), self.piece_length_of(path))

    def piece_length_of(self, torrent: Path) -> int:
        """The bytes of a piece."""
        return self._show(torrent)["piece_length"]

    def _show(self, torrent: Path) -> dict:
        show = [str(self.programs.release / "make-torrent"), "show", "--json", str(torrent)]
        return json.loads(subprocess.run(show, check=True, capture_output=True).stdout)

    def nginx(self) -> str:
        """Starts nginx, and gives the URL of the file."""
        config = self.host.folder / "nginx.conf"
        config.write_text(_NGINX.format(folder=self.host.folder, port=_NGINX_PORT, root=self.file.parent))
        self.start(["nginx", "-e", "stderr", "-p", str(self.host.folder), "-c", str(config)])
        url = self.url(_NGINX_PORT, urllib.parse.quote(self.file.name))
        self.wait_for(url, "--head")
        return url

    def ours(self, *more: str) -> str:
        """Starts our tracker with the file's folder, waits until the file is hashed, and gives its info-hash."""
        command = [str(self.programs.release / "tracker"), str(self.file.parent), "--data", "none", "--log-level", "warn", *more]
        self.start([*command, "--listen", f"0.0.0.0:{_TRACKER_PORT}", "--dashboard-listen", f"0.0.0.0:{_PAGE_PORT}"])
        torrents = self.wait_for(
            self.url(_PAGE_PORT, "api/v1/torrents"),
            seconds=_HASHING,
            holds=lambda answer: bool(json.loads(answer)["items"]),
        )
        return json.loads(torrents)["items"][0]["info_hash"]

    def page_torrent(self, *more: str) -> Offer:
        """Starts our tracker, and offers the .torrent of its page, which each leecher fetches itself: the URL of the web seed in it
        depends on who asks."""
        url = self.url(_PAGE_PORT, f"api/v1/torrents/{self.ours(*more)}/torrent")
        torrent = self.host.folder / "ours.torrent"
        torrent.write_bytes(self.get(url))
        return Offer(url, self.piece_length_of(torrent))

    def own_torrent(self, *web_seeds: str) -> Offer:
        """Starts our tracker, and offers the .torrent of its page with these web seeds in place of its own."""
        offer = self.page_torrent()
        torrent = self.host.folder / "own.torrent"
        torrent.write_bytes(_with_web_seeds((self.host.folder / "ours.torrent").read_bytes(), web_seeds))
        return Offer(str(torrent), offer.piece_length)

    def seed(self, kind: str, offer: Offer) -> Offer:
        """Has a client on the host seed the file that is offered."""
        command = [PYTHON, str(CLIENTS), kind, offer.location, str(self.file.parent)]
        seed = self.start(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert seed.stdin and seed.stdout
        seed.stdin.write(b"\n")
        seed.stdin.flush()
        # "ready", and "complete" when it has checked the file.
        for _ in range(2):
            if not seed.stdout.readline():
                raise SourceError("the seed ended")
        return offer


@dataclass(frozen=True)
class Source:
    """A way to give a file away, and the leechers that it is measured with."""

    key: str
    name: str
    kind: Literal["ours", "other"]
    offer: Callable[[Started], Offer]
    clients: tuple[Client, ...]


def _with_web_seeds(torrent: bytes, web_seeds: tuple[str, ...]) -> bytes:
    """A .torrent file with other web seeds. Its info dictionary stays as it is, byte for byte."""
    root, entries = {}, torrent[1:-1]
    while entries:
        key, entries = _split(entries)
        root[key], entries = _split(entries)
    root.pop(b"8:url-list", None)
    if web_seeds:
        root[b"8:url-list"] = b"l%be" % b"".join(b"%d:%b" % (len(url), url.encode()) for url in web_seeds)
    # By key, not by its length.
    entries = sorted(root.items(), key=lambda entry: entry[0].partition(b":")[2])
    return b"d%be" % b"".join(key + value for key, value in entries)


def _split(encoded: bytes) -> tuple[bytes, bytes]:
    """The first bencoded value, and what follows it."""
    if encoded[:1] == b"i":
        end = encoded.index(b"e") + 1
    elif encoded[:1] in (b"d", b"l"):
        rest = encoded[1:]
        while rest[:1] != b"e":
            _, rest = _split(rest)
        end = len(encoded) - len(rest) + 1
    else:
        length, _, rest = encoded.partition(b":")
        end = len(length) + 1 + int(length)
    return encoded[:end], encoded[end:]


def _nginx_alone(started: Started) -> Offer:
    return Offer(started.nginx())


def _nginx_web_seed(started: Started) -> Offer:
    return started.torrent("--web-seed", started.nginx())


def _our_page(started: Started) -> Offer:
    return Offer(started.url(_PAGE_PORT, f"download/{started.ours()}"))


_ALL: tuple[Client, ...] = ("libtorrent", "libtorrent-tcp", "qbittorrent", "qbittorrent-tcp", "mixed", "mixed-tcp")
_LIBTORRENT: tuple[Client, ...] = ("libtorrent",)

SOURCES = [
    Source("nginx", "plain HTTP by nginx, no BitTorrent", "other", _nginx_alone, ("curl",)),
    Source("page", "plain HTTP by the tracker, no BitTorrent", "ours", _our_page, ("curl",)),
    Source("nginx-web-seed", "web seed by nginx", "other", _nginx_web_seed, _LIBTORRENT),
    Source("web-seed", "web seed by the tracker", "ours", lambda started: started.page_torrent("--seed=false"), _LIBTORRENT),
    Source(
        "seed",
        "a libtorrent seed on the tracker's machine",
        "other",
        lambda started: started.seed("libtorrent", started.torrent()),
        _ALL,
    ),
    Source(
        "opentracker",
        "opentracker with a libtorrent seed",
        "other",
        lambda started: started.seed("libtorrent", started.opentracker_torrent()),
        _ALL,
    ),
    Source(
        "qbittorrent-seed",
        "a qBittorrent seed on the tracker's machine",
        "other",
        lambda started: started.seed("qbittorrent", started.torrent()),
        ("libtorrent", "qbittorrent", "qbittorrent-tcp"),
    ),
    Source("tracker", "the tracker", "ours", Started.page_torrent, _ALL),
    Source("tracker-alone", "the tracker, a .torrent without a web seed", "ours", Started.own_torrent, _ALL),
    Source(
        "tracker-and-nginx",
        "the tracker and a web seed by nginx",
        "ours",
        lambda started: started.own_torrent(started.nginx()),
        ("libtorrent", "mixed", "mixed-tcp"),
    ),
]
