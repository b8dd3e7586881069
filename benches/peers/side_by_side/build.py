"""Our own programs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def build(*packages: str) -> Path:
    """Builds packages of the workspace for release, and gives the directory that the programs are in."""
    command = ["cargo", "build", "--release", *(part for package in packages for part in ("--package", package))]
    if subprocess.run(command, cwd=ROOT, check=False).returncode != 0:
        sys.exit(f"{Path(sys.argv[0]).name}: our own programs do not build")
    return ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "release"
