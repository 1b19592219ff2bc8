"""`logs`: the JSON lines for people."""

from __future__ import annotations

import logging
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from carebell.commands.output import print_json
from carebell.exits import Stop, UsageStop
from carebell.wiring import load
from config.values import read_duration
from journal.read import Wanted, read
from journal.read import follow as follow_file
from journal.sinks import wants_colour

_IDLE_SECONDS = 0.5


def logs(
    config: Path | None,
    *,
    follow: bool,
    appointment: str | None,
    control_id: str | None,
    since: str | None,
    level: str,
    as_json: bool,
) -> None:
    """Print the lines that are wanted, oldest first."""
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise UsageStop(f"--level: {level!r} is none of debug, info, warning, error")
    wanted = Wanted(appointment=appointment, control_id=control_id, since=_since(since), level=number)
    file = load(config).configuration.log.file
    if file is None:
        raise Stop("log.file is null: the service writes no log file; look where its standard error goes")
    if not file.exists():
        raise Stop(f"{file}: no log yet; the service has not run with this configuration")
    colour = wants_colour(sys.stdout, os.environ)
    for line in follow_file(file, wanted, _wait) if follow else read(file, wanted):
        if as_json:
            print_json({"time": line.time, "level": line.level, "event": line.event, **line.fields})
        else:
            print(line.pretty(colour=colour), flush=follow)


def _wait() -> bool:
    time.sleep(_IDLE_SECONDS)
    return True


def _since(written: str | None) -> datetime | None:
    if written is None:
        return None
    try:
        return datetime.now(UTC) - read_duration(written)
    except ValueError as error:
        raise UsageStop(f"--since: {written!r} {error}") from None
