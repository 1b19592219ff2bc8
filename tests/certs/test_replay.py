"""The same message again, and another one under its name."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import pytest

from certs.message import VerifiedMessage
from certs.replay import Fresh, Repeat, ReplayMemory, Reused
from tests.certs.ring import payload, signed, validate


def message(**fields: bytes | str) -> VerifiedMessage:
    outcome = validate(signed(payload(**fields)))  # type: ignore[arg-type]  # the keywords are those of `payload`
    assert isinstance(outcome, VerifiedMessage)
    return outcome


FIRST = message()
OTHER_BYTES = message(body=b"NTE|1||x\r")


@pytest.mark.parametrize("reuse", ["refuse", "warn"])
def test_the_same_bytes_get_the_same_answer(reuse: Literal["refuse", "warn"]) -> None:
    memory: ReplayMemory[str] = ReplayMemory()
    assert memory.look(FIRST, reuse=reuse) == Fresh()
    assert memory.look(FIRST, reuse=reuse) == Fresh()  # looking is not keeping
    memory.keep(FIRST, "the answer")
    assert memory.look(FIRST, reuse=reuse) == Repeat("the answer")
    assert memory.look(message(), reuse=reuse) == Repeat("the answer")


def test_other_bytes_under_the_same_control_id() -> None:
    memory: ReplayMemory[str] = ReplayMemory()
    memory.keep(FIRST, "the answer")
    assert memory.look(OTHER_BYTES, reuse="refuse") == Reused()
    assert memory.look(OTHER_BYTES, reuse="warn") == Fresh(reused=True)


def test_after_a_reuse_both_messages_are_remembered() -> None:
    memory: ReplayMemory[str] = ReplayMemory()
    memory.keep(FIRST, "one")
    memory.keep(OTHER_BYTES, "two")
    assert memory.look(OTHER_BYTES, reuse="warn") == Repeat("two")
    assert memory.look(FIRST, reuse="warn") == Repeat("one")
    assert memory.look(message(body=b"NTE|1||y\r"), reuse="warn") == Fresh(reused=True)


@pytest.mark.parametrize(
    "other",
    [
        message(control_id="MSG2"),
        replace(FIRST, environment="test"),
        replace(FIRST, msh=replace(FIRST.msh, sending_application=b"OTHER")),
        replace(FIRST, msh=replace(FIRST.msh, sending_facility=b"OTHER")),
    ],
    ids=["MSH-10", "environment", "MSH-3", "MSH-4"],
)
def test_every_part_of_the_key_tells_apart(other: VerifiedMessage) -> None:
    memory: ReplayMemory[str] = ReplayMemory()
    memory.keep(FIRST, "the answer")
    assert memory.look(other, reuse="refuse") == Fresh()
