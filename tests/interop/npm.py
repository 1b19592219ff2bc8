"""What the tests use of npm, pinned by package-lock.json beside this file, installed once per machine and pins."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

import pytest

HERE: Final = Path(__file__).parent
OLDEST_NODE: Final = 20
PATIENCE: Final = 240.0


def installed() -> Path:
    """A folder with everything pinned in its node_modules; skips the test with the reason where it cannot be had."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("node and npm are not installed")
    version = subprocess.run(
        [node, "--version"], capture_output=True, text=True, timeout=PATIENCE, check=True
    ).stdout.strip()
    if int(version.removeprefix("v").split(".")[0]) < OLDEST_NODE:
        pytest.skip(f"node {version} is older than the packages need ({OLDEST_NODE})")
    pins = (HERE / "package-lock.json").read_bytes()
    cache = Path(tempfile.gettempdir()) / f"carebell-interop-{os.getuid()}-{hashlib.sha256(pins).hexdigest()[:12]}"
    if not cache.exists():
        _install(npm, cache)
    return cache


def _install(npm: str, cache: Path) -> None:
    """Beside it first, then in one step: two workers may come at the same time."""
    beside = Path(tempfile.mkdtemp(prefix="carebell-interop-", dir=cache.parent))
    try:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, beside)
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        done = subprocess.run(command, cwd=beside, capture_output=True, text=True, timeout=PATIENCE, check=False)
        if done.returncode != 0:
            reason = (done.stderr.splitlines() or ["no reason given"])[0]
            pytest.skip(f"npm could not install the pinned packages: {reason}")
        beside.rename(cache)
    except OSError:
        if not cache.exists():
            raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)
