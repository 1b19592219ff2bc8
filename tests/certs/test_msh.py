"""Reading the header of bytes that nobody has vouched for, and MSH-7's instant."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certs.message import Msh
from certs.msh import read_dtm, read_msh, read_sent

PACIFIC = ZoneInfo("America/Los_Angeles")
LINE = b"MSH|^~\\&|A3|F4|A5|F6|T7|S8|SIU^S12|ID10|P^T|2.5.1|13|14|AL|NE|17|UNICODE UTF-8~X|19"
EXPECTED = Msh(
    separators=b"|^~\\&",
    sending_application=b"A3",
    sending_facility=b"F4",
    receiving_application=b"A5",
    receiving_facility=b"F6",
    date_time=b"T7",
    message_type=b"SIU^S12",
    control_id=b"ID10",
    processing_id=b"P^T",
    version_id=b"2.5.1",
    accept_ack=b"AL",
    application_ack=b"NE",
    character_set=b"UNICODE UTF-8",
)


@pytest.mark.parametrize("end", [b"", b"\r", b"\n", b"\r\n", b"\rPID|1\r", b"\r\nPID|1", b"\nPID|1\n"])
def test_every_field_in_its_place(end: bytes) -> None:
    assert read_msh(LINE + end) == EXPECTED


def test_other_separators() -> None:
    msh = read_msh(b"MSH#*~\\&#A3#F4*X")
    assert (msh.separators, msh.sending_application, msh.sending_facility) == (b"#*~\\&", b"A3", b"F4*X")


def test_byte_order_mark_is_passed_over() -> None:
    """Whether it is acceptable is not decided here: even the refusal names its message."""
    assert read_msh(b"\xef\xbb\xbf" + LINE + b"\r") == EXPECTED


def test_line_feed_is_data_where_carriage_returns_end_segments() -> None:
    msh = read_msh(LINE.replace(b"ID10", b"ID\n10") + b"\rPID|1\r")
    assert (msh.control_id, msh.version_id) == (b"ID\n10", b"2.5.1")


def test_a_field_beyond_the_limit_is_absent_rather_than_cut() -> None:
    msh = read_msh(LINE.replace(b"ID10", b"9" * 20_000) + b"\r")
    assert (msh.message_type, msh.control_id, msh.processing_id) == (b"SIU^S12", b"", b"")


@pytest.mark.parametrize("content", [b"", b"MSH", b"PID|1", b"MS", b"\r"])
def test_no_header(content: bytes) -> None:
    assert read_msh(content) == Msh()


@given(st.one_of(st.binary(max_size=200), st.binary(max_size=100).map(lambda tail: b"MSH" + tail)))
def test_any_bytes(content: bytes) -> None:
    msh = read_msh(content)
    assert all(value in content for value in (msh.control_id, msh.sending_facility, msh.character_set))


@pytest.mark.parametrize(
    ("written", "instant", "offset"),
    [
        (b"20260302150405+0000", datetime(2026, 3, 2, 15, 4, 5, tzinfo=UTC), "+0000"),
        (b"20260302090405-0600", datetime(2026, 3, 2, 15, 4, 5, tzinfo=UTC), "-0600"),
        (b"20260302203405+0530", datetime(2026, 3, 2, 15, 4, 5, tzinfo=UTC), "+0530"),
        (b"20260302070405", datetime(2026, 3, 2, 15, 4, 5, tzinfo=UTC), None),
        (b"202603020704", datetime(2026, 3, 2, 15, 4, tzinfo=UTC), None),
        (b"20260302150405.1234+0000", datetime(2026, 3, 2, 15, 4, 5, 123400, tzinfo=UTC), "+0000"),
        (b"20260302150405Z", datetime(2026, 3, 2, 15, 4, 5, tzinfo=UTC), "+0000"),
        (b"20260302100405-05:00", datetime(2026, 3, 2, 15, 4, 5, tzinfo=UTC), "-0500"),
        (b"20260301240000+0000", datetime(2026, 3, 2, tzinfo=UTC), "+0000"),
        (b"20260302150405+0000^S", datetime(2026, 3, 2, 15, 4, 5, tzinfo=UTC), "+0000"),
        (b"2026030215040599+0000", datetime(2026, 3, 2, 15, 4, 5, tzinfo=UTC), "+0000"),
        (b"2026030207040512", datetime(2026, 3, 2, 15, 4, 5, tzinfo=UTC), None),
        (b"20260302150405+0000 ", datetime(2026, 3, 2, 15, 4, 5, tzinfo=UTC), "+0000"),
        (b" 20260302070405\t", datetime(2026, 3, 2, 15, 4, 5, tzinfo=UTC), None),
        (b"20260302150405 +0000", datetime(2026, 3, 2, 15, 4, 5, tzinfo=UTC), "+0000"),
        (
            b"\xa020260302150405Z\xa0",
            datetime(2026, 3, 2, 15, 4, 5, tzinfo=UTC),
            "+0000",
        ),
        (b"20260302150405 ^S", datetime(2026, 3, 2, 23, 4, 5, tzinfo=UTC), None),
        (b"20260308023000", datetime(2026, 3, 8, 10, 30, tzinfo=UTC), None),  # in the gap: forward by an hour
        (b"20261101013000", datetime(2026, 11, 1, 8, 30, tzinfo=UTC), None),  # twice: the earlier
    ],
)
def test_instants(written: bytes, instant: datetime, offset: str | None) -> None:
    assert read_dtm(written, PACIFIC) == (instant, offset)


@pytest.mark.parametrize(
    ("written", "within"),
    [
        (b"20260302150405+0000", timedelta(seconds=1)),
        (b"202603021504", timedelta(minutes=1)),
        (b"20260302150405.1", timedelta(milliseconds=100)),
        (b"20260302150405.1234", timedelta(microseconds=100)),
        (b"20260302150405.12345678", timedelta(microseconds=1)),
        (b"20260302150405.", timedelta(seconds=1)),
        (b"202603021504.5", timedelta(minutes=1)),
        (b"20261101013000", timedelta(hours=1, seconds=1)),  # the clocks repeat it
        (b"202611010130", timedelta(hours=1, minutes=1)),
        (b"20261101013000-0700", timedelta(seconds=1)),  # and say which
        (b"20260308023000", timedelta(seconds=1)),  # in the gap
    ],
)
def test_how_long_a_time_lasts(written: bytes, within: timedelta) -> None:
    sent = read_sent(written, PACIFIC)
    assert sent.within == within
    assert (sent.at, sent.offset) == read_dtm(written, PACIFIC)


@pytest.mark.parametrize(
    "written",
    [
        b"",
        b"2026",
        b"202603",
        b"now",
        b"20260230",
        b"20261302",
        b"20260302250000",
        b"20260302150460",
        b"2026-03-02",
        b"20260302",
        b"2026030215",
        b"2026030215040",
        b"20260302150405+2500",
        b"20260302150405+0060",
        b"00010001",
        "２０２６０３０２".encode(),
        b"2026 0302150405",
        b" ",
        b"20260302150405\x00",
    ],
    ids=range(19),
)
def test_what_is_no_time(written: bytes) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        read_dtm(written, PACIFIC)
    assert not written or repr(written) not in str(caught.value)


@given(st.from_regex(rb"\A[0-9]{8,16}(\.[0-9]{0,4})?([+-][0-9]{4}|Z)?\Z"))
def test_any_digits_give_an_aware_instant_or_a_known_error(written: bytes) -> None:
    try:
        instant, _ = read_dtm(written, PACIFIC)
    except ValueError:
        return
    assert instant.tzinfo is UTC
