"""What every process of the service sets up first: its log and its event loop; and how many cores it may use."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from carebell.exits import ConfigurationStop, PermissionStop
from config.load import Loaded
from journal.journald import SOCKET, leads_to_journal
from journal.logs import Journal, setup
from journal.metrics import Metrics
from journal.sinks import wants_colour
from scheduler.clock import Clock

_QUOTA: Final = Path("/sys/fs/cgroup/cpu.max")
"""A container's limit: `max 100000`, or microseconds of CPU in a period of microseconds."""


def open_journal(loaded: Loaded, clock: Clock, metrics: Metrics, *, on_terminal: bool = True) -> Journal:
    """The log that the configuration names, and the terminal or systemd's journal. All processes append to the same file.

    Args:
        on_terminal: whether lines for people go to standard error too.
    """
    section = loaded.configuration.log
    try:
        return setup(
            now=clock.now,
            file=section.file,
            terminal=sys.stderr if on_terminal else None,
            journald=SOCKET if leads_to_journal(sys.stderr, os.environ) else None,
            colour=wants_colour(sys.stderr, os.environ),
            level=logging.getLevelNamesMapping()[section.level.upper()],
            on_dropped=metrics.log_fields_dropped.inc,
            on_failure=metrics.log_lines_lost.inc,
        )
    except PermissionError:
        raise PermissionStop(f"{section.file}: the log file cannot be written") from None
    except OSError as error:
        raise ConfigurationStop(str(loaded.problem(("log", "file"), f"cannot be written: {error.strerror}"))) from None


def event_loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's loop factory, if the extra `speed` is installed."""
    try:
        from uvloop import new_event_loop
    except ImportError:
        return None
    return new_event_loop


def usable_cores(quota: Path = _QUOTA) -> int:
    """Cores that this process may run on, at least 1; whole ones of a container's limit."""
    cores = len(os.sched_getaffinity(0))
    try:
        allowed, period = quota.read_text("ascii").split()
        return max(min(cores, int(allowed) // int(period)), 1)
    except (OSError, ValueError, ZeroDivisionError):  # no limit, or none that can be read
        return cores
