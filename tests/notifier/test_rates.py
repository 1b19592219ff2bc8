"""A sender's default rate by its kind of number."""

from __future__ import annotations

import pytest

from notifier.rates import default_rate


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
