"""aria2c."""

from __future__ import annotations

import base64
from pathlib import Path

from program import post_json, start, wait_for

_API = "http://127.0.0.1:6800/jsonrpc"


class Aria2:
    """The program with one torrent."""

    OFTEN = 0.1
    """Seconds between two questions for the progress of a download that is nearly complete."""

    def __init__(self, folder: Path, tcp_only: bool = False) -> None:
        """It speaks TCP only, whatever is asked for."""
        # Without DHT and local discovery; by default it stops seeding when it has given as much as it got.
        off = ["--enable-dht=false", "--bt-enable-lpd=false", "--seed-ratio=0", "--show-console-readout=false"]
        program = start(["aria2c", "--no-conf", "--enable-rpc", f"--dir={folder}", *off])
        wait_for(program, lambda: self._call("getVersion"))
        self._download = ""

    def add(self, data: bytes) -> None:
        """Adds the torrent and starts it."""
        self._download = self._call("addTorrent", base64.b64encode(data).decode())

    def progress(self) -> float:
        """From 0 to 1, which is when all is there and checked."""
        status = self._call("tellStatus", self._download, ["completedLength", "totalLength", "seeder"])
        if status.get("seeder") == "true":
            return 1.0
        return min(int(status["completedLength"]) / max(1, int(status["totalLength"])), 0.999)

    def _call(self, method: str, *parameters: object) -> dict:
        call = {"jsonrpc": "2.0", "id": 0, "method": f"aria2.{method}", "params": list(parameters)}
        return post_json(_API, call, {})["result"]
