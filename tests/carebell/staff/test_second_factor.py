"""Codes: those of RFC 6238's own table, in their half minute and its neighbours."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from carebell.staff.second_factor import new_secret, shown, step_of

RFC_6238 = b"12345678901234567890"


@pytest.mark.parametrize(
    ("seconds", "code"),
    [(1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"), (20000000000, "353130")],
)
def test_the_codes_of_the_standard(seconds: int, code: str) -> None:
    """Appendix B, the last six of its eight digits."""
    now = datetime.fromtimestamp(seconds, UTC)
    assert step_of(RFC_6238, code, now) == seconds // 30
    assert step_of(RFC_6238, f" {code[:3]} {code[3:]} ", now) == seconds // 30
    for late, counts in ((-60, False), (-30, True), (30, True), (60, False)):
        assert (step_of(RFC_6238, code, now + timedelta(seconds=late)) is not None) == counts


@pytest.mark.parametrize("code", ["", "28708", "2870822", "28708a", "٢٨٧٠٨٢", "287082\0", "+87082", "two eight"])
def test_what_is_no_code(code: str) -> None:
    assert step_of(RFC_6238, code, datetime.fromtimestamp(59, UTC)) is None


def test_a_secret_has_160_bits_and_apps_can_read_it() -> None:
    assert len(new_secret()) == 20
    assert new_secret() != new_secret()
    factor = shown(RFC_6238, login="kim", organization="Lamna: Healthcare")
    assert factor.secret == "GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ"
    assert factor.uri == (
        "otpauth://totp/Carebell%20Lamna%20%20Healthcare:kim?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
        "&issuer=Carebell%20Lamna%20%20Healthcare"
    )
    assert "GEZD" not in repr(factor)
