"""The console gateway: prints each text for a person to read, and sends nothing. The default of a fresh installation."""

from __future__ import annotations

import unicodedata
from datetime import datetime
from threading import Lock
from typing import TextIO

from notifier.gateway import Accepted, DeliveryStatus, NotSent, Receipt, Resend, SentMessage, Sms


class ConsoleGateway:
    """Writes a block per text: the number masked, the body whole, since showing it is what this gateway is for."""

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
        return None  # it keeps nothing

    def find(self, sms: Sms, since: datetime) -> list[SentMessage] | None:
        return None  # what scrolled by cannot be looked up

    def forget(self, message_id: str) -> bool:
        return True

    def close(self) -> None:
        """The stream is the caller's."""


def _printable(line: str) -> str:
    """No terminal escapes, whatever the configuration's words hold."""
    return "".join(char if unicodedata.category(char)[0] != "C" else "?" for char in line)
