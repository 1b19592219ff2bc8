"""The lnav format file agrees with the lines."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path

import pytest

from journal.events.messages import MessageRefused
from journal.events.service import AlarmRaised
from journal.fields import FIELDS
from journal.lines import LEVELS
from journal.logs import setup
from tests.journal.conftest import NOW, some


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


@pytest.mark.skipif(shutil.which("lnav") is None, reason="lnav is not installed")
def test_lnav_itself_takes_the_format_and_reads_our_lines(tmp_path: Path) -> None:
    log, home = tmp_path / "carebell.log", {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "TZ": "UTC"}
    with setup(now=lambda: NOW, file=log) as journal:
        journal.emit(some(MessageRefused, environment="production", code="SIG07", peer="10.1.2.3"))
        journal.emit(some(AlarmRaised, alarm="overdue", severity="critical", problem="it is late"))

    def lnav(*words: str) -> str:
        ended = subprocess.run(["lnav", *words], env=home, capture_output=True, text=True, timeout=120, check=False)
        assert (ended.returncode, "error" in ended.stderr) == (0, False), ended.stderr
        return ended.stdout

    lnav("-i", str(files("journal") / "carebell.lnav.json"))
    assert lnav("-n", str(log)).splitlines()[0].split() == [
        "2026-03-09", "19:00:00.123", "WARNING", "message_refused", "production", "SIG07",
    ]  # fmt: skip
    rows = lnav("-n", "-c", ";SELECT log_level, peer, alarm FROM carebell_log", "-c", ":write-csv-to -", str(log))
    assert rows.splitlines()[1:] == ["warning,10.1.2.3,<NULL>", "error,<NULL>,overdue"]
