"""The documentation of the log as Markdown, made from the code. docs/reference holds its output, and a test compares them."""

from __future__ import annotations

from collections.abc import Mapping

from journal.alarms import ALARMS
from journal.events import ENTRIES
from journal.fields import FIELDS
from journal.lines import LEVELS


def events_table() -> str:
    """All events, in the order of `journal.events`: name, level, meaning, what to do, fields, the alarms that they belong to."""
    rows = [
        f"| `{entry.name}` | {LEVELS[entry.level]} | {entry.meaning} | {entry.advice} | "
        f"{' '.join(f'`{field.name}`' for field in entry.fields)} | {' '.join(f'`{alarm}`' for alarm in _alarms_of(entry.name))} |"
        for entry in ENTRIES.values()
    ]
    return (
        "\n".join(
            ["| event | level | what happened | what to do | fields | alarm |", "|---|---|---|---|---|---|", *rows]
        )
        + "\n"
    )


def _alarms_of(event: str) -> list[str]:
    return [name for name, kind in ALARMS.items() if event in kind.events]


def alarms_table() -> str:
    """All alarms: name, severity, the key of its limit, what it is about, meaning, what to do."""
    rows = [
        f"| `{name}` | {' '.join(kind.severities)} | {f'`{kind.key}`' if kind.key else ''} | {kind.about} | {kind.meaning} | "
        f"{kind.advice} |"
        for name, kind in ALARMS.items()
    ]
    head = "| alarm | severity | limit | about | meaning | what to do |"
    return "\n".join([head, "|---|---|---|---|---|---|", *rows]) + "\n"


def fields_table() -> str:
    """All fields: name, meaning and, where a field has a vocabulary, its words."""
    rows = [f"| `{name}` | {meaning} | {_words(vocabularies(name))} |" for name, meaning in FIELDS.items()]
    return "\n".join(["| field | meaning | words |", "|---|---|---|", *rows]) + "\n"


def vocabularies(name: str) -> dict[tuple[str, ...], list[str]]:
    """The words that a field may have -> the events where it has these."""
    events: dict[tuple[str, ...], list[str]] = {}
    for entry in ENTRIES.values():
        for field in entry.fields:
            if field.name == name and field.values:
                events.setdefault(field.values, []).append(entry.name)
    return events


def _words(events: Mapping[tuple[str, ...], list[str]]) -> str:
    lists = [(" ".join(f"`{word}`" for word in words), names) for words, names in events.items()]
    if len(lists) == 1:
        return lists[0][0]
    return "<br>".join(f"{', '.join(f'`{name}`' for name in names)}: {words}" for words, names in lists)
