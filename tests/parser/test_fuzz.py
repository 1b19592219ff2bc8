"""20,000 mutated messages through decoding, splitting, every read, and the answer: no exception, bounded work.

Work is bounded by what comes out, not by a clock: no value is longer than the message, no answer longer than its limits.
The mutations are seeded, so a failure names the round that repeats it.
"""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from certs.message import Msh
from parser.ack import ACCEPTED, acknowledge
from parser.er7 import MAX_REPETITIONS, Message
from tests.parser.test_answers import EXPECTED, shipped
from tests.parser.test_er7 import SIU, verified

ROUNDS = 20_000
BLOCKS = 8  # so that parallel runs share them
LONGEST_ANSWER = 8_000  # 8 copied values of 250, MSH-10 of 199, MSA-3 of 120 and four texts of 250, all escaped

NOW = datetime(2026, 3, 2, 15, 4, 5, tzinfo=UTC)
ANSWERS = [ACCEPTED, *map(shipped().answer, EXPECTED)]

SEEDS = (
    SIU.encode(),
    SIU.replace("LAMNA", "李").encode("cp950").replace(b"2.5.1^USA^^", b"2.5.1||||||BIG-5"),
    SIU.replace("PAT", "\\E\\\\F\\\\X0D\\\\.br\\\\H\\\\Zab\\\\C2842\\").encode(),
    SIU.translate(str.maketrans("|^~\\&", "$%#!+")).encode(),
    b'MSH|^~\\&#|A|B|C|D|20260301||SIU^S15|9||2.3|||ER|AL||8859/1\rSCH|1\rPID|||1||M\xfcller~""|' + b"~" * 200 + b"\r",
    b"MSH|^~\\&|A|B|C|D|20260301||SIU^S12|9|T|2.9|||NE|||~ISO IR87\rPID|||1||\x1b$B;3ED\x1b(B^X\r",
    b"FHS|^~\\&|A\rBHS|^~\\&|A\rMSH|^~\\&|A||||||SIU^S12|1|P|2.5\rBTS|1\rFTS|1\r",
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"",
)
SPLICES = (
    b"\r",
    b"\n",
    b"|",
    b"^",
    b"~",
    b"\\",
    b"&",
    b"#",
    b'""',
    b"\x0b",
    b"\x1c\r",
    b"\x00",
    b"\xff",
    b"\x1b$B",
    b"\xa4|",
    b"\\X0D0A\\",
    b"\\.br\\",
    b"\\E",
    b"\\\\",
    b"MSH|",
    b"\rMSH|^~\\&|",
    b"\rPID|",
    b"UNICODE UTF-8",
    b"A" * 300,
    b"~" * 60,
)
PATHS = (
    "MSH-1", "MSH-2", "MSH-3", "MSH-4.2", "MSH-7", "MSH-9.2", "MSH-10", "MSH-18", "SCH-2.1", "SCH-11.4", "SCH-11[2].4",
    "PID-5.1.2", "PID-13[20].12", "AIS[2]-4", "NTE-3", "ZZZ-1",
)  # fmt: skip


def mutated(rng: random.Random) -> bytes:
    """A seed with one to six changes: bits, deletions, splices, repetitions, exchanges."""
    data = bytearray(rng.choice(SEEDS))
    for _ in range(rng.randint(1, 6)):
        at, end = sorted((rng.randint(0, len(data)), rng.randint(0, len(data))))
        match rng.randrange(6):
            case 0 if data:
                data[at - 1] ^= 1 << rng.randrange(8)
            case 1:
                del data[at : min(end, at + 40)]
            case 2:
                data[at:at] = rng.choice(SPLICES)
            case 3:
                data[at:at] = data[at : min(end, at + 200)] * rng.randint(1, 4)
            case 4:
                data[at : at + 4] = rng.randbytes(4)
            case _:
                data[at:end] = rng.choice(SEEDS)[at:end]
    return bytes(data)


def header(payload: bytes) -> Msh:
    """MSH as bytes, cut as simply as the header reader's contract allows."""
    line = payload.split(b"\r", 1)[0]
    separators = line[3 : max(line.find(line[3:4], 4), 4)] if line.startswith(b"MSH") and len(line) > 3 else b""
    fields = line.split(line[3:4] or b"|")
    names = list(Msh.__dataclass_fields__)[1:]
    numbers = (2, 3, 4, 5, 6, 8, 9, 10, 11, 14, 15, 17)
    values = {name: fields[at] for name, at in zip(names, numbers, strict=True) if at < len(fields)}
    return replace(Msh(separators=separators, **values))


def read_everything(message: Message, longest: int) -> None:
    """Every path, field, repetition and component; no text is longer than what was sent."""
    for path in PATHS:
        value = message.get(path)
        assert value is None or not isinstance(value, str) or 0 < len(value) <= longest
    for name in ("MSH", "SCH", "PID", "AIS", "NTE", "ZZZ", "GET", "FHS"):
        for segment in message.segments(name):
            for number in range(1, 26):
                repetitions = segment.repetitions(number)
                assert len(repetitions) <= MAX_REPETITIONS
                for repetition in repetitions[:3]:
                    assert len(repetition.text) <= longest
                    assert len(repetition.component(1)) + len(repetition.component(4, 2)) <= longest


@pytest.mark.parametrize("block", range(BLOCKS))
def test_mutated_messages(block: int) -> None:
    unanswered = 0
    for number in range(block * ROUNDS // BLOCKS, (block + 1) * ROUNDS // BLOCKS):
        rng = random.Random(number)
        payload = mutated(rng)
        msh = header(payload)
        signed = verified(payload, msh.character_set.partition(b"~")[0])
        message = Message.of(signed, rng.choice(("cp1252", "8859/2", "BIG-5", "?")))
        read_everything(message, len(payload))
        answer = rng.choice(ANSWERS)
        ack = acknowledge(msh, answer, now=NOW, control_id=str(number))
        if ack is None:
            unanswered += 1
            assert msh.accept_ack in (b"ER", b"SU")
            continue
        assert len(ack) <= LONGEST_ANSWER
        assert ack.endswith(b"\r")
        assert ack.count(b"\r") == (2 if answer.code is None else 3)
    assert unanswered < ROUNDS // BLOCKS // 4
