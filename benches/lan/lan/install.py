"""What the measurement runs, from Debian's packages."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

PYTHON = "/usr/bin/python3"
"""The system's own Python, for which Debian has libtorrent."""

_PROGRAMS = {
    "ip": "iproute2",
    "tc": "iproute2",
    "nginx": "nginx-light",
    "curl": "curl",
    "setpriv": "util-linux",
    "qbittorrent-nox": "qbittorrent-nox",
    "transmission-daemon": "transmission-daemon",
    "aria2c": "aria2",
    "rtorrent": "rtorrent",
}


def install() -> None:
    """Installs what is missing."""
    # A program in /usr/sbin is found, too, by a user whose PATH leaves it out.
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    missing = {package for program, package in _PROGRAMS.items() if shutil.which(program) is None}
    if not _has_libtorrent():
        missing.add("python3-libtorrent")
    if not missing:
        return
    if shutil.which("apt-get") is None:
        sys.exit(f"run: install {', '.join(sorted(missing))}; there is no apt-get here")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "--yes", "--no-install-recommends", *sorted(missing)]):
        subprocess.run(["apt-get", "-q", *command], env=environment, stdin=subprocess.DEVNULL, check=True)


def versions() -> dict[str, str]:
    """Of the programs of others."""
    libtorrent = _output([PYTHON, "-c", "import libtorrent; print(libtorrent.version)"])
    return {
        "nginx": _output(["nginx", "-v"]).rpartition("/")[2],
        "libtorrent": libtorrent,
        "curl": _output(["curl", "--version"]).split()[1],
        "qBittorrent": _output(["qbittorrent-nox", "--version"]).split()[1].lstrip("v"),
        "Transmission": _output(["transmission-daemon", "--version"]).split()[1],
        "aria2": _output(["aria2c", "--version"]).split()[2],
        "rTorrent": _output(["dpkg-query", "--show", "--showformat", "${Version}", "rtorrent"]),
    }


def _has_libtorrent() -> bool:
    return subprocess.run([PYTHON, "-c", "import libtorrent"], capture_output=True, check=False).returncode == 0


def _output(command: list[str]) -> str:
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    return (answer.stdout or answer.stderr).strip()
