"""An ACK waits for texts that are on their way, whichever of a message's appointments they belong to."""

from __future__ import annotations

from carebell.outbound.in_flight import InFlight


def test_nothing_under_way_is_clear() -> None:
    called: list[str] = []
    assert InFlight().when_clear(["a"], lambda: called.append("a")) is True
    assert called == []


def test_what_is_under_way_is_waited_for() -> None:
    in_flight, called = InFlight(), list[str]()
    in_flight.enter(["a", "a", "b"])
    assert in_flight.when_clear(["a", "b", "c"], lambda: called.append("clear")) is False
    in_flight.leave("a")
    in_flight.leave("b")
    assert called == []
    in_flight.leave("a")
    assert called == ["clear"]


def test_what_began_later_is_not_waited_for() -> None:
    in_flight, called = InFlight(), list[str]()
    in_flight.enter(["a"])
    in_flight.when_clear(["a"], lambda: called.append("clear"))
    in_flight.leave("a")
    in_flight.enter(["a"])
    assert called == ["clear"]
