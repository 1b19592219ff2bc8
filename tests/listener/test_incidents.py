"""The table of kinds, and what counts as one source."""

from __future__ import annotations

import pytest

from listener.incidents import Kind, Peer


@pytest.mark.parametrize(
    ("address", "source"),
    [("192.0.2.1", "192.0.2.1"), ("2001:db8::1", "2001:db8::/64"), ("::ffff:192.0.2.1", "192.0.2.1")],
)
def test_a_peer_is_counted_by_its_network(address: str, source: str) -> None:
    assert Peer(address=address, port=4711, local_port=2575).source == source


def test_kinds_have_distinct_codes_and_sentences() -> None:
    assert len({kind.code for kind in Kind}) == len({kind.sentence for kind in Kind}) == len(Kind)
    assert [kind.code for kind in Kind] == [kind.name.lower() for kind in Kind]
