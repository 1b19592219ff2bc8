"""What was received lately: verified messages from the replay memory, refusals from the log; no content of either."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from config.load import Loaded
from journal import tail
from journal.read import Line, Wanted, instant_of

REFUSALS: Final = 100
"""As many refusals of the log are looked at, the newest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedMessage:
    """A message of which nothing was stored.

    Attributes:
        environment: None: nothing in the message proved which one was meant.
        control_id: MSH-10; None: it had no usable one.
        code: ours, with its meaning and what to do by config/answers.yaml; empty texts where the code is unknown.
    """

    at: datetime
    environment: str | None
    control_id: str | None
    answer: str
    code: str
    text: str
    peer: str

    @classmethod
    def of(cls, line: Line) -> RefusedMessage:
        fields = line.fields
        return cls(
            at=instant_of(line),
            environment=_text(fields.get("environment")) or None,
            control_id=_text(fields.get("control_id")) or None,
            answer=_text(fields.get("answer")),
            code=_text(fields.get("code")),
            text=_text(fields.get("text")),
            peer=_text(fields.get("peer")),
        )


def refusals(log_file: Path | None, environments: Collection[str] | None) -> list[RefusedMessage]:
    """The newest refusals in this machine's log, the newest first.

    Args:
        environments: only these; None: all, and those that belong to none.
    """
    if log_file is None:
        return []
    try:
        lines: Sequence[Line] = tail.newest(log_file, Wanted(event="message_refused"), REFUSALS).lines
    except OSError:
        return []
    newest = [RefusedMessage.of(line) for line in reversed(lines)]
    return [refusal for refusal in newest if environments is None or refusal.environment in environments]


def advice(loaded: Loaded, code: str | None) -> str:
    """What to do about an answer with this code; empty: nothing."""
    row = loaded.answer_rows.get(code or "")
    return "" if row is None else str(row["advice"])


def _text(value: object) -> str:
    return "" if value is None else str(value)
