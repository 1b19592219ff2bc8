"""What one turn of the loop receives is validated together, answered each for itself, and logged with one write."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from carebell.environment_policy import RuntimeConfig
from carebell.inbound.handler import MessageHandler
from carebell.inbound.process import ProcessingOutcome, ProcessingResult
from carebell.inbound.validate import MessageValidator, ReceivedFrame, ValidatedMessage
from carebell.outbound.in_flight import InFlight
from certs.message import Msh
from config.model import Organization
from journal.logs import setup
from journal.metrics import Metrics
from journal.repeats import RepeatLimiter
from journal.sinks import LogFile
from listener.incidents import Peer
from listener.reply import RESET
from parser.ack import ACCEPTED, Answer

NOW = datetime(2026, 3, 2, 15, tzinfo=UTC)
PEER = Peer(address="192.0.2.1", port=40000, local_port=2575)


class Validator:
    """Reads a frame as its control id; a frame `bug` meets a bug, `no` is refused."""

    sole_environment = "production"

    def __init__(self) -> None:
        self.turns: list[list[bytes]] = []

    def validate_all(self, frames: Sequence[ReceivedFrame]) -> list[ValidatedMessage]:
        contents = [frame.content for frame in frames]
        self.turns.append(contents)
        if b"bug" in contents:
            raise ZeroDivisionError
        return [_validated(content) for content in contents]


def _validated(content: bytes) -> ValidatedMessage:
    refused = Answer(answer="AR", code="SIG07", err3="207", text="no") if content == b"no" else None
    return ValidatedMessage(
        msh=Msh(control_id=content), environment="production", received_at=NOW, refused=refused, authenticated=True
    )


class Committer:
    """Stores everything in one group, when told to."""

    full = False

    def __init__(self) -> None:
        self.jobs: list[tuple[ValidatedMessage, asyncio.Future[ProcessingResult]]] = []

    def submit(self, job: ValidatedMessage) -> asyncio.Future[ProcessingResult]:
        future: asyncio.Future[ProcessingResult] = asyncio.get_running_loop().create_future()
        self.jobs.append((job, future))
        return future

    def commit(self) -> None:
        for _, future in self.jobs:
            future.set_result(ProcessingResult(outcome=ProcessingOutcome.STORED, answer=ACCEPTED, appointment="1"))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "carebell.log"


def _handler(validator: Validator, committer: Committer, log: Path) -> MessageHandler:
    journal = setup(now=lambda: NOW, file=log, terminal=io.StringIO())
    runtime_config = RuntimeConfig(
        policies={}, organization=Organization(name="Lamna", contact="+1 425 555 0100"), rates={}, version="1"
    )
    return MessageHandler(
        validator=lambda: cast(MessageValidator, validator),
        runtime_config=lambda: runtime_config,
        committer=committer,
        clock=cast(Any, type("Clock", (), {"now": lambda _: NOW})()),
        new_control_id=lambda: "A1",
        in_flight=InFlight(),
        known_source=lambda _: None,
        journal=journal,
        repeats=RepeatLimiter(journal),
        metrics=Metrics(),
        seconds=lambda: 1.0,
    )


async def _turns(count: int = 4) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_one_turns_messages_are_validated_together_and_each_is_answered(log: Path) -> None:
    validator, committer = Validator(), Committer()
    handler = _handler(validator, committer, log)
    replies = [handler.handle(content, PEER) for content in (b"1", b"no", b"2")]
    await _turns()
    assert validator.turns == [[b"1", b"no", b"2"]]
    assert [reply.done() for reply in replies] == [False, True, False]
    committer.commit()
    answers = [await reply for reply in replies]
    assert [_code(answer) for answer in answers] == [b"MSA|AA|1", b"MSA|AR|no", b"MSA|AA|2"]


async def test_more_than_one_turn_can_bear_goes_on_in_the_next(log: Path) -> None:
    validator = Validator()
    handler = _handler(validator, Committer(), log)
    for number in range(150):
        handler.handle(b"%d" % number, PEER)
    await _turns(6)
    assert [len(turn) for turn in validator.turns] == [64, 64, 22]


async def test_a_message_that_meets_a_bug_harms_no_other(log: Path) -> None:
    validator, committer = Validator(), Committer()
    handler = _handler(validator, committer, log)
    replies = [handler.handle(content, PEER) for content in (b"1", b"bug", b"2")]
    await _turns()
    committer.commit()
    assert [_code(await replies[at]) for at in (0, 2)] == [b"MSA|AA|1", b"MSA|AA|2"]
    with pytest.raises(ZeroDivisionError):
        await replies[1]


async def test_a_groups_answers_are_logged_with_one_write_before_they_leave(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    committer, written = Committer(), []
    handler = _handler(Validator(), committer, log)
    replies = [handler.handle(b"%d" % number, PEER) for number in range(3)]
    real: Callable[[LogFile, Sequence[str]], int] = LogFile.write_all

    def write_all(file: LogFile, lines: Sequence[str]) -> int:
        written.append((len(lines), [reply.done() for reply in replies]))
        return real(file, lines)

    monkeypatch.setattr(LogFile, "write_all", write_all)
    await _turns()
    committer.commit()
    await asyncio.gather(*replies)
    assert written == [(3, [False, False, False])]
    assert _logged(log) == ["0", "1", "2"]


def _logged(log: Path) -> list[str]:
    """The control ids of the log's lines."""
    return [json.loads(line)["control_id"] for line in log.read_text().splitlines()]


def _code(answer: object) -> bytes:
    assert answer is not RESET
    assert isinstance(answer, bytes)
    return answer.split(b"\r")[1][:8].rstrip(b"|") if b"MSA|AR" not in answer else b"MSA|AR|no"
