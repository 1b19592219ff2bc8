"""What is foreseen of a configuration is what its reload then does: the same rows, and nothing is changed by looking."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from io import StringIO
from itertools import count
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from sqlalchemy import text as sql

from carebell.bootstrap.rehearsal import ServiceRehearsal
from carebell.commands.history import read_event
from carebell.environment_policy import EnvironmentPolicy, RuntimeConfig, environment_policy, runtime_config
from carebell.outbound.foresee import Change, ForeseenChange, foresee
from carebell.outbound.replan import replan_environment
from config.load import Loaded
from journal.logs import setup
from parser.event import SchedulingEvent
from scheduler.clock import SteppingClock
from scheduler.sms import SmsState
from simulator.ehr import histories
from simulator.shapes import Feed
from store import outbox
from store.engine import Store, open_in_memory
from store.outbox_row import OutboxRow
from store.vault import Vault
from tests.story import folder

BEGINS: Final = datetime.fromisoformat("2026-03-01T08:00:00+00:00")


@dataclass(frozen=True, slots=True)
class Lived:
    """A service that received messages and sent texts until `now`."""

    store: Store
    vault: Vault
    now: datetime


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    path = folder.make(tmp_path_factory.mktemp("foresee") / "clinic", {"environments": {"test": None}})
    return folder.load(path)


@pytest.fixture(scope="module")
def lives(base: Loaded) -> Iterator[list[Lived]]:
    """Three services, each at a moment when texts wait, wait for their debounce, and were sent."""
    lived = []
    for seed, days in ((1, 6.0), (2, 10.4), (3, 13.7)):
        lived.append(_live(runtime_config(base), seed, BEGINS + timedelta(days=days)))
    yield lived
    for life in lived:
        life.store.close()


def _live(runtime: RuntimeConfig, seed: int, now: datetime) -> Lived:
    sendings = histories(random.Random(seed), count=30, begins=BEGINS, ends=BEGINS + timedelta(days=20))
    read = [read_event(sending.write(Feed()), runtime.policies["production"], now)[1] for sending in sendings]
    events = [heard for heard in read if isinstance(heard, SchedulingEvent) and heard.received_at <= now]
    last = [heard for heard in events if heard.received_at > now - timedelta(hours=3)]
    rehearsal = ServiceRehearsal(runtime)
    rehearsal.play(events, now)
    assert last or events
    return Lived(rehearsal.store, rehearsal.vault, now)


def _copied(store: Store) -> Store:
    copy = open_in_memory()
    with store.read() as source, copy.write() as target:
        assert source.connection.driver_connection is not None
        target.execute(sql("COMMIT"))  # a backup is taken between transactions
        source.connection.driver_connection.backup(target.connection.driver_connection)
        target.execute(sql("BEGIN"))
    return copy


REMINDERS: Final[list[dict[str, Any]]] = [
    {"before": "7d", "at": "10:00"}, {"before": "7d", "at": "21:30"}, {"before": "3d"}, {"before": "24h"}, {"before": "25h"},
    {"before": "2h"}, {"before": "15m", "always": True, "visit_modes": ["video"]}, {"before": "1d", "at": "09:00"},
]  # fmt: skip
RULES: Final[st.SearchStrategy[list[dict[str, Any]]]] = st.lists(st.sampled_from(REMINDERS), max_size=4).filter(
    lambda rules: len({(rule["before"], rule.get("at")) for rule in rules}) == len(rules)
)
HOURS: Final = st.sampled_from([f"{hour:02}:{minute}" for hour in range(24) for minute in ("00", "30")])
TEXTS: Final = [
    None,
    {"reminder": {"default": "{organization}: {date} at {time}, {location}. {opt_out}"}},
    {"updated": {"default": "{organization}: now {date} {time} with {provider}. {opt_out}"}},
]
EDITS: Final = st.fixed_dictionaries(
    {},
    optional={
        "reminders": RULES,
        "quiet_hours": st.tuples(HOURS, HOURS).filter(lambda hours: hours[0] != hours[1]).map(
            lambda hours: {"from": hours[0], "to": hours[1]}),
        "caps": st.fixed_dictionaries({"per_day": st.integers(1, 9), "per_week": st.integers(9, 20)}),
        "templates": st.sampled_from(TEXTS[1:]),
        "debounce": st.sampled_from(["0s", "60s", "10m", "4h"]),
        "min_gap": st.sampled_from(["0s", "2h", "30h"]),
        "min_lead": st.sampled_from(["0s", "30m", "6h"]),
        "max_lateness": st.sampled_from(["5m", "2h"]),
        "confirmation": st.fixed_dictionaries({"scheduled": st.booleans(), "updated": st.booleans(), "canceled": st.booleans()}),
        "consent": st.just({"organization_allows_sending": False, "attendees_have_consented": True}),
        "landline": st.sampled_from(["try", "skip"]),
        "countries": st.sampled_from([["US"], ["MX"]]),
    },
)  # fmt: skip
NUMBER = count()


def _edited(base: Loaded, edits: Mapping[str, Any]) -> EnvironmentPolicy:
    """Production's policy after an administrator's edits, read from a file as the service reads it."""
    clinic = base.path.parent
    changes = dict(edits)
    if "templates" in changes:
        own = clinic / f"texts-{next(NUMBER)}.yaml"
        folder.write(own, {"en": changes["templates"]})
        changes["templates"] = own.name
    content = {"environments": {"production": {"sms": changes}, "test": None}}
    path = folder.make(clinic, content)
    return environment_policy(folder.load(path), "production")


def _dues(store: Store) -> dict[tuple[str, str, str, int], tuple[OutboxRow, datetime | None]]:
    """Each row, with when it is due if it waits for its first attempt."""
    with store.read() as conn:
        rows = list(outbox.rows(conn))
    return {
        (row.appointment, row.kind.value, row.rule, row.revision): (
            row,
            row.due if row.state is SmsState.DUE else None,
        )
        for row in rows
    }


def _foreseen(store: Store, vault: Vault, policy: EnvironmentPolicy, now: datetime) -> list[ForeseenChange]:
    with store.read() as conn:
        return list(foresee(conn, vault, policy, now))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=EDITS, which=st.integers(0, 2))
def test_the_preview_is_what_the_reload_does(
    edits: dict[str, Any], which: int, base: Loaded, lives: list[Lived]
) -> None:
    check_preview(edits, lives[which], base)


def check_preview(edits: dict[str, Any], life: Lived, base: Loaded) -> int:
    """Foresee, reload, compare; how many texts changed. Also for `tests.faults`, many times."""
    policy = _edited(base, edits)
    with closing(_copied(life.store)) as store:
        before = _dues(store)
        foreseen = _foreseen(store, life.vault, policy, life.now)
        assert _dues(store) == before
        with setup(now=lambda: life.now, terminal=StringIO()) as journal:
            replan_environment(store, life.vault, SteppingClock(life.now), policy, journal)
        after = _dues(store)
    changed = {
        (row.reference, row.kind, row.rule, before[key][1] if key in before else None, due, row.reason)
        for key, (row, due) in after.items()
        if due != (before[key][1] if key in before else None)
    }
    assert {
        (change.appointment, change.kind, change.rule, change.before, change.after, change.reason)
        for change in foreseen
    } == changed
    assert len(foreseen) == len(changed)
    for change in Change:
        if any(row.change is change for row in foreseen):
            event(change.value)
    return len(foreseen)


@pytest.mark.parametrize(
    ("edits", "change"),
    [
        ({"reminders": [{"before": "25h"}]}, Change.PLANNED),
        ({"reminders": []}, Change.WITHDRAWN),
        ({"quiet_hours": {"from": "09:00", "to": "17:00"}}, Change.MOVED),
        ({"consent": {"organization_allows_sending": False, "attendees_have_consented": True}}, Change.WITHDRAWN),
    ],
)
def test_each_change_is_seen(edits: dict[str, Any], change: Change, base: Loaded, lives: list[Lived]) -> None:
    foreseen = _foreseen(lives[1].store, lives[1].vault, _edited(base, edits), lives[1].now)
    assert change in {row.change for row in foreseen}
    for row in foreseen:
        assert (row.before is None, row.after is None) == (row.change is Change.PLANNED, row.change is Change.WITHDRAWN)


@pytest.mark.parametrize("edits", [{}, {"caps": {"per_day": 1, "per_week": 9}}])
def test_what_the_planner_does_not_ask_changes_nothing(edits: dict[str, Any], base: Loaded, lives: list[Lived]) -> None:
    assert _foreseen(lives[2].store, lives[2].vault, _edited(base, edits), lives[2].now) == []
