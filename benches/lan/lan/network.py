"""A network of its own: a host for the source and one for each leecher, on a switch, each behind a link of its own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

# What a link holds back before it drops: as much as it sends in this time. A switch has a few hundred packets.
_LATENCY = "50ms"
# The kernel makes packets of up to 64 KiB, which a smaller bucket would have it cut.
_BURST = "64kb"


@dataclass(frozen=True)
class Host:
    """A network namespace with one address, and a folder for its files."""

    namespace: str
    address: str
    folder: Path

    def start(self, command: list[str], stdin: int | None = subprocess.DEVNULL, **streams: int | IO[bytes]) -> subprocess.Popen[bytes]:
        """Starts a program on this host, with the folder as its home. It does not outlive this program."""
        inside = ["ip", "netns", "exec", self.namespace, "setpriv", "--pdeathsig", "KILL", "--", *command]
        # Less our tracker's settings, which would change what is measured.
        kept = {name: value for name, value in os.environ.items() if not name.startswith("TRACKER_")}
        environment = {**kept, "HOME": str(self.folder)}
        return subprocess.Popen(inside, stdin=stdin, cwd=self.folder, env=environment, **streams)

    def run(self, command: list[str]) -> bytes:
        """Runs a program on this host, and gives what it prints."""
        return subprocess.run(["ip", "netns", "exec", self.namespace, *command], capture_output=True, check=True).stdout

    def sent(self) -> int:
        """Bytes that have left this host, with the heads of Ethernet, IP and TCP."""
        return int(self.run(["cat", "/sys/class/net/eth0/statistics/tx_bytes"]))


@dataclass(frozen=True)
class Lan:
    """The source's host and those of the leechers."""

    source: Host
    leechers: list[Host]


@contextmanager
def lan(source_mbit: float, leechers_mbit: list[float], folder: Path) -> Iterator[Lan]:
    """Makes the network with links of these rates, and removes it with all that runs there."""
    name = f"lan-bench-{os.getpid()}"
    _remove(name)
    try:
        switch = f"{name}-switch"
        _ip("netns", "add", switch)
        _ip("-n", switch, "link", "add", "bridge0", "type", "bridge")
        _ip("-n", switch, "link", "set", "bridge0", "up")
        rates = [source_mbit, *leechers_mbit]
        hosts = [_host(name, switch, number, mbit, folder) for number, mbit in enumerate(rates)]
        yield Lan(hosts[0], hosts[1:])
    finally:
        _remove(name)


def _host(name: str, switch: str, number: int, mbit: float, folder: Path) -> Host:
    host = Host(f"{name}-{number}", f"10.78.{(number + 1) >> 8}.{(number + 1) & 255}", folder / f"host-{number}")
    host.folder.mkdir()
    port = f"port{number}"
    _ip("netns", "add", host.namespace)
    _ip("-n", host.namespace, "link", "set", "lo", "up")
    _ip("-n", switch, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", host.namespace)
    _ip("-n", switch, "link", "set", port, "master", "bridge0", "up")
    _ip("-n", host.namespace, "address", "add", f"{host.address}/16", "dev", "eth0")
    _ip("-n", host.namespace, "link", "set", "eth0", "up")
    # Both ways: what the host sends, and what the switch sends to it.
    for namespace, interface in ((host.namespace, "eth0"), (switch, port)):
        shape = ["root", "tbf", "rate", f"{mbit}mbit", "burst", _BURST, "latency", _LATENCY]
        _run("tc", "-n", namespace, "qdisc", "add", "dev", interface, *shape)
    return host


def _remove(name: str) -> None:
    """Ends what runs in the namespaces of this run, and removes them. Their interfaces go with them."""
    for namespace in sorted(path.name for path in Path("/run/netns").glob(f"{name}-*")):
        pids = subprocess.run(["ip", "netns", "pids", namespace], capture_output=True, text=True, check=False).stdout
        subprocess.run(["kill", "-KILL", *pids.split()], capture_output=True, check=False)
        _ip("netns", "delete", namespace)


def _ip(*arguments: str) -> None:
    _run("ip", *arguments)


def _run(*command: str) -> None:
    subprocess.run(command, check=True)
