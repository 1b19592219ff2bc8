"""Which Python measured: a build with profile-guided and link-time optimisation is about an eighth faster than one without."""

from __future__ import annotations

import platform
import re
import sys
import sysconfig
from collections.abc import Sequence


def described() -> str:
    """`CPython 3.11.7, GCC 12.2.0, PGO, no --with-lto (configured --enable-shared)`: what its `configure` was told."""
    return description(
        platform.python_implementation(),
        platform.python_version(),
        platform.python_compiler(),
        str(sysconfig.get_config_var("CONFIG_ARGS") or ""),
        debug=hasattr(sys, "gettotalrefcount"),
    )


def description(implementation: str, version: str, compiler: str, configured: str, *, debug: bool) -> str:
    """Args: configured: the words of `./configure`. Folders in them are of the machine it was built on, and are left out."""
    options = re.findall(r"--[a-z][a-z0-9-]*(?:=[\w,.-]+(?=['\s]|$))?", configured)
    named = [option for option in options if option.startswith(("--enable-", "--with-", "--without-", "--disable-"))]
    pgo = "PGO" if "--enable-optimizations" in named else "no --enable-optimizations (PGO)"
    lto = "LTO" if _has_lto(named) else "no --with-lto"
    others = [option for option in named if not option.startswith(("--enable-optimizations", "--with-lto"))]
    words = f" (configured {' '.join(others)})" if others else ""
    return f"{implementation} {version}, {compiler}, {pgo}, {lto}{', debug build' if debug else ''}{words}"


def _has_lto(options: Sequence[str]) -> bool:
    values = [option.partition("=")[2] for option in options if option.partition("=")[0] == "--with-lto"]
    return bool(values) and values[-1] != "no"
