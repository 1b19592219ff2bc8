"""Results of the patients' device test: codes alone. They stay with the visit's other events; nothing of a patient is in them."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Collection
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, select

from scheduler.device_test import DeviceTest, DeviceTestStep
from store.tables import device_tests

KEPT: Final = 20
"""Runs of one visit that are kept, the newest."""


def add(
    conn: Connection, visit: str, test: DeviceTest, *, ids: Callable[[], str] = lambda: secrets.token_hex(16)
) -> None:
    """Store one run of a locked visit; of more than `KEPT` the oldest go."""
    of = device_tests.c
    results = json.dumps({step.value: code for step, code in test.results.items()}, separators=(",", ":"))
    conn.execute(device_tests.insert().values(id=ids(), visit=visit, at=test.at, results=results, browser=test.browser))
    newest = conn.execute(select(of.id).where(of.visit == visit).order_by(of.at.desc(), of.id).limit(KEPT)).scalars()
    conn.execute(delete(device_tests).where(of.visit == visit, of.id.not_in(list(newest))))


def of_visit(conn: Connection, visit: str) -> list[DeviceTest]:
    """The runs of a visit, the newest first."""
    of = device_tests.c
    rows = conn.execute(select(device_tests).where(of.visit == visit).order_by(of.at.desc(), of.id))
    return [_read(row) for row in rows]


def latest(conn: Connection, visits: Collection[str]) -> dict[str, DeviceTest]:
    """Visit -> its newest run; visits without one are absent."""
    of = device_tests.c
    rows = conn.execute(select(device_tests).where(of.visit.in_(list(visits))).order_by(of.visit, of.at, of.id.desc()))
    return {row.visit: _read(row) for row in rows}


def _read(row: Row[Any]) -> DeviceTest:
    return DeviceTest(
        at=row.at,
        results={DeviceTestStep(step): code for step, code in json.loads(row.results).items()},
        browser=row.browser,
    )
