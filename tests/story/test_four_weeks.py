"""Four weeks of a clinic, from signed bytes to Twilio's ledger, end with exactly the oracle's list of texts.

2,000 appointments, of which about 30 % are moved and 15 % cancelled; the clocks go forward on the second Sunday; the service is
down twice, once for longer than a text may be late; and for an hour Twilio refuses, breaks off, or takes texts and says it did
not. Everything between the two ends is the service's own code; time is stepped from one thing that happens to the next.

The oracle knows no outage and no gateway: what they change is worked out here, in `as_the_outages_leave_it`, from sms.md alone.
"""

from __future__ import annotations

import os
import random
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from parser.event import SchedulingEvent
from scheduler.sms import SmsState
from simulator.account import AccountSettings
from simulator.ehr import Mix, Sending, histories
from simulator.faults import FaultPlan, ScriptedFault
from simulator.shapes import Feed
from store.outbox_row import OutboxRow
from tests.carebell.pieces import Pieces, pieces
from tests.carebell.pocket_twilio import PocketTwilio
from tests.scheduler.oracle import Fate, oracle, texts_sent

BEGINS: Final = datetime(2026, 2, 23, 16, 0, tzinfo=UTC)
ENDS: Final = BEGINS + timedelta(days=28)  # Los Angeles springs forward on 8 March
APPOINTMENTS: Final = 2000
FEED: Final = Feed()
LAST: Final = ENDS + timedelta(days=3)
HOUSE: Final = timedelta(hours=6)
CARE: Final = timedelta(hours=1)
CARE_IN_THE_STORM: Final = timedelta(seconds=20)
"""Between two looks at what nobody looks at: the service takes 15 s, which would be most of this test's time."""


@dataclass(frozen=True, slots=True)
class Span:
    begins: datetime
    ends: datetime

    def __contains__(self, moment: datetime) -> bool:
        return self.begins <= moment < self.ends


def span(begins: str, ends: str) -> Span:
    return Span(datetime.fromisoformat(f"{begins}Z"), datetime.fromisoformat(f"{ends}Z"))


OUTAGES: Final = (span("2026-03-03T17:30", "2026-03-03T19:00"), span("2026-03-12T15:00", "2026-03-12T21:00"))
STORM: Final = span("2026-03-09T16:45", "2026-03-09T17:45")  # 10:00 in the clinic, when the week's reminders leave

Key = tuple[str, str, str, datetime]
"""An appointment's reference, kind, rule and due: one text."""


class Storm(FaultPlan):
    """What a create meets depends on the recipient and on how often it was tried, not on the order of threads."""

    SHARES: Final = (
        (ScriptedFault.TOO_MANY_REQUESTS, 0.3), (ScriptedFault.ERROR_500_BEFORE, 0.08), (ScriptedFault.UNAVAILABLE, 0.04),
        (ScriptedFault.ACCEPT_THEN_RESET, 0.1), (ScriptedFault.ERROR_500_AFTER, 0.1), (ScriptedFault.HALF_RESPONSE, 0.05),
    )  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self.tries: Counter[str] = Counter()
        self.met: Counter[str] = Counter()

    def next_create(self, number: int, to: str) -> ScriptedFault | None:
        self.tries[to] += 1
        ticket = random.Random(f"{to} {self.tries[to]}").random()
        for fault, share in self.SHARES:
            if ticket < share:
                self.met[fault.value] += 1
                return fault
            ticket -= share
        self.met["none"] += 1
        return None


def arrival(sending: Sending) -> datetime:
    """When a message reaches us: while the service is down its sender keeps it."""
    return next((outage.ends for outage in OUTAGES if sending.at in outage), sending.at)


async def live_through(service: Pieces, twilio: PocketTwilio, sendings: list[Sending], storm: Storm) -> list[Any]:
    """Step through the four weeks; the events that were heard, in the order of their receipt."""
    heard: list[Any] = []
    waiting = sorted(sendings, key=arrival, reverse=True)
    calm, house, care = twilio.account.faults, BEGINS, BEGINS
    while True:
        times = [arrival(waiting[-1]) if waiting else None, service.next_due(), care]
        now = min((each for each in times if each is not None), default=None)
        if now is None or now > LAST:
            return heard
        now = max(now, service.now)
        now = next((outage.ends for outage in OUTAGES if now in outage), now)
        service.step(to=now)
        twilio.account.faults = storm if now in STORM else calm
        for update in twilio.mail():
            if update.status != "sent":  # half of the callbacks get lost: those that tell the least
                service.webhooks._status(update)
        if now >= care:
            service.reconciliation.round()
            care = now + (CARE_IN_THE_STORM if now in STORM else CARE)
        await service.dispatcher.tick()
        while waiting and arrival(waiting[-1]) <= now:
            [validated] = service.hear(waiting.pop().write(FEED))
            heard.append(validated.event)
        if now >= house:
            service.retention.round()
            house = now + HOUSE


def expected(events: Iterable[SchedulingEvent], service: Pieces) -> set[Key]:
    """The texts that must have left, appointment by appointment."""
    policy = service.runtime_config.policies["production"]
    histories_of: defaultdict[str, list[SchedulingEvent]] = defaultdict(list)
    for event in events:
        histories_of[event.reference].append(event)
    texts: set[Key] = set()
    for reference, history in histories_of.items():
        fates = as_the_outages_leave_it(texts_sent(oracle(history, policy.environment.sms, policy.planning.shown)))
        texts |= {(reference, each.kind, each.rule, each.due) for each in fates if each.due is not None}
    return texts


def as_the_outages_leave_it(fates: list[Fate]) -> list[Fate]:
    """What was due while the service was down leaves when it is up again, if it is then still of use; of several reminders only
    the one nearest to the visit."""
    kept = []
    for each in fates:
        assert each.due is not None
        assert each.expires is not None
        outage = next((outage for outage in OUTAGES if each.due in outage), None)
        if outage is None:
            kept.append(each)
            continue
        later = [other.due for other in fates if other.kind == "reminder" and other.due and other.due in outage]
        superseded = each.kind == "reminder" and each.due < max(later)
        if not superseded and outage.ends <= each.expires:
            kept.append(each)
    return kept


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Path]:
    """A folder whose syncs cost nothing, where there is one: power cuts are not this test's subject."""
    if not os.access("/dev/shm", os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="carebell-") as folder:
        yield Path(folder)


@pytest.mark.timeout(900)
async def test_four_weeks_end_with_the_oracles_texts(memory: Path) -> None:
    sendings = histories(
        random.Random(2026), count=APPOINTMENTS, begins=BEGINS, ends=ENDS, feed=FEED, mix=Mix(moved=0.30, canceled=0.15)
    )
    settings = AccountSettings(segments_per_second={"+14255550100": 1000})  # as the service's: nothing waits at Twilio
    twilio, storm = PocketTwilio(now=lambda: BEGINS, settings=settings), Storm()
    changes = {"environments": {"production": {"ehr": "generic"}}}
    sms = {"caps": {"per_day": 50, "per_week": 200}}
    with pieces(memory / "clinic", at=BEGINS, gateway=twilio, sms=sms, changes=changes) as service:
        twilio.now = service.clock.now
        events = await live_through(service, twilio, sendings, storm)
        assert service.refused == []
        rows = {row.id: row for row in service.rows()}
        wanted = expected(events, service)
    taken = twilio.texts()
    assert {own: times for own, times in taken.items() if times > 1} == {}, "a patient got a text twice"
    sent = {key(rows[own]) for own in taken}
    reported = {key(row) for row in rows.values() if row.state is SmsState.UNKNOWN}
    assert sent - wanted == set()
    assert wanted - sent == reported - sent, "a text is lost and not reported"
    assert {row.state for row in rows.values()} == {SmsState.DELIVERED, SmsState.SUPPRESSED, SmsState.UNKNOWN}
    on_time(twilio, rows)
    happened(events, wanted, storm, reported - sent)


def key(row: OutboxRow) -> Key:
    assert row.due is not None
    return row.reference, row.kind.value, row.rule, row.due


def on_time(twilio: PocketTwilio, rows: dict[str, OutboxRow]) -> None:
    """In the minute that was planned, but for outages and the storm, and never when it was of no use any more."""
    for taken in twilio.ledger.accepted:
        row = rows[taken.marker or ""]
        assert row.due is not None
        outage = next((outage for outage in OUTAGES if row.due in outage), None)
        if row.due in STORM:
            assert row.due <= taken.time <= row.due + timedelta(hours=2)
        else:
            assert taken.time == (outage.ends if outage else row.due), f"{key(row)} left at {taken.time}"


def happened(events: list[SchedulingEvent], wanted: set[Key], storm: Storm, lost: set[Key]) -> None:
    """The weeks were as eventful as they should be."""
    of = Counter(event.event for event in events)
    assert of["S12"] == APPOINTMENTS
    assert of["S13"] >= 0.27 * APPOINTMENTS
    assert of["S15"] >= 0.13 * APPOINTMENTS
    assert all(any(due in outage for _, _, _, due in wanted) for outage in OUTAGES)
    assert set(storm.met) >= {"none", *(fault.value for fault, _ in Storm.SHARES)}
    assert 0 < len(lost) < storm.met["error_500_before"] + storm.met["unavailable"] + 1
    assert len(wanted) > 3 * APPOINTMENTS
