"""Results of device tests: the newest of a visit, and no more than are kept."""

from __future__ import annotations

from datetime import timedelta

import pytest

from scheduler.device_test import OK, DeviceTest, DeviceTestStep, read_results
from scheduler.visit_life import VisitWindow
from store import device_tests, visits
from store.engine import Store
from store.vault import Vault
from store.visit_planning import VisitPlan, keep
from tests.store.samples import NOW, appointment, first, put

MINUTE = timedelta(minutes=1)


def _test(number: int, **results: str) -> DeviceTest:
    return DeviceTest(
        at=NOW + number * MINUTE, results=read_results(results or {"camera": "ok"}), browser="firefox 127"
    )


def _visit(store: Store, vault: Vault) -> str:
    one = appointment()
    put(store, vault, [first(one)])
    assert one.start is not None
    window = VisitWindow(opens_at=one.start - 60 * MINUTE, ends_at=one.start + 60 * MINUTE)
    with store.write() as conn:
        keep(conn, vault, [VisitPlan(environment=one.environment, appointment=one.id, window=window, kind="link")], NOW)
        visit = visits.named(conn, one.id)
    assert visit is not None
    return visit.id


def test_the_newest_are_kept_and_the_newest_is_shown(store: Store, vault: Vault) -> None:
    visit = _visit(store, vault)
    for number in range(device_tests.KEPT + 5):
        with store.write() as conn:
            device_tests.add(conn, visit, _test(number))
    last = _test(device_tests.KEPT + 5, speaker="not_heard", camera="blocked", browser="ok")
    with store.write() as conn:
        device_tests.add(conn, visit, last)
    with store.read() as conn:
        known = device_tests.of_visit(conn, visit)
        assert device_tests.latest(conn, [visit, "none"]) == {visit: last}
    assert len(known) == device_tests.KEPT
    assert known[0] == last
    assert [test.at for test in known] == sorted((test.at for test in known), reverse=True)


def test_a_result_is_told_in_the_order_of_the_steps() -> None:
    test = _test(0, call="poor", speaker="not_heard", browser="ok", microphone="in_use")
    assert list(test.results) == ["browser", "microphone", "speaker", "call"]
    assert test.words == "microphone in use, speaker not heard, call poor"
    assert _test(0, **dict.fromkeys([step.value for step in DeviceTestStep], OK)).words == "passed"
    assert _test(0, browser="ok").words == "not finished"


@pytest.mark.parametrize("written", [None, [], "ok", {}, {"camera": "x"}, {"camera": None}, {"x": "ok"}, {1: "ok"}])
def test_what_is_no_result(written: object) -> None:
    with pytest.raises(ValueError, match=r"^(names|has) "):
        read_results(written)
