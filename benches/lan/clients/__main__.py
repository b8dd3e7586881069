"""A BitTorrent client with one torrent: clients KIND TORRENT FOLDER.

KIND is one of KINDS, with "-tcp" behind it for a client that is to use TCP only, if it has such a setting. TORRENT is a file or an
http URL. Says "ready" when the program runs and the torrent is at hand, adds it when a line comes on standard input, says "complete"
when all pieces are there and checked, and goes on seeding until it is killed, and the program with it.

All have their own settings, but that they meet nobody by DHT and local discovery, and seed without end.
"""

from __future__ import annotations

import sys
import time
import urllib.request
from pathlib import Path

from aria2 import Aria2
from libtorrent_session import LibtorrentSession
from qbittorrent import QBittorrent
from rtorrent import RTorrent
from transmission import Transmission

KINDS = {
    "libtorrent": LibtorrentSession,
    "qbittorrent": QBittorrent,
    "transmission": Transmission,
    "aria2": Aria2,
    "rtorrent": RTorrent,
}

_NEARLY = 0.9
"""Progress from which on a client is asked more often."""
_SELDOM = 0.5
"""Seconds between two questions until then, at most: they take time of the processors that are needed."""


def main() -> None:
    """Runs until it is killed."""
    kind, torrent, folder = sys.argv[1:]
    data = urllib.request.urlopen(torrent, timeout=30).read() if ":" in torrent else Path(torrent).read_bytes()
    name, _, protocol = kind.partition("-")
    client = KINDS[name](Path(folder), **({"tcp_only": True} if protocol == "tcp" else {}))
    print("ready", flush=True)
    sys.stdin.readline()
    client.add(data)
    began = time.monotonic()
    while (progress := client.progress()) < 1:
        time.sleep(_pause(progress, time.monotonic() - began, client.OFTEN))
    print("complete", flush=True)
    while True:
        time.sleep(60)


def _pause(progress: float, took: float, often: float) -> float:
    """Seconds until the next question: half of what is left until the download is nearly complete, if it goes on as before."""
    left = took * (_NEARLY - progress) / progress if progress > 0 else _SELDOM
    return min(max(left / 2, often), _SELDOM)


if __name__ == "__main__":
    main()
