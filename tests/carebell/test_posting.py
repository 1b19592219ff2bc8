"""An ACK waits for texts that are on their way, whichever of a message's appointments they belong to."""

from __future__ import annotations

from carebell.posting import Posting


def test_nothing_under_way_is_clear() -> None:
    called: list[str] = []
    assert Posting().when_clear(["a"], lambda: called.append("a")) is True
    assert called == []


def test_what_is_under_way_is_waited_for() -> None:
    posting, called = Posting(), list[str]()
    posting.enter(["a", "a", "b"])
    assert posting.when_clear(["a", "b", "c"], lambda: called.append("clear")) is False
    posting.leave("a")
    posting.leave("b")
    assert called == []
    posting.leave("a")
    assert called == ["clear"]


def test_what_began_later_is_not_waited_for() -> None:
    posting, called = Posting(), list[str]()
    posting.enter(["a"])
    posting.when_clear(["a"], lambda: called.append("clear"))
    posting.leave("a")
    posting.enter(["a"])
    assert called == ["clear"]
