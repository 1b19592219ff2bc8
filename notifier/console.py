"""The console gateway: prints each text for a person and sends nothing. The default of a new installation."""

from __future__ import annotations

import unicodedata
from datetime import datetime
from threading import Lock
from typing import TextIO

from notifier.gateway import Accepted, DeliveryStatus, NotSent, Receipt, Resend, SentMessage, Sms


class ConsoleGateway:
    """Writes a block for each text, with a masked number and the whole body, because this gateway exists to show it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = Lock()  # blocks of two worker threads must not mix

    @property
    def resends(self) -> Resend:
        return Resend.CANCELLATIONS

    def send(self, sms: Sms) -> Receipt:
        unit = "segment" if sms.segments == 1 else "segments"
        lines = [
            f"-- SMS to {sms.to.masked} from {sms.sender} ({sms.environment}, {sms.kind}, {sms.segments} {unit})",
            *(f"   {_printable(line)}" for line in sms.body.splitlines()),
        ]
        try:
            with self._lock:
                self._stream.write("\n".join(lines) + "\n")
                self._stream.flush()
        except (OSError, ValueError):  # a closed pipe or stream
            return NotSent(why="console_closed")
        return Accepted(message_id=f"console-{sms.id}-{sms.attempt}", status=DeliveryStatus.DELIVERED)

    def fetch(self, message_id: str) -> SentMessage | None:
        return None  # this gateway stores nothing

    def find(self, sms: Sms, since: datetime) -> list[SentMessage] | None:
        return None  # printed texts cannot be looked up

    def forget(self, message_id: str) -> bool:
        return True

    def close(self) -> None:
        """Do nothing: the caller owns the stream."""


def _printable(line: str) -> str:
    """The line without terminal escapes, whatever the configuration contains."""
    return "".join(char if unicodedata.category(char)[0] != "C" else "?" for char in line)
