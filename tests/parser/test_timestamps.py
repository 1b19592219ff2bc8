"""parser/timestamps.py: what is a time, and which instant it means."""

from __future__ import annotations

import weakref
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from certs.dtm import read_offset
from parser.timestamps import Basis, Clocks, Timestamp, offset_text, read_timestamp

ZONES = (
    "America/Chicago",
    "America/New_York",
    "America/Phoenix",
    "Europe/London",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
)
SENT = datetime(2026, 3, 2, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "wall", "offset", "date_only"),
    [
        ("20260309", (2026, 3, 9), None, True),
        ("2026030914", (2026, 3, 9, 14), None, False),
        ("202603091405", (2026, 3, 9, 14, 5), None, False),
        ("20260309140506", (2026, 3, 9, 14, 5, 6), None, False),
        (" 20260309140506 ", (2026, 3, 9, 14, 5, 6), None, False),
        ("20260309140506.1234", (2026, 3, 9, 14, 5, 6), None, False),
        ("2026030914050699", (2026, 3, 9, 14, 5, 6), None, False),
        ("20260309140506-0500", (2026, 3, 9, 14, 5, 6), -300, False),
        ("202603091405+0545", (2026, 3, 9, 14, 5), 345, False),
        ("20260309140506.1-05:00", (2026, 3, 9, 14, 5, 6), -300, False),
        ("20260309140506Z", (2026, 3, 9, 14, 5, 6), 0, False),
        ("20261231240000", (2027, 1, 1), None, False),
        ("202602282400", (2026, 3, 1), None, False),
        ("20240229", (2024, 2, 29), None, True),
    ],
)
def test_times_of_every_precision(text: str, wall: tuple[int, ...], offset: int | None, date_only: bool) -> None:
    minutes = None if offset is None else timedelta(minutes=offset)
    timestamp = read_timestamp(text)
    assert timestamp is not None
    assert (timestamp.wall, timestamp.offset, timestamp.date_only) == (datetime(*wall), minutes, date_only)  # type: ignore[arg-type]  # noqa: DTZ001


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026",
        "202603",
        "2026030",
        "202603091",
        "20261301",
        "20260230",
        "2026030925",
        "202603091460",
        "20260309240001",
        "2026030914-1500",
        "202603091405-05",
        "202603091405+0560",
        "TODAY",
        "2026-03-09",
        "٢٠٢٦٠٣٠٩",
        "1" * 30,
        "18991231",
        "22000101",
    ],
)
def test_what_is_no_time(text: str) -> None:
    assert read_timestamp(text) is None


def test_a_long_text_is_not_kept() -> None:
    class Text(str):
        __slots__ = ("__weakref__",)

    text = Text("9" * 100_000)
    kept = weakref.ref(text)
    assert read_timestamp(text) is None
    del text
    assert kept() is None


@given(st.text(max_size=30) | st.from_regex(r"[0-9]{6,18}(\.[0-9]*)?([+-][0-9]{4}|Z)?", fullmatch=True))
def test_no_text_breaks_it_and_every_time_has_an_instant(text: str) -> None:
    timestamp = read_timestamp(text)
    if timestamp is not None:
        for zone in ZONES:
            assert Clocks.of(SENT, None, None, zone).instant(timestamp).utc.tzinfo is UTC


@given(st.datetimes(datetime(1901, 1, 1), datetime(2190, 1, 1)), st.integers(-14 * 60, 14 * 60))  # noqa: DTZ001
def test_a_written_offset_is_obeyed(wall: datetime, minutes: int) -> None:
    offset = timedelta(minutes=minutes)
    wall = wall.replace(microsecond=0)
    timestamp = read_timestamp(f"{wall:%Y%m%d%H%M%S}{offset_text(offset)}")
    assert timestamp == Timestamp(wall, offset)
    instant = Clocks.of(SENT, "-0800", None, "Asia/Kathmandu").instant(timestamp)
    assert instant.utc == wall.replace(tzinfo=UTC) - offset
    assert instant.basis is Basis.VALUE
    assert read_offset(offset_text(offset)) == offset


@settings(max_examples=300)
@given(st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1)), st.sampled_from(ZONES))  # noqa: DTZ001
def test_a_bare_time_is_what_the_clinics_clock_shows(wall: datetime, zone: str) -> None:
    """On the clock again it reads the same, unless it never was there; of two instants it is the earlier."""
    wall = wall.replace(second=0, microsecond=0)
    instant = Clocks.of(SENT, None, None, zone).instant(Timestamp(wall))
    shown = instant.utc.astimezone(ZoneInfo(zone)).replace(tzinfo=None, fold=0)
    assert (shown == wall) is not instant.gap
    if instant.gap:
        assert timedelta(0) < shown - wall <= timedelta(hours=1)
    before = (instant.utc - timedelta(hours=1)).astimezone(ZoneInfo(zone)).replace(tzinfo=None, fold=0)
    half_before = (instant.utc - timedelta(minutes=30)).astimezone(ZoneInfo(zone)).replace(tzinfo=None, fold=0)
    assert wall not in (before, half_before)
    after = {
        (instant.utc + timedelta(minutes=n)).astimezone(ZoneInfo(zone)).replace(tzinfo=None, fold=0) for n in (30, 60)
    }
    assert (wall in after) is instant.overlap


def clocks(sent_offset: str | None, location: str | None = None, sent_at: datetime = SENT) -> Clocks:
    return Clocks.of(sent_at, sent_offset, location, "America/Los_Angeles")


@pytest.mark.parametrize(
    ("offset", "location", "utc", "basis"),
    [
        (None, None, "2026-07-01 16:00", Basis.CLOCK),  # the clinic's own clock: PDT
        (
            "-0800",
            None,
            "2026-07-01 16:00",
            Basis.CLOCK,
        ),  # Los Angeles' offset on the day of sending, so its clock in July
        ("-0500", None, "2026-07-01 14:00", Basis.HEADER),
        ("+0000", None, "2026-07-01 09:00", Basis.HEADER),
        (None, "America/Denver", "2026-07-01 15:00", Basis.CLOCK),
        ("-0700", "America/Denver", "2026-07-01 15:00", Basis.CLOCK),  # Denver's in March
        ("-0800", "America/Denver", "2026-07-01 16:00", Basis.CLOCK),  # the environment's clock, at a clinic in Denver
        ("nonsense", None, "2026-07-01 16:00", Basis.CLOCK),
    ],
)
def test_whose_clock_a_bare_time_is_on(offset: str | None, location: str | None, utc: str, basis: Basis) -> None:
    timestamp = read_timestamp("20260701090000")
    assert timestamp is not None
    instant = clocks(offset, location).instant(timestamp)
    assert (f"{instant.utc:%Y-%m-%d %H:%M}", instant.basis) == (utc, basis)
    assert clocks(offset, location).zone.key == (location or "America/Los_Angeles")


def test_a_date_alone_is_a_day_of_the_clinics_calendar() -> None:
    timestamp = read_timestamp("20260701+0000")
    assert timestamp is not None
    instant = clocks("+0000").instant(timestamp)
    assert (instant.utc, instant.date_only) == (datetime(2026, 7, 1, 7, tzinfo=UTC), True)
