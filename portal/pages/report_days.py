"""Which days a report is about: 7, 30 or 90 up to today, or those that were typed. Days are in UTC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Final
from urllib.parse import urlencode

from portal.forms import FieldError, Form

LONGEST_DAYS: Final = 366
RANGES: Final = ("7", "30", "90")
"""Days up to today."""


def asked_days(values: Mapping[str, str], now: datetime, form: Form) -> tuple[tuple[date, date] | None, Form]:
    """The first and the last day, both included; None with errors in the form."""
    today = now.date()
    if values.get("range") in RANGES or not (values.get("from") or values.get("to")):
        days = int(values["range"] if values.get("range") in RANGES else RANGES[0])
        return (today - timedelta(days=days - 1), today), form
    typed = {name: _date(values.get(name, "").strip()) for name in ("from", "to")}
    errors = [
        FieldError(field=name, sentence=f"{words}: choose a day, such as {today}.")
        for name, words in (("from", "From"), ("to", "To"))
        if typed[name] is None
    ]
    if errors:
        return None, form.with_errors(*errors)
    first, last = typed["from"] or today, typed["to"] or today
    if last < first:
        return None, form.with_errors(FieldError(field="to", sentence="To: choose a day that is not before the first."))
    if (last - first).days >= LONGEST_DAYS:
        return None, form.with_errors(FieldError(field="from", sentence=f"From: choose {LONGEST_DAYS} days at most."))
    return (first, last), form


def range_links(
    path: str, first: date, last: date, now: datetime, fields: Sequence[tuple[str, str]]
) -> list[tuple[str, str, bool]]:
    """(words, address, whether it is shown now) of the usual spans; `fields` are kept, but not the days in them."""
    kept = [(name, value) for name, value in fields if name not in ("from", "to")]
    days = (last - first).days + 1
    return [
        (f"{span} days", address(path, [("range", span), *kept]), last == now.date() and days == int(span))
        for span in RANGES
    ]


def address(path: str, fields: Sequence[tuple[str, str]]) -> str:
    return f"{path}?{urlencode(fields)}"


def one_of(value: str, known: Sequence[str]) -> str:
    """What was chosen; "" if there is no such choice (any more)."""
    return value if value in known else ""


def _date(written: str) -> date | None:
    try:
        return date.fromisoformat(written)
    except ValueError:
        return None
