"""The facts of the first page: each environment's own, and what is kept for some seconds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert

from carebell.inquiries.overview import EnvironmentFact, OverviewReader, ServiceFacts, overview
from config.load import Loaded
from scheduler.clock import SteppingClock
from scheduler.sms import HoldScope, SmsState
from store import holds, leases, schema
from store.appointment_repository import MessageKey
from store.engine import Store, open_in_memory
from store.holds import Hold
from store.keys import KeyRing
from store.leases import Node
from store.tables import outbox
from store.vault import Vault
from tests.carebell.samples import row
from tests.store.samples import appointment, first, memory, put
from tests.story.folder import load, make

NOW = datetime(2026, 3, 2, 18, 0, tzinfo=UTC)
"""10:00 in Los Angeles."""


@dataclass
class Source:
    store: Store
    loaded: Loaded
    log_file: Path | None
    clock: SteppingClock

    def now(self) -> datetime:
        return self.clock.now()


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Source]:
    store = open_in_memory()
    schema.upgrade(store)
    log = tmp_path / "carebell.log"
    yield Source(store=store, loaded=load(make(tmp_path / "clinic")), log_file=log, clock=SteppingClock(NOW))
    store.close()


@pytest.fixture
def vault() -> Vault:
    return Vault(KeyRing(current=1, masters={1: b"k" * 32}, pepper=b"p" * 32))


def _fact(facts: ServiceFacts, name: str) -> EnvironmentFact:
    return next(fact for fact in facts.environments if fact.name == name)


def test_each_environment_has_its_own_facts(source: Source, vault: Vault) -> None:
    visit, hour = appointment(), timedelta(hours=1)
    received = memory(1, key=MessageKey("production", "EPIC", "LAMNA", "M1"), received_at=NOW - hour)
    put(source.store, vault, [first(visit)], [received], now=NOW)
    states = [
        SmsState.DELIVERED,
        SmsState.DELIVERED,
        SmsState.UNDELIVERED,
        SmsState.SUPPRESSED,
        SmsState.DUE,
        SmsState.DUE,
    ]
    due = [NOW - hour] * 4 + [NOW - timedelta(minutes=5), NOW + hour]
    texts = [
        row(
            id=f"{number:032x}",
            appointment=visit.id,
            revision=number,
            state=state,
            due=at,
            next_attempt_at=at,
            created_at=at,
        )
        for number, (state, at) in enumerate(zip(states, due, strict=True))
    ]
    with source.store.write() as conn:
        conn.execute(insert(outbox), [asdict(text_row) for text_row in texts])
        holds.hold(conn, Hold(scope=HoldScope.ENVIRONMENT, name="test", reason="a drill", actor="kim", since=NOW))
    facts = overview(source)
    production, test = _fact(facts, "production"), _fact(facts, "test")
    assert (production.last_message, test.last_message) == (NOW - hour, None)
    assert (production.waiting, production.late, test.waiting) == (2, 1, 0)
    assert (production.settled, production.delivered, test.settled) == (3, 2, 0)
    assert ([hold.reason for hold in test.holds], production.holds) == (["a drill"], [])
    assert {certificate.problem for certificate in production.certificates} == {""}
    assert production.certificates[0].days_left is not None


def test_refusals_are_counted_from_the_clinics_midnight_on(source: Source) -> None:
    assert source.log_file is not None
    midnight = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
    instants = [midnight - timedelta(seconds=1), midnight, NOW]
    lines = [
        {"time": f"{at:%Y-%m-%dT%H:%M:%S}.000Z", "level": "warning", "event": "message_refused", "environment": name}
        for at, name in zip(instants, ("production", "production", "test"), strict=True)
    ]
    source.log_file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    facts = overview(source)
    assert (_fact(facts, "production").refused_today, _fact(facts, "test").refused_today) == (1, 1)
    assert not _fact(facts, "production").refused_at_least


def test_without_a_log_none_is_counted(source: Source) -> None:
    assert _fact(overview(replace(source, log_file=None)), "production").refused_today == 0


def test_a_node_on_another_configuration_has_drifted(source: Source) -> None:
    nodes = [("a", source.loaded.version), ("b", "another"), ("c", None)]
    with source.store.write() as conn:
        for name, version in nodes:
            leases.beat(
                conn,
                Node(name=name, roles="listener", version="1", started_at=NOW, seen_at=NOW, configuration=version),
            )
    facts = overview(source)
    assert [node.name for node in facts.nodes] == ["a", "b", "c"]
    assert [node.name for node in facts.drifted] == ["b"]


def test_what_was_read_is_kept_for_some_seconds_and_not_across_a_reload(source: Source) -> None:
    reader = OverviewReader(source)
    kept = reader.read()
    source.clock.move_to(NOW + timedelta(seconds=9))
    assert reader.read() is kept
    source.loaded = replace(source.loaded, version="another")
    reloaded = reader.read()
    assert reloaded.configuration == "another"
    source.clock.move_to(NOW + timedelta(seconds=19))
    assert reader.read() is not reloaded
