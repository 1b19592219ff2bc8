"""The file gateway: one JSON line for each text that would be sent (cli.md). For tests and rehearsals: it holds phone numbers.

A line is written with one `write` under a lock on the file and then synced. So several processes may share the file, a
crash leaves no half line, and `find` finds a text whose process crashed.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock

from notifier.gateway import Accepted, Ambiguous, DeliveryStatus, NotSent, Receipt, Resend, SentMessage, Sms
from parser.phone_number import PhoneNumber

_MODE = 0o600
_CLOSED = -1


class FileGateway:
    """Appends to `path`. A new file has mode 0600; an existing file is changed to it.

    Args:
        now: the clock, aware; the line's `time`.
        sync: makes written bytes durable; a parameter so that tests can simulate a failing disk.

    Raises:
        OSError: the file cannot be opened for appending.
    """

    def __init__(self, path: Path, now: Callable[[], datetime], sync: Callable[[int], None] = os.fsync) -> None:
        self._now = now
        self._sync = sync
        self._path = path
        self._lock = Lock()
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, _MODE)
        os.fchmod(self._file, _MODE)

    @property
    def resends(self) -> Resend:
        return Resend.CANCELLATIONS

    def send(self, sms: Sms) -> Receipt:
        line = {
            "time": self._now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "id": sms.id,
            "environment": sms.environment,
            "appointment": sms.appointment,
            "kind": sms.kind,
            "from": sms.sender,
            "to": sms.to.e164(),
            "body": sms.body,
            "segments": sms.segments,
            "attempt": sms.attempt,
        }
        encoded = (json.dumps(line, ensure_ascii=False) + "\n").encode()
        with self._locked():
            before = os.fstat(self._file).st_size
            try:
                written = os.write(self._file, encoded)
            except OSError:
                written = 0
            if written < len(encoded):
                os.ftruncate(self._file, before)
                return NotSent(why="file_not_written")
            try:
                self._sync(self._file)
            except OSError:
                # The bytes may or may not be on the disk; a second write could double the text.
                return Ambiguous(why="file_not_synced")
        return Accepted(message_id=_message_id(sms.id, sms.attempt), status=DeliveryStatus.DELIVERED)

    def fetch(self, message_id: str) -> SentMessage | None:
        return next((sent for sent in self._read() if sent.message_id == message_id), None)

    def find(self, sms: Sms, since: datetime) -> list[SentMessage] | None:
        """The line of this attempt, by its id. Numbers and time need no comparison."""
        message_id = _message_id(sms.id, sms.attempt)
        return [sent for sent in self._read() if sent.message_id == message_id]

    def forget(self, message_id: str) -> bool:
        """Delete nothing: the user asked for this file."""
        return True

    def close(self) -> None:
        """Close the file. A second call does nothing."""
        file, self._file = self._file, _CLOSED
        if file != _CLOSED:
            os.close(file)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        # flock belongs to the open file, which the threads share, so the threads need a lock of their own.
        with self._lock:
            fcntl.flock(self._file, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(self._file, fcntl.LOCK_UN)

    def _read(self) -> Iterator[SentMessage]:
        with self._path.open(encoding="utf-8") as lines:
            for line in lines:
                entry = json.loads(line)
                yield SentMessage(
                    message_id=_message_id(entry["id"], entry["attempt"]),
                    status=DeliveryStatus.DELIVERED,
                    to=PhoneNumber(entry["to"]),
                    body=entry["body"],
                    sent_at=datetime.fromisoformat(entry["time"]),
                )


def _message_id(outbox_id: str, attempt: int) -> str:
    return f"file-{outbox_id}-{attempt}"
