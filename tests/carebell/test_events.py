"""Every log event that is documented is emitted somewhere, and only the front door's rooms emit them."""

from __future__ import annotations

import re
from pathlib import Path

import carebell
from journal.events import Event

ROOT = Path(carebell.__file__).parent.parent
OF_THE_JOURNAL = {"LIBRARY", "LOG_RESUMED", "LOG_OPEN_TO_OTHERS", "INTERNAL_ERROR", "REFUSALS_REPEATED"}
"""journal.logs, journal.traces and journal.repeats write these themselves."""


def test_every_event_is_emitted() -> None:
    sources = "\n".join(path.read_text() for path in sorted((ROOT / "carebell").rglob("*.py")))
    emitted = set(re.findall(r"\bEvent\.([A-Z_]+)", sources)) | OF_THE_JOURNAL
    assert {event.name for event in Event} - emitted == set()
