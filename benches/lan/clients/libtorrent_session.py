"""libtorrent in this process."""

from __future__ import annotations

from pathlib import Path

import libtorrent


class LibtorrentSession:
    """A session with one torrent."""

    OFTEN = 0.02
    """Seconds between two questions for the progress of a download that is nearly complete."""

    def __init__(self, folder: Path, tcp_only: bool = False) -> None:
        self._folder = folder
        self._session = libtorrent.session(
            {
                "enable_dht": False,
                "enable_lsd": False,
                "enable_upnp": False,
                "enable_natpmp": False,
                "enable_incoming_utp": not tcp_only,
                "enable_outgoing_utp": not tcp_only,
                "listen_interfaces": "0.0.0.0:6881",
            }
        )
        self._torrent = None

    def add(self, data: bytes) -> None:
        """Adds the torrent and starts it."""
        info = libtorrent.torrent_info(libtorrent.bdecode(data))
        self._torrent = self._session.add_torrent({"ti": info, "save_path": str(self._folder)})

    def progress(self) -> float:
        """From 0 to 1, which is when all is there and checked."""
        status = self._torrent.status()
        return 1.0 if status.is_seeding else min(status.progress, 0.999)
