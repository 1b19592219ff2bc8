"""How many requests a slow gateway held at once is counted from when they came."""

from __future__ import annotations

import pytest

from benchmarks.slow_twilio import most_at_once


@pytest.mark.parametrize(
    ("times", "most"),
    [([0.0], 1), ([0.0, 0.05, 0.09, 0.2], 3), ([0.0, 0.1, 0.2], 1), ([0.0, 0.01, 0.1, 0.105, 0.106, 0.107], 5)],
)
def test_requests_under_way_together(times: list[float], most: int) -> None:
    assert most_at_once(times, 0.1) == most
