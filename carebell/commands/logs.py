"""`logs`: print the JSON lines of the log and of its rotated files for people. Works even if carebell.yaml is broken."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from carebell.commands.open_store import log_file_of
from carebell.commands.output import print_json, terminal_columns
from carebell.exits import InterruptedStop, Stop, UsageStop
from carebell.times import Zones
from config.values import read_duration
from journal.lines import plain
from journal.read import Line, Wanted
from journal.rotated import read_log, rotated_names
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
    """Print the selected lines of the log and of its rotated files, oldest first."""
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise UsageStop(f"--level: {level!r} is not one of debug, info, warning, error")
    line_filter = Wanted(appointment=appointment, control_id=control_id, since=_since(since), level=number)
    file, loaded = log_file_of(config)
    file = _existing(file)
    zone = "UTC" if loaded is None else Zones(loaded).of(None)
    printer = _Printer(show=_show_json if as_json else _for_people(zone, flush=follow))
    no_match = f"no line matches {_words(appointment, control_id, since, level)} in {_searched(file)}"

    def wait() -> bool:
        if not printer.count and not printer.waits:
            print(f"carebell: {no_match} so far; waiting for lines, Ctrl-C ends", file=sys.stderr, flush=True)
        printer.waits = True
        time.sleep(_IDLE_SECONDS)
        return True

    try:
        for line in read_log(file, line_filter, _warn_unreadable, idle=wait if follow else None):
            printer.print(line)
    except KeyboardInterrupt:
        raise InterruptedStop(f"interrupted: {printer.count} lines of {file} were shown") from None
    if not printer.count:
        print(f"carebell: {no_match}", file=sys.stderr)


@dataclass(slots=True, kw_only=True)
class _Printer:
    """Attributes:
    count: lines shown. waits: whether all existing lines have been read.
    """

    show: Callable[[Line], None]
    count: int = 0
    waits: bool = False

    def print(self, line: Line) -> None:
        self.show(line)
        self.count += 1


def _existing(file: Path | None) -> Path:
    """The log's path, if the log or a rotated file exists. Otherwise Stop, which says where to look instead."""
    if file is None:
        raise Stop("log.file is null: the service writes no log file; look where its standard error goes")
    if file.exists() and not file.is_file():
        raise Stop(f"{file}: is not a regular file, so it cannot be read; look where its lines go")
    if not file.exists() and not rotated_names(file):
        raise Stop(f"{file}: no log yet; the service has not run with this configuration")
    return file


def _words(appointment: str | None, control_id: str | None, since: str | None, level: str) -> str:
    options = {"appointment": appointment, "control-id": control_id, "since": since, "level": level}
    return plain(" ".join(f"--{name} {value}" for name, value in options.items() if value is not None))


def _searched(file: Path) -> str:
    rotated = len(rotated_names(file))
    if not rotated:
        return str(file)
    return f"{file} and its {'rotated file' if rotated == 1 else f'{rotated} rotated files'}"


def _warn_unreadable(file: Path, why: str) -> None:
    print(plain(f"carebell: warning: {file}: {why}; the other lines are shown"), file=sys.stderr)


def _show_json(line: Line) -> None:
    print_json({"time": line.time, "level": line.level, "event": line.event, **line.fields})


def _for_people(zone: str, *, flush: bool) -> Callable[[Line], None]:
    """Print lines with times in the clinics' zone, or in UTC if their zones differ. The zone is named on standard error."""
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
