"""Promise I7: no name, number, address or content of any message in a log, a traceback, an answer, a metric or a report."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest

import carebell.environment_policy
from carebell.commands.appointments import appointments
from carebell.commands.logs import logs
from carebell.commands.outbox import outbox
from listener.client import SendError
from notifier.gateway import Receipt, Resend, SentMessage, Sms
from scheduler.appointment import Appointment
from tests.story.canaries import addressed, canaries, messages
from tests.story.clinic import Clinic, opened
from tests.story.ehr import PHONE, signed
from tests.story.folder import CLOCK, change, make, sign, texts

VISIT = CLOCK + timedelta(days=18)
# What the configuration says of itself, and samples happen to say of a patient: names of ours, and the sender's number.
_OURS = {b"test", b"LAMNA", b"5550100"}


async def test_every_message_we_have_leaves_no_trace_of_its_patient(tmp_path: Path) -> None:
    contents = messages()
    secrets = canaries(contents) - _OURS
    assert {b"EVERYMAN", b"TESTPATIENT", b"MRN00042", b"2025550143", b"5550143", b"19800101", b"ROMFORD"} <= secrets
    said: dict[str, bytes] = {}
    async with opened(make(tmp_path, {"log": {"level": "debug"}})) as clinic:
        stamp = f"{CLOCK:%Y%m%d%H%M%S}+0000"
        ours = [sign(addressed(content, f"CANARY{n}", stamp)) for n, content in enumerate(contents)]
        said["answers"] = b"".join([await _answer(clinic, content) for content in (*contents, *ours)])
        assert clinic.counts()["appointments"] > 5
        assert clinic.counts()["messages"] > 50
        await clinic.pass_by(timedelta(days=8))
        said |= await asyncio.to_thread(_everything_said, clinic)
    assert len(texts(tmp_path)) > 2
    for where, content in said.items():
        assert content, where
        assert [secret for secret in secrets if secret in content] == [], where


async def _answer(clinic: Clinic, content: bytes) -> bytes:
    client = await clinic.connect()
    with contextlib.suppress(SendError):
        answer = (await client.send(content)).content
        await client.close()
        return answer.replace(content.split(b"|")[9] if content.count(b"|") > 9 else b"\0", b"")
    return b""


def _everything_said(clinic: Clinic) -> dict[str, bytes]:
    """What support, monitoring and a log collector see."""
    service, path = clinic.service, clinic.service.loaded.path
    file = service.loaded.configuration.log.file
    assert file is not None
    shown: dict[str, Callable[[bool], object]] = {
        "outbox": lambda as_json: outbox(path, appointment=None, state=None, environment=None, as_json=as_json),
        "appointments": lambda as_json: appointments(path, appointment=None, environment=None, as_json=as_json),
        "logs": lambda as_json: logs(
            path, follow=False, appointment=None, control_id=None, since=None, level="debug", as_json=as_json
        ),
    }
    said = {
        "log": file.read_bytes(),
        "terminal": clinic.terminal.getvalue().encode(),
        "metrics": service.metrics.render(),
    }
    for name, run in shown.items():
        for as_json in (False, True):
            with contextlib.redirect_stdout(StringIO()) as printed:
                run(as_json)
            said[f"{name} {as_json}"] = printed.getvalue().encode()
    return said


class _Blabbing:
    """A gateway whose exceptions tell everything, as a library's may."""

    resends = Resend.CANCELLATIONS

    def send(self, sms: Sms) -> Receipt:
        raise ValueError(f"could not text {sms.to.e164()}: {sms.body}")

    def fetch(self, message_id: str) -> SentMessage | None:
        return None

    def find(self, sms: Sms, since: datetime) -> list[SentMessage] | None:
        raise ValueError(f"could not find {sms.to.e164()}: {sms.body}")

    def forget(self, message_id: str) -> bool:
        return True

    def close(self) -> None:
        """Nothing is open."""


async def test_our_own_faults_tell_nothing_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = [b"5550143", b"TESTPATIENT", b"MRN00042", b"your visit"]
    async with opened(make(tmp_path, {"log": {"level": "debug"}}), gateway=_Blabbing()) as clinic:
        await clinic.send(signed("S12", "1", sent=CLOCK, start=VISIT))
        await clinic.pass_by(timedelta(hours=3))
        assert [state for kind, _, state, _ in clinic.outbox() if kind == "booked"] == ["unknown"]

        def blab(appointment: Appointment, *_rest: object) -> None:
            raise ValueError(f"cannot plan for {PHONE} {appointment}")

        monkeypatch.setattr(carebell.environment_policy, "replan", blab)
        before = clinic.counts()
        [refused] = await clinic.send(signed("S12", "2", sent=CLOCK, start=VISIT, reference="A2"))
        assert (refused.code, refused.failure) == ("AE", "TRANSIENT")
        assert clinic.counts() == before
        said = await asyncio.to_thread(_everything_said, clinic)
        assert {line["event"] for line in clinic.events()} >= {"internal_error", "message_failed", "sms_unknown"}
        # Where it happened is said, though not what.
        [gateway] = [line for line in clinic.events("internal_error") if line["where"] == "dispatcher"]
        assert (gateway["exception"], gateway["appointment"]) == ("ValueError", "900100")
        assert gateway["frames"].startswith("story/test_nothing_of_a_patient.py:")
        [planning] = clinic.events("message_failed")
        assert (planning["exception"], planning["reason"]) == ("ValueError", "COMMIT_REJECTED")
        assert " in blab" in planning["frames"]
    for where, content in (*said.items(), ("answer", refused.content)):
        assert [secret for secret in secrets if secret in content] == [], where


async def test_a_wrong_configuration_under_a_running_service_shows_no_value_of_it(tmp_path: Path) -> None:
    path = make(tmp_path)
    async with opened(path, reloads=True) as clinic:
        change(path, {"environments": {"test": {"sms": {"allow_list": ["+1202555014x"]}}}})
        await clinic.until(lambda: bool(clinic.events("configuration_refused")))
        assert "555014" not in clinic.terminal.getvalue()
        assert "555014" not in "".join(str(line) for line in clinic.events())
