"""When a certificate last signed a message, as it is stored: people retire the other one by it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import event

from carebell.inbound.process import USE_PRECISION
from store import usage
from tests.carebell.pieces import Pieces, pieces
from tests.carebell.pocket_twilio import PocketTwilio
from tests.story.ehr import unsigned

NOW: Final = datetime(2026, 3, 2, 18, 0, tzinfo=UTC)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Pieces]:
    with pieces(tmp_path, at=NOW, gateway=PocketTwilio(now=lambda: NOW)) as made:
        yield made


def _booking(at: datetime, number: int) -> bytes:
    return unsigned("S12", f"C{number}", sent=at, start=NOW + timedelta(days=9), reference=f"V{number}")


def _hear(service: Pieces, number: int) -> str:
    """A message is taken; the thumbprint of its signer."""
    [message] = service.hear(_booking(service.now, number))
    assert message.verified is not None
    return message.verified.thumbprint


def _last_used(service: Pieces, thumbprint: str) -> datetime | None:
    with service.store.read() as conn:
        return usage.last_used(conn, "production", thumbprint)


def test_it_is_some_seconds_old_at_most_while_messages_come(service: Pieces) -> None:
    for number in range(8):
        service.step(timedelta(seconds=3))
        last_used = _last_used(service, _hear(service, number))
        assert last_used is not None
        assert timedelta(0) <= service.now - last_used < USE_PRECISION <= timedelta(seconds=5)


def test_the_first_message_after_a_silence_stands_at_once(service: Pieces) -> None:
    _hear(service, 1)
    service.step(timedelta(minutes=3))
    assert _last_used(service, _hear(service, 2)) == service.now


def test_messages_that_come_together_cost_one_write(service: Pieces) -> None:
    statements: list[str] = []
    event.listen(
        service.store.writing,
        "before_cursor_execute",
        lambda _conn, _cursor, statement, *_: statements.append(statement),
    )
    for number in range(5):
        _hear(service, number)
    assert len([statement for statement in statements if statement.startswith("INSERT INTO meta")]) == 1
