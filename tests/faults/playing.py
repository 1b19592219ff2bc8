"""A clinic's messages played through the service's pieces, stepping from one thing that happens to the next."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from parser.event import SchedulingEvent
from simulator.ehr import Sending
from simulator.shapes import Feed
from tests.carebell.pieces import Pieces
from tests.carebell.pocket_twilio import PocketTwilio
from tests.scheduler.oracle import oracle, texts_sent

Key = tuple[str, str, str, datetime]
"""An appointment's reference, kind, rule and due: one text."""

SENDER: Final = "+14255550100"
NOWHERE: Final = "http://127.0.0.1:9"
"""For a simulator's webhooks that reach nobody: what is not answered must be asked for."""


def play(service: Pieces, twilio: PocketTwilio, sendings: Sequence[Sending], feed: Feed) -> list[SchedulingEvent]:
    """Until nothing is left to hear or to send; the events in the order of their receipt."""
    heard: list[SchedulingEvent] = []
    waiting = sorted(sendings, key=lambda each: each.at, reverse=True)
    while True:
        times = [each for each in (waiting[-1].at if waiting else None, service.next_due()) if each is not None]
        if not times:
            return heard
        service.step(to=max(min(times), service.now))
        service.tick()
        while waiting and waiting[-1].at <= service.now:
            [validated] = service.hear(waiting.pop().write(feed))
            if validated.event is not None:
                heard.append(validated.event)


def expected(events: Iterable[SchedulingEvent], service: Pieces) -> set[Key]:
    """The oracle's texts, appointment by appointment."""
    policy = service.runtime_config.policies["production"]
    histories: defaultdict[str, list[SchedulingEvent]] = defaultdict(list)
    for event in events:
        histories[event.reference].append(event)
    return {
        (reference, each.kind, each.rule, each.due)
        for reference, history in histories.items()
        for each in texts_sent(oracle(history, policy.environment.sms, policy.planning.shown))
        if each.due is not None
    }


def sent(service: Pieces, twilio: PocketTwilio) -> dict[Key, datetime]:
    """What Twilio took, and when; AssertionError for a text that it took twice."""
    rows = {row.id: row for row in service.rows()}
    found: dict[Key, datetime] = {}
    for taken in twilio.ledger.accepted:
        row = rows[taken.marker or ""]
        assert row.due is not None
        key = (row.reference, row.kind.value, row.rule, row.due)
        assert key not in found, "a patient got a text twice"
        found[key] = taken.time
    return found


def settle(service: Pieces, twilio: PocketTwilio, rounds: int = 40, step: timedelta = timedelta(seconds=65)) -> None:
    """Let callbacks, retries and look-ups come to their end."""
    for _ in range(rounds):
        service.step(step)
        for update in twilio.mail():
            service.webhooks._status(update)
        service.reconciliation.round()
        service.tick()
