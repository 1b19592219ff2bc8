"""The token bucket: charged in segments, never over its rate, unharmed by clocks that jump."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifier.rates import Bucket, SenderRates, default_rate
from tests.notifier.samples import NOW


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("sender", "rate"),
    [
        ("+14255550100", 1.0),
        ("+18005550100", 3.0),
        ("+18885550100", 3.0),
        ("+18775550100", 3.0),
        ("+442079460143", 1.0),
        ("12345", 100.0),
        ("123456", 100.0),
        ("MG" + "0" * 32, 1.0),
    ],
)
def test_default_rates_by_kind_of_number(sender: str, rate: float) -> None:
    assert default_rate(sender) == rate


def test_a_long_code_sends_one_segment_a_second() -> None:
    rates = SenderRates({})
    sender = "+14255550100"
    assert rates.take(sender, 1, NOW)
    assert not rates.take(sender, 1, NOW)
    assert rates.wait(sender, 1, NOW) == timedelta(seconds=1, microseconds=1)
    assert not rates.take(sender, 1, after(0.9))
    assert rates.take(sender, 1, after(1))


def test_a_text_of_three_segments_costs_three_seconds() -> None:
    rates = SenderRates({})
    assert rates.take("+14255550100", 3, NOW)
    assert not rates.take("+14255550100", 1, after(2.9))
    assert rates.take("+14255550100", 1, after(3))


def test_senders_do_not_wait_for_each_other_and_rates_are_configurable() -> None:
    rates = SenderRates({"+14255550101": 10.0})
    assert rates.take("+14255550100", 1, NOW)
    assert all(rates.take("+14255550101", 1, NOW) for _ in range(10))
    assert not rates.take("+14255550101", 1, NOW)


def test_a_refused_text_costs_nothing() -> None:
    rates = SenderRates({})
    assert rates.take("+14255550100", 1, NOW)
    assert not any(rates.take("+14255550100", 3, after(0.5)) for _ in range(5))
    assert rates.take("+14255550100", 3, after(1))


def test_a_clock_set_back_or_far_ahead_gives_no_burst_and_no_stall() -> None:
    bucket = Bucket.full(1.0, NOW).take(1, NOW)
    assert bucket is not None
    assert bucket.take(1, after(-86400)) is None
    assert bucket.wait(1, after(-86400)) <= timedelta(seconds=1, microseconds=1)
    later = bucket.take(1, after(30 * 86400))
    assert later is not None
    assert later.take(1, after(30 * 86400)) is None


@settings(deadline=None)
@given(
    st.sampled_from((0.5, 1.0, 3.0, 100.0)),
    st.lists(st.tuples(st.integers(1, 5), st.floats(0, 4)), max_size=60),
)
def test_never_more_than_the_rate_plus_one_bucket_and_one_text(rate: float, asks: list[tuple[int, float]]) -> None:
    bucket, now, spent = Bucket.full(rate, NOW), NOW, 0
    for segments, pause in asks:
        now += timedelta(seconds=pause)
        taken = bucket.take(segments, now)
        if taken is not None:
            bucket, spent = taken, spent + segments
    elapsed = (now - NOW).total_seconds()
    assert spent <= rate * elapsed + bucket.depth + 5 + 1e-6


@settings(deadline=None)
@given(st.sampled_from((0.3, 1.0, 3.0, 7.0)), st.integers(1, 10), st.integers(1, 10))
def test_after_the_wait_the_text_goes(rate: float, first: int, second: int) -> None:
    bucket = Bucket.full(rate, NOW).take(first, NOW)
    assert bucket is not None
    assert bucket.take(second, NOW + bucket.wait(second, NOW)) is not None
