"""The console gateway shows the body, hides the phone, and lets no escape sequence reach the terminal."""

from __future__ import annotations

from io import StringIO

from notifier.console import ConsoleGateway
from notifier.gateway import Accepted, DeliveryStatus, Gateway, NotSent
from tests.notifier.samples import NOW, SMS, sms


def test_a_block_per_text() -> None:
    stream = StringIO()
    gateway: Gateway = ConsoleGateway(stream)
    assert gateway.send(SMS) == Accepted(message_id=f"console-{SMS.id}-1", status=DeliveryStatus.DELIVERED)
    assert stream.getvalue() == (
        "-- SMS to ***0143 from +14255550100 (production, reminder, 1 segment)\n"
        "   Lamna Healthcare: a reminder of your visit on Mon, Mar 9 at 2:05 PM.\n"
    )


def test_no_digits_and_no_terminal_escapes() -> None:
    stream = StringIO()
    ConsoleGateway(stream).send(sms(body="a\x1b[31mb\x9bc\u202ed\ne", segments=2))
    assert "2025550143" not in stream.getvalue()
    assert stream.getvalue().endswith("2 segments)\n   a?[31mb?c?d\n   e\n")


def test_a_closed_stream_is_not_sent() -> None:
    stream = StringIO()
    stream.close()
    assert ConsoleGateway(stream).send(SMS) == NotSent(why="console_closed")


def test_it_keeps_nothing() -> None:
    gateway = ConsoleGateway(StringIO())
    assert gateway.fetch("console-x-1") is None
    assert gateway.find(SMS, NOW) is None
    assert gateway.forget("console-x-1")
    gateway.close()
