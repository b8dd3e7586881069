"""A client that is a program with an API."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

_START = 60.0
"""Seconds within which a program must answer."""


def start(command: list[str]) -> subprocess.Popen[bytes]:
    """Starts a program that does not outlive this one, with its output in a log in the working directory."""
    log = Path(command[0]).with_suffix(".log").open("ab")
    return subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", "--", *command], stdin=subprocess.DEVNULL, stdout=log, stderr=log
    )


def wait_for(process: subprocess.Popen[bytes], answer: Callable[[], Any]) -> Any:
    """What the program answers as soon as it does."""
    deadline = time.monotonic() + _START
    while True:
        try:
            return answer()
        except (OSError, KeyError):
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def post(url: str, body: bytes, headers: dict[str, str]) -> bytes:
    """Sends a request to an API on this host, and gives the answer."""
    request = urllib.request.Request(url, body, headers)
    return urllib.request.urlopen(request, timeout=30).read()


def post_json(url: str, value: object, headers: dict[str, str]) -> Any:
    """As post, with JSON both ways."""
    return json.loads(post(url, json.dumps(value).encode(), {"Content-Type": "application/json", **headers}))
