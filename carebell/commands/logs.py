"""`logs`: the JSON lines for people."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from carebell.bootstrap.components import load
from carebell.commands.output import print_json, terminal_columns
from carebell.commands.zones import Zones
from carebell.exits import Stop, UsageStop
from config.values import read_duration
from journal.read import Line, Wanted, read
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
    loaded = load(config)
    file = loaded.configuration.log.file
    if file is None:
        raise Stop("log.file is null: the service writes no log file; look where its standard error goes")
    if not file.exists():
        raise Stop(f"{file}: no log yet; the service has not run with this configuration")
    show = _show_json if as_json else _for_people(Zones(loaded).of(None), flush=follow)
    found = False
    for line in follow_file(file, wanted, _wait) if follow else read(file, wanted):
        show(line)
        found = True
    if not found:
        asked = {"appointment": appointment, "control-id": control_id, "since": since, "level": level}
        words = " ".join(f"--{name} {value}" for name, value in asked.items() if value is not None)
        print(f"carebell: no line matches {words} in {file}", file=sys.stderr)


def _show_json(line: Line) -> None:
    print_json({"time": line.time, "level": line.level, "event": line.event, **line.fields})


def _for_people(zone: str, *, flush: bool) -> Callable[[Line], None]:
    """At the clinics' clock, or in UTC where theirs differ; which, goes to standard error, beside what may be piped on."""
    colour, columns, clock = wants_colour(sys.stdout, os.environ), terminal_columns(), ZoneInfo(zone)
    named = False

    def show(line: Line) -> None:
        nonlocal named
        if not named:
            print(f"Times in {zone}.", file=sys.stderr, flush=True)
            named = True
        print(line.pretty(colour=colour, zone=clock, columns=columns), flush=flush)

    return show


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
