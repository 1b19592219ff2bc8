"""Why a text that is due has not left: one story for each thing that keeps texts back, told from what is stored."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from carebell.inquiries.wait_explainer import Wait, WaitExplainer
from carebell.times import Zones
from config.model import Environment
from scheduler.sms import HoldScope, Reason, SmsKind, SmsState
from store.holds import Breaker, Hold
from store.outbox_row import OutboxRow
from tests.story.folder import change, load, make

NOW = datetime.fromisoformat("2026-03-02T20:00:00+00:00")  # noon in Los Angeles
EARLY = datetime.fromisoformat("2026-03-02T11:00:00+00:00")  # three in the morning there
MINUTE = timedelta(minutes=1)


@pytest.fixture
def zones(tmp_path: Path) -> Zones:
    return Zones(load(make(tmp_path)))


@pytest.fixture
def clinic(tmp_path: Path) -> Environment:
    return load(make(tmp_path)).configuration.environments["production"]


@pytest.fixture
def explainer(zones: Zones) -> WaitExplainer:
    return WaitExplainer(now=NOW, holds=(), breakers=(), dispatching=True, clock=zones.clock)


def row(
    *,
    due: datetime = NOW - MINUTE,
    kind: SmsKind = SmsKind.BOOKED,
    rule: str = "scheduled",
    start: datetime = NOW + timedelta(days=9),
    created: datetime = NOW - timedelta(days=1),
    again: datetime | None = None,
    attempts: int = 0,
    code: int | None = None,
) -> OutboxRow:
    return OutboxRow(
        id="0" * 32,
        environment="production",
        appointment="1" * 32,
        reference="A1",
        kind=kind,
        rule=rule,
        revision=1,
        due=due,
        expires=due + timedelta(hours=2),
        start=start,
        state=SmsState.DUE,
        reason=Reason.BOOKED,
        attempts=attempts,
        next_attempt_at=again or due,
        lease_until=None,
        node=None,
        sid=None,
        code=code,
        sender=None,
        segments=None,
        phone_key=None,
        config_version="v",
        created_at=created,
        claimed_at=None,
        sent_at=None,
        final_at=None,
        checked_at=None,
        gateway_forgotten_at=None,
    )


def hold(scope: HoldScope = HoldScope.ALL, name: str = "") -> Hold:
    return Hold(scope=scope, name=name, reason="wrong template", actor="cli:x", since=NOW - 5 * MINUTE)


def breaker(scope: HoldScope, name: str) -> Breaker:
    return Breaker(scope=scope, name=name, code=20003, opened_at=NOW - MINUTE, probe_at=NOW + 4 * MINUTE, probes=0)


def test_before_its_time(explainer: WaitExplainer, clinic: Environment) -> None:
    later = row(due=NOW + timedelta(days=1))
    assert (explainer.why(later, clinic).wait, explainer.why(later, clinic).text) == (Wait.TIME, "waits for its time")
    held = replace(explainer, holds=[hold()]).why(later, clinic)
    assert held.wait is Wait.HOLD, "who looks during a hold is told of it, whatever the text's time"
    # A breaker closes by itself, and says nothing about a text whose time has not come.
    shut = replace(explainer, breakers=[breaker(HoldScope.ENVIRONMENT, "production")])
    assert shut.why(later, clinic).wait is Wait.TIME


@pytest.mark.parametrize("due", [NOW - MINUTE, NOW + timedelta(days=1)], ids=["due", "later"])
@pytest.mark.parametrize("held", [False, True], ids=["free", "held"])
def test_an_opted_out_number(explainer: WaitExplainer, clinic: Environment, due: datetime, held: bool) -> None:
    since = NOW - timedelta(days=2)
    informed = replace(explainer, opted_out={("key", "+14255550100"): since}, holds=[hold()] if held else [])
    waiting = informed.why(row(due=due), clinic, "key")
    assert (waiting.wait, waiting.text) == (
        Wait.OPTED_OUT,
        "will not go: its number has opted out since 2026-02-28 12:00",
    )
    others = Wait.HOLD if held else (Wait.NEXT_ROUND if due < NOW else Wait.TIME)
    assert informed.why(row(due=due), clinic, "other").wait is others
    assert informed.why(row(due=due), clinic, None).wait is others


@pytest.mark.parametrize(
    ("hours_ago", "due_in", "cap"),
    [
        ([1, 2, 3], 0, "per_day"),
        ([1, 2, 25], 0, None),
        ([1, 2, 3], 20, "per_day"),
        ([1, 2, 3], 24, None),
        ([30] * 10, 0, "per_week"),
        ([30] * 9 + [7 * 24], 0, None),
        ([1, 2, 3] + [30] * 7, 0, "per_day"),
    ],
)
def test_a_cap_names_itself(
    explainer: WaitExplainer, clinic: Environment, hours_ago: list[int], due_in: int, cap: str | None
) -> None:
    """By default three texts in 24 hours, ten in seven days; the bounds are open, as the claim has them."""
    informed = replace(explainer, taken={"key": [NOW - timedelta(hours=hours) for hours in hours_ago]})
    text = row(due=NOW + timedelta(hours=due_in))
    waiting = informed.why(text, clinic, "key")
    assert (waiting.wait is Wait.CAP) is (cap is not None)
    if cap is not None:
        count, span = {"per_day": (3, "24 hours"), "per_week": (10, "7 days")}[cap]
        assert waiting.text == f"will not go: its number has had its {count} texts in {span} (sms.caps.{cap})"
    canceled = replace(text, kind=SmsKind.CANCELED)
    assert informed.why(canceled, clinic, "key").wait is not Wait.CAP


def test_quiet_hours(explainer: WaitExplainer, clinic: Environment) -> None:
    night = replace(explainer, now=EARLY)
    opening = datetime.fromisoformat("2026-03-02T16:00:00+00:00")  # eight in the morning there
    booked = row(due=opening, created=EARLY - MINUTE)
    assert night.why(booked, clinic).wait is Wait.QUIET_HOURS
    assert "quiet hours" in night.why(booked, clinic).text
    # By its rule 24 hours before a visit at three in the morning: moved to the evening before.
    reminder = row(
        kind=SmsKind.REMINDER, rule="24h", start=EARLY + timedelta(days=3), due=EARLY + timedelta(days=2, hours=-7)
    )
    assert night.why(reminder, clinic).wait is Wait.QUIET_HOURS
    # At a time that happens to be the end of quiet hours, and at its rule's own time.
    assert night.why(row(due=opening, created=opening - 2 * MINUTE), clinic).wait is Wait.TIME
    by_rule = row(kind=SmsKind.REMINDER, rule="24h", start=opening + timedelta(days=1), due=opening)
    assert night.why(by_rule, clinic).wait is Wait.TIME


@pytest.mark.parametrize(
    ("scope", "name", "held"),
    [
        (HoldScope.ALL, "", True),
        (HoldScope.ENVIRONMENT, "production", True),
        (HoldScope.SENDER, "+14255550100", True),
        (HoldScope.ENVIRONMENT, "test", False),
        (HoldScope.SENDER, "+14255550101", False),
    ],
)
def test_holds_and_breakers(
    scope: HoldScope, name: str, held: bool, explainer: WaitExplainer, clinic: Environment
) -> None:
    by_hand = replace(explainer, holds=[hold(scope, name)]).why(row(), clinic)
    assert by_hand.wait is (Wait.HOLD if held else Wait.NEXT_ROUND)
    stopped = replace(explainer, breakers=[breaker(scope, name)]).why(row(), clinic)
    assert stopped.wait is (Wait.BREAKER if held else Wait.NEXT_ROUND)
    if held:
        assert by_hand.text == "waits: on hold since 2026-03-02 11:55 (wrong template); `carebell release` ends it"
        assert stopped.text == "the gateway refuses, code 20003: wrong account or token; next attempt 2026-03-02 12:04"


def test_between_attempts(explainer: WaitExplainer, clinic: Environment) -> None:
    failed = explainer.why(row(again=NOW + 3 * MINUTE, attempts=1, code=20429), clinic)
    assert (failed.wait, failed.text) == (
        Wait.RETRY,
        "the last attempt failed, code 20429: too many requests; next attempt 2026-03-02 12:03",
    )
    queued = explainer.why(row(again=NOW + 3 * MINUTE), clinic)
    assert (queued.wait, queued.text) == (
        Wait.TURN,
        "its sender has others to send first; next attempt 2026-03-02 12:03",
    )


def test_nobody_sends(explainer: WaitExplainer, clinic: Environment) -> None:
    assert explainer.why(row(), clinic).wait is Wait.NEXT_ROUND
    assert replace(explainer, dispatching=None).why(row(), clinic).wait is Wait.NEXT_ROUND
    stopped = replace(explainer, dispatching=False).why(row(), clinic)
    assert stopped.wait is Wait.SERVICE
    assert "is the service running?" in stopped.text


def test_an_environment_that_is_switched_off_or_gone(explainer: WaitExplainer, tmp_path: Path) -> None:
    path = make(tmp_path)
    change(path, {"environments": {"production": {"enabled": False}}})
    off = load(path).configuration.environments["production"]
    for environment in (off, None):
        assert explainer.why(row(due=NOW + timedelta(days=1)), environment).wait is Wait.SWITCHED_OFF


@pytest.mark.parametrize("dispatching", [True, False])
@pytest.mark.parametrize("held", [True, False])
def test_a_text_that_is_too_late_does_not_wait_for_the_service(
    dispatching: bool, held: bool, explainer: WaitExplainer, clinic: Environment
) -> None:
    hold = Hold(scope=HoldScope.ALL, name="", reason="moving", actor="cli:ann", since=NOW - timedelta(days=1))
    explainer = replace(explainer, dispatching=dispatching, holds=(hold,) if held else ())
    late = row(due=NOW - timedelta(hours=3))
    waiting = explainer.why(late, clinic)
    assert (waiting.wait, waiting.text) == (
        Wait.EXPIRED, "will not go: it could not be sent in time, until 2026-03-02 11:00",
    )  # fmt: skip
