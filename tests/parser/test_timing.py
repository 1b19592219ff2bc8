"""parser/timing.py: where start and length come from, and what is told when sources disagree.

Single forms stand in the corpus (guides/times.yaml); here are combinations.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.parser.reading import Reading, reading, rules, verified

SENT = datetime(2026, 3, 2, 15, tzinfo=UTC)


def read(*segments: str, sch: str = "", event: str = "S12", length: str = "|") -> Reading:
    text = f"MSH|^~\\&|EPIC|LAMNA|A|B|20260302090000||SIU^{event}|C1|P|2.5.1\nSCH||F1|||||||{length}|{sch}\n"
    return reading(verified(text + "\n".join(segments) + "\n"), rules())


PRECEDENCE = [
    ("TQ1-7", "TQ1|1||||||{}"),
    ("AIS-4", "AIS|1|A|X|{}"),
    ("AIL-6", "AIL|1|A|X|||{}"),
    ("AIP-6", "AIP|1|A|X|||{}"),
    ("AIG-8", "AIG|1|A|X|||||{}"),
    ("PV2-8", "PV2||||||||{}"),
]


@given(st.sets(st.integers(0, len(PRECEDENCE) - 1), min_size=1))
def test_the_first_place_in_precedence_decides(given_places: set[int]) -> None:
    """Any subset of places, each with a time of its own, in reversed segment order."""
    segments = [PRECEDENCE[at][1].format(f"202603091{at}0000") for at in sorted(given_places, reverse=True)]
    one = read(*segments)
    first = min(given_places)
    assert one.evidence["start"].field == PRECEDENCE[first][0]
    assert one.event.start is not None
    assert one.event.start.instant == datetime(2026, 3, 9, 15 + first, tzinfo=UTC)
    assert one.odd == []


def test_tq1_before_sch_11_and_the_contradiction_is_told() -> None:
    one = read("TQ1|1||||||20260309120000", sch="^^^20260309130000")
    assert (one.evidence["start"].field, one.odd) == ("TQ1-7", ["START_DISAGREES"])
    assert [each.field for each in one.event.warnings] == ["SCH-11.4"]
    assert read("TQ1|1||||||20260309120000-0500", sch="^^^20260309120000").odd == []  # the same instant


def test_an_empty_tq1_gives_way_to_the_next_and_deletion_counts_as_empty() -> None:
    one = read("TQ1|1", 'TQ1|2||||||""', "TQ1|3||||||20260309120000")
    assert one.evidence["start"].field == "TQ1[3]-7"
    assert one.why_not("start")["TQ1[2]-7"] == 'deleted by the sender ("")'


def test_resources_may_begin_when_they_like() -> None:
    one = read("AIS|1|A|X|20260309140000", "AIP|1|A|X|||20260309113000", sch="^^^20260309120000")
    assert one.odd == []


def test_deleted_resources_have_no_say_and_unreadable_ones_only_the_last() -> None:
    one = read("AIS|1|D|X|20260309080000", "AIS|2|A|X|LATER", "AIS|3|U|X|20260309100000")
    assert one.evidence["start"].field == "AIS[3]-4"
    assert read("AIS|1|A|X|LATER").rejection.text == "the start in AIS-4 is no date and time"


@pytest.mark.parametrize(("days", "accepted"), [(400, True), (401, False), (-3000, True)])
def test_how_far_away_a_start_may_be(days: int, accepted: bool) -> None:
    start = (SENT + timedelta(days=days)).strftime("%Y%m%d%H%M%S+0000")
    one = read(sch=f"^^^{start}")
    if accepted:
        assert one.event.start is not None
    else:
        assert (one.rejection.code, one.rejection.err3, one.rejection.location) == ("VALUE", "102", "SCH^1^11^1^4")
    assert read(sch=f"^^^{start}", event="S15").odd == ([] if accepted else ["START_TOO_FAR"])


@pytest.mark.parametrize(
    ("length", "minutes"),
    [
        ("30|MIN", 30), ("30|min", 30), ("30|Min", 30), ("30|MINUTES", 30), ("30|minutes^Minutes", 30), ("30|m", 30),
        ("30|M", 30), ("30|^Min", 30), ("30|", 30), ("5|", 5), ("480|", 480), ("4|", None), ("481|", None), ("1800|s", 30),
        ("1800|S", 30),
        ("60|s", None), ("299|s", None), ("300|s", 5), ("1.5|H", 90), ("24|HR", 1440), ("25|HR", None), ("0|MIN", None),
        ("-30|MIN", None), ("half an hour|", None), ("30|FORTNIGHT", None), ("1|MIN", 1), ("9" * 300 + "|MIN", None),
    ],
)  # fmt: skip
def test_lengths_and_their_units(length: str, minutes: int | None) -> None:
    one = read(sch="^^^20260309120000", length=length)
    assert one.event.duration == (None if minutes is None else timedelta(minutes=minutes))
    assert one.odd == (["DURATION_UNREADABLE"] if minutes is None else [])


@pytest.mark.parametrize(
    ("interval", "minutes"),
    [("M30", 30), ("30", 30), ("H1", 60), ("m45", 45), ("S60", None), ("L1", None), ("D1", 1440)],
)
def test_tq_intervals(interval: str, minutes: int | None) -> None:
    one = read(sch=f"^^{interval}^20260309120000")
    assert one.event.duration == (None if minutes is None else timedelta(minutes=minutes))


def test_a_length_across_the_change_of_clocks_is_elapsed_time() -> None:
    one = read(sch="^^^20260308013000^20260308033000")  # clocks go from 02:00 to 03:00 in between
    assert one.event.duration == timedelta(hours=1)


def test_a_length_loses_by_what_is_wrong_with_it() -> None:
    one = read("TQ1|1|||||||20260310", sch="^^H30^20260309120000^20260309110000", length="20|MIN")
    assert one.why_not("duration") == {
        "TQ1-8": "not a date and time",
        "SCH-11.5": "not after the start",
        "SCH-9": None,
        "SCH-11.3": "not between a minute and a day",
        "AIS-7": "empty",
    }
