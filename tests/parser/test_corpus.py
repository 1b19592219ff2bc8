"""Every message of tests/samples extracts as written down beside it, with every value from the field named there.

The shared samples' expectations stand in expected.yaml, ours in guides/*.yaml beside the messages. `zone` and `aliases`,
`facility`, `location` and `provider` are compared where a case names them; everything else must be equal, and what a case
does not name must be absent.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from config.document import read_document
from parser.oddity import Oddity
from parser.siu import EVENTS, explain, read
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
    met = {one.event.event for case in READ if not _rejected(one := _read(case))}
    assert met == set(EVENTS)
    assert {case.map_name for case in READ} == {"generic", "epic", "oracle_health"}


def test_every_warning_occurs_in_the_corpus() -> None:
    odd = {code for case in READ if not _rejected(one := _read(case)) for code in one.odd}
    assert odd == {each.value for each in Oddity}


def test_no_sample_of_ours_holds_a_number_that_could_be_somebodys() -> None:
    for case in READ:
        phone = str((case.expect or {}).get("phone", ""))
        if case.name.startswith("guides/") and "=+1" in phone:
            assert phone[-7:-2] == "55501"


def _read(case: Case) -> Any:
    return reading(verified(case.text, zone=case.zone), rules(case.map_name, zone=case.zone, **case.settings))


def _rejected(one: Any) -> bool:
    return not hasattr(one.result, "warnings")
