"""What the figures were taken on."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path


def facts() -> dict[str, str]:
    """The machine, the system and the day, for the reader of the figures."""
    return {
        "processor": _field(Path("/proc/cpuinfo"), "model name"),
        "cores": str(os.cpu_count()),
        "memory": f"{int(_field(Path('/proc/meminfo'), 'MemTotal').split()[0]) / 2**20:.0f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "system": platform.freedesktop_os_release().get("PRETTY_NAME", "?"),
        "virtual machine": _virtualisation(),
        "rustc": subprocess.run(["rustc", "--version"], capture_output=True, text=True, check=False).stdout.strip(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "load average before": f"{os.getloadavg()[0]:.2f}",
    }


def _field(path: Path, name: str) -> str:
    for line in path.read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return "?"


def _virtualisation() -> str:
    flags = _field(Path("/proc/cpuinfo"), "flags").split()
    return "yes" if "hypervisor" in flags else "no"
