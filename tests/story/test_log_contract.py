"""What support reads in the log of a service that starts, works and ends, and of one that cannot start."""

from __future__ import annotations

import json
import socket
from datetime import timedelta
from pathlib import Path

import pytest

from carebell.exits import Stop
from journal.events import ENTRIES
from tests.story.clinic import Clinic, opened
from tests.story.ehr import signed
from tests.story.folder import CLOCK, change, load, make

VISIT = CLOCK + timedelta(days=10)
FIELDS = {entry.name: [field.name for field in entry.fields] for entry in ENTRIES.values()}
REQUIRED = {entry.name: {field.name for field in entry.fields if field.required} for entry in ENTRIES.values()}
WORDS = {(entry.name, field.name): field.values for entry in ENTRIES.values() for field in entry.fields if field.values}


def faults_of(clinic: Clinic) -> list[str]:
    """What a line has against the documented fields and words of its event."""
    faults = []
    for line in clinic.events():
        event, names = line["event"], [name for name in line if name not in ("time", "level", "event")]
        faults += [f"{event}: {name} is missing" for name in REQUIRED[event] - set(names)]
        faults += [f"{event}: {name} is not documented" for name in names if name not in FIELDS[event]]
        faults += [
            f"{event}: {name} is {line[name]!r}"
            for name in names
            if (event, name) in WORDS and line[name] not in WORDS[event, name]
        ]
        if sorted(names, key=FIELDS[event].index) != names:
            faults.append(f"{event}: the fields have another order")
    return faults


async def test_every_line_of_a_healthy_run_is_as_documented(tmp_path: Path) -> None:
    async with opened(make(tmp_path, {"log": {"level": "debug"}})) as clinic:
        await clinic.send(signed("S12", "1", sent=CLOCK, start=VISIT))
        await clinic.send(signed("S12", "1", sent=CLOCK, start=VISIT))  # again
        await clinic.send(signed("S12", "2", sent=CLOCK, start=VISIT, reference="A2", phone="UNKNOWN"))
        await clinic.pass_by(timedelta(hours=3))  # out of quiet hours
        await clinic.send(signed("S15", "3", sent=clinic.clock.now(), start=VISIT, status="Cancelled"))
        await clinic.send(b"MSH|^~\\&|unsigned")
        await clinic.pass_to(VISIT + timedelta(days=1))
    assert faults_of(clinic) == []
    assert {line["event"] for line in clinic.events()} >= {
        "configuration_loaded", "service_started", "listener_started", "certificate_loaded", "message_accepted",
        "message_repeated", "message_refused", "sms_sent", "sms_suppressed", "phone_forgotten", "purge_finished",
        "listener_stopped", "service_stopped",
    }  # fmt: skip
    assert b"carebell_log_fields_dropped_total 0.0" in clinic.service.metrics.render().splitlines()
    silences = [(line["appointment"], line["kind"], line["reason"]) for line in clinic.events("sms_suppressed")]
    assert ("A2", "booked", "invalid_phone") in silences
    assert ("900100", "reminder", "canceled") in silences
    assert {line["source"] for line in clinic.events("sms_suppressed")} <= {"message", "claim"}


async def test_a_listener_that_cannot_open_says_why(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        path = make(tmp_path)
        change(path, {"environments": {"production": {"listener": {"port": taken.getsockname()[1]}}}})
        with pytest.raises(Stop) as stop:
            async with opened(path):
                pytest.fail("it listens on a port that is taken")
        log = load(path).configuration.log.file
        assert log is not None
        lines = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
        [failed] = [line for line in lines if line["event"] == "listener_failed"]
        assert failed["listener"] == f"127.0.0.1:{taken.getsockname()[1]}"
        assert (failed["environments"], failed["problem"]) == ("production", str(stop.value))
        assert "another program" in failed["problem"]
