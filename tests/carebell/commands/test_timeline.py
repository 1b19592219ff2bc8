"""The timeline: nothing is wider than the terminal, nothing is lost by wrapping, and every reason has its words."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from carebell.commands.timeline import TimelineEntry, print_timeline
from carebell.sms_words import TITLES, WHY, title_of
from scheduler.sms import Reason, SmsKind
from tests.carebell.conftest import Carebell
from tests.carebell.pieces import pieces
from tests.carebell.pocket_twilio import PocketTwilio
from tests.story.ehr import unsigned

AT = datetime(2026, 3, 8, 9, 30, tzinfo=UTC)
ENTRIES = [
    TimelineEntry(at=AT + timedelta(hours=1), verdict="goes", title="reminder 24h",
                  notes=("to ***0143, 1 segment: " + "word " * 30,)),
    TimelineEntry(at=AT, verdict="does not go", title="change", notes=("superseded: a newer text replaces it",)),
    TimelineEntry(at=None, verdict="does not go", title="change", notes=("no_visible_change: nothing has changed",)),
]  # fmt: skip


def test_every_kind_and_reason_has_words() -> None:
    assert (set(WHY), set(TITLES)) == (set(Reason), set(SmsKind))
    assert (title_of("reminder", "7d@10:00"), title_of("booked", "scheduled")) == ("reminder 7d@10:00", "booking")


@pytest.mark.parametrize("width", [30, 40, 80, 200])
def test_it_fits_any_terminal(capsys: pytest.CaptureFixture[str], width: int) -> None:
    print_timeline(ENTRIES, "America/Los_Angeles", empty="nothing", width=width)
    shown = capsys.readouterr().out
    assert max(len(line) for line in shown.splitlines()) <= width
    assert shown.count("word") == 30


def test_it_runs_by_the_clinics_clock(capsys: pytest.CaptureFixture[str]) -> None:
    """03:30 summer time follows 01:30 on the night of the change."""
    print_timeline(ENTRIES, "America/Los_Angeles", empty="nothing", width=80)
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if not line.startswith("         ")] == [
        "Times in America/Los_Angeles.", "", "Sun 2026-03-08", "  01:30  does not go  change",
        "  03:30  goes         reminder 24h", "", "Without a time", "    -    does not go  change",
    ]  # fmt: skip
    print_timeline([], "UTC", empty="nothing")
    assert capsys.readouterr().out == "nothing\n"


def test_the_outbox_tells_what_happened_to_one_appointment(
    carebell: Carebell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    twilio = PocketTwilio(now=lambda: AT)
    folder = tmp_path / "clinic"
    with pieces(folder, at=AT, gateway=twilio, sms={"debounce": "0s"}) as service:
        twilio.now = service.clock.now
        service.step(timedelta(hours=9))
        service.hear(unsigned("S12", "1", sent=service.now, start=AT + timedelta(days=9, hours=9)))
        service.tick()
        service.hear(unsigned("S15", "2", sent=service.now, start=AT + timedelta(days=9, hours=9), status="Cancelled"))
    monkeypatch.setenv("COLUMNS", "60")
    shown = carebell("-c", folder / "carebell.yaml", "outbox", "--appointment", "900100").out
    assert "900100 in production. Times in America/Los_Angeles." in shown
    assert re.search(r"^ *\S+  accepted +booking$", shown, re.MULTILINE)
    # The command's clock is the machine's: for it the visit is long past, and no service has withdrawn the text since.
    assert re.search(r"^ *\S+  will not go +cancellation$", shown, re.MULTILINE)
    assert "canceled: the visit was cancelled" in shown
    assert max(len(line) for line in shown.splitlines()) <= 60
