"""`demo --stay`: a portal, a hospital that goes on sending, carriers and patients; all of it on this machine."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import signal
import socket
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from carebell.bootstrap.preflight import findings
from carebell.commands.simulated_clinic import prepare
from carebell.commands.simulated_feed import FIRST, DemoFeed, engine_script, script_telephones
from carebell.commands.simulated_twilio import account_of
from config.load import load
from listener.client import MllpClient
from simulator.account import AccountSettings
from simulator.inbound import EngineAct
from simulator.patients import fictitious_number
from simulator.twilio_api import TwilioSimulator
from tests.carebell.conftest import Carebell

PORTS = {"production": 2575, "test": 2576, "http": 8080, "portal": 8443, "twilio": 8444, "fhir": 8445, "engine": 6661}


def test_the_prepared_folder_is_sound_and_keeps_its_comments(carebell: Carebell, tmp_path: Path) -> None:
    folder = tmp_path / "clinic"
    assert carebell("init", folder, "--demo").code == 0
    before = (folder / "carebell.yaml").read_text("utf-8")
    prepare(folder, PORTS)
    loaded = load(folder / "carebell.yaml", {})
    assert [str(finding.problem) for finding in findings(loaded, datetime.now(UTC)) if not finding.is_warning] == []
    configuration = loaded.configuration
    assert configuration.portal.enabled
    assert configuration.portal.public_url == "http://127.0.0.1:8443"
    assert not configuration.gateway.is_live
    assert configuration.gateway.public_url == "http://127.0.0.1:8080"
    account, callbacks_to = account_of(loaded)
    assert (folder / "twilio.token").read_text("ascii").strip() == account.auth_token
    assert callbacks_to == "http://127.0.0.1:8080"
    assert (folder / "twilio.token").stat().st_mode & 0o077 == 0
    production = configuration.environments["production"]
    assert production.sms.replies.enabled
    assert production.writeback.hl7 is not None
    assert production.writeback.hl7.port == 6661
    assert _comments(before) - _comments((folder / "carebell.yaml").read_text("utf-8")) == set()


def _comments(text: str) -> set[str]:
    return {line.partition("#")[2] for line in text.splitlines()}


class Connection:
    """Takes messages; `breaks`: the next one is not answered."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.breaks = False
        self.open = 0

    async def connect(self) -> MllpClient:
        self.open += 1
        return cast("MllpClient", self)

    async def send(self, content: bytes) -> None:
        if self.breaks:
            self.breaks = False
            raise ConnectionResetError
        self.sent.append(content)

    async def close(self) -> None:
        self.open -= 1


def _numbered() -> Iterator[bytes]:
    return (f"{number}".encode() for number in itertools.count())


async def _run(connection: Connection, simulator: TwilioSimulator, rounds: int, seed: int = 1) -> None:
    """Until the feed has waited `rounds` times."""
    left = rounds

    async def sleep(seconds: float) -> None:
        nonlocal left
        left -= 1
        if not left:
            raise asyncio.CancelledError

    feed = DemoFeed(
        connect=connection.connect,
        messages=_numbered(),
        sign=lambda content: content + b" signed",
        simulator=simulator,
        rng=random.Random(seed),
        sleep=sleep,
    )
    with pytest.raises(asyncio.CancelledError):
        await feed.run()


async def test_the_feed_begins_with_many_messages_and_goes_on_with_single_ones() -> None:
    connection = Connection()
    await _run(connection, TwilioSimulator(), rounds=3)
    assert connection.sent == [f"{number} signed".encode() for number in range(FIRST + 2)]
    assert connection.open == 0


async def test_a_connection_that_breaks_is_made_again() -> None:
    connection = Connection()
    connection.breaks = True
    await _run(connection, TwilioSimulator(), rounds=3)
    assert len(connection.sent) > FIRST
    assert connection.open == 0


async def test_patients_answer_what_they_got() -> None:
    simulator, now = TwilioSimulator(AccountSettings(numbers=("+14255550100",))), datetime.now(UTC)
    to = fictitious_number(1)
    simulator.account.create({"To": to, "From": "+14255550100", "Body": "Lamna Healthcare: a reminder"}, now)
    await _run(Connection(), simulator, rounds=60)
    replies = [text for text in simulator.account.messages if text.direction == "inbound"]
    assert len(replies) > 3
    assert "C" in {reply.body for reply in replies}
    assert {(reply.sender, reply.to) for reply in replies} == {(to, "+14255550100")}


def test_the_engine_refuses_a_few_messages() -> None:
    acts = Counter(itertools.islice(engine_script(random.Random(1)), 200))
    assert acts.keys() == {EngineAct.AA, EngineAct.AE}
    assert acts[EngineAct.AA] > 5 * acts[EngineAct.AE]


def test_some_telephones_are_off_or_do_not_exist() -> None:
    simulator = TwilioSimulator()
    script_telephones(simulator.account)
    outcomes = [simulator.account.script.get(fictitious_number(index)) for index in range(200)]
    assert outcomes[0] is None
    assert {outcome.error_code or outcome.refuse for outcome in outcomes if outcome is not None} == {
        30003,
        30006,
        21211,
    }
    assert outcomes.count(None) > 160


def test_it_serves_until_ctrl_c_and_leaves_nothing(tmp_path: Path) -> None:
    environ = {"PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path), "HOME": str(tmp_path)}
    command = [sys.executable, "-m", "carebell", "demo", "--stay", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environ, text=True) as process:
        assert process.stdout is not None
        try:
            rows: list[dict[str, Any]] = []
            while not rows or rows[-1].get("what") != "portal":
                line = process.stdout.readline()
                assert line, "it ended"
                rows.append(json.loads(line))
            [serving] = [row for row in rows if "listening" in row]
            assert rows[-1]["link"].startswith(f"{serving['portal']}/set-up/")
            with urllib.request.urlopen(rows[-1]["link"]) as page:
                assert b'name="password"' in page.read()
            ehr = json.loads(process.stdout.readline())
            assert (ehr["what"], ehr["client_id"]) == ("fhir", "carebell")
            with urllib.request.urlopen(f"{ehr['fhir_base_url']}/metadata") as answer:
                assert json.loads(answer.read())["resourceType"] == "CapabilityStatement"
            engine = json.loads(process.stdout.readline())
            assert engine["what"] == "engine"
            with socket.create_connection((engine["host"], engine["port"])):
                pass
            assert len(list(tmp_path.glob("carebell-demo-*"))) == 1
        finally:
            process.send_signal(signal.SIGINT)
    assert process.returncode == 0
    assert list(tmp_path.glob("carebell-demo-*")) == []
