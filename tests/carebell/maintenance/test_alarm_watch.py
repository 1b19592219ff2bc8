"""An alarm has one line when it begins and one when it ends, whatever the number of nodes and of restarts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from carebell.bootstrap import components
from carebell.maintenance.alarm_conditions import Condition
from carebell.maintenance.alarm_watch import AGAIN, CALM, LEASE, NODE_GONE, AlarmWatch
from config.load import Loaded
from journal.logs import Journal, setup
from journal.metrics import Metrics
from scheduler.clock import SteppingClock
from scheduler.sms import HoldScope
from store import alarms, holds, leases
from store.engine import Store
from store.holds import Hold
from store.leases import Node
from tests.story.folder import load, make

START = datetime(2026, 3, 2, 18, 0, tzinfo=UTC)
ROUND = timedelta(seconds=15)
LOW = Condition(
    alarm="disk_nearly_full",
    severity="warning",
    node="n1",
    subject="/data",
    problem="900 MB are free where /data is",
    value=900,
    limit=1000,
)
FULL = Condition(
    alarm="disk_nearly_full",
    severity="critical",
    node="n1",
    subject="/data",
    problem="90 MB are free where /data is",
    value=90,
    limit=1000,
)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    return load(make(tmp_path_factory.mktemp("clinic")))


@pytest.fixture(scope="module")
def shared_store(loaded: Loaded) -> Iterator[Store]:
    opened = components.open_database(loaded, upgrade=True)
    yield opened
    opened.close()


class Nodes:
    """Nodes over one database, each with its watch; all write into one log."""

    def __init__(self, store: Store, loaded: Loaded, journal: Journal, clock: SteppingClock, log: Path) -> None:
        self.store, self.clock, self.metrics = store, clock, Metrics()
        self.conditions: dict[str, list[Condition]] = {}
        self._loaded, self._journal, self._log = loaded, journal, log

    def start(self, name: str) -> AlarmWatch:
        self.conditions[name] = []
        self.beat(name)
        return AlarmWatch(
            store=self.store,
            clock=self.clock,
            loaded=lambda: self._loaded,
            node=name,
            host=name.rsplit("-", 2)[0],
            own=lambda: self.conditions[name],
            journal=self._journal,
            metrics=self.metrics,
        )

    def beat(self, name: str) -> None:
        now = self.clock.now()
        with self.store.write() as conn:
            leases.beat(conn, Node(name=name, roles="", version="0", started_at=now, seen_at=now))

    def pass_by(self, span: timedelta, *watches: AlarmWatch, living: tuple[str, ...] = ()) -> None:
        for _ in range(span // ROUND):
            self.clock.move_to(self.clock.now() + ROUND)
            for name in living:
                self.beat(name)
            for watch in watches:
                watch.round()

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._log.read_text("utf-8").splitlines()]

    def said(self) -> list[tuple[str, str, str | None]]:
        return [(line["event"], line["alarm"], line.get("severity")) for line in self.lines()]

    def metric(self, alarm: str, severity: str, environment: str = "") -> float | None:
        labels = {"alarm": alarm, "severity": severity, "environment": environment}
        return self.metrics.registry.get_sample_value("carebell_alarms", labels)


@pytest.fixture
def nodes(shared_store: Store, loaded: Loaded, tmp_path: Path) -> Iterator[Nodes]:
    clock, log = SteppingClock(START), tmp_path / "alarms.log"
    with setup(now=clock.now, file=log) as journal:
        yield Nodes(shared_store, loaded, journal, clock, log)
    with shared_store.write() as conn:
        for alarm in alarms.raised(conn):
            alarms.clear(conn, alarm)
        leases.release(conn, "alarms", "n1-1")
        leases.release(conn, "alarms", "n2-1")
        leases.release(conn, "alarms", "web-812-ab12")
        leases.release(conn, "alarms", "web-2-812-ab12")
        holds.release(conn, HoldScope.ALL)


def test_an_alarm_is_said_once_when_it_begins_and_once_when_it_ends(nodes: Nodes) -> None:
    watch = nodes.start("n1-1")
    nodes.conditions["n1-1"] = [LOW]
    nodes.pass_by(timedelta(minutes=10), watch)
    assert nodes.said() == [("alarm_raised", "disk_nearly_full", "warning")]
    line = nodes.lines()[0]
    assert (line["subject"], line["value"], line["limit"], line["problem"]) == ("/data", 900.0, 1000.0, LOW.problem)
    assert nodes.metric("disk_nearly_full", "warning") == 1
    nodes.conditions["n1-1"] = []
    nodes.pass_by(CALM + ROUND, watch)
    assert nodes.said()[1:] == [("alarm_cleared", "disk_nearly_full", None)]
    assert (
        nodes.lines()[1]["seconds"] == (timedelta(minutes=10) + CALM - ROUND).total_seconds()
    )  # since the first round
    assert nodes.metric("disk_nearly_full", "warning") == 0


def test_a_value_at_its_limit_does_not_fill_the_log(nodes: Nodes) -> None:
    watch = nodes.start("n1-1")
    for _ in range(10):
        nodes.conditions["n1-1"] = [LOW]
        nodes.pass_by(ROUND, watch)
        nodes.conditions["n1-1"] = []
        nodes.pass_by(CALM - ROUND, watch)
    assert nodes.said() == [("alarm_raised", "disk_nearly_full", "warning")]


def test_what_becomes_critical_is_said_at_once_and_what_eases_is_not(nodes: Nodes) -> None:
    watch = nodes.start("n1-1")
    for condition in (LOW, FULL, LOW):
        nodes.conditions["n1-1"] = [condition]
        nodes.pass_by(ROUND, watch)
    assert [severity for _, _, severity in nodes.said()] == ["warning", "critical"]
    assert nodes.metric("disk_nearly_full", "warning") == 1
    assert nodes.metric("disk_nearly_full", "critical") == 0


@pytest.mark.parametrize("condition", [LOW, FULL], ids=["warning", "critical"])
def test_what_lasts_is_said_again(nodes: Nodes, condition: Condition) -> None:
    watch = nodes.start("n1-1")
    nodes.conditions["n1-1"] = [condition]
    watch.round()
    again = AGAIN[condition.severity]
    nodes.clock.move_to(nodes.clock.now() + again - ROUND)
    watch.round()
    assert len(nodes.lines()) == 1
    nodes.pass_by(ROUND, watch)
    assert len(nodes.lines()) == 2


def test_a_restart_says_nothing_again(nodes: Nodes) -> None:
    nodes.conditions["n1-1"] = [LOW]
    first = nodes.start("n1-1")
    nodes.conditions["n1-1"] = [LOW]
    nodes.pass_by(timedelta(minutes=1), first, living=("n1-1",))
    second = nodes.start("n1-2")
    nodes.conditions["n1-2"] = [LOW]
    nodes.pass_by(timedelta(minutes=20), second, living=("n1-2",))
    assert nodes.said() == [("alarm_raised", "disk_nearly_full", "warning")]
    nodes.conditions["n1-2"] = []
    nodes.pass_by(CALM + ROUND, second, living=("n1-2",))
    assert nodes.said()[1:] == [("alarm_cleared", "disk_nearly_full", None)]


def test_two_nodes_say_an_alarm_of_the_whole_service_once(nodes: Nodes) -> None:
    first, second = nodes.start("n1-1"), nodes.start("n2-1")
    with nodes.store.write() as conn:
        holds.hold(conn, Hold(scope=HoldScope.ALL, name="", reason="by hand", actor="cli:x", since=START))
    nodes.pass_by(timedelta(minutes=2), first, second, living=("n1-1", "n2-1"))
    assert nodes.said() == [("alarm_raised", "held", "warning")]
    with nodes.store.write() as conn:
        holds.release(conn, HoldScope.ALL)
    nodes.pass_by(LEASE + CALM + 2 * ROUND, second, living=("n2-1",))  # the first node is gone, the other goes on
    assert nodes.said()[1:] == [("alarm_cleared", "held", None)]


def test_the_alarms_of_a_node_end_with_it(nodes: Nodes) -> None:
    first, second = nodes.start("n1-1"), nodes.start("n2-1")
    down = Condition(alarm="task_down", severity="critical", node="n2-1", subject="dispatch", problem="it is down")
    nodes.conditions["n2-1"] = [down]
    nodes.pass_by(timedelta(minutes=1), first, second, living=("n1-1", "n2-1"))
    assert nodes.said() == [("alarm_raised", "task_down", "critical")]
    nodes.pass_by(NODE_GONE + 2 * ROUND, first, living=("n1-1",))
    assert nodes.said()[1:] == [("alarm_cleared", "task_down", None)]


def test_the_alarms_of_a_host_end_with_it_though_another_has_its_name_and_more(nodes: Nodes) -> None:
    first, second = nodes.start("web-812-ab12"), nodes.start("web-2-812-ab12")
    nodes.conditions["web-812-ab12"] = [replace(LOW, node="web")]
    nodes.pass_by(timedelta(minutes=1), first, second, living=("web-812-ab12", "web-2-812-ab12"))
    assert nodes.said() == [("alarm_raised", "disk_nearly_full", "warning")]
    nodes.pass_by(LEASE + NODE_GONE + 2 * ROUND, second, living=("web-2-812-ab12",))
    assert nodes.said()[1:] == [("alarm_cleared", "disk_nearly_full", None)]
