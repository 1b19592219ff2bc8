"""Every message of tests/samples extracts as written down beside it, with every value from the field named there.

The shared samples' expectations stand in expected.yaml, ours in guides/*.yaml beside the messages. `zone` and `aliases`,
`facility`, `location` and `provider` are compared where a case names them; everything else must be equal, and what a case
does not name must be absent.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest

from config.document import read_document
from parser.event import SchedulingEvent
from parser.parse_warnings import Oddity
from parser.siu import EVENTS, Rules, explain, read
from tests.parser.reading import SAMPLES, in_words, reading, rules, verified

_WHERE_NAMED = ("aliases", "zone", "facility", "location", "provider")


@dataclass(frozen=True)
class Case:
    """One message and what it must extract to; its own name is all that a failing test shows of it."""

    name: str
    text: bytes
    expect: dict[str, Any] | None
    refused_before: str | None
    source: str
    shape: str
    map_name: str
    zone: str
    settings: dict[str, Any]

    def __repr__(self) -> str:
        return self.name


def _cases() -> Iterator[Case]:
    for path in (SAMPLES / "expected.yaml", *sorted((SAMPLES / "guides").glob("*.yaml"))):
        family = read_document(path).values
        for case in family["cases"]:
            text = (
                case["message"].encode(case.get("encoding", "utf-8"))
                if "message" in case
                else (SAMPLES / case["name"]).read_bytes()
            )
            yield Case(
                name=case["name"] if "message" not in case else f"guides/{path.name}#{case['name']}",
                text=text,
                expect=case.get("expect"),
                refused_before=case.get("refused_before"),
                source=case.get("source", family.get("source", "")),
                shape=case.get("shape", ""),
                map_name=case.get("map", family["map"]),
                zone=case.get("zone", family["zone"]),
                settings={**family.get("settings", {}), **case.get("settings", {})},
            )


CASES = list(_cases())
READ = [case for case in CASES if case.refused_before is None]


@pytest.mark.parametrize("case", READ, ids=[case.name for case in READ])
def test_a_sample_extracts_as_written_down(case: Case) -> None:
    by = rules(case.map_name, zone=case.zone, **case.settings)
    actual = in_words(reading(verified(case.text, zone=case.zone), by))
    expected = dict(case.expect or {})
    for name in _WHERE_NAMED:
        if name not in expected:
            actual.pop(name, None)
    assert actual == expected


@pytest.mark.parametrize("case", [case for case in CASES if case.refused_before], ids=lambda case: case.name)
def test_what_verification_refuses_does_not_break_the_parser_either(case: Case) -> None:
    message = verified(case.text)
    assert read(message, rules()) == explain(message, rules())[0]


def test_every_sample_has_an_expectation_and_a_line_in_the_index() -> None:
    on_disk = {f"{path.parent.name}/{path.name}" for path in SAMPLES.glob("*/*.hl7")}
    shared = {case.name for case in CASES if not case.name.startswith("guides/")}
    assert shared == on_disk
    index = {tuple(line.split("\t")) for line in (SAMPLES / "INDEX.tsv").read_text().splitlines()[1:]}
    assert {row[0] for row in index} == {case.name for case in CASES}
    guides = {(case.name, case.source, case.shape) for case in CASES if case.name.startswith("guides/")}
    assert guides <= index
    assert len(guides) >= 60
    assert all(source and shape for _, source, shape in guides)


def test_the_corpus_has_every_event_and_every_map() -> None:
    met = {outcome.event.event for case in READ if not _rejected(outcome := _read(case))}
    assert met == set(EVENTS)
    assert {case.map_name for case in READ} == {"generic", "epic", "oracle_health"}


def test_every_warning_occurs_in_the_corpus() -> None:
    odd = {code for case in READ if not _rejected(outcome := _read(case)) for code in outcome.odd}
    assert odd == {oddity.value for oddity in Oddity}


def test_no_sample_of_ours_holds_a_number_that_could_be_somebodys() -> None:
    for case in READ:
        phone = str((case.expect or {}).get("phone", ""))
        if case.name.startswith("guides/") and "=+1" in phone:
            assert phone[-7:-2] == "55501"


ROUNDS, BLOCKS = 10_000, 8
_SPLICES = (b"|", b"^", b"~", b"&", b"\\", b"\r", b'""', b"\xff", b"\\X0D\\", b"9" * 30, b"~" * 30)


@pytest.mark.parametrize("block", range(BLOCKS))
def test_mutations_of_the_corpus_break_neither_reading_nor_explaining(block: int) -> None:
    """Seeded, so a failure names the round that repeats it; what comes out stays short, whatever went in."""
    for number in range(block, ROUNDS, BLOCKS):
        rng = random.Random(number)
        case = rng.choice(READ)
        message = verified(_mutated(rng, case.text), zone=case.zone)
        by = _rules(case)
        if number % 10 == 0:
            reading(message, by)
        result = read(message, by)
        if isinstance(result, SchedulingEvent):
            texts = (
                result.reference,
                *result.aliases,
                result.facility or "",
                result.provider or "",
                result.location or "",
            )
            assert max(map(len, texts)) <= 1000
            assert len(result.warnings) <= 20
        else:
            assert result.text.isascii()
            assert len(result.text) <= 120


def _mutated(rng: random.Random, data: bytes) -> bytes:
    """One to six changes behind MSH-8: characters, deletions, repetitions, pieces of other samples."""
    changed = bytearray(data)
    behind = len(b"|".join(data.split(b"|", 8)[:8]))
    for _ in range(rng.randint(1, 6)):
        at = rng.randint(behind, len(changed))
        end = rng.randint(at, min(at + 40, len(changed)))
        match rng.randrange(5):
            case 0:
                changed[at:end] = b""
            case 1:
                changed[at:at] = rng.choice(
                    (b"|", b"^", b"~", b"&", b"\\", b"\r", b'""', b"\xff", b"\\X0D\\", b"9" * 30, b"~" * 30)
                )
            case 2:
                changed[at:at] = changed[at:end] * rng.randint(1, 30)
            case 3:
                other = rng.choice(READ).text
                start = rng.randrange(len(other))
                changed[at:end] = other[start : start + 60]
            case _:
                changed[at:end] = rng.randbytes(end - at)
    return bytes(changed)


@cache
def _rules_of(name: str, zone: str, settings: str) -> Rules:
    return rules(name, zone=zone, **json.loads(settings))


def _rules(case: Case) -> Rules:
    return _rules_of(case.map_name, case.zone, json.dumps(case.settings))


def _read(case: Case) -> Any:
    return reading(verified(case.text, zone=case.zone), rules(case.map_name, zone=case.zone, **case.settings))


def _rejected(outcome: Any) -> bool:
    return not hasattr(outcome.result, "warnings")
