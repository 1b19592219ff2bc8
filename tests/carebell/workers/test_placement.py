"""Connections are spread evenly over the workers, each address's and all, and limits hold for the whole service."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from carebell.workers.placement import ConnectionCounts, place
from listener.limits import Limits, Share


def _workers(count: int) -> list[ConnectionCounts]:
    return [ConnectionCounts(share=Share(index=index, count=count)) for index in range(count)]


def _connect(counts: Sequence[ConnectionCounts], source: str, *, limit: int = 100, per_source: int = 50) -> int:
    index = place(counts, "port", source, limit=limit, limit_per_source=per_source)
    counts[index].add("port", source)
    return index


@pytest.mark.parametrize("connections", [2, 16, 100])
def test_one_engine_s_connections_are_spread_evenly(connections: int) -> None:
    counts = _workers(2)
    for _ in range(connections):
        _connect(counts, "10.0.0.1", per_source=100)
    assert [own.total for own in counts] == [connections // 2] * 2


def test_what_closed_is_filled_first() -> None:
    counts = _workers(2)
    for _ in range(4):
        _connect(counts, "10.0.0.1")
    for _ in range(2):
        counts[1].remove("port", "10.0.0.1")
    assert [_connect(counts, "10.0.0.1"), _connect(counts, "10.0.0.1"), _connect(counts, "10.0.0.1")] == [1, 1, 0]


def test_engines_with_one_connection_each_are_spread_too() -> None:
    counts = _workers(3)
    assert [_connect(counts, f"10.0.0.{number}") for number in range(6)] == [0, 1, 2, 0, 1, 2]


@pytest.mark.parametrize("workers", [1, 2, 3, 4])
@pytest.mark.parametrize("limit", [1, 2, 5, 16])
def test_a_limit_of_the_service_is_reached_exactly(workers: int, limit: int) -> None:
    """A worker above its part refuses; the parts are filled before that, and make up the whole."""
    counts = _workers(workers)
    for _ in range(limit):
        index = _connect(counts, "10.0.0.1", per_source=limit)
        assert counts[index].total <= counts[index].share.of(limit)
    index = place(counts, "port", "10.0.0.1", limit=100, limit_per_source=limit)
    assert counts[index].total >= counts[index].share.of(limit) > 0


def test_the_parts_of_the_limits_make_up_the_whole() -> None:
    whole = Limits()
    parts = [whole.part(Share(index=index, count=3)) for index in range(3)]
    for name in ("max_connections", "max_connections_per_peer", "max_in_flight_messages", "max_buffered"):
        assert sum(getattr(part, name) for part in parts) == getattr(whole, name)
    assert whole.part(Share()) == whole
