"""The EHR's application answers later, on our listener: once, verified like every message, and no text follows from it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import chain, repeat
from pathlib import Path
from typing import Any, Final

import pytest

from carebell.ids import ControlIds
from carebell.inquiries.writebacks import explained_one
from carebell.maintenance.alarm_conditions import BLOCKED_AFTER, blocked_writebacks
from scheduler.writeback import WritebackChannel, WritebackEvent, WritebackIntent, WritebackState
from simulator.inbound import EngineAct, InboundEngine, later_answer
from store import outbox, writeback_rows, writebacks
from store.tables import writebacks as table
from store.writeback_rows import WritebackRow
from tests.story.clinic import BY_HAND, Ack, Clinic, opened
from tests.story.ehr import signed
from tests.story.folder import CLOCK, make, sign

QUICK: Final = replace(BY_HAND, dispatch=0.02)
ACKNOWLEDGED, REFUSED = WritebackState.ACKNOWLEDGED, WritebackState.REFUSED


@dataclass(slots=True, kw_only=True)
class Hospital:
    clinic: Clinic
    engine: InboundEngine

    def tell(self, *, lasts: timedelta = timedelta(days=1)) -> str:
        """Add what goes back of the one visit; its id."""
        now = self.clinic.clock.now()
        store = self.clinic.service.store
        with store.write() as conn:
            [owner] = outbox.ids_of(conn, "900100")
            intent = WritebackIntent(
                environment="production", appointment=owner, event=WritebackEvent.CONFIRMED, event_seq=None,
                channel=WritebackChannel.HL7, facts={}, expires_at=now + lasts, not_before=now,
            )  # fmt: skip
            own_id = writebacks.add(conn, intent, ids=ControlIds(), now=now)
        assert own_id is not None
        return own_id

    def row(self, own_id: str) -> WritebackRow:
        with self.clinic.service.store.read() as conn:
            row = writeback_rows.by_id(conn, own_id)
        assert row is not None
        return row

    def decision(self, own_id: str) -> tuple[WritebackState, str | None, str | None]:
        row = self.row(own_id)
        return row.state, row.answer, row.err3

    async def until(self, own_id: str, state: WritebackState) -> None:
        await self.clinic.until(lambda: self.row(own_id).state is state)

    def words(self, own_id: str) -> str:
        with self.clinic.service.store.read() as conn:
            shown = explained_one(conn, self.clinic.service.loaded, own_id)
        assert shown is not None
        return shown.why

    def answer(self, code: str, control_id: str, *, at: int = -1) -> bytes:
        """The application's answer to what arrived at the engine, unsigned."""
        return later_answer(self.engine.contents[at], code, self.clinic.clock.now(), control_id=control_id)

    async def answers(self, code: str, control_id: str) -> Ack:
        [ack] = await self.clinic.send(sign(self.answer(code, control_id)))
        return ack


@asynccontextmanager
async def hospital(folder: Path, script: Sequence[EngineAct] = (), **hl7: Any) -> AsyncIterator[Hospital]:
    """A clinic with one visit, whose engine answers CA; `hl7`: further settings of it."""
    engine = InboundEngine(script=chain(script, repeat(EngineAct.CA)))
    settings = {
        "host": "127.0.0.1", "port": await engine.start(), "sending_application": "APPTSMS", "sending_facility": "LAMNA",
        "receiving_application": "EPIC", "receiving_facility": "LAMNA", "ack": "enhanced", "application_ack": "always",
    }  # fmt: skip
    production = {"writeback": {"events": {"confirmed": "hl7"}, "hl7": settings | hl7}}
    changes = {"log": {"level": "debug"}, "environments": {"production": production}}
    async with opened(make(folder / "clinic", changes), at=CLOCK + timedelta(hours=12), pace=QUICK) as clinic:
        engine.now = clinic.clock.now
        now = clinic.clock.now()
        await clinic.send(signed("S12", "C1", sent=now, start=now + timedelta(days=9)))
        yield Hospital(clinic=clinic, engine=engine)
    await engine.stop()


async def test_it_is_asked_for_taken_once_and_plans_nothing(tmp_path: Path) -> None:
    async with hospital(tmp_path) as ehr:
        own_id = ehr.tell()
        await ehr.until(own_id, ACKNOWLEDGED)
        assert ehr.engine.contents[0].split(b"\r")[0].split(b"|")[14:16] == [b"AL", b"AL"]
        assert ehr.decision(own_id) == (ACKNOWLEDGED, "CA", None)
        assert ehr.words(own_id) == "The EHR stored it (CA). Its application has not answered yet."
        settled_at, texts, feed = ehr.row(own_id).final_at, ehr.clinic.outbox(), _last_received(ehr)

        ehr.clinic.clock.move_to(ehr.clinic.clock.now() + timedelta(minutes=3))
        answer = sign(ehr.answer("AA", "R1"))
        acks = await ehr.clinic.send(answer, answer, sign(ehr.answer("AA", "R2")), sign(ehr.answer("AE", "R3")))
        assert [(ack.code, ack.control_id, ack.failure) for ack in acks] == [
            ("CA", control_id, "-") for control_id in ("R1", "R1", "R2", "R3")
        ]
        assert ehr.decision(own_id) == (ACKNOWLEDGED, "AA", None)
        assert ehr.row(own_id).final_at != settled_at
        assert ehr.words(own_id) == "The EHR took it (AA)."
        assert len(ehr.clinic.events("writeback_processed")) == 1
        assert len(ehr.clinic.events("message_repeated")) == 1
        ignored = ehr.clinic.events("writeback_answer_ignored")
        assert [(line["writeback"], line["answer"], line["reason"]) for line in ignored] == [
            (own_id, "AA", "decided"), (own_id, "AE", "decided"),
        ]  # fmt: skip
        accepted = [line for line in ehr.clinic.events("message_accepted") if line["trigger"] == "ACK"]
        assert [(line["appointment"], line["effect"]) for line in accepted] == [
            ("900100", "stored"), ("900100", "ignored"), ("900100", "ignored"),
        ]  # fmt: skip
        assert {line["planned"] for line in accepted} == {0}
        assert [text[:2] for text in ehr.clinic.outbox()] == [text[:2] for text in texts]
        assert _last_received(ehr) == feed
        assert len(ehr.engine.messages) == 1


@pytest.mark.parametrize(("code", "err3"), [("AE", "204"), ("AR", "202")])
async def test_a_refusal_after_ca_is_one_as_at_once(tmp_path: Path, code: str, err3: str) -> None:
    async with hospital(tmp_path, ordering="strict") as ehr:
        own_id = ehr.tell()
        await ehr.until(own_id, ACKNOWLEDGED)
        assert (await ehr.answers(code, "R1")).code == "CA"
        assert ehr.decision(own_id) == (REFUSED, code, err3)
        assert ehr.words(own_id).endswith(f"({err3}).") or f"({err3})" in ehr.words(own_id)
        [line] = ehr.clinic.events("writeback_refused")
        assert (line["writeback"], line["answer"], line["err3"]) == (own_id, code, err3)
        assert len(ehr.clinic.events("writeback_blocked")) == 1
        service = ehr.clinic.service
        counted = service.metrics.writebacks.labels("production", "confirmed", "refused", err3)
        assert counted._value.get() == 1
        with service.store.read() as conn:
            later = ehr.clinic.clock.now() + BLOCKED_AFTER
            assert [alarm.alarm for alarm in blocked_writebacks(conn, service.loaded, later)] == ["writeback_blocked"]
        [again] = await ehr.clinic.send(sign(ehr.answer("AA", "R2")))
        assert again.code == "CA"
        assert ehr.decision(own_id) == (REFUSED, code, err3)


async def test_a_locked_record_that_is_said_later_is_refused_and_nobody_promises_another_try(tmp_path: Path) -> None:
    async with hospital(tmp_path) as ehr:
        own_id = ehr.tell()
        await ehr.until(own_id, ACKNOWLEDGED)
        await ehr.clinic.send(sign(ehr.answer("AE", "R1").replace(b"ERR|||204", b"ERR|||206")))
        assert ehr.decision(own_id) == (REFUSED, "AE", "206")
        assert ehr.words(own_id) == "The EHR says: application record locked (206)."


async def test_what_was_sent_again_by_a_person_has_its_own_answer(tmp_path: Path) -> None:
    async with hospital(tmp_path) as ehr:
        own_id = ehr.tell()
        await ehr.until(own_id, ACKNOWLEDGED)
        await ehr.answers("AE", "R1")
        now = ehr.clinic.clock.now()
        with ehr.clinic.service.store.write() as conn:
            assert writebacks.reopen(conn, own_id, now=now, expires_at=now + timedelta(hours=1))
        await ehr.until(own_id, ACKNOWLEDGED)
        await ehr.answers("AA", "R2")
        assert ehr.decision(own_id) == (ACKNOWLEDGED, "AA", None)
        assert ehr.row(own_id).code is None


async def test_nobody_else_can_answer(tmp_path: Path) -> None:
    async with hospital(tmp_path) as ehr:
        own_id = ehr.tell()
        await ehr.until(own_id, ACKNOWLEDGED)
        unsigned = ehr.answer("AE", "R1")
        of_test = unsigned.replace(b"|LAMNA|", b"|LAMNATST|").replace(b"|P|2.5.1", b"|T|2.5.1")
        forged = sign(ehr.answer("AA", "R2")).replace(b"MSA|AA", b"MSA|AE")
        wrong = [
            unsigned,
            forged,
            sign(unsigned, key="test-rsa2048", certificate="accept/09-test-rsa2048.cer"),
        ]
        acks = await ehr.clinic.send(*wrong)
        assert [(ack.code, ack.failure) for ack in acks] == [("CR", "SIG01"), ("CR", "SIG07"), ("CR", "SIG05")]
        [ack] = await ehr.clinic.send(
            sign(of_test, key="test-rsa2048", certificate="accept/09-test-rsa2048.cer"), environment="test"
        )
        assert (ack.code, ack.failure) == ("CR", "TYPE")
        assert ehr.decision(own_id) == (ACKNOWLEDGED, "CA", None)


async def test_an_answer_to_another_environment_changes_nothing(tmp_path: Path) -> None:
    async with hospital(tmp_path) as ehr:
        own_id = ehr.tell()
        await ehr.until(own_id, ACKNOWLEDGED)
        with ehr.clinic.service.store.write() as conn:
            conn.execute(table.update().values(environment="test"))
        assert (await ehr.answers("AE", "R1")).code == "CA"
        assert ehr.decision(own_id) == (ACKNOWLEDGED, "CA", None)
        [line] = ehr.clinic.events("writeback_answer_ignored")
        assert (line["environment"], line["writeback"], line["reason"]) == ("production", own_id, "unknown")


@pytest.mark.parametrize("answered", ["01KCC5OK00H2QF7M1R9T", "4711", ""])
async def test_an_answer_to_nothing_of_ours_changes_nothing(tmp_path: Path, answered: str) -> None:
    async with hospital(tmp_path) as ehr:
        own_id = ehr.tell()
        await ehr.until(own_id, ACKNOWLEDGED)
        content = ehr.answer("AE", "R1").replace(own_id.encode(), answered.encode())
        [ack] = await ehr.clinic.send(sign(content))
        assert ack.code == "CA"
        assert ehr.decision(own_id) == (ACKNOWLEDGED, "CA", None)
        [line] = ehr.clinic.events("writeback_answer_ignored")
        assert line["reason"] == "unknown"
        assert line.get("writeback") == (answered if len(answered) == 20 else None)


async def test_one_that_comes_before_ca_counts(tmp_path: Path) -> None:
    async with hospital(tmp_path, [EngineAct.AE_FIRST]) as ehr:

        async def bring(content: bytes) -> None:
            await ehr.clinic.send(sign(content))

        ehr.engine.bring_later = bring
        own_id = ehr.tell()
        await ehr.until(own_id, REFUSED)
        await ehr.clinic.until(lambda: bool(ehr.engine.answers))
        await ehr.clinic.service.stop()
        assert ehr.decision(own_id) == (REFUSED, "AE", "204")
        assert ehr.clinic.events("writeback_acknowledged") == []


async def test_one_whose_ca_was_lost_is_not_sent_again(tmp_path: Path) -> None:
    async with hospital(tmp_path, [EngineAct.RESET]) as ehr:
        own_id = ehr.tell()
        await ehr.clinic.until(lambda: bool(ehr.clinic.events("writeback_retried")))
        assert (await ehr.answers("AA", "R1")).code == "CA"
        assert ehr.decision(own_id) == (ACKNOWLEDGED, "AA", None)
        assert len(ehr.clinic.events("writeback_acknowledged")) == 1
        ehr.clinic.clock.move_to(ehr.clinic.clock.now() + timedelta(hours=1))
        next_id = ehr.tell()
        await ehr.until(next_id, ACKNOWLEDGED)
        assert [message.control_id for message in ehr.engine.messages] == [own_id, next_id]


async def test_one_that_was_given_up_has_arrived_after_all(tmp_path: Path) -> None:
    async with hospital(tmp_path, [EngineAct.RESET]) as ehr:
        own_id = ehr.tell(lasts=timedelta(milliseconds=1))
        await ehr.clinic.until(lambda: bool(ehr.clinic.events("writeback_retried")))
        ehr.clinic.clock.move_to(ehr.clinic.clock.now() + timedelta(hours=1))
        await ehr.until(own_id, WritebackState.EXPIRED)
        await ehr.answers("AA", "R1")
        assert ehr.decision(own_id) == (ACKNOWLEDGED, "AA", None)


@pytest.mark.parametrize(
    ("changed", "failure"),
    [
        ((b"MSA|AA", b"MSA|CA"), "VALUE"),
        ((b"MSA|AA", b"NTE|AA"), "FIELD"),
        ((b"|R1|", b"||"), "SIG10"),
    ],
)
async def test_one_that_says_nothing_usable_is_refused(
    tmp_path: Path, changed: tuple[bytes, bytes], failure: str
) -> None:
    async with hospital(tmp_path) as ehr:
        own_id = ehr.tell()
        await ehr.until(own_id, ACKNOWLEDGED)
        [ack] = await ehr.clinic.send(sign(ehr.answer("AA", "R1").replace(*changed)))
        assert (ack.code[0], ack.failure) == ("C", failure)
        assert ehr.decision(own_id) == (ACKNOWLEDGED, "CA", None)


async def test_without_enhanced_mode_there_is_nothing_to_answer(tmp_path: Path) -> None:
    async with hospital(tmp_path, [EngineAct.AA], ack="original", application_ack="never") as ehr:
        own_id = ehr.tell()
        await ehr.until(own_id, ACKNOWLEDGED)
        ack = await ehr.answers("AE", "R1")
        assert (ack.code, ack.failure) == ("CR", "TYPE")
        assert ehr.decision(own_id) == (ACKNOWLEDGED, "AA", None)


def _last_received(ehr: Hospital) -> object:
    with ehr.clinic.service.store.read() as conn:
        return outbox.last_received(conn, "production")
