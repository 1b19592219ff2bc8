"""certs/dtm.py: one reader for every time of a message, padded or not; the header's and the fields' readers agree."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certs import dtm
from certs.dtm import Precision
from certs.msh import read_dtm
from parser.timestamps import Clocks, read_timestamp

ZONE = "America/Los_Angeles"
CLOCKS = Clocks.of(datetime(2026, 3, 2, 15, tzinfo=UTC), None, None, ZONE)
DATE, CLOCK, OFFSET = (
    "20[0-3][0-9](0[1-9]|1[0-3])([0-2][0-9])",
    r"([0-9]{0,10})(\.[0-9]{0,9})?",
    "([+-][01][0-9]:?[0-6][0-9]|Z)?",
)
written = st.from_regex(DATE + CLOCK + OFFSET, fullmatch=True)
padding = st.text(st.sampled_from(" \t\u00a0"), max_size=4)


def outcome(text: str) -> object:
    """The time, or the reason why there is none."""
    try:
        return dtm.read(text)
    except ValueError as error:
        return str(error)


@given(written, padding, padding)
def test_padding_counts_for_nothing(text: str, before: str, behind: str) -> None:
    assert outcome(before + text + behind) == outcome(text)


@given(written, padding)
def test_msh_7_and_every_other_time_are_read_alike(text: str, pad: str) -> None:
    """MSH-7 must be given to the minute; beyond that both say the same of the same text."""
    timestamp = read_timestamp(pad + text)
    try:
        instant, _ = read_dtm((text + pad).encode(), ZoneInfo(ZONE))
    except ValueError:
        assert timestamp is None or timestamp.precision < Precision.MINUTE
    else:
        assert timestamp is not None
        assert CLOCKS.instant(timestamp).utc == instant.replace(microsecond=0)


@pytest.mark.parametrize(
    ("text", "precision"),
    [
        ("20260302", 8),
        ("2026030215", 10),
        ("202603021504", 12),
        ("20260302150405", 14),
        ("20260302150405.9", 14),
        ("2026030215040599", 14),
    ],
)
def test_to_what_a_time_is_given(text: str, precision: int) -> None:
    assert dtm.read(text).precision == precision


@given(st.text(max_size=80))
def test_no_text_breaks_it_and_no_refusal_repeats_it(text: str) -> None:
    assert outcome(text) != text
