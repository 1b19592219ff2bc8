"""F15: half-open, slow and stuck peers: a good one beside them is answered, and when they are gone nothing of them is held."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest
from ruamel.yaml import YAML

from listener.client import MllpClient, SendError
from listener.framing import frame
from tests.faults.bad_peers import NEVER_WHOLE, OWED, Manner, proxies
from tests.faults.conftest import Tally
from tests.faults.node import PATIENCE, Node, write_configuration
from tests.faults.rows import read_rows
from tests.faults.senders import Hospital, send_one

AT_ONCE: Final = 50
_LONG: Final = b"|".join(b"%s" % (name * 200) for name in (b"A", b"B", b"C", b"D"))
FLOOD: Final = frame(b"MSH|^~\\&|%b|20260302||SIU^S12|%b|P|2.5.1\r" % (_LONG, b"E" * 190)) * 1500
"""Of a stuck peer: each block is refused with an answer of about its own length, 1.7 MB in all, and the peer reads none of it."""
PATIENT: Final[Mapping[str, object]] = {"frame_timeout": "5s", "write_timeout": "3s", "idle_timeout": "5s"}


@dataclass(slots=True)
class Wave:
    """What became of some bad peers and the good one beside them.

    Attributes:
        sent: control id -> the manner it was sent in. answered: those whose sender read AA.
        good: answers that the good peer read. missed: messages of it that had none. slowest: of its answers, seconds.
        held: sockets of bad peers that the service did not let go of.
    """

    sent: dict[str, Manner] = field(default_factory=dict)
    answered: set[str] = field(default_factory=set)
    good: int = 0
    missed: int = 0
    slowest: float = 0.0
    held: int = 0


@pytest.mark.faults("F15")
@pytest.mark.timeout(3600)
def test_bad_peers_hold_nobody_and_nothing(tally: Tally, tmp_path: Path) -> None:
    hospital, count, slowest = Hospital(), tally.fault.rounds, 0.0
    node = Node(configured(tmp_path, hospital, PATIENT))
    for first in range(0, count, AT_ONCE):
        wave = asyncio.run(one_wave(node, hospital, manners(min(AT_ONCE, count - first)), PATIENCE))
        assert (wave.held, wave.missed) == (0, 0)
        owed = {own for own, manner in wave.sent.items() if manner in OWED}
        assert owed <= wave.answered
        rows = read_rows(tmp_path / "data")
        assert hospital.ledger.acknowledged - rows.complete == set()
        assert rows.remembered == rows.complete
        assert {wave.sent[own] for own in rows.remembered & wave.sent.keys()} & NEVER_WHOLE == set()
        slowest = max(slowest, wave.slowest)
        tally.seen.update({"answered as owed": len(owed), "good answers": wave.good, "good ones missed": wave.missed})
        tally.progress(first + len(wave.sent), count)
    assert node.stop() == 0
    log = [json.loads(line) for line in (tmp_path / "carebell.log").read_text("utf-8").splitlines()]
    assert {line["level"] for line in log} <= {"info", "warning"}
    ends = {line.get("reason") for line in log}
    assert {"frame_timeout", "idle_timeout", "write_timeout", "cut_off"} <= ends, (
        "a manner was not as bad as it should be"
    )
    tally.seen.update({"sockets held": 0, "slowest good answer, ms": round(slowest * 1000)})


@pytest.mark.faults("F15", proof=True)
@pytest.mark.timeout(3600)
def test_the_harness_sees_what_a_listener_without_limits_holds(tally: Tally, tmp_path: Path) -> None:
    """Against time-outs of an hour and few connections: those of the rude stay, and the good peer finds no room."""
    hospital, stay = Hospital(), [Manner.GONE, Manner.UNFINISHED, Manner.TRICKLING, Manner.STUCK]
    limits = {"frame_timeout": "1h", "write_timeout": "1h", "idle_timeout": None, "max_connections": len(stay) * 3}
    node = Node(configured(tmp_path, hospital, limits))
    wave = asyncio.run(one_wave(node, hospital, stay * 3, 4.0))
    tally.seen.update({"held without time-outs": wave.held, "good ones missed without room": wave.missed})
    assert wave.held > 0
    assert wave.missed > 0


def configured(folder: Path, hospital: Hospital, limits: Mapping[str, object]) -> Path:
    path = write_configuration(folder, [hospital.identity.certificate])
    yaml = YAML(typ="safe")
    content = yaml.load(path)
    content["environments"]["production"]["listener"] |= limits
    yaml.dump(content, path)
    return path


def manners(count: int) -> list[Manner]:
    return [list(Manner)[number % len(Manner)] for number in range(count)]


async def one_wave(node: Node, hospital: Hospital, wanted: Sequence[Manner], patience: float) -> Wave:
    """The bad ones at once, a good one beside them, until the service has let go of the bad ones."""
    wave, over = Wave(), asyncio.Event()
    left: list[asyncio.StreamWriter] = []
    before = sockets(node)
    rude = [manner for manner in wanted if manner not in OWED]
    async with proxies(node.port) as doors:
        for manner in rude:
            left.append(await _rude_peer(doors.ports[manner], manner, hospital, wave))
        for _ in rude:
            await doors.reached.get()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_good_peer(node.port, hospital, wave, over))
            slow = (manner for manner in wanted if manner in OWED)
            await asyncio.gather(*(_slow_peer(doors.ports[manner], manner, hospital, wave) for manner in slow))
            while wave.good + wave.missed == 0:  # noqa: ASYNC110  # before its first answer the others were let in
                await asyncio.sleep(0.01)
            await _let_go(node, before + 1, patience)  # the good peer has one of its own
            over.set()
        wave.held = await _let_go(node, before, patience)
    for writer in left:
        writer.transport.abort()
    return wave


async def _let_go(node: Node, wanted: int, patience: float) -> int:
    """Wait until it has no more sockets than that; how many more it has at the end."""
    begun = time.monotonic()
    while (more := sockets(node) - wanted) > 0 and time.monotonic() - begun < patience:  # noqa: ASYNC110
        await asyncio.sleep(0.1)  # the kernel's count rings no bell
    return max(0, more)


def sockets(node: Node) -> int:
    """How many the service has open, by the kernel's word."""
    count = 0
    for descriptor in Path(f"/proc/{node.pid}/fd").iterdir():
        try:
            count += os.readlink(descriptor).startswith("socket:")
        except FileNotFoundError:
            continue  # closed meanwhile
    return count


async def _good_peer(port: int, hospital: Hospital, wave: Wave, over: asyncio.Event) -> None:
    """Sends and waits, on a new connection after every ten messages; a message without an answer is sent once more."""
    client: MllpClient | None = None
    while not over.is_set():
        begun, control_id = time.monotonic(), hospital.write(len(hospital.ledger.sent))
        for _ in range(2):
            try:
                client = client or await MllpClient.connect("127.0.0.1", port)
                await send_one(client, hospital.ledger, control_id)
                break
            except SendError:
                client = None
        if "AA" in hospital.ledger.answers.get(control_id, ()):
            wave.good += 1
        else:
            wave.missed += 1
        wave.slowest = max(wave.slowest, time.monotonic() - begun)
        if client is not None and wave.good % 10 == 0:
            await client.close()
            client = None
        await asyncio.sleep(0.05)
    if client is not None:
        await client.close()


async def _slow_peer(door: int, manner: Manner, hospital: Hospital, wave: Wave) -> None:
    """Send one message through the proxy, and wait for its answer."""
    control_id = hospital.write(len(hospital.ledger.sent))
    wave.sent[control_id] = manner
    client = await MllpClient.connect("127.0.0.1", door)
    if await send_one(client, hospital.ledger, control_id) == "AA":
        wave.answered.add(control_id)
    await client.close()


async def _rude_peer(door: int, manner: Manner, hospital: Hospital, wave: Wave) -> asyncio.StreamWriter:
    """Send one message, or a flood, through the proxy, and wait for nothing."""
    control_id = hospital.write(len(hospital.ledger.sent))
    wave.sent[control_id] = manner
    _, writer = await asyncio.open_connection("127.0.0.1", door)
    writer.write(FLOOD if manner is Manner.STUCK else frame(hospital.ledger.sent[control_id]))
    return writer
