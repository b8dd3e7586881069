"""rtorrent."""

from __future__ import annotations

import socket
import xmlrpc.client
from pathlib import Path

from program import start, wait_for

_SETTINGS = """\
system.daemon.set = true
session.path.set = {session}
directory.default.set = {folder}
network.scgi.open_local = {api}
dht.mode.set = disable
pieces.hash.on_completion.set = no
"""


class RTorrent:
    """The program with one torrent."""

    OFTEN = 0.1
    """Seconds between two questions for the progress of a download that is nearly complete."""

    def __init__(self, folder: Path, tcp_only: bool = False) -> None:
        """It speaks TCP only, whatever is asked for."""
        session = Path("session").resolve()
        session.mkdir()
        self._api = str(Path("rtorrent.socket").resolve())
        config = Path("rtorrent.rc").resolve()
        config.write_text(_SETTINGS.format(session=session, folder=folder, api=self._api))
        program = start(["rtorrent", "-n", "-o", f"import={config}"])
        wait_for(program, lambda: self._call("system.client_version"))
        self._hash = ""

    def add(self, data: bytes) -> None:
        """Adds the torrent and starts it."""
        torrent = Path("given.torrent").resolve()
        torrent.write_bytes(data)
        self._call("load.start", "", str(torrent))

    def progress(self) -> float:
        """From 0 to 1, which is when all is there and checked."""
        if not self._hash:
            hashes = self._call("download_list", "")
            self._hash = hashes[0] if hashes else ""
            return 0.0
        size = self._call("d.size_bytes", self._hash)
        return 1.0 if self._call("d.complete", self._hash) else min(self._call("d.completed_bytes", self._hash) / size, 0.999)

    def _call(self, method: str, *parameters: object) -> object:
        """XML-RPC over SCGI: the headers as a netstring, the length of the body first, https://python.ca/scgi/protocol.txt."""
        body = xmlrpc.client.dumps(parameters, method).encode()
        headers = f"CONTENT_LENGTH\0{len(body)}\0SCGI\x001\0".encode()
        with socket.socket(socket.AF_UNIX) as stream:
            stream.connect(self._api)
            stream.sendall(f"{len(headers)}:".encode() + headers + b"," + body)
            answer = b"".join(iter(lambda: stream.recv(65536), b""))
        (value,), _ = xmlrpc.client.loads(answer.split(b"\r\n\r\n", 1)[1].decode())
        return value
