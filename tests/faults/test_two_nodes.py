"""F22: two nodes on one PostgreSQL, one is killed under load: the other goes on, takes over what waits, and doubles nothing."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from listener.client import MllpClient, SendError
from simulator.account import AccountSettings
from simulator.ledger import Taken
from simulator.patients import fictitious_number
from simulator.twilio_api import running_simulator
from tests.faults.conftest import Tally
from tests.faults.launch import LEASE
from tests.faults.node import LAUNCH, PATIENCE, FastTime, Node, write_configuration
from tests.faults.playing import NOWHERE, SENDER
from tests.faults.rows import Rows, read_server_rows
from tests.faults.senders import Hospital, Ledger, send_one
from tests.store.postgresql import NoServer, Server

_UNDER_WAY = ("due", "sending")
ACCOUNT, TOKEN = "AC" + "1f" * 16, "t0ken-t0ken"
PUBLIC = "https://sms.lamna.example"


@pytest.mark.faults("F22")
@pytest.mark.timeout(3600)
def test_one_of_two_nodes_dies(tally: Tally, tmp_path: Path, workers: int) -> None:
    try:
        server = Server()
    except (NoServer, OSError) as reason:
        pytest.skip(f"no PostgreSQL here: {reason}")
    try:
        _kill_by_turns(server, tally, tmp_path, workers)
    finally:
        server.stop()


def _kill_by_turns(server: Server, tally: Tally, folder: Path, workers: int) -> None:
    settings = AccountSettings(account_sid=ACCOUNT, auth_token=TOKEN, segments_per_second={SENDER: 1000})
    fast = FastTime()
    with running_simulator(settings, clock=fast.now, deliver_to=NOWHERE) as twilio:
        hospital, rng = Hospital(), random.Random(22)
        url = server.url("postgres")
        configuration = _configured(folder, hospital, url, twilio.url)

        def start() -> Node:
            environment = {**os.environ, LEASE: "60"}  # two seconds of the machine
            more = fast.options()
            return Node(
                configuration,
                roles="listener,dispatcher",
                more=more,
                environment=environment,
                program=LAUNCH,
                workers=workers,
            )

        nodes = [start(), start()]
        for number in tally.rounds_with(workers):
            asyncio.run(_send_and_kill(nodes, number % 2, hospital, rng.uniform(0.05, 0.5)))
            assert hospital.ledger.refused == {}
            assert hospital.ledger.acknowledged - _rows(url).complete == set()
            nodes[number % 2] = start()
        rows = _settled(url)
        assert [node.stop() for node in nodes] == [0, 0]
        _check(hospital.ledger, rows, twilio.ledger.accepted, tally)


def _check(ledger: Ledger, rows: Rows, accepted: Sequence[Taken], tally: Tally) -> None:
    """The hospital's ledger says which texts there should be, the simulated Twilio's which there were."""
    assert rows.complete == ledger.sent.keys() == ledger.acknowledged
    assert set(rows.revisions.values()) == {1}
    wanted = Counter(fictitious_number(int(own[1:])) for own in ledger.sent)
    got = Counter(taken.to for taken in accepted)
    assert got - wanted == Counter(), "a text left twice"
    assert max(Counter(taken.marker for taken in accepted).values()) == 1, "a text left twice"
    assert rows.confirmations.keys() <= {"accepted", "sent", "delivered", "unknown"}
    missing = (wanted - got).total()
    assert missing <= rows.confirmations["unknown"], "a text is lost and not reported"
    tally.seen.update({
        "acknowledged": len(ledger.acknowledged), "lost": 0, "texts in the ledger": len(accepted), "doubled": 0,
        "not sent and reported as unknown": missing,
    })  # fmt: skip


def _configured(folder: Path, hospital: Hospital, url: str, api: str) -> Path:
    token = folder / "twilio.token"
    token.write_text(f"{TOKEN}\n")
    token.chmod(0o400)
    account = {"account_sid": ACCOUNT, "auth_token_file": token.name, "api_base_url": api, "public_url": PUBLIC}
    gateway = {"kind": "twilio", "twilio": account}
    return write_configuration(folder, [hospital.identity.certificate], url=url, gateway=gateway)


def _rows(url: str) -> Rows:
    return read_server_rows(url.replace("postgresql+psycopg://", "postgresql://"))


def _settled(url: str) -> Rows:
    """When no text waits or is under way any more; those of unknown fate stay so, and are counted."""
    left, begun = -1, time.monotonic()
    while time.monotonic() - begun < PATIENCE:
        rows = _rows(url)
        now = sum(rows.confirmations[state] for state in _UNDER_WAY)
        if now == 0:
            return rows
        if now != left:
            left, begun = now, time.monotonic()
        time.sleep(0.2)
    raise AssertionError("texts still wait although a node lives")


async def _send_and_kill(nodes: list[Node], victim: int, hospital: Hospital, after: float) -> None:
    """Four senders, two to each node; who loses its node goes to the other one, as behind a load balancer."""
    ledger, over = hospital.ledger, asyncio.Event()

    async def sender(number: int) -> None:
        client: MllpClient | None = None
        while not over.is_set():
            control_id = hospital.write(len(ledger.sent))
            while control_id not in ledger.answers:
                try:
                    client = client or await MllpClient.connect("127.0.0.1", nodes[number % 2].port)
                    await send_one(client, ledger, control_id)
                except SendError:
                    if client is not None:
                        client.abort()
                    client, number = None, number + 1
        if client is not None:
            await client.close()

    async def kill() -> None:
        await asyncio.sleep(after)
        nodes[victim].kill()
        survived = len(ledger.answers)
        while len(ledger.answers) < survived + 20:  # noqa: ASYNC110 (the other node goes on; a ledger has no event)
            await asyncio.sleep(0.01)
        over.set()

    async with asyncio.TaskGroup() as tasks:
        for number in range(4):
            tasks.create_task(sender(number))
        tasks.create_task(kill())
