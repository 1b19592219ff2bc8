"""The rate limit of incidents, and the table of kinds."""

from __future__ import annotations

from datetime import timedelta

from listener.incidents import Incident, Kind, Peer, Reporter


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def peer(last: int) -> Peer:
    return Peer(address=f"192.0.2.{last}", port=40000 + last, local_port=2575)


def test_one_a_minute_for_a_kind_and_address_and_the_next_says_how_many_were_held_back() -> None:
    seen: list[Incident] = []
    clock = Clock()
    report = Reporter(seen.append, clock, every=timedelta(seconds=60))
    for _ in range(5):
        report(Kind.JUNK, peer(1))
    clock.now += 59
    report(Kind.JUNK, peer(1))
    assert [incident.suppressed for incident in seen] == [0]
    clock.now += 1
    report(Kind.JUNK, peer(1))
    assert [incident.suppressed for incident in seen] == [0, 5]


def test_other_kinds_and_addresses_are_not_held_back() -> None:
    seen: list[Incident] = []
    report = Reporter(seen.append, Clock())
    report(Kind.JUNK, peer(1))
    report(Kind.JUNK, peer(2))
    report(Kind.TOO_LONG, peer(1))
    report(Kind.OVERLOAD, None)
    assert [incident.kind for incident in seen] == [Kind.JUNK, Kind.JUNK, Kind.TOO_LONG, Kind.OVERLOAD]


def test_a_crowd_of_addresses_is_forgotten_oldest_first() -> None:
    seen: list[Incident] = []
    report = Reporter(seen.append, Clock(), remembered=10)
    for last in range(11):
        report(Kind.JUNK, peer(last))
    report(Kind.JUNK, peer(10))
    assert len(seen) == 11
    report(Kind.JUNK, peer(0))
    assert len(seen) == 12


def test_ordinary_endings_are_only_counted() -> None:
    seen: list[Incident] = []
    report = Reporter(seen.append, Clock())
    for kind in (Kind.PEER_CLOSED, Kind.RESET, Kind.ANSWERED_AND_CLOSED, Kind.DRAINED):
        report(kind, peer(1))
    assert seen == []


def test_kinds_have_distinct_codes_and_sentences() -> None:
    assert len({kind.code for kind in Kind}) == len({kind.sentence for kind in Kind}) == len(Kind)
    assert [kind.code for kind in Kind] == [kind.name.lower() for kind in Kind]
