"""P20: every word, with no, one or two questions open, opted out or not, the visit moved in between, doubled, late.

What must come of a reply is said by `expected`, which shares no code with the product: no judging, no words, no numbers.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Literal

import pytest
from sqlalchemy import select

from notifier.reply_words import read_reply_words
from notifier.twilio.webhooks import SignedForm, read_inbound
from notifier.webhook import Unreadable
from parser.phone_number import PhoneNumber
from scheduler.reply import Judged, Meaning, judge
from scheduler.writeback import WritebackChannel, WritebackEvent, WritebackPolicy
from simulator.patients import fictitious_number
from store import optouts, writeback_rows
from store.questions import AskedQuestion
from store.tables import appointments, outbox, patient_replies
from tests.carebell.pieces import Pieces, pieces
from tests.carebell.pocket_twilio import PocketTwilio
from tests.faults.conftest import Tally
from tests.faults.playing import SENDER
from tests.store.postgresql import NoServer, Server
from tests.story.ehr import unsigned
from tests.story.folder import Changes

AT: Final = datetime(2026, 3, 2, 18, 0, tzinfo=UTC)
VISIT: Final = AT + timedelta(days=2)
AT_ONCE: Final = 200
"""Stories in one database; each has a telephone of its own."""

Meant = tuple[str, int | None]
WORDS: Final = read_reply_words()
SAID: Final[dict[str, Meant]] = {
    **dict.fromkeys(("C", "c", " Confirm. ", "Y", "1", "CONFIRMAR", "SI", "sí", "👍", "👍🏿", "C!"), ("confirm", None)),
    **dict.fromkeys(("N", "no", "2", "No."), ("cannot_come", None)),
    **dict.fromkeys(("R", "Call", "LLAMAR", "3"), ("call_me", None)),
    "C1": ("confirm", 1), "c 2": ("confirm", 2), "Confirm2": ("confirm", 2), "N1": ("cannot_come", 1),
    "N-2": ("cannot_come", 2), "R2": ("call_me", 2), "C3": ("confirm", 3),
    "YES": ("yes", None), "yes!": ("yes", None),
    **dict.fromkeys(("STOP", "stóp", "CANCEL", "Arrêt", "BAJA", "please stop", "end", "C, stop", "quit"), ("stop", None)),
    "START": ("start", None), "HELP": ("help", None), "ayuda": ("help", None),
    **dict.fromkeys(
        ("zqcanary can I bring my dog", "Liked “zqcanary”", "Le gustó “zqcanary”", "C zqcanary", "11", "👍 2", ""),
        ("unknown", None),
    ),
}  # fmt: skip
"""What a patient writes -> what it means, as the how-to says it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """Attributes:
    visits: that asked. moved: the first one got another time, and its new text has not left.
    opted_out: a STOP came before the reply. late: the reply comes when the visits have begun.
    again: the same message comes once more; `after_stop`: with a STOP in between.
    """

    words: str
    visits: int
    opted_out: bool = False
    moved: bool = False
    late: bool = False
    again: Literal["no", "at_once", "after_stop"] = "no"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """Attributes: replies: (kind, reason, number of the visit or None). goes_back: kinds. answers: rules that were sent."""

    is_out: bool
    replies: tuple[tuple[str, str | None, int | None], ...] = ()
    goes_back: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()


def expected(story: Story) -> Ending:
    """The model."""
    meant, number = SAID[story.words]
    is_out = story.opted_out
    if meant == "stop":
        return Ending(is_out=True)
    open_visits = 0 if story.late else story.visits
    if meant in ("yes", "start"):
        if meant == "start" or is_out or not open_visits:
            return Ending(is_out=story.again == "after_stop")
        meant = "confirm"
    if meant == "help":
        return Ending(is_out=is_out or story.again == "after_stop")
    visit: int | None = None
    reason: str | None = None
    back: tuple[str, ...] = ()
    answer = "unknown"
    if meant == "unknown":
        reason = "no_word"
    elif open_visits == 1 and number in (None, 1):
        visit = 1
    elif open_visits == 2 and number in (1, 2):
        visit = number
    else:
        reason, answer = ("which_visit", f"which_{meant}") if open_visits == 2 else ("no_question", "unknown")
    if visit == 1 and story.moved and meant != "call_me":
        reason, answer = "moved", "moved"
    elif visit is not None:
        back, answer = (meant if meant != "confirm" else "confirmed",), "confirmed" if meant == "confirm" else meant
    is_heard = not is_out and open_visits > 0
    return Ending(
        is_out=is_out or story.again == "after_stop",
        replies=((meant, reason, visit),),
        goes_back=back,
        answers=(answer,) if is_heard and story.again != "after_stop" else (),
    )


def stories(rng: random.Random) -> Iterator[Story]:
    """The whole table in a random order, then random ones."""
    table = [
        Story(words=words, visits=visits, opted_out=out, moved=moved)
        for words, visits, out, moved in itertools.product(SAID, (0, 1, 2), (False, True), (False, True))
        if visits or not moved
    ]
    rng.shuffle(table)
    yield from table
    while True:
        story = rng.choice(table)
        yield replace(
            story, late=rng.random() < 0.2, again=rng.choice(("no", "no", "at_once", "after_stop")),
            words=rng.choice(list(SAID)) if rng.random() < 0.5 else story.words,
        )  # fmt: skip


@pytest.mark.faults("P20")
@pytest.mark.timeout(7200)
def test_replies_do_what_the_model_says(tally: Tally, tmp_path: Path) -> None:
    told = stories(random.Random(20))
    done, rounds = 0, tally.fault.rounds
    while done < rounds:
        some = list(itertools.islice(told, min(AT_ONCE, rounds - done)))
        play(some, tmp_path / f"from-{done}", tally)
        done += len(some)
        tally.progress(done, rounds)
    assert tally.seen["other endings"] == 0
    assert tally.seen["words in files"] == 0


@pytest.mark.faults("P20")
@pytest.mark.timeout(3600)
def test_the_same_on_postgresql(tally: Tally, tmp_path: Path) -> None:
    try:
        server = Server()
    except (NoServer, OSError) as reason:
        pytest.skip(f"no PostgreSQL here: {reason}")
    try:
        some = list(itertools.islice(stories(random.Random(21)), min(AT_ONCE, tally.fault.rounds // 2)))
        play(some, tmp_path / "server", tally, {"storage": {"url": server.url("postgres")}})
        tally.progress(len(some), len(some))
        assert tally.seen["other endings"] == 0
    finally:
        server.stop()


@pytest.mark.faults("P20", proof=True)
def test_a_judge_that_takes_the_first_visit_is_found(
    tally: Tally, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def first(meaning: Meaning, questions: Sequence[AskedQuestion]) -> Judged[AskedQuestion]:
        return Judged(question=questions[0]) if questions else judge(meaning, questions)

    monkeypatch.setattr("carebell.outbound.patient_replies.judge", first)
    with pytest.raises(AssertionError, match="Story"):
        play([Story(words="C", visits=2)], tmp_path / "two", tally)
    tally.seen.clear()
    with pytest.raises(AssertionError, match="Story"):
        play([Story(words="N", visits=1, moved=True)], tmp_path / "moved", tally)
    tally.seen.clear()


def play(some: Sequence[Story], folder: Path, tally: Tally, changes: Changes | None = None) -> None:
    """Live these stories side by side, and compare their endings."""
    sms = {
        "debounce": "0s", "reminders": [], "replies": {"enabled": True}, "quiet_hours": {"from": "00:00", "to": "00:01"},
        "caps": {"per_day": 9, "per_week": 9},
    }  # fmt: skip
    folder.mkdir()
    twilio = PocketTwilio(now=lambda: AT)
    with pieces(folder / "clinic", at=AT, gateway=twilio, sms=sms, changes=changes) as service:
        twilio.now = service.clock.now
        everything_goes_back(service)
        for visit in (1, 2):
            for number, story in enumerate(some):
                if visit <= story.visits:
                    message(service, "S12", number, visit, VISIT + timedelta(hours=visit))
            leave(service)
        for number, story in enumerate(some):
            if story.opted_out:
                write(service, number, "STOP", "a")
        for number, story in enumerate(some):
            if story.moved and not story.late:
                message(service, "S13", number, 1, VISIT + timedelta(days=1))
        before = len(twilio.asked)
        for number, story in enumerate(some):
            if not story.late:
                reply(service, number, story)
        leave(service)
        service.step(to=VISIT + timedelta(days=1, hours=3))
        service.retention.round()
        for number, story in enumerate(some):
            if story.late:
                reply(service, number, story)
        leave(service)
        assert service.refused == []
        for number, story in enumerate(some):
            tally.seen["replies"] += 1
            if (seen := ending(service, number)) != expected(story):
                tally.seen["other endings"] += 1
                assert seen == expected(story), story
        tally.seen["answers sent"] += len(twilio.asked) - before
    for file in folder.rglob("*"):
        if file.is_file() and file.suffix != ".yaml":
            content = file.read_bytes().lower()
            tally.seen["words in files"] += any(word in content for word in (b"zqcanary", b"llamar", b"bring my dog"))


def reply(service: Pieces, number: int, story: Story) -> None:
    write(service, number, story.words, "b")
    if story.again == "after_stop":
        write(service, number, "STOP", "c")
    if story.again != "no":
        write(service, number, story.words, "b")


def write(service: Pieces, number: int, words: str, message_id: str) -> None:
    service.step(timedelta(milliseconds=10))
    form = {
        "From": fictitious_number(number), "To": SENDER, "Body": words, "MessageSid": f"SM{number:031x}{message_id}",
    }  # fmt: skip
    heard = read_inbound(SignedForm(form, {}), WORDS)
    assert not isinstance(heard, Unreadable)
    asyncio.run(service.webhooks.on_inbound(heard))


def message(service: Pieces, event: str, number: int, visit: int, start: datetime) -> None:
    reference = f"{number}v{visit}"
    content = unsigned(
        event, f"{event}{reference}", sent=service.now, start=start, reference=reference,
        phone=fictitious_number(number),
    )  # fmt: skip
    service.hear(content)
    service.step(timedelta(milliseconds=10))


def leave(service: Pieces) -> None:
    """Everything that is due by the next minute."""
    service.step(timedelta(minutes=2))
    service.tick()


def everything_goes_back(service: Pieces) -> None:
    events = (WritebackEvent.CONFIRMED, WritebackEvent.CANNOT_COME, WritebackEvent.CALL_ME)
    policy = service.runtime_config.policies["production"]
    policy = replace(policy, writeback=WritebackPolicy(channels=dict.fromkeys(events, WritebackChannel.HL7)))
    service.runtime_config = replace(service.runtime_config, policies={"production": policy})


def ending(service: Pieces, number: int) -> Ending:
    """What the database says of one telephone, and which answers left."""
    key = service.vault.ring.phone_key(PhoneNumber(fictitious_number(number)))
    message_key = service.vault.ring.reply_key(f"SM{number:031x}b")
    with service.store.read() as conn:
        ids = (
            conn.execute(select(appointments.c.id).where(appointments.c.reference.like(f"{number}v%"))).scalars().all()
        )
        of = patient_replies.c
        wanted = select(of.kind, of.reason, outbox.c.reference).join(outbox, outbox.c.id == of.question, isouter=True)
        rows = conn.execute(wanted.where(of.key == message_key)).all()
        answers = conn.execute(
            select(outbox.c.rule)
            .where(outbox.c.appointment.in_(ids), outbox.c.kind == "answer", outbox.c.sid.is_not(None))
        ).scalars().all()  # fmt: skip
        back = writeback_rows.rows(conn, of_appointments=ids) if ids else []
        return Ending(
            is_out=bool(optouts.opted_out(conn, {(key, SENDER)})),
            replies=tuple(
                (row.kind, row.reason, None if row.reference is None else int(row.reference.split("v")[1][:1]))
                for row in rows
            ),
            goes_back=tuple(row.event.value for row in back),
            answers=tuple(sorted(answers)),
        )
