"""F17: Twilio's webhooks doubled, reversed, late, before the answer to their create, and strangers' beside them."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import pytest

from notifier.gateway import Gateway, Receipt, Resend, SentMessage, Sms
from notifier.twilio.credentials import Credentials
from notifier.twilio.gateway import TwilioGateway
from notifier.twilio.http import BoundedHttpClient, make_client
from scheduler.sms import SmsState
from simulator.account import AccountSettings
from simulator.outcomes import CallbackMode, SimulatedOutcome
from simulator.patients import fictitious_number
from simulator.twilio_api import RunningSimulator, running_simulator
from simulator.webhooks import post_form, sign
from store import outbox
from tests.faults.conftest import Tally
from tests.faults.playing import SENDER
from tests.story.clinic import Clinic, opened
from tests.story.ehr import signed
from tests.story.folder import CLOCK, make, null

TOKEN: Final = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
PUBLIC: Final = "https://sms.lamna.example"
SETTINGS: Final = AccountSettings(account_sid="AC" + "1f" * 16, auth_token=TOKEN, segments_per_second={SENDER: 1000})
MODES: Final = (
    CallbackMode.DOUBLED,
    CallbackMode.REORDERED,
    CallbackMode.BEFORE_RESPONSE,
    CallbackMode.LATE,
    CallbackMode.ON_TIME,
)
AT_ONCE: Final = 50
ENDS: Final = (
    SimulatedOutcome(),
    SimulatedOutcome(final="undelivered", error_code=30006),
    SimulatedOutcome(final="failed", error_code=30005),
)
FINAL: Final = {"delivered": SmsState.DELIVERED, "undelivered": SmsState.UNDELIVERED, "failed": SmsState.FAILED}


@dataclass(slots=True)
class Later(Gateway):
    """The simulator is started after the service, whose address it must know."""

    real: Gateway | None = None

    @property
    def _gateway(self) -> Gateway:
        assert self.real is not None
        return self.real

    @property
    def resends(self) -> Resend:
        return self._gateway.resends

    def send(self, sms: Sms) -> Receipt:
        return self._gateway.send(sms)

    def fetch(self, message_id: str) -> SentMessage | None:
        return self._gateway.fetch(message_id)

    def find(self, sms: Sms, since: datetime) -> list[SentMessage] | None:
        return self._gateway.find(sms, since)

    def forget(self, message_id: str) -> bool:
        return self._gateway.forget(message_id)

    def close(self) -> None:
        if self.real is not None:
            self.real.close()


@pytest.mark.faults("F17")
@pytest.mark.timeout(3600)
async def test_webhooks_in_disorder_leave_the_right_state(tally: Tally, tmp_path: Path) -> None:
    folder, gateway, rng = tmp_path / "clinic", Later(), random.Random(17)
    folder.mkdir()
    (folder / "twilio.token").write_text(f"{TOKEN}\n")
    (folder / "twilio.token").chmod(0o400)
    account = {"account_sid": SETTINGS.account_sid, "auth_token_file": "twilio.token", "public_url": PUBLIC}
    changes = {
        "gateway": {"kind": "twilio", "twilio": account, "segments_per_second": {SENDER: 1000}},
        "http": {"enabled": True, "port": 0},
        "environments": {"production": {"sms": {"debounce": "0s", "reminders": []}}},
    }
    path = make(folder, changes)
    null(path, "environments", "production", "sms", "quiet_hours")  # the batches go on through the night
    async with opened(path, at=CLOCK + timedelta(hours=3), gateway=gateway) as clinic:
        assert clinic.service.http is not None
        door = f"http://{clinic.service.http[0]}:{clinic.service.http[1]}"
        with running_simulator(SETTINGS, clock=clinic.clock.now, deliver_to=door) as simulator:
            http = BoundedHttpClient(simulator.url, 30.0)
            client = make_client(Credentials(account_sid=SETTINGS.account_sid, tokens=(TOKEN,)), http)
            gateway.real = TwilioGateway(client, http, PUBLIC)
            for batch in range(tally.fault.rounds // AT_ONCE):
                await one_batch(clinic, simulator, batch)
                await forge(clinic, simulator, door, rng, tally)
                tally.progress((batch + 1) * AT_ONCE, tally.fault.rounds)
            answers = Counter(webhook.status for webhook in simulator.ledger.webhooks)
            tally.seen["genuine"] = answers[200]
            assert set(answers) == {200}
            with clinic.service.store.read() as conn:
                rows = {row.id: row for row in outbox.rows(conn)}
            wrong = [
                taken.sid
                for taken in simulator.ledger.accepted
                if rows[taken.marker or ""].state is not FINAL[end_of(taken.to).final]
            ]
            assert wrong == [], "a text's final state is not what Twilio said"
            got = Counter(taken.to for taken in simulator.ledger.accepted)
            assert got == {fictitious_number(number): 1 for number in range(tally.fault.rounds)}, "lost or doubled"
    tally.seen.update({"wrong states": 0, "lost": 0, "doubled": 0})


def end_of(number: str) -> SimulatedOutcome:
    return ENDS[int(number[-4:]) % len(ENDS)]


async def one_batch(clinic: Clinic, simulator: RunningSimulator, batch: int) -> None:
    now, visit = clinic.clock.now(), clinic.clock.now() + timedelta(days=9)
    phones = [fictitious_number(batch * AT_ONCE + number) for number in range(AT_ONCE)]
    for phone in phones:
        simulator.script(phone, end_of(phone))
    simulator.callbacks(MODES[batch % len(MODES)])
    await clinic.send(
        *(
            signed("S12", f"m{batch}-{number}", sent=now, start=visit, reference=f"W{batch}-{number}", phone=phone)
            for number, phone in enumerate(phones)
        )
    )
    clinic.clock.move_to(now + timedelta(minutes=1))
    await clinic.service.dispatcher.tick()
    clinic.clock.move_to(now + timedelta(minutes=15))  # the late ones come 10 minutes late
    wanted = (batch + 1) * AT_ONCE

    def all_told() -> bool:
        with clinic.service.store.read() as conn:
            states = Counter(row.state for row in outbox.rows(conn))
        return sum(states[state] for state in FINAL.values()) == wanted

    await clinic.until(all_told)


async def forge(clinic: Clinic, simulator: RunningSimulator, door: str, rng: random.Random, tally: Tally) -> None:
    """Each of the batch's texts is said to have come to another end, by somebody without the token."""
    for taken in simulator.ledger.accepted[-AT_ONCE:]:
        url = taken.params["StatusCallback"]
        lie = "failed" if end_of(taken.to).final == "delivered" else "delivered"
        form: Mapping[str, str] = {"MessageSid": taken.sid, "MessageStatus": lie, "AccountSid": SETTINGS.account_sid}
        genuine = sign(url, form, TOKEN)
        signature = rng.choice(
            ("", "bm90IGl0", sign(url, form, "another-token"), sign(url.replace("a=1", "a=2"), form, TOKEN))
        )
        assert signature != genuine
        assert await post_form(url, form, signature, door) == 403
        tally.seen["forged"] += 1
