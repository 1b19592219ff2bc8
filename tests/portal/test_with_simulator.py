"""The two together: what the simulated Twilio posts, in every mode, is what the application takes in."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from starlette.applications import Starlette

from notifier.gateway import DeliveryStatus
from notifier.replies import Help, OptIn, OptOut, Other
from notifier.reply_words import read_reply_words
from notifier.twilio.codes import failure_of
from notifier.twilio.webhooks import SignatureCheck, twilio_webhooks
from portal.app import build
from portal.server import serve
from simulator.account import AccountSettings
from simulator.outcomes import CallbackMode, SimulatedOutcome
from simulator.twilio_api import TwilioSimulator
from tests.portal.conftest import Behind

PUBLIC = "https://sms.lamna.example"
SENDER, PATIENT = "+14255550100", "+12025550143"


class HandClock:
    def __init__(self) -> None:
        self.now = datetime(2026, 3, 2, 17, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


async def until(behind: Behind, events: int) -> None:
    async with asyncio.timeout(20):
        while len(behind.events) < events:  # noqa: ASYNC110  # the fake behind the application knows no event
            await asyncio.sleep(0.005)


def application(behind: Behind) -> Starlette:
    return build(
        webhooks=twilio_webhooks(SignatureCheck(public_url=PUBLIC, tokens=("t0ken",)), read_reply_words()),
        on_status=behind.on_status,
        on_inbound=behind.on_inbound,
        health=behind.ask_health,
        metrics=lambda: b"",
        report=behind.events.append,
    )


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (CallbackMode.ON_TIME, ["sent", "undelivered"]),
        (CallbackMode.DOUBLED, ["sent", "sent", "undelivered", "undelivered"]),
        (CallbackMode.REORDERED, ["undelivered", "sent"]),
        (CallbackMode.LATE, ["sent", "undelivered"]),
    ],
    ids=lambda value: value.value if isinstance(value, CallbackMode) else "",
)
async def test_callbacks_of_a_hundred_texts_come_through(
    behind: Behind, mode: CallbackMode, expected: list[str]
) -> None:
    clock = HandClock()
    async with serve(application(behind), "127.0.0.1", 0) as (host, port):
        simulator = TwilioSimulator(
            AccountSettings(auth_token="t0ken", segments_per_second={SENDER: 1000.0}),
            clock=clock,
            rng=random.Random(1),
            deliver_to=f"http://{host}:{port}",
        )
        await simulator.start()
        simulator.account.otherwise = SimulatedOutcome(final="undelivered", error_code=30003, callbacks=mode)
        for i in range(100):
            callback = f"{PUBLIC}/twilio/status?m=row-{i}&a=1"
            form = {"To": PATIENT, "From": SENDER, "Body": "x", "StatusCallback": callback}
            simulator.account.create(form, clock())
        clock.now += timedelta(hours=1)
        await until(behind, 100 * len(expected))
        await simulator.stop()
    statuses_of: dict[str, list[str]] = {}
    for update in behind.statuses:
        failure = failure_of(30003) if update.status is DeliveryStatus.UNDELIVERED else None
        assert (update.failure, update.attempt) == (failure, 1)
        assert update.status is not None
        statuses_of.setdefault(str(update.outbox_id), []).append(update.status.value)
    assert Counter(tuple(statuses) for statuses in statuses_of.values()) == {tuple(expected): 100}
    assert {t.marker: t.sid for t in simulator.account.ledger.accepted} == {
        u.outbox_id: u.message_id for u in behind.statuses
    }
    assert {d.status for d in simulator.account.ledger.webhooks} == {200}


async def test_a_patients_words_come_through(behind: Behind) -> None:
    async with serve(application(behind), "127.0.0.1", 0) as (host, port):
        simulator = TwilioSimulator(
            AccountSettings(auth_token="t0ken", inbound_url=f"{PUBLIC}/twilio/inbound", advanced_opt_out=False),
            clock=HandClock(),
            deliver_to=f"http://{host}:{port}",
        )
        await simulator.start()
        for i, words in enumerate(("STOP", "Alto!", "start", "HELP", "running late ñ & = %")):
            simulator.receive(PATIENT, SENDER, words)
            await until(behind, i + 1)
        await simulator.stop()
    assert [type(reply) for reply in behind.replies] == [OptOut, OptOut, OptIn, Help, Other]
    assert {(reply.phone.e164(), reply.senders) for reply in behind.replies} == {(PATIENT, (SENDER,))}


async def test_another_accounts_token_is_kept_out(behind: Behind) -> None:
    async with serve(application(behind), "127.0.0.1", 0) as (host, port):
        simulator = TwilioSimulator(
            AccountSettings(auth_token="another", inbound_url=f"{PUBLIC}/twilio/inbound"),
            clock=HandClock(),
            deliver_to=f"http://{host}:{port}",
        )
        await simulator.start()
        simulator.receive(PATIENT, SENDER, "STOP")
        await until(behind, 1)
        await simulator.stop()
    assert [event.answer for event in behind.events] == [403]
    assert behind.replies == []
