"""A rehearsal is the service in memory: what it shows agrees with the planner, and with what claims decide."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from carebell.bootstrap.rehearsal import RehearsedText, ServiceRehearsal
from carebell.commands.history import read_event
from carebell.environment_policy import RuntimeConfig, runtime_config
from parser.event import SchedulingEvent
from scheduler.rehearsal import rehearse
from scheduler.sms import Cap, Reason, SmsKind, SmsState
from simulator.ehr import histories
from simulator.shapes import Feed
from tests.story import folder

BEGINS = datetime.fromisoformat("2026-03-01T08:00:00+00:00")
FAR = BEGINS + timedelta(days=400)


def configured(tmp_path: Path, sms: dict[str, Any], **changes: Any) -> RuntimeConfig:
    path = folder.make(tmp_path / "clinic", {"environments": {"production": {"sms": sms}}, **changes})
    return runtime_config(folder.load(path))


def feed(runtime: RuntimeConfig, seed: int, count: int) -> list[SchedulingEvent]:
    policy = runtime.policies["production"]
    sendings = histories(random.Random(seed), count=count, begins=BEGINS, ends=BEGINS + timedelta(days=20))
    events = [read_event(sending.write(Feed()), policy, FAR)[1] for sending in sendings]
    return [event for event in events if isinstance(event, SchedulingEvent)]


def by_identity(texts: Sequence[RehearsedText]) -> dict[tuple[str, str, str, int], tuple[datetime | None, bool]]:
    return {
        (text.row.reference, text.row.kind.value, text.row.rule, text.row.revision): (text.row.due, text.left)
        for text in texts
    }


@pytest.mark.parametrize("seed", range(2))
def test_it_agrees_with_the_planner(seed: int, tmp_path: Path) -> None:
    """`plan` lets every text leave at its time; so does the claim, where no cap and no slow sender stops it."""
    fast = {"gateway": {"segments_per_second": {"+14255550100": 1000}}}
    runtime = configured(tmp_path, {"caps": {"per_day": 1000, "per_week": 1000}}, **fast)
    policy = runtime.policies["production"]
    events = feed(runtime, seed, 40)
    planned = rehearse(events, policy.planning, policy.blocked, zone=policy.zone).texts
    expected = {
        (text.appointment.reference, text.row.kind.value, text.row.rule, text.row.revision): (text.row.due, text.leaves)
        for text in planned
    }
    assert len(expected) > 100
    assert by_identity(ServiceRehearsal(runtime).run(events, FAR)) == expected


def same_patient(runtime: RuntimeConfig, visits: int) -> list[SchedulingEvent]:
    """Bookings of several visits for one number, one a minute."""
    policy = runtime.policies["production"]
    events = []
    for number in range(visits):
        at = datetime.fromisoformat("2026-03-02T18:00:00+00:00") + timedelta(minutes=number)
        content = (
            f"MSH|^~\\&|EHR|LAMNA|APPTSMS|LAMNA|{at:%Y%m%d%H%M%S}+0000||SIU^S12^SIU_S12|C{number}|P|2.5.1\r"
            f"SCH|{number}P^LAMNA|{number}F^LAMNA|||||Visit|OFFICE|30|min|^^30^202603{20 + number % 8}170000+0000\r"
            "PID|1||M1^^^LAMNA^MR||DOE^JANE||19700101|U|||||^PRN^CP^^1^202^5550143||en\r"
        ).encode()
        event = read_event(content, policy, FAR)[1]
        assert isinstance(event, SchedulingEvent)
        events.append(event)
    return events


def test_a_cap_stops_what_the_service_would_stop(tmp_path: Path) -> None:
    runtime = configured(tmp_path, {"caps": {"per_day": 3, "per_week": 10}, "reminders": []})
    texts = ServiceRehearsal(runtime).run(same_patient(runtime, 5), FAR)
    assert [(text.left, text.cap, text.row.reason) for text in texts] == [
        *[(True, None, Reason.BOOKED)] * 3,
        *[(False, Cap.PER_DAY, Reason.CAP)] * 2,
    ]


def test_a_slow_sender_makes_texts_late(tmp_path: Path) -> None:
    slow = {"gateway": {"segments_per_second": {"+14255550100": 0.01}}}
    runtime = configured(tmp_path, {"caps": {"per_day": 9, "per_week": 9}, "reminders": []}, **slow)
    events = [*same_patient(runtime, 3)]
    texts = ServiceRehearsal(runtime).run(events, FAR)
    waits = [text.at - text.row.due for text in texts if text.row.due is not None]
    assert waits[0] == timedelta()
    assert waits == sorted(waits)
    assert waits[-1] > timedelta(minutes=1)


def test_what_is_due_after_the_end_waits(tmp_path: Path) -> None:
    runtime = configured(tmp_path, {"reminders": [{"before": "24h"}]})
    end = datetime.fromisoformat("2026-03-05T00:00:00+00:00")
    texts = ServiceRehearsal(runtime).run(same_patient(runtime, 1), end)
    assert [(text.row.kind, text.row.state, text.left) for text in texts] == [
        (SmsKind.BOOKED, SmsState.ACCEPTED, True),
        (SmsKind.REMINDER, SmsState.DUE, False),
    ]


def test_messages_after_the_end_are_not_heard(tmp_path: Path) -> None:
    runtime = configured(tmp_path, {})
    assert ServiceRehearsal(runtime).run(same_patient(runtime, 2), BEGINS) == []


def test_nothing_is_written_to_a_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = configured(tmp_path, {})
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.chdir(tmp_path)
    assert ServiceRehearsal(runtime).run(same_patient(runtime, 2), FAR)
    assert sorted(tmp_path.rglob("*")) == before
