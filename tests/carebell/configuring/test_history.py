"""`config history` for people: two values that differ never look the same, and a list shows the items that differ."""

from __future__ import annotations

import json

import pytest

from carebell.bootstrap.config_record import KeyChange
from carebell.configuring.history import shown

RULES = [{"before": f"P{days}D", "template": "x" * 120, "visit_modes": ["video"]} for days in (7, 3, 1)]


def _written(*items: object) -> str:
    return json.dumps(items)


def _shown(before: str | None, after: str | None) -> list[str]:
    return list(shown(KeyChange(key="sms.reminders", before=before, after=after)))


@pytest.mark.parametrize(
    ("before", "after", "lines"),
    [
        ("21:00", "22:00", ["sms.reminders: 21:00 -> 22:00"]),
        (None, "[1]", ["sms.reminders: (not set) -> [1]"]),
        ("[1, 2, 3]", "[1, 2, 4]", ["sms.reminders[2]: 3 -> 4"]),
        ("[1, 2]", "[1, 2, 4]", ["sms.reminders[2]: (not set) -> 4"]),
        ("[1, 2, 3]", "[2, 3]", ["sms.reminders[0]: 1 -> (removed)"]),
        ("[1, 2, 3]", "[2, 5]", ["sms.reminders[0]: 1 -> (removed)", "sms.reminders[1]: 3 -> 5"]),
        ("[1, 2]", "[3]", ["sms.reminders[0]: 1 -> 3", "sms.reminders[1]: 2 -> (removed)"]),
        ("[1, 2]", "[2, 1]", ["sms.reminders[0]: (not set) -> 2", "sms.reminders[1]: 2 -> (removed)"]),
        ("[]", '["a"]', ['sms.reminders[0]: (not set) -> "a"']),
        ("[1] of", "[2] of", ["sms.reminders: [1] of -> [2] of"]),
    ],
)
def test_a_list_shows_its_items_that_differ(before: str | None, after: str | None, lines: list[str]) -> None:
    assert _shown(before, after) == lines


def test_a_change_deep_in_a_long_list_can_be_seen() -> None:
    changed = RULES[2] | {"visit_modes": ["video", "phone"]}
    [line] = _shown(_written(*RULES), _written(*RULES[:2], changed))
    assert line == f"sms.reminders[2]: {json.dumps(RULES[2])} -> {json.dumps(changed)}"


def test_long_texts_are_cut_where_they_differ() -> None:
    [line] = _shown(f"{'a' * 500}b{'c' * 500}", f"{'a' * 500}d{'c' * 500}")
    before, after = line.removeprefix("sms.reminders: ").split(" -> ")
    assert before.replace("b", "d") == after != before
    assert (before[:4], before[-4:]) == ("...a", "c...")
    assert len(before) == len("...") * 2 + 200
    [line] = _shown(None, "a" * 500)
    assert line == f"sms.reminders: (not set) -> {'a' * 200}..."


def test_a_value_cannot_move_the_cursor() -> None:
    for before, after in (("a", "b\x1b[2J"), (_written("a"), _written("b\x1b[2J")), ("a" * 300, "a" * 290 + "\x1b[2J")):
        assert all("\x1b" not in line for line in _shown(before, after))
