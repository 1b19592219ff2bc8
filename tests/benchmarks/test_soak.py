"""The slope of memory over messages, and how far it may be trusted."""

from __future__ import annotations

import pytest

from benchmarks.soak import slope, uncertainty


def test_a_leak_of_a_kilobyte_a_message_is_a_thousand_megabytes_a_million() -> None:
    points = [(sent, 100 + sent / 1000) for sent in range(50_000, 100_001, 5_000)]
    assert slope(points) == pytest.approx(1000)
    assert uncertainty(points) == pytest.approx(0, abs=1e-6)


def test_what_goes_up_and_down_is_uncertain_and_not_a_leak() -> None:
    points = [(sent, 110 + sent // 5_000 % 2) for sent in range(50_000, 100_001, 5_000)]
    assert abs(slope(points)) < uncertainty(points)
