"""F10 and F11: what Twilio's answers can do, through the real client, against the simulator's ledger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest

from notifier.twilio.credentials import Credentials
from notifier.twilio.gateway import TwilioGateway
from notifier.twilio.http import BoundedHttpClient, make_client
from scheduler.clock import SteppingClock
from scheduler.sms import SmsKind, SmsState
from simulator.account import AccountSettings
from simulator.faults import FaultPlan, ScriptedFault
from simulator.patients import fictitious_number
from simulator.twilio_api import RunningSimulator, running_simulator
from store.outbox_row import OutboxRow
from tests.carebell.pieces import Pieces, pieces
from tests.faults.conftest import Tally
from tests.faults.playing import NOWHERE, SENDER
from tests.story.ehr import unsigned

NOW: Final = datetime(2026, 3, 2, 18, 0, tzinfo=UTC)
VISIT: Final = NOW + timedelta(days=10)
ACCOUNT: Final = AccountSettings(
    account_sid="AC" + "1f" * 16, auth_token="t0ken-t0ken", segments_per_second={SENDER: 1000}
)
MINUTE: Final = timedelta(minutes=1)
PASSING: Final = {
    ScriptedFault.TOO_MANY_REQUESTS: 0.35,
    ScriptedFault.ERROR_500_BEFORE: 0.1,
    ScriptedFault.ERROR_500_AFTER: 0.1,
    ScriptedFault.UNAVAILABLE: 0.1,
}
BELIEVED: Final = {SmsState.ACCEPTED, SmsState.SENT, SmsState.DELIVERED}
UNCLEAR: Final = {
    ScriptedFault.ACCEPT_THEN_RESET: 0.15, ScriptedFault.RESET_BEFORE: 0.2, ScriptedFault.HALF_RESPONSE: 0.15,
    ScriptedFault.SLOW: 0.1, ScriptedFault.ACCEPT_THEN_TIMEOUT: 0.1,
}  # fmt: skip


@contextmanager
def clinic(folder: Path) -> Iterator[tuple[Pieces, RunningSimulator]]:
    clock = SteppingClock(NOW)
    with running_simulator(ACCOUNT, clock=clock.now, deliver_to=NOWHERE) as simulator:
        http = BoundedHttpClient(simulator.url, 0.4)
        client = make_client(Credentials(account_sid=ACCOUNT.account_sid, tokens=(ACCOUNT.auth_token,)), http)
        gateway = TwilioGateway(client, http, "https://sms.lamna.example")
        # The callbacks have nowhere to go: what is not answered must be asked for.
        with pieces(folder, at=NOW, gateway=gateway, sms={"debounce": "0s"}, clock=clock) as service:
            yield service, simulator
        gateway.close()


def pass_by(service: Pieces, simulator: RunningSimulator, rounds: int, step: timedelta = 1.1 * MINUTE) -> None:
    """Minutes pass. The simulator has dealt with all that was posted before they do: on a loaded machine its thread may come after
    our time-out of 0.4 s, and what it takes later than that is not in the list that a minute later decides about sending again.
    """
    for _ in range(rounds):
        for _turn_of_its_loop in range(4):  # accepted, read, answered
            assert simulator.messages is not None
        service.step(step)
        service.reconciliation.round()
        service.tick()


@pytest.mark.parametrize(
    "faults",
    [pytest.param(PASSING, marks=pytest.mark.faults("F10")), pytest.param(UNCLEAR, marks=pytest.mark.faults("F11"))],
    ids=["F10", "F11"],
)
@pytest.mark.timeout(3600)
def test_no_text_is_doubled_and_none_is_lost_unreported(
    tally: Tally, tmp_path: Path, faults: Mapping[ScriptedFault, float]
) -> None:
    """Half of the texts are bookings, half cancellations of visits that were booked before."""
    count = tally.fault.rounds // 2
    with clinic(tmp_path / "clinic") as (service, simulator):
        send(service, "S12", range(count))
        service.tick()
        pass_by(service, simulator, 2)
        plan = FaultPlan(rates=faults, seed=count, slow_seconds=0.6, hold_seconds=1.0)
        simulator.faults(plan)
        send(service, "S15", range(count))
        send(service, "S12", range(count, 2 * count))
        service.tick()
        pass_by(service, simulator, 6)
        simulator.faults(FaultPlan())
        pass_by(service, simulator, 20)
        pass_by(service, simulator, 15, 5 * MINUTE)  # past the hour after which lost callbacks are asked for
        told_once, told_of_the_end = range(2 * count), range(count)
        wanted = Counter(fictitious_number(visit) for several in (told_once, told_of_the_end) for visit in several)
        check(tally, service.rows(), simulator, wanted)
    tally.progress(2 * count, 2 * count)


def send(service: Pieces, event: str, visits: range) -> None:
    status = "Cancelled" if event == "S15" else "Scheduled"
    service.hear(
        *(
            unsigned(
                event,
                f"{event}-{visit}",
                sent=service.now,
                start=VISIT,
                reference=f"R{visit}",
                status=status,
                phone=fictitious_number(visit),
            )
            for visit in visits
        )
    )
    assert service.refused == []


def check(tally: Tally, rows: list[OutboxRow], simulator: RunningSimulator, wanted: Counter[str]) -> None:
    """`wanted`: number -> texts that its patient should get, by what the hospital said. The ledger says how many it got."""
    accepted = simulator.ledger.accepted
    got = Counter(taken.to for taken in accepted)
    assert got - wanted == Counter(), "a text left twice, or to somebody who should have none"
    assert max(Counter(taken.body + taken.to for taken in accepted).values()) == 1, "the same text left twice"
    missing = wanted - got
    texts = [row for row in rows if row.kind is not SmsKind.REMINDER]
    taken_rows = {taken.marker for taken in accepted}
    reported = Counter(
        fictitious_number(int(row.reference.removeprefix("R")))
        for row in texts
        if row.id not in taken_rows and row.state in (SmsState.UNKNOWN, SmsState.SUPPRESSED)
    )
    assert missing - reported == Counter(), "a text is lost and not reported"
    assert {row.state for row in texts if row.id in taken_rows} <= BELIEVED
    assert [row for row in texts if row.state in BELIEVED and row.id not in taken_rows] == [], (
        "said sent, and it is not"
    )
    met = [each.fault for each in simulator.ledger.received if each.fault]
    assert len(met) > wanted.total() // 10
    tally.seen.update({
        "texts wanted": wanted.total(), "in the ledger": len(accepted), "creates": len(simulator.ledger.received),
        "faults met": len(met), "doubled": 0, "lost unreported": 0, "reported as unknown or not sent": missing.total(),
    })  # fmt: skip
