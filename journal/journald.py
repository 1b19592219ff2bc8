"""Lines for systemd's journal, with their fields, so that `journalctl CAREBELL_EVENT=alarm_raised` finds them.

The native protocol: one datagram for each entry, `NAME=value` lines; a value with a line end is written with its length.
Source: https://systemd.io/JOURNAL_NATIVE_PROTOCOL/. Whether the standard error leads to the journal says `$JOURNAL_STREAM`
(systemd.exec(5)); then lines go there by the socket instead, and not twice.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import struct
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Final, TextIO

from journal.lines import words_line

SOCKET: Final = Path("/run/systemd/journal/socket")
PRIORITIES: Final[Mapping[str, int]] = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
"""Of syslog(3)."""
_PATIENCE: Final = 1.0
"""Seconds that a full journal may delay a line; then the line is lost and counted. The lines after it wait no more, until one gets
through: otherwise a journal that stands still would hold up each line, and with it each answer."""


def leads_to_journal(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether `stream` is connected to the journal: its device and inode are those of $JOURNAL_STREAM."""
    device, _, inode = environ.get("JOURNAL_STREAM", "").partition(":")
    with suppress(OSError, ValueError):
        status = os.fstat(stream.fileno())
        return (status.st_dev, status.st_ino) == (int(device), int(inode))
    return False


def datagram(fields: Mapping[str, str]) -> bytes:
    """The entry in the native protocol. Names are capital letters, digits and `_`."""
    parts = []
    for name, value in fields.items():
        content = value.encode("utf-8", "replace")
        if b"\n" in content:
            parts += [name.encode("ascii"), b"\n", struct.pack("<Q", len(content)), content, b"\n"]
        else:
            parts += [name.encode("ascii"), b"=", content, b"\n"]
    return b"".join(parts)


def entry(time: str, level: str, event: str, fields: Mapping[str, object]) -> dict[str, str]:
    """The journal's fields of one line: MESSAGE, PRIORITY, SYSLOG_IDENTIFIER, and CAREBELL_* for each field of the event."""
    named = {f"CAREBELL_{name.upper()}": _text(value) for name, value in fields.items()}
    return {
        "MESSAGE": words_line(event, fields),
        "PRIORITY": str(PRIORITIES[level]),
        "SYSLOG_IDENTIFIER": "carebell",
        "CAREBELL_EVENT": event,
        "CAREBELL_LEVEL": level,
        "CAREBELL_TIME": time,
        **named,
    }


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ",".join(map(str, value))
    return str(value)


class SystemdJournal(logging.Handler):
    """Sends lines to the journal's socket; takes the terminal's place. A journal that does not take them is counted.

    Attributes:
        failures: lines lost since the start.
    """

    def __init__(self, address: Path, on_failure: Callable[[], None]) -> None:
        super().__init__()
        self.failures = 0
        self._address = str(address)
        self._on_failure = on_failure
        self._socket: socket.socket | None = None
        self._patience = _PATIENCE

    def show(self, time: str, level: str, event: str, fields: Mapping[str, object]) -> None:
        """Send one line. Never raises."""
        with self.lock or nullcontext():
            try:
                connected = self._connected()
                connected.send(datagram(entry(time, level, event, fields)))
                if self._patience != _PATIENCE:
                    self._patience = _PATIENCE
                    connected.settimeout(_PATIENCE)
            except (OSError, ValueError) as error:
                if isinstance(error, TimeoutError):
                    self._patience = 0.0
                self._disconnect()
                self._fail()

    def show_all(self, time: str, events: Iterable[tuple[str, str, Mapping[str, object]]]) -> None:
        """Send the lines of several events of one moment."""
        for level, event, fields in events:
            self.show(time, level, event, fields)

    def emit(self, record: logging.LogRecord) -> None:
        """Send a library's record. The formatter has made it safe, as a JSON line."""
        try:
            line = json.loads(self.format(record))
            self.show(line.pop("time"), line.pop("level"), line.pop("event"), line)
        except Exception:  # a broken record of a library must not raise in the caller
            self._fail()

    def close(self) -> None:
        with self.lock or nullcontext():
            self._disconnect()
        super().close()

    def _connected(self) -> socket.socket:
        if self._socket is None:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.settimeout(self._patience)
            self._socket.connect(self._address)
        return self._socket

    def _disconnect(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _fail(self) -> None:
        self.failures += 1
        self._on_failure()
