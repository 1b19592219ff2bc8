"""`trace`: why did this patient get no text? Each answer from what a service really stored and logged."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from carebell.inquiries.trace_steps import STEP_WORDS, TraceStep
from scheduler.reply import ReplyKind, ReplyReason
from store import outbox, patient_replies
from store.engine import open_store
from store.patient_replies import PatientReply
from tests.carebell.conftest import Carebell, Ended
from tests.story.clinic import Clinic, opened
from tests.story.ehr import signed, unsigned
from tests.story.folder import change

PATIENT: Final = "+12025550188"
KEYS: Final = ["time", "what", "environment", "appointment", "kind", "rule", "state", "reason", "code", "detail"]
Life = Callable[[Clinic, datetime], Awaitable[None]]
ALL_DAY: Final = {"quiet_hours": {"from": "00:00", "to": "00:01"}, "max_lateness": "24h"}


def _live(configuration: Path, life: Life, *, sms: dict[str, Any] | None = None, at: datetime | None = None) -> None:
    change(configuration, {"environments": {"production": {"sms": ALL_DAY | (sms or {})}}})
    now = at or datetime.now(UTC).replace(microsecond=0)

    async def live() -> None:
        async with opened(configuration, at=now) as clinic:
            await life(clinic, now)

    asyncio.run(live())


def _trace(carebell: Carebell, configuration: Path, *words: str, typed: str = "") -> Ended:
    ended = carebell("-c", configuration, "trace", *words, "--json", typed=typed)
    assert all(list(row) == KEYS for row in ended.rows)
    assert PATIENT[2:] not in ended.out + ended.err
    return ended


def _answer(ended: Ended) -> str:
    """The sentence for the one appointment."""
    [sentence] = [row["detail"] for row in ended.rows if row["what"] == "answer"]
    return str(sentence)


def _steps(ended: Ended, what: str) -> list[dict[str, Any]]:
    return [row for row in ended.rows if row["what"] == what]


async def _book(clinic: Clinic, now: datetime, reference: str = "A1", control_id: str = "C1", days: int = 18) -> None:
    visit = now + timedelta(days=days)
    await clinic.send(signed("S12", control_id, sent=now, start=visit, reference=reference, phone=PATIENT))


# The five questions


def test_opted_out(carebell: Carebell, configuration: Path) -> None:
    """A text that waits says so before its time, and one that was stopped says since when."""
    _live(configuration, _book)
    assert carebell("-c", configuration, "optout", "add", typed=f"{PATIENT}\n").code == 0
    waiting = _trace(carebell, configuration, "--appointment", "A1")
    assert waiting.code == 0
    assert "will not go: its number has opted out since " in _answer(waiting)
    assert {row["reason"] for row in _steps(waiting, "will_not_go")} == {"opted_out"}
    [out, *_] = _steps(waiting, "opted_out")
    assert (out["reason"], "recorded by staff" in out["detail"]) == ("cli", True)

    async def wait(clinic: Clinic, now: datetime) -> None:
        assert await clinic.pass_by(timedelta(minutes=2)) == []

    _live(configuration, wait)
    stopped = _trace(carebell, configuration, "--appointment", "A1")
    assert _answer(stopped).startswith("The booking text did not go: the number has opted out since ")
    [silence] = _steps(stopped, "not_sent")
    assert (silence["kind"], silence["reason"]) == ("booked", "opted_out")
    assert silence["detail"].startswith("opted_out: the number has opted out since ")


def test_quiet_hours(carebell: Carebell, configuration: Path) -> None:
    """Booked at 22:00 at the clinic: the confirmation waits until 08:00, and the trace says from when it was moved."""
    evening = datetime(2026, 3, 3, 6, 0, tzinfo=UTC)  # 22:00 in Los Angeles
    _live(configuration, _book, sms={"quiet_hours": {"from": "21:00", "to": "08:00"}}, at=evening)
    ended = _trace(carebell, configuration, "--appointment", "A1")
    moved = [row for row in _steps(ended, "moved") if row["kind"] == "booked"]
    assert [row["detail"] for row in moved] == ["from 2026-03-02 22:01 to 2026-03-03 08:00, quiet hours"]
    planned = [row for row in _steps(ended, "planned") if row["kind"] == "booked"]
    assert [row["detail"] for row in planned] == ["for 2026-03-03 08:00"]


def test_cap(carebell: Carebell, configuration: Path) -> None:
    """The cap says which one, and which texts used it up."""

    async def life(clinic: Clinic, now: datetime) -> None:
        for number in (1, 2):
            await _book(clinic, clinic.clock.now(), f"A{number}", f"C{number}", days=18 + number)
            await clinic.pass_by(timedelta(minutes=2))

    _live(configuration, life, sms={"caps": {"per_day": 1, "per_week": 5}})
    ended = _trace(carebell, configuration, "--appointment", "A2")
    sentence = _answer(ended)
    assert (
        "did not go: its number has had its 1 text in 24 hours (sms.caps.per_day); used up by booking of A1 20"
        in sentence
    )
    [silence] = _steps(ended, "not_sent")
    assert (silence["reason"], "used up by booking of A1" in silence["detail"]) == ("cap", True)


def test_a_cap_ahead(carebell: Carebell, configuration: Path) -> None:
    """A text that still waits names the texts that use its cap up, too: those that count when its time comes."""

    async def life(clinic: Clinic, now: datetime) -> None:
        await _book(clinic, now, "A1", "C1")
        await clinic.pass_by(timedelta(minutes=2))
        await _book(clinic, clinic.clock.now(), "A2", "C2", days=19)

    _live(configuration, life, sms={"caps": {"per_day": 1, "per_week": 5}})
    ended = _trace(carebell, configuration, "--appointment", "A2")
    why = "will not go: its number has had its 1 text in 24 hours (sms.caps.per_day); used up by booking of A1 20"
    assert why in _answer(ended)
    assert [(row["kind"], row["reason"], why in row["detail"]) for row in _steps(ended, "will_not_go")] == [
        ("booked", "cap", True)
    ]


def test_no_valid_number(carebell: Carebell, configuration: Path) -> None:
    async def life(clinic: Clinic, now: datetime) -> None:
        await clinic.send(
            signed("S12", "C1", sent=now, start=now + timedelta(days=18), reference="A1", phone="UNKNOWN")
        )
        await clinic.pass_by(timedelta(minutes=2))

    _live(configuration, life)
    ended = _trace(carebell, configuration, "--appointment", "A1")
    assert _answer(ended) == "The booking text did not go: the number is not usable."
    [message] = _steps(ended, "message")
    assert "the number cannot be used" in message["detail"]
    assert {row["reason"] for row in _steps(ended, "not_sent")} == {"invalid_phone"}


def test_refused_message(carebell: Carebell, configuration: Path) -> None:
    """A refused message names no appointment, so it is found by its control id; its later, good twin leads to the visit."""

    async def life(clinic: Clinic, now: datetime) -> None:
        visit = now + timedelta(days=18)
        await clinic.send(unsigned("S12", "R1", sent=now, start=visit, reference="A1", phone=PATIENT))

    _live(configuration, life)
    unknown = carebell("-c", configuration, "trace", "--appointment", "A1")
    assert (unknown.code, "carebell trace --control-id ID" in unknown.out) == (1, True)
    refused = _trace(carebell, configuration, "--control-id", "R1")
    assert _answer(refused) == (
        "Message R1 was refused, AR SIG01: nothing of it was stored, so no text was planned. The message is not signed. "
        "What to do: Add the signing step as the last step of the outbound interface, so that the last segment is ZSG."
    )
    [step] = _steps(refused, "refused")
    assert (step["state"], step["code"], step["environment"]) == ("AR", "SIG01", "production")

    async def again(clinic: Clinic, now: datetime) -> None:
        await _book(clinic, now, control_id="R1")

    _live(configuration, again, at=datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=2))
    both = _trace(carebell, configuration, "--control-id", "R1")
    assert [row["what"] for row in both.rows if row["what"] in ("refused", "message")] == ["refused", "message"]


def test_cancelled(carebell: Carebell, configuration: Path) -> None:
    async def life(clinic: Clinic, now: datetime) -> None:
        await _book(clinic, now)
        await clinic.pass_by(timedelta(minutes=2))
        visit = now + timedelta(days=18)
        sent = clinic.clock.now()
        await clinic.send(
            signed("S15", "C2", sent=sent, start=visit, reference="A1", phone=PATIENT, status="Cancelled")
        )
        await clinic.pass_by(timedelta(minutes=2))

    _live(configuration, life)
    ended = _trace(carebell, configuration, "--appointment", "A1")
    assert _answer(ended).startswith("The last text, cancellation, was delivered ")
    assert {row["reason"] for row in _steps(ended, "not_sent")} == {"canceled"}
    assert [row["kind"] for row in _steps(ended, "sent")] == ["booked", "canceled"]
    times = [row["time"] for row in ended.rows[:-1]]
    assert times == sorted(times)


# What else a life holds


def test_a_reminder_that_a_changed_configuration_took_away(carebell: Carebell, configuration: Path) -> None:
    """Nothing replaces it, and the one that came too late was not booked late: each says so, with the version that did it."""
    day_before, two_days = [{"before": "24h"}], [{"before": "48h"}]
    change(configuration, {"environments": {"production": {"sms": ALL_DAY | {"reminders": day_before}}, "test": None}})
    now = datetime.now(UTC).replace(microsecond=0)

    async def live() -> str:
        async with opened(configuration, at=now, reloads=True) as clinic:
            visit = now + timedelta(hours=60)
            await clinic.send(signed("S12", "C1", sent=now, start=visit, reference="A1", phone=PATIENT))
            await clinic.pass_by(timedelta(hours=20))
            change(configuration, {"environments": {"production": {"sms": {"reminders": two_days}}}})
            await clinic.until(lambda: bool(clinic.events("replanned")))
            return str(clinic.events("replanned")[0]["configuration"])

    version = asyncio.run(live())
    ended = _trace(carebell, configuration, "--appointment", "A1")
    assert {(step["rule"], step["reason"]): step["detail"] for step in _steps(ended, "not_sent")} == {
        ("24h", "no_rule"): "no_rule: the configuration has no such reminder for this visit any more "
        f"(version {version})",
        (
            "48h",
            "late_rule",
        ): f"late_rule: its time had passed when the configuration first asked for it (version {version})",
    }


def test_after_the_number_was_forgotten(carebell: Carebell, configuration: Path) -> None:
    async def life(clinic: Clinic, now: datetime) -> None:
        await _book(clinic, now, days=2)
        await clinic.pass_by(timedelta(days=2, minutes=1))

    _live(configuration, life)
    ended = _trace(carebell, configuration, "--appointment", "A1")
    assert ended.code == 0
    assert len(_steps(ended, "forgotten")) == 1
    assert {row["kind"] for row in _steps(ended, "sent")} == {"booked", "reminder"}


def test_a_hold_shows_in_every_life(carebell: Carebell, configuration: Path) -> None:
    _live(configuration, _book)
    carebell("-c", configuration, "hold", "--reason", "wrong template")
    ended = _trace(carebell, configuration, "--appointment", "A1")
    assert "on hold since" in _answer(ended)
    [held] = _steps(ended, "held")
    assert "wrong template" in held["detail"]
    carebell("-c", configuration, "release")
    assert [row["what"] for row in _trace(carebell, configuration, "--appointment", "A1").rows if row["what"] in (
        "held", "released")] == ["held", "released"]  # fmt: skip


def test_no_reason_and_no_id_moves_the_cursor_or_forges_a_line(carebell: Carebell, configuration: Path) -> None:
    _live(configuration, _book)
    carebell("-c", configuration, "hold", "--reason", "a\x1b[2Jb\nforged: all is well|0")
    for words in (
        ("trace", "--appointment", "A1"), ("trace", "--appointment", "A\x1b[2J"), ("trace", "--control-id", "A\x1b[2J"),
        ("outbox",), ("outbox", "--appointment", "A\x1b[2J"), ("status",), ("status", "--monitor"), ("audit",),
    ):  # fmt: skip
        ended = carebell("-c", configuration, *words)
        assert "\x1b" not in ended.out + ended.err, words
        assert "\nforged" not in ended.out, words


def test_by_number_from_a_prompt(carebell: Carebell, configuration: Path) -> None:
    async def life(clinic: Clinic, now: datetime) -> None:
        await _book(clinic, now, "A1", "C1")
        await _book(clinic, now, "A2", "C2", days=20)
        visit = now + timedelta(days=3)
        await clinic.send(signed("S12", "C3", sent=now, start=visit, reference="B1", phone="+12025550143"))

    _live(configuration, life)
    ended = _trace(carebell, configuration, "--phone", typed=f"{PATIENT}\n")
    assert {row["appointment"] for row in ended.rows} == {"A1", "A2"}
    as_written_at_home = _trace(carebell, configuration, "--phone", typed="(202) 555-0188\n")
    assert [row["appointment"] for row in as_written_at_home.rows] == [row["appointment"] for row in ended.rows]
    assert carebell("-c", configuration, "trace", "--phone", typed="0188\n").code == 2
    unknown = carebell("-c", configuration, "trace", "--phone", typed="+12025550199\n")
    assert (unknown.code, "no appointment keeps ***0199" in unknown.out.replace("\n", " ")) == (1, True)
    looks = carebell("-c", configuration, "audit", "--what", "trace", "--json").rows
    assert [row["subject"] for row in looks] == ["***0188", "***0188", "***0199"]


def test_a_number_that_opted_out_and_has_no_appointment(carebell: Carebell, configuration: Path) -> None:
    carebell("-c", configuration, "db", "upgrade")
    carebell("-c", configuration, "optout", "add", typed=f"{PATIENT}\n")
    ended = _trace(carebell, configuration, "--phone", typed=f"{PATIENT}\n")
    assert (ended.code, _answer(ended).startswith("***0188 has opted out since ")) == (0, True)


def test_a_number_or_name_in_the_place_of_an_id_is_not_recorded(carebell: Carebell, configuration: Path) -> None:
    _live(configuration, _book)
    for typed in (PATIENT, "DOE^JANE", "A1"):
        carebell("-c", configuration, "trace", "--appointment", typed)
        carebell("-c", configuration, "outbox", "--appointment", typed, "--state", "sent")
        carebell("-c", configuration, "appointments", "--appointment", typed)
        carebell("-c", configuration, "trace", "--control-id", typed.replace("A", "C"))
    looks = [
        row["subject"] for row in carebell("-c", configuration, "audit", "--json").rows if row["who"].startswith("cli:")
    ]
    unknown = ["an unknown id"] * 3 + ["message an unknown id"]
    assert looks == [*unknown, *unknown, "A1", "A1", "A1", "message C1"]


def test_a_look_by_number_needs_its_record(
    carebell: Carebell, configuration: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from store.faults import StoreFault

    def full(*_: object, **__: object) -> None:
        raise StoreFault("STORE_FULL")

    _live(configuration, _book)
    monkeypatch.setattr("store.audit.append", full)
    ended = carebell("-c", configuration, "trace", "--phone", typed=f"{PATIENT}\n")
    assert (ended.code, ended.out) == (75, "")
    assert carebell("-c", configuration, "trace", "--appointment", "A1").code == 0


def test_while_the_configuration_is_broken(carebell: Carebell, configuration: Path) -> None:
    _live(configuration, _book)
    configuration.write_text(configuration.read_text().replace("environments:", "enviroments:"))
    ended = carebell("-c", configuration, "trace", "--appointment", "A1")
    assert (ended.code, ended.out.startswith("A1 in production: The next text, booking, ")) == (0, True)
    assert "enviroments" in ended.err


def test_without_the_log_it_says_what_is_missing(carebell: Carebell, configuration: Path) -> None:
    async def life(clinic: Clinic, now: datetime) -> None:
        await _book(clinic, now)
        await clinic.pass_by(timedelta(minutes=2))

    _live(configuration, life)
    configuration.with_name("carebell.log").unlink()
    ended = _trace(carebell, configuration, "--appointment", "A1")
    assert [row["kind"] for row in _steps(ended, "sent")] == ["booked"]
    assert "delivered" in _answer(ended)
    said = carebell("-c", configuration, "trace", "--appointment", "A1").out.replace("\n", " ")
    assert "The log is not in a file here" in said
    by_id = _trace(carebell, configuration, "--control-id", "C1")
    assert [row["what"] for row in by_id.rows] == [row["what"] for row in ended.rows], "it leads to its appointment"
    [message] = _steps(by_id, "message")
    assert (message["state"], message["detail"]) == ("AA", "S12 C1, answered AA")


@pytest.mark.parametrize("columns", [60, 80])
def test_a_person_can_read_it(
    carebell: Carebell, configuration: Path, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def life(clinic: Clinic, now: datetime) -> None:
        await _book(clinic, now)
        await clinic.pass_by(timedelta(minutes=2))

    _live(configuration, life)
    monkeypatch.setenv("COLUMNS", str(columns))
    ended = carebell("-c", configuration, "trace", "--appointment", "A1")
    first, *rest = ended.out.splitlines()
    assert first.startswith("A1 in production: The last text, booking, was delivered ")
    assert "Times in America/Los_Angeles." in rest
    assert [line for line in rest if len(line) > columns and "next text" not in line] == []


@pytest.mark.parametrize("words", [(), ("--appointment", "A1", "--phone"), ("--phone", "--control-id", "C1")])
def test_one_question_at_a_time(carebell: Carebell, configuration: Path, words: tuple[str, ...]) -> None:
    ended = carebell("-c", configuration, "trace", *words)
    assert (ended.code, ended.sentence) == (2, "give one of --appointment ID, --control-id ID and --phone")


def test_every_step_has_its_word() -> None:
    assert set(STEP_WORDS) == set(TraceStep) - {TraceStep.ANSWER}


def test_what_the_patient_answered_stands_in_the_life(carebell: Carebell, configuration: Path) -> None:
    _live(configuration, _book)
    now = datetime.now(UTC).replace(microsecond=0)
    store = open_store(f"sqlite:///{configuration.with_name('carebell.db')}")
    with store.write() as conn:
        [own_id] = outbox.ids_of(conn, "A1")
        for number, (kind, reason) in enumerate([("unknown", ReplyReason.NO_WORD), ("confirm", None)]):
            reply = PatientReply(
                id=f"r{number}",
                environment="production",
                appointment=own_id,
                revision=1,
                question=None,
                kind=ReplyKind(kind),
                reason=reason,
                at=now + timedelta(seconds=number),
            )
            assert patient_replies.add(conn, reply, f"key {number}")
    store.close()
    traced = _trace(carebell, configuration, "--appointment", "A1")
    assert [(row["state"], row["reason"], row["detail"]) for row in _steps(traced, "reply")] == [
        (
            "unknown",
            "no_word",
            "the patient wrote something; it changed nothing (no_word): it is no word of sms.replies.words",
        ),
        ("confirm", None, "the patient confirmed (C)"),
    ]
    assert " The patient confirmed (C) " in _answer(traced)
