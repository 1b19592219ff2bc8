"""A gateway that cannot be reached is seen: in the log within a minute, in the metrics, in what `/health` and `status` read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from carebell.maintenance.alarm_watch import AlarmWatch
from carebell.maintenance.overdue import REPEATED_EVERY, OverdueWatch, outbox_state
from journal.logs import setup
from notifier.gateway import Ambiguous, Receipt, Sms
from scheduler.sms import HoldScope
from simulator.outcomes import SimulatedOutcome
from store import holds
from store.holds import Hold
from tests.carebell.pieces import Pieces, pieces
from tests.carebell.pocket_twilio import PocketTwilio
from tests.story.ehr import unsigned
from tests.story.folder import load

MORNING = datetime(2026, 3, 2, 18, 0, tzinfo=UTC)
LIMIT = timedelta(minutes=5)
ROUND = timedelta(seconds=15)


class Outage:
    """A service whose gateway is switched off and on, looked at every 15 seconds."""

    def __init__(
        self, service: Pieces, twilio: PocketTwilio, watch: OverdueWatch, alarms: AlarmWatch, log: Path
    ) -> None:
        self.service, self.twilio, self._watch, self._alarms = service, twilio, watch, alarms
        self._log = log

    def switch_off(self, fails: Callable[[Sms], bool] = lambda _: True) -> None:
        self.twilio.unreachable = fails

    def switch_on(self) -> None:
        self.twilio.unreachable = lambda _: False

    def book(self, reference: str) -> None:
        start = self.service.now + timedelta(days=20)
        self.service.hear(
            unsigned(
                "S12",
                reference,
                sent=self.service.now,
                start=start,
                reference=reference,
                phone=f"+120255501{int(reference):02d}",
            )
        )

    def pass_by(self, span: timedelta) -> None:
        for _ in range(span // ROUND):
            self.service.step(ROUND)
            self.service.tick()
            self.look()

    def look(self) -> None:
        self._watch.round()
        self._alarms.round()

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._log.read_text().splitlines()]

    def events(self) -> list[str]:
        return [line["event"] for line in self.lines()]

    def metric(self, name: str) -> float | None:
        return self.service.metrics.registry.get_sample_value(name)


@pytest.fixture
def outage(tmp_path: Path) -> Iterator[Outage]:
    clock: list[Pieces] = []
    twilio = PocketTwilio(now=lambda: clock[0].now if clock else MORNING)
    log = tmp_path / "watch.log"
    with (
        pieces(tmp_path / "clinic", at=MORNING, gateway=twilio) as service,
        setup(now=lambda: service.now, file=log) as journal,
    ):
        clock.append(service)
        watch = OverdueWatch(
            store=service.store,
            clock=service.clock,
            journal=journal,
            metrics=service.metrics,
        )
        loaded = load(tmp_path / "clinic" / "carebell.yaml")
        alarms = AlarmWatch(
            store=service.store,
            clock=service.clock,
            loaded=lambda: loaded,
            node="n1-1",
            host="n1",
            own=tuple,
            journal=journal,
            metrics=service.metrics,
        )
        yield Outage(service, twilio, watch, alarms, log)


def test_four_minutes_without_a_gateway_are_seen(outage: Outage) -> None:
    outage.book("10")
    outage.pass_by(timedelta(minutes=2))
    assert outage.events() == []
    assert outage.metric("carebell_gateway_failures") == 0
    outage.switch_off()
    for reference in range(11, 16):
        outage.book(f"{reference}")
    outage.pass_by(timedelta(minutes=4))
    state = outbox_state(outage.service.store, outage.service.metrics, outage.service.now)
    assert (state.queue.overdue, state.queue.retrying) == (5, 5)
    assert state.queue.lag > timedelta(minutes=1)
    assert state.contact.failures >= 5
    assert state.contact.reason == "connection_refused"
    assert state.contact.answered_at is not None
    [warning] = outage.lines()
    assert (warning["event"], warning["level"]) == ("gateway_unreachable", "warning")
    first_failure = state.contact.failing_since
    assert first_failure is not None
    assert datetime.fromisoformat(warning["time"]) - first_failure <= timedelta(minutes=1)
    for name in ("carebell_overdue_texts", "carebell_retrying_texts"):
        assert outage.metric(name) == 5
    assert outage.metric("carebell_gateway_failures") == state.contact.failures
    assert outage.metric("carebell_gateway_answered_timestamp_seconds") == state.contact.answered_at.timestamp()


def test_what_lasts_becomes_an_alarm_and_its_end_is_said(outage: Outage) -> None:
    outage.switch_off()
    outage.book("10")
    outage.pass_by(timedelta(minutes=20))
    assert outage.events() == ["gateway_unreachable", "alarm_raised"]
    alarm = outage.lines()[1]
    assert (alarm["alarm"], alarm["limit"], alarm["level"]) == ("overdue", 300, "error")
    assert 300 <= alarm["value"] < 330
    outage.switch_on()
    outage.pass_by(timedelta(minutes=30))
    assert outage.events() == ["gateway_unreachable", "alarm_raised", "gateway_reachable", "alarm_cleared"]
    assert outage.metric("carebell_overdue_texts") == 0


def test_what_lasts_for_hours_is_said_each_hour(outage: Outage) -> None:
    outage.switch_off()
    outage.book("10")
    outage.pass_by(timedelta(minutes=90))
    assert outage.events().count("gateway_unreachable") == outage.events().count("alarm_raised") == 2
    assert timedelta(minutes=60) == REPEATED_EVERY


def test_texts_that_are_held_are_not_overdue(outage: Outage) -> None:
    with outage.service.store.write() as conn:
        holds.hold(conn, Hold(scope=HoldScope.ALL, name="", reason="by hand", actor="cli:x", since=MORNING))
    outage.book("10")
    outage.pass_by(timedelta(minutes=20))
    assert [(line["event"], line["alarm"], line["severity"]) for line in outage.lines()] == [
        ("alarm_raised", "held", "warning")
    ]
    state = outbox_state(outage.service.store, outage.service.metrics, outage.service.now)
    assert not state.is_late(LIMIT, {})


def test_a_text_that_waits_for_a_telephone_that_is_off_is_not_overdue(outage: Outage) -> None:
    """30003: the gateway answered and took it. It is tried again minutes later, and only then its turn has come."""
    outage.twilio.account.otherwise = SimulatedOutcome(final="undelivered", error_code=30003)
    outage.book("10")
    retrying = 0
    for _ in range(80):
        outage.pass_by(ROUND)
        for update in outage.twilio.mail():
            outage.service.webhooks._status(update)
        state = outbox_state(outage.service.store, outage.service.metrics, outage.service.now)
        retrying += state.queue.retrying
        assert (state.queue.overdue, state.queue.lag) == (0, timedelta()) or state.queue.ready == 1
    assert retrying > 20, "it did wait"
    assert outage.events() == []


def place(outage: Outage, scope: HoldScope, name: str, *, breaker: bool) -> None:
    with outage.service.store.write() as conn:
        if breaker:
            holds.trip(conn, scope, name, code=20003, at=MORNING, probe_at=MORNING + timedelta(days=1))
        else:
            holds.hold(conn, Hold(scope=scope, name=name, reason="by hand", actor="cli:x", since=MORNING))


def is_overdue(outage: Outage) -> bool:
    """Whether a text of production that cannot leave for twenty minutes is the alarm."""
    outage.pass_by(timedelta(minutes=20))
    return "overdue" in [line.get("alarm") for line in outage.lines()]


@pytest.mark.parametrize("breaker", [False, True], ids=["hold", "breaker"])
@pytest.mark.parametrize(
    ("scope", "name"),
    [(HoldScope.ENVIRONMENT, "test"), (HoldScope.APPROVAL, "test"), (HoldScope.SENDER, "+14255550199")],
)
def test_what_stops_other_texts_silences_nothing(outage: Outage, scope: HoldScope, name: str, breaker: bool) -> None:
    outage.switch_off()
    outage.book("10")
    place(outage, scope, name, breaker=breaker)
    assert is_overdue(outage)


@pytest.mark.parametrize("breaker", [False, True], ids=["hold", "breaker"])
@pytest.mark.parametrize("scope", [HoldScope.ENVIRONMENT, HoldScope.APPROVAL, HoldScope.SENDER])
def test_texts_that_were_tried_and_are_stopped_since_are_not_overdue(
    outage: Outage, scope: HoldScope, breaker: bool
) -> None:
    outage.switch_off()
    outage.book("10")
    outage.pass_by(timedelta(minutes=2))
    sender = outage.service.runtime_config.policies["production"].environment.sms.sender
    place(outage, scope, sender if scope is HoldScope.SENDER else "production", breaker=breaker)
    assert not is_overdue(outage)


def test_an_open_breaker_is_a_metric_and_goes_again(outage: Outage) -> None:
    labels = {"scope": "sender", "name": "MG1"}

    def shown() -> float | None:
        return outage.service.metrics.registry.get_sample_value("carebell_breaker_open", labels)

    with outage.service.store.write() as conn:
        holds.trip(conn, HoldScope.SENDER, "MG1", code=20003, at=MORNING, probe_at=MORNING)
    outage.look()
    assert shown() == 1
    with outage.service.store.write() as conn:
        holds.reset(conn, HoldScope.SENDER, "MG1")
    outage.look()
    assert shown() is None


def test_texts_that_nobody_takes_are_an_alarm_too(outage: Outage) -> None:
    """The dispatcher stands still: nothing was tried, so the gateway is not to blame."""
    outage.book("10")
    for _ in range(80):
        outage.service.step(ROUND)
        outage.look()
    assert outage.events() == ["alarm_raised"]


def test_a_time_out_counts_as_no_answer(outage: Outage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PocketTwilio, "send", _times_out)
    outage.book("10")
    outage.pass_by(timedelta(minutes=2))
    state = outbox_state(outage.service.store, outage.service.metrics, outage.service.now)
    assert (state.contact.failures, state.contact.reason) == (1, "read_timeout")
    monkeypatch.undo()
    outage.book("11")
    outage.pass_by(timedelta(minutes=2))
    assert outage.events() == ["gateway_unreachable", "gateway_reachable"]


def _times_out(_: PocketTwilio, __: Sms) -> Receipt:
    return Ambiguous(why="read_timeout")
