"""qbittorrent-nox."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

from program import post, start, wait_for

_API = "http://127.0.0.1:8080/api/v2"
_BOUNDARY = "the-end-of-a-part"
_SETTINGS = """\
[BitTorrent]
Session\\DHTEnabled=false
Session\\LSDEnabled=false
Session\\Port=6881
Session\\RefreshInterval=200
{more}
[LegalNotice]
Accepted=true
[Network]
PortForwardingEnabled=false
[Preferences]
WebUI\\Address=127.0.0.1
WebUI\\LocalHostAuth=false
"""
_SEEDING = {"uploading", "stalledUP", "forcedUP", "queuedUP"}


class QBittorrent:
    """The program with one torrent."""

    OFTEN = 0.1
    """Seconds between two questions for the progress of a download that is nearly complete. By itself the program looks at its
    torrents each 1.5 s only."""

    def __init__(self, folder: Path, tcp_only: bool = False) -> None:
        self._folder = folder
        config = Path("profile/qBittorrent/config/qBittorrent.conf")
        config.parent.mkdir(parents=True)
        config.write_text(_SETTINGS.format(more="Session\\BTProtocol=TCP" if tcp_only else ""))
        program = start(["qbittorrent-nox", "--profile=profile"])
        wait_for(program, lambda: urllib.request.urlopen(f"{_API}/app/version", timeout=5).read())

    def add(self, data: bytes) -> None:
        """Adds the torrent and starts it."""
        head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="savepath"\r\n\r\n{self._folder}\r\n--{_BOUNDARY}\r\n'
        head += 'Content-Disposition: form-data; name="torrents"; filename="a.torrent"\r\n'
        head += "Content-Type: application/x-bittorrent\r\n\r\n"
        form = head.encode() + data + f"\r\n--{_BOUNDARY}--\r\n".encode()
        answer = post(f"{_API}/torrents/add", form, {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"})
        if answer != b"Ok.":
            raise ValueError(answer)

    def progress(self) -> float:
        """From 0 to 1, which is when all is there and checked."""
        torrents = json.loads(urllib.request.urlopen(f"{_API}/torrents/info", timeout=30).read())
        if not torrents:
            return 0.0
        return 1.0 if torrents[0]["state"] in _SEEDING else min(torrents[0]["progress"], 0.999)
