"""The lnav format file agrees with the lines."""

from __future__ import annotations

import json
from importlib.resources import files

from journal.fields import FIELDS
from journal.lines import LEVELS


def test_it_names_fields_and_levels_of_ours() -> None:
    form = json.loads((files("journal") / "carebell.lnav.json").read_text(encoding="utf-8"))["carebell_log"]

    assert set(form["value"]) - {"event"} <= set(FIELDS)
    assert {part["field"] for part in form["line-format"] if isinstance(part, dict)} <= {
        *FIELDS,
        "event",
        "level",
        "__timestamp__",
    }
    assert set(form["level"]) == set(LEVELS.values())
    assert (form["timestamp-field"], form["level-field"], form["body-field"]) == ("time", "level", "event")
