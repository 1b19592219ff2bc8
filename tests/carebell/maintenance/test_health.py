"""What `/health` says of a node: every part, with its figures."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest

from carebell.maintenance.health import NodeHealth, RunningWorkers
from carebell.maintenance.periodic import PeriodicTasks
from carebell.maintenance.supervisor import Supervisor
from journal.logs import Journal
from journal.metrics import Metrics
from portal.health import Health
from scheduler.clock import SteppingClock
from scheduler.sms import SmsState
from scheduler.writeback import WritebackChannel
from store import gateway_contact, holds, outbox, writeback_rows
from store.engine import Store
from store.faults import StoreFault
from store.gateway_contact import GatewayContact
from store.outbox import OverdueTexts, Queue
from store.writeback_rows import WritebackQueue

NOW = datetime(2026, 3, 2, 18, 0, tzinfo=UTC)
LIMIT = timedelta(minutes=5)


class _Store:
    """A database whose figures the test sets."""

    backend = "sqlite"
    fault: StoreFault | None = None

    @contextmanager
    def read(self) -> Iterator[None]:
        if self.fault is not None:
            raise self.fault
        yield None


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> NodeHealth:
    monkeypatch.setattr(holds, "open_breakers", lambda _: [])
    monkeypatch.setattr(holds, "held", lambda _: [])
    waits = WritebackQueue(environment="production", channel=WritebackChannel.HL7, waiting=4, oldest=NOW - LIMIT)
    monkeypatch.setattr(writeback_rows, "queue", lambda _: [waits])
    metrics, journal = Metrics(), cast(Journal, None)
    supervisor = Supervisor(journal=journal, metrics=metrics, seconds=lambda: 0.0)
    return NodeHealth(
        store=cast(Store, _Store()),
        clock=SteppingClock(NOW),
        metrics=metrics,
        supervisor=supervisor,
        periodic=PeriodicTasks(journal=journal, database="sqlite", seconds=lambda: 0.0, supervisor=supervisor),
        connections=lambda: {"127.0.0.1:2575": 2},
        listens=lambda: True,
        workers=lambda: RunningWorkers(running=1, wanted=2, restarts=3),
        overdue_after=lambda: LIMIT,
        senders=dict,
        silent=lambda: {"production": 7},
    )


def ask(node: NodeHealth, monkeypatch: pytest.MonkeyPatch, lag: timedelta, contact: GatewayContact) -> Health:
    of_production = OverdueTexts(count=4, lag=lag)
    late = Queue(
        ready=3, waiting=9, retrying=2, overdue=4, lag=lag, by_environment={"production": of_production},
        by_state={SmsState.SENDING: 1},
    )  # fmt: skip
    monkeypatch.setattr(outbox, "queue", lambda *_: late)
    monkeypatch.setattr(gateway_contact, "contact", lambda _: contact)
    return asyncio.run(node.health())


def test_texts_that_are_late_are_shown_and_keep_the_node_in_the_load_balancer(
    node: NodeHealth, monkeypatch: pytest.MonkeyPatch
) -> None:
    contact = GatewayContact(answered_at=NOW - timedelta(seconds=90))
    health = ask(node, monkeypatch, LIMIT, contact)
    assert health.ready
    shown = health.as_json()
    assert shown["workers"] == {"ok": False, "running": 1, "wanted": 2, "restarts": 3}
    assert shown["dispatcher"] == {
        "ok": False, "ready": 3, "waiting": 9, "overdue": 4, "retrying": 2, "lag_seconds": 300.0,
    }  # fmt: skip
    assert shown["gateway"] == {"ok": True, "stopped": [], "failures": 0, "answered_seconds_ago": 90.0}
    assert shown["listener"] == {"ok": True, "connections": 2}
    on_time = ask(node, monkeypatch, LIMIT - timedelta(seconds=1), contact)
    assert on_time.parts["dispatcher"].ok


def test_a_gateway_that_does_not_answer_is_shown(node: NodeHealth, monkeypatch: pytest.MonkeyPatch) -> None:
    contact = GatewayContact(failing_since=NOW, failures=3, reason="not_connected")
    health = ask(node, monkeypatch, timedelta(), contact)
    assert health.as_json()["gateway"] == {"ok": False, "stopped": [], "failures": 3, "answered_seconds_ago": None}
    assert health.ready


def test_without_its_database_a_node_is_not_ready(node: NodeHealth) -> None:
    cast(_Store, node.store).fault = StoreFault("STORE_DOWN")
    health = asyncio.run(node.health())
    assert not health.ready
    assert health.live
    assert health.as_json()["database"] == {"ok": False, "code": "STORE_DOWN"}


def test_an_ehr_that_takes_nothing_is_shown_and_keeps_the_node_in_the_load_balancer(
    node: NodeHealth, monkeypatch: pytest.MonkeyPatch
) -> None:
    health = ask(node, monkeypatch, timedelta(), GatewayContact(answered_at=NOW))
    assert health.ready
    assert not health.parts["writeback"].ok
    assert health.parts["writeback"].detail == {
        "waiting": {"production hl7": {"waiting": 4, "lag_seconds": LIMIT.total_seconds()}},
        "unanswered": {"production": 7},
    }
    labels = {"environment": "production", "channel": "hl7"}
    assert node.metrics.registry.get_sample_value("carebell_writeback_waiting_messages", labels) == 4
