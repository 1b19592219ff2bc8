"""What is said of a certificate that comes into use, or is used no more."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from carebell.configuring.certificate_changes import CertificateChange

AT = datetime(2026, 3, 2, 18, tzinfo=UTC)
CHANGE = CertificateChange(
    environment="production",
    change="removed",
    thumbprint="abc",
    subject="CN=bridge",
    not_after=datetime(2028, 1, 1, 4, tzinfo=UTC),
    last_used=None,
    authentication="signature",
    at=AT,
    zone="America/Los_Angeles",
)


@pytest.mark.parametrize(
    ("before", "words"),
    [
        (timedelta(seconds=5), "5 s ago, at 2026-03-02 09:59:55"),
        (timedelta(seconds=119), "1 min ago"),
        (timedelta(hours=30), "1 d ago"),
        (timedelta(hours=3), "3 h ago"),
        (timedelta(seconds=-2), "0 s ago"),
    ],
)
def test_the_last_message_is_said_with_its_distance(before: timedelta, words: str) -> None:
    assert words in replace(CHANGE, last_used=AT - before).sentence


def test_sentences() -> None:
    assert CHANGE.sentence == (
        "messages to production signed with CN=bridge (thumbprint abc, valid until 2027-12-31) "
        "will be refused with SIG05; none came until now"
    )
    assert "sent with the TLS certificate CN=bridge" in replace(CHANGE, authentication="mutual-tls").sentence
    assert replace(CHANGE, change="added").sentence.endswith(" will be taken")
