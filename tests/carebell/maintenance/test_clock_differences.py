"""How far the machine's clock is from others that it sees anyway."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from carebell.maintenance.clock_differences import FEWEST, SPAN, ClockDifferences

NOW = datetime(2026, 3, 2, 18, 0, tzinfo=UTC)


@dataclass
class Hands:
    now: datetime = NOW
    seconds: float = 50.0
    server: datetime | None = None
    differences: ClockDifferences = field(init=False)

    def __post_init__(self) -> None:
        self.differences = ClockDifferences(
            now=lambda: self.now, seconds=lambda: self.seconds, database_time=lambda: self.server
        )


@pytest.fixture
def hands() -> Hands:
    return Hands()


def test_nothing_is_known_at_first(hands: Hands) -> None:
    assert hands.differences() == {}


@pytest.mark.parametrize("written", [None, "", "soon", "Mon, 99 Mar 2026 18:00:00 GMT"])
def test_a_header_that_is_no_date_is_ignored(hands: Hands, written: str | None) -> None:
    hands.differences.gateway_answered(written)
    assert hands.differences() == {}


def test_the_gateways_date_is_compared_for_twenty_minutes(hands: Hands) -> None:
    hands.differences.gateway_answered(format_datetime(NOW - timedelta(seconds=40), usegmt=True))
    assert hands.differences() == {"gateway": 39.5}
    hands.seconds += 2 * SPAN + 1
    assert hands.differences() == {}


def test_the_database_servers_clock_is_asked(hands: Hands) -> None:
    hands.server = NOW + timedelta(minutes=2)
    assert hands.differences() == {"database server": -120.0}


def arrive(hands: Hands, environment: str, *delays: float) -> None:
    for delay in delays:
        hands.differences.message_arrived(environment, timedelta(seconds=delay))


def test_messages_of_all_senders_from_the_future_mean_a_clock_that_is_behind(hands: Hands) -> None:
    arrive(hands, "production", -58, -60, 3600)
    assert hands.differences() == {"senders": -60.0}
    arrive(hands, "test", *[2.0] * FEWEST)  # one sender agrees with us: then the other one's clock is wrong
    assert hands.differences() == {}


def test_two_messages_prove_nothing(hands: Hands) -> None:
    arrive(hands, "production", *[-60.0] * (FEWEST - 1))
    assert hands.differences() == {}


def test_messages_that_waited_say_nothing_of_a_clock(hands: Hands) -> None:
    arrive(hands, "production", 7200, 7300, 7400)
    assert hands.differences() == {}


def test_old_messages_are_forgotten(hands: Hands) -> None:
    arrive(hands, "production", -60, -60, -60)
    assert hands.differences()
    hands.seconds += SPAN
    assert hands.differences()  # they still count beside those that come now
    hands.seconds += SPAN
    assert hands.differences() == {}


def test_a_rehearsals_clock_is_compared_with_nothing(hands: Hands) -> None:
    hands.differences.is_real = False
    hands.server = NOW + timedelta(minutes=2)
    assert hands.differences() == {}
