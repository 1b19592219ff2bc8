"""Which Chromium the tests run, and how."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

DEBIANS: Final = Path("/usr/bin/chromium")
ARGUMENTS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
    # Nothing but this machine has an address; `watch.Watch` fails a test that asks for more.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--font-render-hinting=none",
    # A camera and a microphone that are none, and nobody who would be asked about them.
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)


def path(environ: Mapping[str, str] = os.environ) -> Path:
    """Of the program, there or not."""
    return Path(environ.get("CAREBELL_CHROMIUM") or DEBIANS)


def missing(environ: Mapping[str, str] = os.environ) -> str | None:
    """Why no browser test can run here, in one line; None: they can."""
    if importlib.util.find_spec("playwright") is None:
        return "playwright is not installed here: run make browser"
    if importlib.util.find_spec("axe_playwright_python") is None:
        return "axe-playwright-python is not installed here: run make browser"
    program = path(environ)
    if not os.access(program, os.X_OK):
        return f"no Chromium at {program}: apt install chromium, or set CAREBELL_CHROMIUM"
    return None
