"""The documented contract of the log as Markdown, made from the code: docs/reference holds its output, a test compares them."""

from __future__ import annotations

from journal.events import Event
from journal.fields import FIELDS
from journal.lines import LEVELS


def events_table() -> str:
    """All events, in the order of `journal.events`: name, level, meaning, what to do, fields."""
    rows = [
        f"| `{event.label}` | {LEVELS[event.level]} | {event.value.meaning} | {event.value.advice} | "
        f"{' '.join(f'`{name}`' for name in event.fields)} |"
        for event in Event
    ]
    return "\n".join(["| event | level | what happened | what to do | fields |", "|---|---|---|---|---|", *rows]) + "\n"


def fields_table() -> str:
    """All fields: name and meaning."""
    rows = [f"| `{name}` | {meaning} |" for name, meaning in FIELDS.items()]
    return "\n".join(["| field | meaning |", "|---|---|", *rows]) + "\n"
