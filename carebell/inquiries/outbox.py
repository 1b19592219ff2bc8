"""Texts as staff look at them: whom they go to, masked, and what each one that is due waits for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from carebell.inquiries.recipients import TextRecipient, recipients_of, wait_explainer_for
from carebell.inquiries.source import KeyedSource
from carebell.inquiries.trace_answer import STOPPED
from carebell.inquiries.wait_explainer import WaitExplainer, Waiting, cap_text
from carebell.times import Zones
from config.load import Loaded
from scheduler.sms import Cap, Reason, SmsState
from store.engine import Transaction
from store.outbox_row import OutboxRow


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedRow:
    """A row of the outbox.

    Attributes:
        to: whom it goes to, masked; None: forgotten, or never known.
        waiting: what it waits for, where it is due.
        cap: which one the number had reached, where that is the reason and still known; `cap_text`: the same as a sentence.
    """

    row: OutboxRow
    to: str | None
    waiting: Waiting | None
    cap: Cap | None
    cap_text: str | None

    @property
    def why(self) -> str:
        """The reason, or what it waits for, in a phrase."""
        if self.waiting is not None:
            return self.waiting.text
        return self.row.reason.value if self.cap_text is None else f"{self.row.reason.value}: {self.cap_text}"

    @property
    def will_not_go(self) -> bool:
        """Whether it waits in vain, by what is known now."""
        return self.waiting is not None and self.waiting.wait in STOPPED


def explained(conn: Transaction, source: KeyedSource, rows: Sequence[OutboxRow], now: datetime) -> list[ExplainedRow]:
    """The rows with what the database says of them now."""
    numbers = recipients_of(conn, source, {row.appointment for row in rows}, now)
    explainer = wait_explainer_for(conn, Zones(source.loaded), now, rows, numbers)
    return [_explained(row, numbers, source.loaded, explainer) for row in rows]


def _explained(
    row: OutboxRow, numbers: Mapping[str, TextRecipient], loaded: Loaded, explainer: WaitExplainer
) -> ExplainedRow:
    number, environment = numbers.get(row.appointment), loaded.configuration.environments.get(row.environment)
    key = number.key if number is not None else None
    waiting = explainer.why(row, environment, key) if row.state is SmsState.DUE else None
    cap, sentence = None, None
    if row.reason is Reason.CAP and row.final_at is not None and environment is not None and key is not None:
        cap = explainer.cap_at(row, environment, key, row.final_at)
        sentence = cap_text(cap, environment.sms.caps) if cap is not None else None
    to = None
    if number is not None:
        to = number.patient if row.state is SmsState.SUPPRESSED else number.recipient
    return ExplainedRow(row=row, to=to, waiting=waiting, cap=cap, cap_text=sentence)
