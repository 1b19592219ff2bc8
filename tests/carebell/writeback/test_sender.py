"""carebell/writeback/sender.py: what goes back arrives at least once, with one id and the same bytes, in the order of its visit."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from carebell.maintenance.alarm_conditions import BLOCKED_AFTER, blocked_writebacks
from carebell.writeback.pacing import FAILURES, PROBE_EVERY
from certs.envelope import Signed, split
from config.model import WritebackSigning
from config.writeback_settings import Refusals
from scheduler.writeback import WritebackEvent, WritebackState
from simulator.inbound import EngineAct
from store import writebacks
from tests.carebell.pieces import identity
from tests.carebell.writeback.bench import Bench, bench, configured

ACKNOWLEDGED, REFUSED, EXPIRED, DUE = (
    WritebackState.ACKNOWLEDGED, WritebackState.REFUSED, WritebackState.EXPIRED, WritebackState.DUE,
)  # fmt: skip
UNANSWERED = [
    EngineAct.WRONG_ID, EngineAct.NONE, EngineAct.RESET, EngineAct.BEFORE, EngineAct.HALF, EngineAct.JUNK, EngineAct.HUGE,
]  # fmt: skip


async def test_a_confirmation_arrives_and_is_acknowledged(tmp_path: Path) -> None:
    async with bench(tmp_path) as made:
        [owner] = made.visits(1)
        own_id = made.add(owner)
        await made.turn()
        [message] = made.engine.messages
        [row] = made.rows()
        assert (message.control_id, message.appointment, message.trigger) == (own_id, "0", "SIU^S14^SIU_S12")
        assert (row.state, row.answer, row.attempts) == (ACKNOWLEDGED, "AA", 1)
        assert made.events() == ["writeback_sent", "writeback_acknowledged"]


@pytest.mark.parametrize("act", UNANSWERED, ids=[act.value for act in UNANSWERED])
async def test_without_an_answer_that_counts_the_same_bytes_are_sent_again(tmp_path: Path, act: EngineAct) -> None:
    async with bench(tmp_path, [act, act]) as made:
        [owner] = made.visits(1)
        own_id = made.add(owner)
        await made.until_settled()
        assert {message.control_id for message in made.engine.messages} == {own_id}
        assert len({message.digest for message in made.engine.messages}) == 1
        assert len(made.engine.messages) == 3
        assert len(made.engine.acted_upon()) == 1
        assert [row.state for row in made.rows()] == [ACKNOWLEDGED]
        assert made.events().count("writeback_retried") == 2


async def test_a_second_answer_ends_the_connection_and_harms_nobody(tmp_path: Path) -> None:
    async with bench(tmp_path, [EngineAct.DOUBLED] * 3) as made:
        for owner in made.visits(6):
            made.add(owner)
        await made.until_settled()
        assert {row.state for row in made.rows()} == {ACKNOWLEDGED}
        assert len(made.engine.acted_upon()) == 6


@pytest.mark.parametrize(
    ("act", "settings", "state"),
    [
        (EngineAct.AE, {}, REFUSED),
        (EngineAct.AR, {}, ACKNOWLEDGED),
        (EngineAct.LOCKED, {}, ACKNOWLEDGED),
        (EngineAct.AE, {"AE": "retry"}, ACKNOWLEDGED),
        (EngineAct.AR, {"AR": "refuse"}, REFUSED),
        (EngineAct.LOCKED, {"AE": "refuse"}, ACKNOWLEDGED),
    ],
)
async def test_a_negative_answer_means_what_is_configured(
    tmp_path: Path, act: EngineAct, settings: dict[str, Any], state: WritebackState
) -> None:
    async with bench(tmp_path, [act], on=Refusals(**settings)) as made:
        [owner] = made.visits(1)
        made.add(owner)
        await made.until_settled()
        assert [row.state for row in made.rows()] == [state]


async def test_a_refused_one_lets_the_next_of_its_visit_go(tmp_path: Path) -> None:
    async with bench(tmp_path, [EngineAct.AE]) as made:
        [owner] = made.visits(1)
        first, second = made.add(owner), made.add(owner, WritebackEvent.CANNOT_COME)
        await made.until_settled()
        assert [(row.id, row.state, row.err3) for row in made.rows()] == [
            (first, REFUSED, "204"), (second, ACKNOWLEDGED, None),
        ]  # fmt: skip


async def test_strict_stops_behind_a_refused_one_until_somebody_retries_it(tmp_path: Path) -> None:
    async with bench(tmp_path, [EngineAct.AE], ordering="strict") as made:
        first, second = (made.add(owner) for owner in made.visits(2))
        await made.turn()
        await made.turn()
        assert [row.state for row in made.rows()] == [REFUSED, DUE]
        assert "writeback_blocked" in made.events()
        assert _alarms(made) == []
        made.clock.move_to(made.clock.now() + BLOCKED_AFTER)
        assert _alarms(made) == ["writeback_blocked"]
        now = made.clock.now()
        with made.store.write() as conn:
            assert writebacks.reopen(conn, first, now=now, expires_at=now + timedelta(hours=1))
        await made.until_settled()
        assert [message.control_id for message in made.engine.acted_upon()] == [first, second]
        assert _alarms(made) == []


def _alarms(made: Bench) -> list[str]:
    with made.store.read() as conn:
        return [raised.alarm for raised in blocked_writebacks(conn, made.loaded, made.clock.now())]


async def test_what_nobody_takes_in_time_is_given_up_and_named(tmp_path: Path) -> None:
    async with bench(tmp_path, [EngineAct.BEFORE] * 100) as made:
        [owner] = made.visits(1)
        made.add(owner, lasts=timedelta(minutes=5))
        await made.until_settled()
        assert [row.state for row in made.rows()] == [EXPIRED]
        assert made.events()[-1] == "writeback_expired"


async def test_held_ones_wait_and_expire(tmp_path: Path) -> None:
    async with bench(tmp_path, hold=True) as made:
        owners = made.visits(2)
        made.add(owners[0], lasts=timedelta(minutes=5))
        made.add(owners[1])
        await made.turn()
        made.clock.move_to(made.clock.now() + timedelta(minutes=5))
        await made.turn()
        assert [row.state for row in made.rows()] == [EXPIRED, DUE]
        assert made.engine.messages == []


async def test_a_changed_map_does_not_change_what_was_sent_once(tmp_path: Path) -> None:
    async with bench(tmp_path, [EngineAct.RESET]) as made:
        [owner] = made.visits(1)
        made.add(owner)
        await made.turn()
        assert made.loaded.configuration.environments["prod"].writeback.hl7 is not None
        made.loaded = configured(
            tmp_path, made.loaded.configuration.environments["prod"].writeback.hl7.port, map="epic"
        )
        made.loaded.out_maps["prod"].messages["confirmed"].segments[0].fields["25"] = "Other"
        await made.until_settled()
        assert len(made.engine.messages) == 2
        assert len({message.digest for message in made.engine.messages}) == 1


async def test_a_visit_without_an_id_that_the_ehr_knows_is_refused_here(tmp_path: Path) -> None:
    async with bench(tmp_path) as made:
        [owner] = made.visits(1)
        made.loaded.out_maps["prod"].messages["confirmed"].segments[0].fields["2"] = ""
        made.add(owner)
        await made.turn()
        [row] = made.rows()
        assert (row.state, row.code, row.answer) == (REFUSED, "NO_VISIT_ID", None)
        assert made.engine.messages == []


async def test_an_engine_that_is_away_is_probed_and_not_stormed(tmp_path: Path) -> None:
    async with bench(tmp_path, [EngineAct.BEFORE] * (FAILURES + 2)) as made:
        for owner in made.visits(30):
            made.add(owner)
        await made.turn()
        assert len(made.engine.messages) == FAILURES
        assert made.sender.silent() == {"prod": FAILURES}
        await made.turn()
        assert len(made.engine.messages) == FAILURES
        for tried in (1, 2):
            made.clock.move_to(made.clock.now() + PROBE_EVERY)
            await made.turn()
            assert len(made.engine.messages) == FAILURES + tried
        made.clock.move_to(made.clock.now() + PROBE_EVERY)
        await made.until_settled()
        assert len(made.engine.acted_upon()) == 30
        assert made.sender.silent() == {}


async def test_another_nodes_target_is_left_to_it_until_its_lease_is_over(tmp_path: Path) -> None:
    async with bench(tmp_path) as made:
        owners = made.visits(2)
        made.add(owners[0])
        await made.turn()
        other = made.make_sender("other")
        made.add(owners[1])
        await made.turn(other)
        assert len(made.engine.messages) == 1
        made.clock.move_to(made.clock.now() + timedelta(minutes=2))
        await made.turn(other)
        await other.finish()
        assert len(made.engine.acted_upon()) == 2


async def test_a_message_under_way_at_the_end_is_due_again(tmp_path: Path) -> None:
    async with bench(tmp_path, [EngineAct.NONE], ack_timeout=timedelta(minutes=1)) as made:
        [owner] = made.visits(1)
        made.add(owner)
        arrived = asyncio.Event()
        made.engine.on_message = lambda _: arrived.set()
        await made.sender.tick()
        await arrived.wait()
        await made.sender.finish(grace=0.05)
        [row] = made.rows()
        assert (row.state, row.next_attempt_at) == (DUE, made.clock.now())
        made.sender = made.make_sender("n")
        await made.until_settled()
        assert len(made.engine.acted_upon()) == 1


async def test_signed_messages_can_be_verified_and_keep_their_signature(tmp_path: Path) -> None:
    keys = identity()
    (tmp_path / "k.pem").write_bytes(keys.key)
    (tmp_path / "k.cer").write_bytes(keys.certificate)
    signing = WritebackSigning(key=tmp_path / "k.pem", certificate=tmp_path / "k.cer")
    async with bench(tmp_path, [EngineAct.RESET], sign=True, signing=signing) as made:
        [owner] = made.visits(1)
        made.add(owner)
        await made.until_settled()
        first, again = made.engine.contents
        assert first == again
        signed = split(first)
        assert isinstance(signed, Signed)
        assert signed.payload.endswith(b"RGS|1\r")


async def test_a_key_that_cannot_be_read_waits_and_says_so(tmp_path: Path) -> None:
    missing = WritebackSigning(key=tmp_path / "k.pem", certificate=tmp_path / "k.cer")
    async with bench(tmp_path, sign=True, signing=missing) as made:
        [owner] = made.visits(1)
        made.add(owner)
        await made.turn()
        [row] = made.rows()
        assert (row.state, row.code) == (DUE, "SIGNING_KEY")
        assert made.engine.messages == []


async def test_no_line_of_the_log_holds_what_was_sent(tmp_path: Path) -> None:
    async with bench(tmp_path, [EngineAct.AE, EngineAct.RESET]) as made:
        for owner in made.visits(3):
            made.add(owner)
        await made.until_settled()
        log = made.log.read_text()
        assert "CONFIRMED" not in log
    assert made.metrics.registry.get_sample_value(
        "carebell_writebacks_total", {"environment": "prod", "event": "confirmed", "state": "refused", "code": "204"}
    ) == 1  # fmt: skip
