"""P21 to P24 and P26: what goes back to the EHR arrives once per state and in order, or is reported, whatever the EHR does.

The engine's own ledger says what arrived; it knows nothing of Carebell's tables.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import signal
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import func, select

from carebell.maintenance.alarm_conditions import BLOCKED_AFTER, blocked_writebacks
from scheduler.writeback import WritebackEvent, WritebackState
from simulator.inbound import ANSWERS_LATER, EngineAct, EngineMessage
from store.tables import writebacks
from tests.carebell.pieces import pieces
from tests.carebell.pocket_twilio import PocketTwilio
from tests.carebell.writeback.bench import Bench, bench
from tests.faults.conftest import Tally
from tests.store.samples import NOW
from tests.story.ehr import unsigned

ROOT: Final = Path(__file__).parents[2]
EVENTS: Final = (WritebackEvent.CONFIRMED, WritebackEvent.CANNOT_COME)
_EACH_VISIT: Final = 4


def _held(made: Bench, owners: Mapping[str, str], messages: list[EngineMessage]) -> int:
    """Each id had one content and was acted upon once, in the order of its visit, or was refused. Return how many came again."""
    contents, acted = defaultdict(set), defaultdict(list)
    for message in messages:
        contents[message.control_id].add(message.digest)
        if message.taken:
            acted[owners[message.control_id]].append(message.control_id)
    assert all(len(digests) == 1 for digests in contents.values())
    taken = [own_id for ids in acted.values() for own_id in ids]
    assert len(set(taken)) == len(taken)
    for ids in acted.values():
        assert ids == sorted(ids)
    rows = {row.id: row for row in made.rows()}
    assert set(rows) == set(owners)
    for own_id, row in rows.items():
        if row.state is WritebackState.ACKNOWLEDGED:
            assert own_id in taken
        else:
            assert row.state is WritebackState.REFUSED
            assert any(message.control_id == own_id and message.act is EngineAct.AE for message in messages)
    return len(messages) - len(contents)


@pytest.mark.faults("P21")
async def test_an_ehr_that_answers_wrong_late_or_not_at_all(tally: Tally, tmp_path: Path) -> None:
    rng = random.Random(21)
    wrong = [act for act in EngineAct if act is not EngineAct.AA and act not in ANSWERS_LATER]

    def script() -> Iterator[EngineAct]:
        while True:
            yield EngineAct.AA if rng.random() < 0.5 else rng.choice(wrong)

    async with bench(tmp_path, script(), connections=2) as made:
        owners: dict[str, str] = {}
        visits: list[str] = []
        for number in tally.rounds():
            if number % _EACH_VISIT == 0:
                visits = made.visits(1)
            owners[made.add(visits[0], rng.choice(EVENTS))] = visits[0]
            if number % 20 == 19:
                await made.until_settled()
        await made.until_settled()
        tally.seen["came again, known by its id"] += _held(made, owners, made.engine.messages)
        tally.seen["refused"] += sum(row.state is WritebackState.REFUSED for row in made.rows())


def _killer(running: list[asyncio.subprocess.Process], left: Iterator[int]) -> Callable[[EngineMessage], None]:
    """Kills the process when so many messages have come, before the answer to the last one."""

    def kill(_: EngineMessage) -> None:
        if next(left) == 1 and running[0].returncode is None:
            running[0].send_signal(signal.SIGKILL)

    return kill


@pytest.mark.faults("P22")
async def test_a_killed_sender_loses_nothing(tally: Tally, tmp_path: Path) -> None:
    rng, at = random.Random(22), itertools.count(1)
    async with bench(tmp_path) as made:
        port = made.loaded.configuration.environments["prod"].writeback.hl7
        assert port is not None
        owners: dict[str, str] = {}
        for number in tally.rounds():
            for owner in made.visits(3):
                for event in EVENTS:
                    owners[made.add(owner, event)] = owner
            running: list[asyncio.subprocess.Process] = []
            left = itertools.count(rng.randrange(1, 5), -1)
            made.engine.on_message = _killer(running, left)
            for patience in ("killed", "whole"):
                instant = NOW + timedelta(minutes=5) * next(at)
                process = await asyncio.create_subprocess_exec(
                    sys.executable, "-m", "tests.faults.writeback_node",
                    str(tmp_path), str(port.port), f"{patience}{number}", instant.isoformat(), cwd=ROOT,
                )  # fmt: skip
                running[:] = [process]
                ended = await process.wait()
                assert ended == (-signal.SIGKILL if patience == "killed" else 0)
            made.clock.move_to(NOW + timedelta(minutes=5) * next(at))
        tally.seen["came again, known by its id"] += _held(made, owners, made.engine.messages)


@pytest.mark.faults("P23")
@pytest.mark.parametrize("ordering", ["appointment", "strict"])
async def test_a_message_that_is_never_taken_stops_no_other_visit(tally: Tally, tmp_path: Path, ordering: str) -> None:
    async with bench(tmp_path, ordering=ordering) as made:
        owners = made.visits(tally.fault.rounds + 1)
        poison = made.add(owners[0])
        behind = made.add(owners[0], WritebackEvent.CANNOT_COME)
        made.engine.always[poison] = EngineAct.LOCKED
        others = [made.add(owners[number + 1]) for number in tally.rounds()]
        for _ in range(4):
            await made.turn()
            made.clock.move_to(made.clock.now() + BLOCKED_AFTER)
        acted = [message.control_id for message in made.engine.acted_upon()]
        with made.store.read() as conn:
            alarms = [raised.alarm for raised in blocked_writebacks(conn, made.loaded, made.clock.now())]
        assert behind not in acted
        if ordering == "strict":
            assert (acted, alarms) == ([], ["writeback_blocked"])
            tally.seen["alarms"] += 1
        else:
            assert (sorted(acted), alarms) == (sorted(others), [])
            tally.seen["went on"] += len(acted)


@pytest.mark.faults("P24")
def test_what_the_ehr_sends_back_plans_nothing(tally: Tally, tmp_path: Path) -> None:
    at = datetime(2026, 3, 2, 18, 0, tzinfo=UTC)
    twilio = PocketTwilio(now=lambda: at)
    rng = random.Random(24)
    with pieces(tmp_path / "clinic", at=at, gateway=twilio, sms={"reminders": [{"before": "24h"}]}) as service:
        twilio.now = service.clock.now
        start = at + timedelta(days=9)
        service.hear(unsigned("S12", "booked", sent=at, start=start, reference="A1"))
        service.step(timedelta(minutes=5))
        service.tick()
        before = service.texts()
        for number in tally.rounds():
            service.step(timedelta(minutes=1))
            status, sent = rng.choice(("Confirmed", "")), service.now
            echo = unsigned("S14", f"echo{number}", sent=sent, start=start, reference="A1", status=status)
            reason = rng.choice(
                ("CONFIRMED^Patient confirmed by SMS^L", "DECLINED^Patient cannot come^L", "PT_CONNECTED^x^L")
            )
            [heard] = service.hear(echo.replace(b"ROUTINE^|", b"%s|" % reason.encode()))
            assert heard is not None
        service.step(timedelta(minutes=5))
        service.tick()
        planned = [text for text in service.texts() if text not in before]
        assert {text[1:] for text in planned} <= {("suppressed", "no_visible_change")}
        with service.store.read() as conn:
            assert conn.execute(select(func.count()).select_from(writebacks)).scalar_one() == 0
        service.step(to=start - timedelta(hours=23))
        reminders = [kind for kind, *_ in service.texts() if kind == "reminder"]
        assert len(reminders) == 1
        tally.seen["no visible change"] += len(planned)


@pytest.mark.faults("P26")
async def test_an_ehr_that_is_away_for_a_day(tally: Tally, tmp_path: Path) -> None:
    rng, day = random.Random(26), timedelta(hours=24)
    async with bench(tmp_path, itertools.repeat(EngineAct.BEFORE)) as made:
        owners: dict[str, str] = {}
        short: set[str] = set()
        visits = made.visits(10)
        begins = made.clock.now()
        for number in tally.rounds():
            owner = rng.choice(visits)
            is_short = rng.random() < 0.3
            own_id = made.add(owner, rng.choice(EVENTS), lasts=timedelta(hours=1) if is_short else timedelta(days=3))
            owners[own_id] = owner
            short |= {own_id} if is_short else set()
            made.clock.move_to(begins + day * (number + 1) / tally.fault.rounds)
            await made.turn()
        made.clock.move_to(begins + day + timedelta(hours=2))
        await made.turn()
        while_away = len(made.engine.messages)
        made.engine.script = itertools.repeat(EngineAct.AA)
        made.clock.move_to(made.clock.now() + timedelta(minutes=2))
        await made.until_settled()
        states = {row.id: row.state for row in made.rows()}
        assert {own_id for own_id, state in states.items() if state is WritebackState.EXPIRED} == short
        assert {state for own_id, state in states.items() if own_id not in short} == {WritebackState.ACKNOWLEDGED}
        assert made.events().count("writeback_expired") == len(short)
        acted = defaultdict(list)
        for message in made.engine.acted_upon():
            acted[owners[message.control_id]].append(message.control_id)
        assert all(ids == sorted(ids) for ids in acted.values())
        # one probe a minute at most, once the breaker is open
        assert while_away <= 2 * tally.fault.rounds + 10
        tally.seen["attempts while away"] += while_away
        tally.seen["given up by name"] += len(short)
        tally.seen["arrived afterwards"] += len(states) - len(short)
