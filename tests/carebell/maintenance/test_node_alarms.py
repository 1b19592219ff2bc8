"""The alarms that only a running node knows."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from carebell.maintenance.alarm_conditions import Condition
from carebell.maintenance.node_alarms import LOST_SPAN, MEETING_SPAN, SIGNATURE_SPAN, Growth, NodeAlarms
from config.load import Loaded
from journal.metrics import Metrics
from tests.story.folder import load, make

PLENTY = 10**12


@dataclass
class Machine:
    """What the node knows, set by hand."""

    loaded: Loaded
    now: float = 1000.0
    down: dict[str, int] = field(default_factory=dict)
    stalled: dict[str, float] = field(default_factory=dict)
    refused: dict[str, float] = field(default_factory=dict)
    lost: int = 0
    dropped: int = 0
    clocks: dict[str, float] = field(default_factory=dict)
    unreadable: int = 0
    meetings: float = 0
    node: NodeAlarms = field(init=False)

    def __post_init__(self) -> None:
        self.node = NodeAlarms(
            loaded=lambda: self.loaded,
            node="n1-1",
            host="n1",
            down=lambda: self.down,
            stalled=lambda: self.stalled,
            signature_failures=lambda: self.refused,
            lost_lines=lambda: self.lost,
            dropped_fields=lambda: self.dropped,
            clock_differences=lambda: self.clocks,
            unreadable_days=lambda: self.unreadable,
            missing_meetings=lambda: self.meetings,
            seconds=lambda: self.now,
            free=lambda _: PLENTY,
        )

    def look(self) -> list[Condition]:
        return list(self.node())

    def said(self) -> list[tuple[str, str, str]]:
        return [(found.alarm, found.severity, found.subject) for found in self.look()]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    return load(make(tmp_path_factory.mktemp("clinic")))


@pytest.fixture
def machine(loaded: Loaded) -> Machine:
    return Machine(loaded)


def test_a_sound_node_has_none(machine: Machine) -> None:
    assert machine.said() == []


def test_a_task_that_is_down_or_stands_still_is_critical(machine: Machine) -> None:
    machine.down, machine.stalled = {"committer": 3}, {"dispatch": 400.0}
    assert machine.said() == [("task_down", "critical", "committer"), ("task_down", "critical", "dispatch")]


def test_refused_signatures_count_within_ten_minutes(machine: Machine) -> None:
    machine.refused = {"production": 6}
    assert machine.said() == []
    machine.now += SIGNATURE_SPAN.total_seconds() / 2
    machine.refused = {"production": 10, "test": 9}
    [found] = machine.look()
    assert (found.alarm, found.environment, found.value, found.limit) == ("signature_failures", "production", 10, 10)
    machine.now += SIGNATURE_SPAN.total_seconds() / 2 + 1
    assert machine.said() == []  # the first six are older than ten minutes


def test_a_burst_before_the_first_look_counts(machine: Machine) -> None:
    machine.refused = {"production": 50}
    assert machine.said() == [("signature_failures", "warning", "production")]


def test_signatures_are_counted_from_the_answers(loaded: Loaded) -> None:
    metrics = Metrics()
    for environment, code in (("production", "SIG07"), ("production", "SIG01"), ("production", "TYPE"), ("", "SIG05")):
        metrics.messages.labels(environment, "AR", code).inc()
    assert metrics.signature_failures() == {"production": 2, "": 1}


def test_lost_lines_are_an_alarm_for_an_hour_and_fields_until_the_end(machine: Machine) -> None:
    machine.lost, machine.dropped = 4, 1
    assert machine.said() == [("log_incomplete", "warning", "lines"), ("log_incomplete", "warning", "fields")]
    machine.now += LOST_SPAN.total_seconds() + 1
    machine.look()
    machine.now += 15
    assert machine.said() == [("log_incomplete", "warning", "fields")]


def test_day_keys_that_do_not_open_are_critical_until_they_do(machine: Machine) -> None:
    machine.unreadable = 3
    [found] = machine.look()
    assert (found.alarm, found.severity, found.node, found.value) == ("number_unreadable", "critical", "n1-1", 3)
    machine.unreadable = 0
    assert machine.said() == []


@pytest.mark.parametrize(("ahead", "words"), [(31.0, "31 seconds ahead of"), (-45.2, "45 seconds behind")])
def test_a_clock_that_differs_says_from_what(machine: Machine, ahead: float, words: str) -> None:
    machine.clocks = {"gateway": ahead, "database server": 29.9}
    [found] = machine.look()
    assert (found.alarm, found.subject, found.problem) == (
        "clock_off",
        "gateway",
        f"this machine's clock is {words} that of the gateway",
    )


def test_a_limit_that_is_null_switches_the_alarm_off(tmp_path: Path) -> None:
    from tests.story.folder import null

    path = make(tmp_path / "clinic")
    for key in ("signature_failures", "clock_off", "disk_free_mb"):
        null(path, "alarms", key)
    machine = Machine(load(path), refused={"production": 99}, clocks={"gateway": 9999.0})
    machine.node.free = lambda _: 0
    assert machine.said() == []


def test_growth_looks_back_as_far_as_its_span_and_not_further() -> None:
    growth = Growth(timedelta(seconds=10))
    assert [growth.measure(total, seconds) for total, seconds in ((5, 0), (7, 5), (7, 10), (9, 16), (9, 30))] == [
        5, 7, 2, 2, 0
    ]  # fmt: skip


def test_a_visit_without_a_meeting_is_an_alarm_for_ten_minutes(loaded: Loaded) -> None:
    machine = Machine(loaded)
    assert machine.said() == []
    machine.meetings = 1
    assert machine.said() == [("meetings_unavailable", "critical", "")]
    machine.now += MEETING_SPAN.total_seconds() + 1
    machine.look()
    machine.now += 1
    assert machine.said() == []
