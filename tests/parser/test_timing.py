"""parser/timing.py and parser/duration.py: where start and length come from, and what is told when sources disagree.

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
    outcome = read(*segments)
    first = min(given_places)
    assert outcome.evidence["start"].field == PRECEDENCE[first][0]
    assert outcome.event.start is not None
    assert outcome.event.start.instant == datetime(2026, 3, 9, 15 + first, tzinfo=UTC)
    assert outcome.odd == []


def test_tq1_before_sch_11_and_the_contradiction_is_told() -> None:
    outcome = read("TQ1|1||||||20260309120000", sch="^^^20260309130000")
    assert (outcome.evidence["start"].field, outcome.odd) == ("TQ1-7", ["START_DISAGREES"])
    assert [warning.field for warning in outcome.event.warnings] == ["SCH-11.4"]
    assert read("TQ1|1||||||20260309120000-0500", sch="^^^20260309120000").odd == []  # the same instant


EXACT = "20260309143000"
COARSER = ("20260309", "2026030914", "20260309-0500")


@pytest.mark.parametrize("coarse", COARSER)
@pytest.mark.parametrize(
    ("segments", "sch", "field"),
    [
        (("TQ1|1||||||{coarse}|{coarse}",), "^^^{exact}", "SCH-11.4"),
        ((), "{coarse}^^^{exact}", "SCH-11.4"),
        (("TQ1|1||||||{coarse}",), "{exact}", "SCH-11.1"),
        (("TQ1|1||||||{coarse}", "AIS|1|A|X|{exact}"), "", "AIS-4"),
        (("AIL|1|A|X|||{exact}",), "^^^{coarse}", "AIL-6"),
        (("AIS|1|A|X|{coarse}", "AIL|1|A|X|||{exact}"), "", "AIL-6"),
        (("TQ1|1||||||{coarse}", "AIS|1|A|X|{exact}"), "^^^{coarse}", "AIS-4"),
        (("TQ1|1||||||{exact}",), "^^^{coarse}", "TQ1-7"),
        (("TQ1|1||||||{coarse}", "TQ1|2||||||{exact}"), "", "TQ1[2]-7"),
    ],
)
def test_the_more_exact_of_agreeing_places_decides(
    coarse: str, segments: tuple[str, ...], sch: str, field: str
) -> None:
    """Whichever place is coarse, whichever exact: the start is the exact one, and nobody is told of a contradiction."""
    words = [segment.format(coarse=coarse, exact=EXACT) for segment in segments]
    outcome = read(*words, sch=sch.format(coarse=coarse, exact=EXACT))
    assert outcome.event.start is not None
    assert (outcome.event.start.instant, outcome.event.start.date_only) == (
        datetime(2026, 3, 9, 19, 30, tzinfo=UTC),
        False,
    )
    assert (outcome.evidence["start"].field, outcome.odd) == (field, [])


def test_a_chain_of_places_each_more_exact() -> None:
    outcome = read("TQ1|1||||||20260309", "AIS|1|A|X|202603091430", sch="^^^2026030914")
    assert outcome.evidence["start"].field == "AIS-4"
    assert outcome.why_not("start")["TQ1-7"] == outcome.why_not("start")["SCH-11.4"] == "AIS-4 agrees and is more exact"


@pytest.mark.parametrize(
    ("coarse", "exact"),
    [
        ("20260310", "20260309140000"),  # another day
        ("20260309", "20260310030000+0000"[:14]),  # 3 in the morning of the next day
        ("2026030914", "20260309150000"),  # another hour
    ],
)
def test_a_more_exact_place_that_disagrees_is_only_told(coarse: str, exact: str) -> None:
    outcome = read(f"TQ1|1||||||{coarse}", sch=f"^^^{exact}")
    assert outcome.evidence["start"].field == "TQ1-7"
    assert "START_DISAGREES" in outcome.odd


def test_what_a_day_is_the_clinics_calendar_says() -> None:
    """03:00Z on the 10th is the evening of the 9th in Chicago."""
    outcome = read("TQ1|1||||||20260309", sch="^^^20260310030000+0000")
    assert outcome.event.start is not None
    assert outcome.event.start.instant == datetime(2026, 3, 10, 3, tzinfo=UTC)


def test_a_midnight_beside_a_date_is_no_time_of_day() -> None:
    outcome = read("TQ1|1||||||20260309", sch="^^^20260309000000")
    assert outcome.event.start is not None
    assert (outcome.event.start.date_only, outcome.odd) == (True, ["START_DATE_ONLY"])


def test_an_exact_place_that_disagrees_is_passed_over_for_one_that_agrees() -> None:
    outcome = read("TQ1|1||||||20260309", "AIS|1|A|X|20260309143000", sch="^^^20260311080000")
    assert (outcome.evidence["start"].field, outcome.odd) == ("AIS-4", ["START_DISAGREES"])
    assert outcome.why_not("start")["SCH-11.4"] == "TQ1-7 comes first"


def test_an_empty_tq1_gives_way_to_the_next_and_deletion_counts_as_empty() -> None:
    outcome = read("TQ1|1", 'TQ1|2||||||""', "TQ1|3||||||20260309120000")
    assert outcome.evidence["start"].field == "TQ1[3]-7"
    assert outcome.why_not("start")["TQ1[2]-7"] == 'deleted by the sender ("")'


def test_resources_may_begin_when_they_like() -> None:
    outcome = read("AIS|1|A|X|20260309140000", "AIP|1|A|X|||20260309113000", sch="^^^20260309120000")
    assert outcome.odd == []


def test_deleted_resources_have_no_say_and_unreadable_ones_only_the_last() -> None:
    outcome = read("AIS|1|D|X|20260309080000", "AIS|2|A|X|LATER", "AIS|3|U|X|20260309100000")
    assert outcome.evidence["start"].field == "AIS[3]-4"
    assert read("AIS|1|A|X|LATER").rejection.text == "the start in AIS-4 is no date and time"


@pytest.mark.parametrize(("days", "accepted"), [(400, True), (401, False), (-3000, True)])
def test_how_far_away_a_start_may_be(days: int, accepted: bool) -> None:
    start = (SENT + timedelta(days=days)).strftime("%Y%m%d%H%M%S+0000")
    outcome = read(sch=f"^^^{start}")
    if accepted:
        assert outcome.event.start is not None
    else:
        assert (outcome.rejection.code, outcome.rejection.err3, outcome.rejection.location) == (
            "VALUE",
            "102",
            "SCH^1^11^1^4",
        )
    assert read(sch=f"^^^{start}", event="S15").odd == ([] if accepted else ["START_TOO_FAR"])


@pytest.mark.parametrize(
    ("length", "minutes"),
    [
        ("30|MIN", 30),
        ("30|min", 30),
        ("30|Min", 30),
        ("30|MINUTES", 30),
        ("30|minutes^Minutes", 30),
        ("30|m", 30),
        ("30|M", 30),
        ("30|^Min", 30),
        ("30|", 30),
        ("5|", 5),
        ("480|", 480),
        ("4|", None),
        ("481|", None),
        ("1800|s", 30),
        ("1800|S", 30),
        ("60|s", None),
        ("299|s", None),
        ("300|s", 5),
        ("1.5|H", 90),
        ("24|HR", 1440),
        ("25|HR", None),
        ("0|MIN", None),
        ("30 MIN|", 30),
        ("30MIN|", 30),
        ("30min.|", 30),
        (" 30  Minutes |", 30),
        ("0.5 HR|", 30),
        ("0,5 hr|", 30),
        ("1.5h|", 90),
        ("1 hr 30 min|", 90),
        ("1h30m|", 90),
        ("1h30|", 90),
        ("1 hour, 15 minutes|", 75),
        ("1800 s|", 30),
        ("60 s|", None),
        ("30 MIN|MIN", 30),
        ("30 MIN|HR", 30),
        ("30 MIN|FORTNIGHT", 30),
        ("0:30|", 30),
        ("1:30|", 90),
        ("00:45:00|", 45),
        ("1:30|HR", 90),
        ("30:00|MIN", 30),
        ("1:30|MIN", None),
        ("1:75|", None),
        ("PT30M|", 30),
        ("PT1H30M|", 90),
        ("M30|", 30),
        ("H1|MIN", 60),
        ("30^MIN|", 30),
        ("30 MIN 1 HR|", None),
        ("30 FORTNIGHT|", None),
        ("MIN 30|", None),
        ("P|", None),
        ("1 hr 90 hr|", None),
        ("30 MIN x|", None),
        ("-30|MIN", None),
        ("half an hour|", None),
        ("30|FORTNIGHT", None),
        ("1|MIN", 1),
        ("9" * 300 + "|MIN", None),
    ],
)
def test_lengths_and_their_units(length: str, minutes: int | None) -> None:
    outcome = read(sch="^^^20260309120000", length=length)
    assert outcome.event.duration == (None if minutes is None else timedelta(minutes=minutes))
    assert outcome.odd == (["DURATION_UNREADABLE"] if minutes is None else [])


@pytest.mark.parametrize(
    ("interval", "minutes"),
    [
        ("M30", 30),
        ("30", 30),
        ("H1", 60),
        ("m45", 45),
        ("S60", None),
        ("L1", None),
        ("D1", 1440),
        ("PT30M", 30),
        ("2 hours", None),
    ],
)
def test_tq_intervals(interval: str, minutes: int | None) -> None:
    outcome = read(sch=f"^^{interval}^20260309120000")
    assert outcome.event.duration == (None if minutes is None else timedelta(minutes=minutes))


def test_a_length_across_the_change_of_clocks_is_elapsed_time() -> None:
    outcome = read(sch="^^^20260308013000^20260308033000")  # clocks go from 02:00 to 03:00 in between
    assert outcome.event.duration == timedelta(hours=1)


def test_a_length_loses_by_what_is_wrong_with_it() -> None:
    outcome = read("TQ1|1|||||||20260310", sch="^^H30^20260309120000^20260309110000", length="20|MIN")
    assert outcome.why_not("duration") == {
        "TQ1-8": "a date or an hour is too coarse for an end",
        "SCH-11.5": "not after the start",
        "SCH-9": None,
        "SCH-11.3": "not between a minute and a day",
        "AIS-7": "empty",
    }
