"""parser/fieldmaps and config/fieldmap.py: the shipped maps are right, and a wrong one is told where and why."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from config.document import parse_document
from config.fieldmap import FieldMap, folded, is_path
from config.wording import explain
from parser.er7 import Place
from tests.parser.reading import MAPS, field_map

SHIPPED = ("epic", "generic", "oracle_health")


def test_the_shipped_maps_are_these() -> None:
    assert tuple(sorted(path.stem for path in MAPS.glob("*.yaml"))) == SHIPPED
    assert all(field_map(name).name for name in SHIPPED)


@pytest.mark.parametrize("name", SHIPPED)
def test_each_map_cites_where_its_shapes_were_seen(name: str) -> None:
    comments = [line for line in (MAPS / f"{name}.yaml").read_text().splitlines() if line.lstrip().startswith("#")]
    assert len(comments) >= 15


@pytest.mark.parametrize(
    ("was", "becomes", "problem"),
    [
        ("occurrence: SCH-3.1", "occurrence: SCH3", "is not an HL7 path"),
        ("patient_name: PID-5.2", "patient_nam: PID-5.2", "did you mean patient_name?"),
        ("{end: TQ1-8}", "{end: TQ1-8, length: SCH-9}", "exactly one of end, length and interval"),
        ("fields: [PID-40, PID-13]", "fields: [PID-13.1]", "is not a whole field such as PID-13"),
        ("blocked: [Blocked, Block]", "blocked: [Blocked, no-show]", "cannot be both"),
        ("English: en", "English: english!", "is not a language tag"),
        ("kind: filler", "kind: booking", "must be filler, placer or visit"),
    ],
)
def test_a_wrong_map_is_told_with_its_line(was: str, becomes: str, problem: str) -> None:
    text = (MAPS / "generic.yaml").read_text()
    assert was in text
    document = parse_document(text.replace(was, becomes).encode(), "own.yaml")
    with pytest.raises(ValidationError) as caught:
        FieldMap.model_validate(document.values)
    problems = [str(line) for line in explain(caught.value, FieldMap, document.where)]
    assert any(problem in line and line.startswith("own.yaml:") for line in problems), problems


SPOTS = st.text(st.sampled_from("AZSCH1290-[].x"), max_size=14)
PATHS = st.from_regex(r"[A-Z][A-Z0-9]{2}(\[[0-9]\])?-[0-9]{1,2}(\[[0-9]\])?(\.[0-9]{1,2}){0,3}", fullmatch=True)


@given(SPOTS | PATHS)
def test_maps_and_the_splitter_agree_on_what_a_path_is(text: str) -> None:
    """config cannot import parser, so the grammar stands twice."""
    try:
        Place.of(text)
        understood = True
    except ValueError:
        understood = False
    assert is_path(text) is understood


@given(st.text(max_size=40))
def test_folding_is_stable(word: str) -> None:
    assert folded(folded(word)) == folded(word)
    assert folded(f" {word}-") == folded(word)


def test_maps_hold_every_key_themselves() -> None:
    """A map is complete: no key has a default that a reader would have to know."""
    required: dict[str, Any] = {name: field.is_required() for name, field in FieldMap.model_fields.items()}
    assert [name for name, is_required in required.items() if not is_required] == ["conference"], "which came later"
