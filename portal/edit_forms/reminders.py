"""The reminders of an environment as rows of a form: how long before the visit, at what time, for which visits. Pure.

A row's fields are `reminder-0-count`, `reminder-0-unit` and so on. Rows are added and removed by buttons that send the form, so
it works without JavaScript.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from config.model import Reminder
from portal.edit_forms.fields import ConfigurationField
from portal.forms import FieldError, Form

UNITS: Final = (("m", "minutes"), ("h", "hours"), ("d", "days"), ("w", "weeks"))
MODES: Final = (
    ("", "all"),
    ("video", "video"),
    ("phone", "phone"),
    ("in-person", "in-person"),
    ("video,phone", "video and phone"),
    ("video,in-person", "video and in-person"),
    ("phone,in-person", "phone and in-person"),
    ("video,phone,in-person", "video, phone and in-person"),
)
MOST: Final = 20
"""Rows that the page shows at most; nobody wants twenty texts before a visit."""
_MODE_ORDER: Final = ("video", "phone", "in-person")
_ROW: Final = re.compile(r"reminder-([0-9]{1,3})-(?:count|unit|at|always|modes)")
_BEFORE: Final = re.compile(r"([0-9]{1,6})([mhdw])")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReminderRow:
    """One row as it was typed.

    Attributes:
        count, unit: `24` and `h`. at: `10:00`, "" for none. modes: a value of `MODES`.
    """

    count: str = ""
    unit: str = "d"
    at: str = ""
    always: bool = False
    modes: str = ""

    def fields(self, position: int) -> dict[str, str]:
        """The row's fields at a position of the form."""
        start = f"reminder-{position}"
        return {
            f"{start}-count": self.count,
            f"{start}-unit": self.unit,
            f"{start}-at": self.at,
            f"{start}-always": "1" if self.always else "",
            f"{start}-modes": self.modes,
        }


def reminder_words(reminder: Reminder) -> str:
    """`7 days before at 10:00 (video)`."""
    count, unit = _parts(reminder.before)
    words = dict(UNITS)[unit]
    at = "" if reminder.at is None else f" at {reminder.at:%H:%M}"
    modes = f" ({', '.join(reminder.visit_modes)})" if reminder.visit_modes else ""
    return f"{count} {words.removesuffix('s') if int(count) == 1 else words} before{at}{modes}"


def row_of(reminder: Reminder) -> ReminderRow:
    """A reminder of the configuration as a row."""
    count, unit = _parts(reminder.before)
    return ReminderRow(
        count=count,
        unit=unit,
        at="" if reminder.at is None else f"{reminder.at:%H:%M}",
        always=reminder.always,
        modes=",".join(mode for mode in _MODE_ORDER if mode in reminder.visit_modes),
    )


def rows_of(form: Form) -> list[ReminderRow]:
    """The rows of a form that was sent, in the order of their numbers."""
    positions = sorted({int(match[1]) for name in form.values if (match := _ROW.fullmatch(name))})[:MOST]
    return [
        ReminderRow(
            count=form.text(f"reminder-{position}-count"),
            unit=form.text(f"reminder-{position}-unit"),
            at=form.text(f"reminder-{position}-at"),
            always=form.flag(f"reminder-{position}-always"),
            modes=form.text(f"reminder-{position}-modes"),
        )
        for position in positions
    ]


def with_rows(form: Form, rows: Sequence[ReminderRow]) -> Form:
    """The form with these rows, numbered from 0, instead of its own."""
    others = {name: values for name, values in form.values.items() if _ROW.fullmatch(name) is None}
    numbered = {name: (value,) for position, row in enumerate(rows) for name, value in row.fields(position).items()}
    return Form(values=others | numbered, uploads=form.uploads, errors=form.errors)


def values_of(rows: Sequence[ReminderRow]) -> tuple[list[dict[str, Any]], list[FieldError]]:
    """The rows as the file would have them, without what is a default; and what cannot be written so."""
    reminders: list[dict[str, Any]] = []
    errors: list[FieldError] = []
    for position, row in enumerate(rows):
        label = f"Reminder {position + 1}"
        if re.fullmatch(r"[0-9]{1,6}", row.count) is None:
            sentence = f"{label}: enter how long before the visit, as a whole number, or remove this reminder."
            errors.append(FieldError(field=f"reminder-{position}-count", sentence=sentence))
        if row.unit not in dict(UNITS):
            errors.append(
                FieldError(field=f"reminder-{position}-unit", sentence=f"{label}: choose a unit of the list.")
            )
        if row.modes not in dict(MODES):
            sentence = f"{label}: choose visits of the list."
            errors.append(FieldError(field=f"reminder-{position}-modes", sentence=sentence))
        reminder: dict[str, Any] = {"before": f"{row.count}{row.unit}"}
        if row.at:
            reminder["at"] = row.at
        if row.always:
            reminder["always"] = True
        if row.modes:
            reminder["visit_modes"] = row.modes.split(",")
        reminders.append(reminder)
    return reminders, errors


def fields(count: int) -> list[ConfigurationField]:
    """The fields of so many rows, for the problems of their keys."""
    parts = (
        ("count", ("before",)),
        ("at", ("at",)),
        ("always", ("always",)),
        ("modes", ("visit_modes",)),
        ("count", ()),
    )
    return [
        ConfigurationField(
            name=f"reminder-{position}-{part}",
            label=f"Reminder {position + 1}",
            keys=("sms", "reminders", position, *below),
        )
        for position in range(count)
        for part, below in parts
    ]


def _parts(before: str) -> tuple[str, str]:
    match = _BEFORE.fullmatch(before)
    assert match is not None, "the model allows nothing else"
    return match[1], match[2]
