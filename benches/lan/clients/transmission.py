"""transmission-daemon."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from pathlib import Path

from program import post_json, start, wait_for

_API = "http://127.0.0.1:9091/transmission/rpc"
_SESSION = "X-Transmission-Session-Id"


class Transmission:
    """The program with one torrent."""

    OFTEN = 0.1
    """Seconds between two questions for the progress of a download that is nearly complete."""

    def __init__(self, folder: Path, tcp_only: bool = False) -> None:
        config = Path("transmission")
        config.mkdir()
        settings = {
            "dht-enabled": False,
            "download-dir": str(folder),
            "lpd-enabled": False,
            "port-forwarding-enabled": False,
            "rpc-bind-address": "127.0.0.1",
            "utp-enabled": not tcp_only,
        }
        (config / "settings.json").write_text(json.dumps(settings))
        program = start(["transmission-daemon", "--foreground", "--config-dir", str(config)])
        self._headers = {_SESSION: wait_for(program, _session)}

    def add(self, data: bytes) -> None:
        """Adds the torrent and starts it."""
        self._call("torrent-add", {"metainfo": base64.b64encode(data).decode()})

    def progress(self) -> float:
        """From 0 to 1, which is when all is there and checked."""
        answer = self._call("torrent-get", {"fields": ["haveValid", "sizeWhenDone", "leftUntilDone"]})
        for torrent in answer["torrents"]:
            if torrent["sizeWhenDone"]:
                return torrent["haveValid"] / torrent["sizeWhenDone"]
        return 0.0

    def _call(self, method: str, arguments: dict[str, object]) -> dict:
        answer = post_json(_API, {"method": method, "arguments": arguments}, self._headers)
        if answer["result"] != "success":
            raise ValueError(answer)
        return answer["arguments"]


def _session() -> str:
    """The id that the daemon wants to see in requests, which it says when it refuses one without."""
    try:
        urllib.request.urlopen(_API, timeout=5)
    except urllib.error.HTTPError as refusal:
        return refusal.headers[_SESSION]
    raise KeyError(_SESSION)
