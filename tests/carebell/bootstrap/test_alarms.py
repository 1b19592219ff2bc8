"""A service looks after its alarms: what its parts know reaches the log, the metrics, and `status`."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from carebell.commands.status import status
from carebell.commands.status_monitor import monitor
from carebell.maintenance.alarm_watch import CALM
from scheduler.sms import HoldScope
from store import holds
from store.crypto import day_of
from store.holds import Hold
from store.keys import create_key_file
from tests.story.clinic import opened
from tests.story.ehr import unsigned
from tests.story.folder import make


async def test_a_service_raises_what_its_parts_know(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = make(tmp_path, {"alarms": {"signature_failures": 3}})
    now = datetime.now(UTC)  # as `status` sees it
    async with opened(path, at=now) as clinic:
        watch = clinic.service.alarms
        with clinic.service.store.write() as conn:
            holds.hold(conn, Hold(scope=HoldScope.ALL, name="", reason="a drill", actor="cli:x", since=now))
        visit = now + timedelta(days=9)
        unproven = [unsigned("S12", f"{number}", sent=now, start=visit) for number in range(3)]
        assert [ack.failure for ack in await clinic.send(*unproven)] == ["SIG01"] * 3
        await asyncio.to_thread(watch.round)
        raised = {(line["alarm"], line.get("subject")): line for line in clinic.events("alarm_raised")}
        assert {("held", "all"), ("signature_failures", "production")} <= set(raised)
        assert raised["signature_failures", "production"]["value"] == 3
        shown = clinic.service.metrics.render().decode()
        assert 'carebell_alarms{alarm="signature_failures",environment="production",severity="warning"} 1.0' in shown
        assert 'carebell_alarms_raised_total{alarm="held"} 1.0' in shown

        capsys.readouterr()
        assert await asyncio.to_thread(status, path, as_json=True) == 1
        alarms = json.loads(capsys.readouterr().out)["alarms"]
        # The database says the one, and the node that runs the other.
        assert {"held", "signature_failures"} <= {alarm["alarm"] for alarm in alarms}


async def test_a_key_file_that_opens_no_number_is_an_alarm_until_the_right_one_is_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = make(tmp_path)
    now = datetime.now(UTC)  # as `status` sees it
    async with opened(path, at=now) as clinic:
        vault, watch = clinic.service.vault, clinic.service.alarms
        with clinic.service.store.write() as conn:
            vault.keys_for(conn, [day_of(now + timedelta(days=9))], create=True)
        await asyncio.to_thread(watch.round)
        assert not [line for line in clinic.events("alarm_raised") if line["alarm"] == "number_unreadable"]

        file = clinic.service.loaded.configuration.storage.key_file
        right = file.rename(file.with_name("right.key"))
        vault.ring = create_key_file(file)  # as after a restart
        await asyncio.to_thread(watch.round)
        [line] = [line for line in clinic.events("alarm_raised") if line["alarm"] == "number_unreadable"]
        # The visits' day, and the day until which the configuration's text is kept.
        assert (line["severity"], line["value"]) == ("critical", 2)
        capsys.readouterr()
        assert await asyncio.to_thread(monitor, path, as_json=True) == 2
        assert line["problem"] in json.loads(capsys.readouterr().out)["problems"]

        right.replace(file)
        await asyncio.to_thread(watch.round)
        clinic.clock.move_to(now + CALM)
        await asyncio.to_thread(watch.round)
        assert [line for line in clinic.events("alarm_cleared") if line["alarm"] == "number_unreadable"]


async def test_a_change_of_the_limits_counts_at_once(tmp_path: Path) -> None:
    path = make(tmp_path, {"alarms": {"disk_free_mb": 1}})
    async with opened(path) as clinic:
        watch = clinic.service.alarms
        await asyncio.to_thread(watch.round)
        assert not [line for line in clinic.events("alarm_raised") if line["alarm"] == "disk_nearly_full"]
        configuration = clinic.service.loaded.configuration
        limits = configuration.alarms.model_copy(update={"disk_free_mb": 10**9})
        object.__setattr__(configuration, "alarms", limits)
        await asyncio.to_thread(watch.round)
        [line] = [line for line in clinic.events("alarm_raised") if line["alarm"] == "disk_nearly_full"]
        assert (line["severity"], line["subject"]) == ("critical", str(tmp_path))
