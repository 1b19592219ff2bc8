"""F8 and F9: the machine's clock jumps, and the clinic's clock changes."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest

from scheduler.clock import SteppingClock
from scheduler.sms import SmsState
from simulator.account import AccountSettings
from simulator.ehr import histories
from simulator.shapes import Feed
from store import appointments
from tests.carebell.pieces import Pieces, pieces
from tests.carebell.pocket_twilio import PocketTwilio
from tests.faults.conftest import Tally
from tests.faults.playing import SENDER, expected, play, sent
from tests.scheduler.random_stories import transitions
from tests.story.ehr import unsigned

BEGINS: Final = datetime(2026, 3, 2, 18, 0, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
JUMPS: Final = (HOUR, -HOUR, DAY, -DAY, 30 * DAY)
FAST: Final = AccountSettings(segments_per_second={SENDER: 1000})
ZONES: Final = (
    "America/Los_Angeles",
    "America/New_York",
    "America/St_Johns",
    "America/Halifax",
    "America/Chicago",
    "America/Anchorage",
)


@pytest.mark.faults("F8")
@pytest.mark.timeout(3600)
def test_a_clock_that_jumps_and_is_put_right_harms_nobody(tally: Tally, tmp_path: Path) -> None:
    rng = random.Random(8)
    for number in tally.rounds():
        jump = JUMPS[number % len(JUMPS)]
        world = SteppingClock(BEGINS)  # Twilio's clock does not jump with ours
        twilio = PocketTwilio(now=world.now, settings=FAST)
        with pieces(tmp_path / str(number), at=BEGINS, gateway=twilio) as service:
            for visit in range(8):
                start = BEGINS + timedelta(hours=rng.randint(5, 240))
                book(service, f"R{visit}", f"+120255501{visit:02d}", start)
            watch(service, world, rng.randint(1, 120))
            service.step(jump)
            watch(service, world, rng.randint(1, 60))
            service.step(-jump)
            assert service.now == world.now()
            book(service, "after", "+12025550199", service.now + 5 * DAY)
            watch(service, world, 3)
            assert ("booked", "accepted", "booked") in service.texts("after"), f"stuck after a jump by {jump}"
            run_out(service, world)
            tally.seen["texts"] += len(sent(service, twilio))
            assert max(twilio.texts().values()) == 1
            assert service.count(SmsState.DUE) == 0
            assert ("reminder", "accepted", "reminder") in service.texts("after")
            with service.store.read() as conn:
                phones = [one.phone for one in appointments.listed(conn, service.vault, service.now)]
            assert set(phones) == {None}
    tally.seen["doubled"] = 0


def book(service: Pieces, reference: str, phone: str, start: datetime) -> None:
    service.hear(unsigned("S12", reference, sent=service.now, start=start, reference=reference, phone=phone))
    assert service.refused == []


def watch(service: Pieces, world: SteppingClock, minutes: int) -> None:
    """Minutes as they pass, tick by tick."""
    for _ in range(minutes):
        service.step(timedelta(minutes=1))
        world.move_to(world.now() + timedelta(minutes=1))
        service.tick()
        service.retention.round()


def run_out(service: Pieces, world: SteppingClock) -> None:
    """To the end of every visit, from one due text to the next."""
    end = service.now + 12 * DAY
    while (due := service.next_due()) is not None and due <= end:
        service.step(to=max(due, service.now))
        world.move_to(service.now)
        service.tick()
    service.step(to=end)
    world.move_to(end)
    service.tick()
    service.retention.round()


@pytest.mark.faults("F9")
@pytest.mark.timeout(3600)
def test_a_change_of_the_clinics_clock_leaves_the_oracles_texts(tally: Tally, tmp_path: Path) -> None:
    rng = random.Random(9)
    for number in tally.rounds():
        zone = ZONES[number % len(ZONES)]
        change = transitions(zone)[number // len(ZONES) % 2]
        feed = Feed(zone=zone)
        sendings = histories(rng, count=12, begins=change - 4 * DAY, ends=change + 4 * DAY, feed=feed)
        twilio = PocketTwilio(now=lambda at=change: at, settings=FAST)  # type: ignore[misc]
        production = {"environments": {"production": {"ehr": "generic", "time_zone": zone}}}
        at = min(each.at for each in sendings)
        with pieces(tmp_path / str(number), at=at, gateway=twilio, changes=production) as service:
            twilio.now = service.clock.now
            heard = play(service, twilio, sendings, feed)
            assert service.refused == []
            left = sent(service, twilio)
            assert left.keys() == expected(heard, service), f"{zone} around {change}"
            assert [key for key, time in left.items() if time != key[3]] == []
            tally.seen["texts"] += len(left)
    tally.seen["not the oracle's"] = 0
