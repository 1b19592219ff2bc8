"""Whose connection makes room for whose; and what counts as one source."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.connection_register import ConnectionRegister, KnownSources, source_of


@dataclass(eq=False)
class Link:
    """A connection as the register sees it."""

    source: str
    quiet_since: tuple[bool, float] | None = (False, 0.0)


def register(limit: int, limit_per_source: int, *links: Link) -> ConnectionRegister[Link]:
    made = ConnectionRegister[Link](limit=limit, limit_per_source=limit_per_source)
    for link in links:
        made.add(link.source, link)
    return made


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("::1", "::/64"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("/run/socket", "/run/socket"),
        ("", ""),
    ],
)
def test_the_source_of_an_address(address: str, source: str) -> None:
    assert source_of(address) == source


def test_a_newcomer_takes_the_place_of_the_quietest_of_the_largest_source() -> None:
    quiet, busy = Link("A", (False, 1.0)), Link("A", (False, 2.0))
    members = register(4, 4, busy, quiet, Link("A", (False, 3.0)), Link("B", (False, 0.0)))
    assert members.makes_room_for("C") is quiet


def test_an_idle_connection_goes_before_one_in_the_middle_of_a_message() -> None:
    idle, begun = Link("A", (False, 9.0)), Link("A", (True, 1.0))
    assert register(2, 2, begun, idle).makes_room_for("B") is idle


def test_a_connection_that_is_owed_an_answer_stays() -> None:
    assert register(2, 2, Link("A", None), Link("A", None)).makes_room_for("B") is None


@pytest.mark.parametrize(("held", "of_newcomer"), [(1, 0), (2, 1), (2, 2), (3, 2)])
def test_sources_that_hold_about_as_many_do_not_push_each_other_out(held: int, of_newcomer: int) -> None:
    links = [Link("A") for _ in range(held)] + [Link("B") for _ in range(of_newcomer)]
    assert register(len(links), 9, *links).makes_room_for("B") is None


def crowd(size: int) -> list[Link]:
    """Strangers: each from another /64 of one /48, one connection each."""
    return [Link(source_of(f"2001:db8:0:{number:x}::1"), (False, 100.0 + number)) for number in range(size)]


def test_a_crowd_of_strangers_takes_no_place_of_a_known_source() -> None:
    hospital = [Link("10.1.1.1", (False, 0.0)) for _ in range(8)]
    members = register(20, 12, *hospital, *crowd(12))
    members.known.add("10.1.1.1")
    for number in range(100, 200):
        assert members.makes_room_for(source_of(f"2001:db8:0:{number:x}::1")) is None
    gone = members.makes_room_for("192.0.2.1")
    assert gone is not None
    assert gone not in hospital


def test_a_known_source_takes_a_strangers_place_even_if_each_holds_one() -> None:
    members = register(3, 3, Link("A"), Link("B"), Link("C"))
    assert members.makes_room_for("D") is None
    members.known.add("D")
    gone = members.makes_room_for("D")
    assert gone is not None
    members.known.add(gone.source)
    assert members.makes_room_for("D") is not gone


def test_known_sources_share_among_themselves() -> None:
    members = register(3, 3, Link("A"), Link("A"), Link("B"))
    for source in "ABC":
        members.known.add(source)
    assert (gone := members.makes_room_for("C")) is not None
    assert gone.source == "A"
    assert members.makes_room_for("D") is None


def test_the_networks_of_one_site_count_together() -> None:
    members = register(6, 6, *crowd(4), Link("A"), Link("B"))
    assert (gone := members.makes_room_for("C")) is not None
    assert gone.source.startswith("2001:db8:")
    assert members.makes_room_for(source_of("2001:db8:0:ffff::1")) is None


def test_only_the_sources_heard_of_last_are_known() -> None:
    known = KnownSources(limit=2)
    for source in ("A", "B", "A", "C"):
        known.add(source)
    assert [source in known for source in "ABC"] == [True, False, True]


def test_an_empty_register_has_nobody_to_make_room() -> None:
    assert register(0, 1).makes_room_for("A") is None


@given(st.lists(st.sampled_from("ABCDE"), max_size=200), st.integers(1, 12), st.integers(1, 12))
def test_no_bound_is_ever_passed_and_a_small_source_is_never_kept_out(
    arrivals: list[str], limit: int, limit_per_source: int
) -> None:
    """Whoever holds fewer than its fair share gets in, whatever the others hold."""
    members = register(limit, limit_per_source)
    for time, source in enumerate(arrivals):
        held = {name: members.held_by(name) for name in "ABCDE"}
        admitted = not members.source_is_full(source)
        if admitted and members.full:
            gone = members.makes_room_for(source)
            admitted = gone is not None
            if gone is not None:
                assert members.held_by(gone.source) == max(held.values())
                members.remove(gone.source, gone)
        if admitted:
            members.add(source, Link(source, (False, float(time))))
        assert len(members) <= limit
        assert all(members.held_by(name) <= limit_per_source for name in "ABCDE")
        assert admitted or held[source] + 1 >= min(limit_per_source, max(held.values()))
    assert len(members) == sum(members.held_by(name) for name in "ABCDE")


def test_removing_what_is_not_registered_changes_nothing() -> None:
    link = Link("A")
    members = register(2, 2, link)
    members.remove("A", Link("A"))
    members.remove("B", link)
    assert len(members) == 1
