"""Set up logging once: `setup()` returns a `Journal`; `carebell` calls its `emit`, and no other code logs.

- `emit(MessageAccepted(...))` writes one JSON line to the file and one line for people to the terminal. A value of a type that
  could hold a payload is left out and counted (`dropped`).
- Records of libraries are received through the standard library's logging and structlog's ProcessorFormatter, made safe by
  `journal.foreign` and written as `library` lines.
- A log that cannot be written is counted (`Journal.failures`) and never stops the service.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from json.encoder import encode_basestring_ascii
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

from journal.events import Event
from journal.events.service import LogOpenToOthers, LogResumed
from journal.foreign import redacted
from journal.journald import SystemdJournal
from journal.lines import LONGEST_VALUE, Shape, instant, json_value, level_name, people_line, shape
from journal.sinks import LogFile, Shown, Terminal

if TYPE_CHECKING:
    from structlog.stdlib import ProcessorFormatter

Now = Callable[[], datetime]

_SHAPES: Final[dict[type[Event], Shape]] = {}


def _shape(event: type[Event]) -> Shape:
    """The event's shape, made when it is first emitted."""
    known = _SHAPES.get(event)
    if known is None:
        known = _SHAPES[event] = shape(event)
    return known


class Journal:
    """Writes events. Safe to use from any thread.

    Attributes:
        dropped: (event, field) -> how often a field was left out. If it is not empty, Carebell has a bug.
    """

    def __init__(
        self,
        *,
        now: Now,
        level: int,
        file: LogFile | None,
        terminal: Terminal | SystemdJournal | None,
        on_dropped: Callable[[], None],
        undo: Callable[[], None],
    ) -> None:
        self.dropped: Counter[tuple[str, str]] = Counter()
        self._now = now
        self._level = level
        self._file = file
        self._terminal = terminal
        self._on_dropped = on_dropped
        self._undo = undo

    @property
    def failures(self) -> int:
        """Lines that could not be written, file and terminal together."""
        return sum(sink.failures for sink in (self._file, self._terminal) if sink is not None)

    @property
    def lost_lines(self) -> int:
        """Lines that could not be written to the file since the start."""
        return self._file.failures if self._file is not None else 0

    def emit(self, event: Event) -> None:
        """Log `event`; fields that are None are left out. Never raises, never blocks on more than a local write."""
        self.emit_all((event,))

    def emit_all(self, events: Iterable[Event]) -> None:
        """Log several events of one moment, in their order, with one write. As `emit` otherwise."""
        time = instant(self._now())
        lines: list[str] = []
        shown: list[Shown] = []
        for event in events:
            known = _SHAPES.get(type(event)) or _shape(type(event))
            if known.level >= self._level:
                self._render(event, known, time, lines, shown)
        if self._file is not None and lines:
            lost = self._file.write_all(lines)
            if lost:
                self.emit(LogResumed(file=self._file.path.name, lines_lost=lost))
        if self._terminal is not None and shown:
            self._terminal.show_all(time, shown)

    def _render(self, event: Event, known: Shape, time: str, lines: list[str], shown: list[Shown]) -> None:
        """Add the event's line for the file, and its fields for the terminal if there is one."""
        parts = ['{"time":"', time, known.head]
        on_terminal = self._terminal is not None
        fields: dict[str, object] = {}
        for (name, prefix), value in zip(known.fields, known.values(event), strict=True):
            if value is None:
                continue
            # The three most common types are handled here without a call, all others in json_value.
            kind = type(value)
            if kind is str and name != "to" and len(value) <= LONGEST_VALUE:  # type: ignore[arg-type]  # kind is str
                text = encode_basestring_ascii(value)  # type: ignore[arg-type]  # kind is str
            elif kind is int:
                text = str(value)
            elif kind is float and -1e18 < value < 1e18:  # type: ignore[operator]  # kind is float
                value = round(value, 3)  # type: ignore[call-overload]  # kind is float
                text = str(value)
            else:
                rendered = json_value(name, value)
                if rendered is None:
                    self.dropped[known.name, name] += 1
                    self._on_dropped()
                    continue
                text = rendered
                if on_terminal:
                    value = json.loads(text)  # as `carebell logs` shows it
            parts += (prefix, text)
            if on_terminal:
                fields[name] = value
        parts.append("}")
        lines.append("".join(parts))
        if on_terminal:
            shown.append((known.level_name, known.name, fields))

    def close(self) -> None:
        """Detach from the standard library's logging and close the file. A second call does nothing."""
        self._undo()
        self._undo = _nothing

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def setup(
    *,
    now: Now,
    file: Path | None = None,
    terminal: TextIO | None = None,
    colour: bool = False,
    journald: Path | None = None,
    level: int = logging.INFO,
    on_dropped: Callable[[], None] = lambda: None,
    on_failure: Callable[[], None] = lambda: None,
) -> Journal:
    """Set up logging for this process: Carebell's events at `level`, libraries at WARNING and above.

    Args:
        now: the clock, aware.
        file: JSON lines are appended to it; its folder must exist. None: no file.
        terminal: stream for people. None: no lines for people.
        colour: ANSI colours on `terminal`; see `journal.sinks.wants_colour`.
        journald: the socket of systemd's journal, which then takes the place of `terminal`.
        on_dropped, on_failure: called once for each field left out and each line lost, e.g. a metric's `inc`.

    Raises:
        OSError: `file` cannot be opened.
    """
    log_file = LogFile(file, on_failure) if file is not None else None
    screen: Terminal | SystemdJournal | None = None
    if journald is not None:
        screen = SystemdJournal(journald, on_failure)
    elif terminal is not None:
        screen = Terminal(terminal, on_failure, colour=colour)
    handlers: list[logging.Handler] = []
    if log_file is not None:
        log_file.setFormatter(_formatter(now, _json_line))
        handlers.append(log_file)
    if isinstance(screen, SystemdJournal):
        screen.setFormatter(_formatter(now, _json_line))
        handlers.append(screen)
    elif screen is not None:
        screen.setFormatter(_formatter(now, lambda *parts: people_line(*parts, colour=colour)))
        handlers.append(screen)
    journal = Journal(
        now=now,
        level=level,
        file=log_file,
        terminal=screen,
        on_dropped=on_dropped,
        undo=_attach(handlers or [logging.NullHandler()]),
    )
    if log_file is not None and log_file.open_to_others:
        journal.emit(LogOpenToOthers(file=log_file.path.name))
    return journal


def _attach(handlers: list[logging.Handler]) -> Callable[[], None]:
    """Add our handlers to the standard library's logging, and return the function that removes them.

    Without a handler logging prints records unchanged to stderr, so there is always one.
    """
    root = logging.getLogger()
    before = (root.level, logging.raiseExceptions)
    root.setLevel(logging.WARNING)
    for handler in handlers:
        root.addHandler(handler)
    logging.captureWarnings(capture=True)
    # By default logging prints a record whose handler failed to stderr; the record may hold anything.
    logging.raiseExceptions = False

    def undo() -> None:
        logging.captureWarnings(capture=False)
        for handler in handlers:
            root.removeHandler(handler)
            handler.close()
        root.setLevel(before[0])
        logging.raiseExceptions = before[1]

    return undo


def _formatter(now: Now, render: Callable[[str, str, str, Mapping[str, object]], str]) -> ProcessorFormatter:
    # Importing it imports rich, which takes 0.25 s; a command without a log saves this time.
    from structlog.stdlib import ProcessorFormatter

    def safe(_logger: Any, _method: str, event: Any) -> str:
        record: logging.LogRecord = event["_record"]
        error = event["exc_info"][1] if event.get("exc_info") else None
        line = redacted(record, event["event"], event.get("positional_args"), error)
        known = _shape(type(line))
        names = (name for name, _ in known.fields)
        fields = {name: value for name, value in zip(names, known.values(line), strict=True) if value is not None}
        return render(instant(now()), level_name(record.levelno), known.name, fields)

    # The template and its values are kept apart, because they are checked separately.
    return ProcessorFormatter(processors=[safe], pass_foreign_args=True, use_get_message=False)


def _json_line(time: str, level: str, event: str, fields: Mapping[str, object]) -> str:
    values = "".join(f',"{name}":{json_value(name, value)}' for name, value in fields.items())
    return f'{{"time":"{time}","level":"{level}","event":"{event}"{values}}}'


def _nothing() -> None:
    """The undo function after `close`: nothing is left to undo."""
