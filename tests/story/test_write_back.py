"""A patient confirms, the EHR is told over a real socket, takes it, and sends the visit back: nothing more happens."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from itertools import chain, repeat
from pathlib import Path
from typing import Final

from simulator.inbound import EngineAct, InboundEngine
from tests.carebell.pocket_twilio import PocketTwilio
from tests.story.clinic import BY_HAND, PATIENCE, opened
from tests.story.ehr import PHONE, signed
from tests.story.folder import CLOCK, make
from tests.story.test_replies import PUBLIC, TOKEN, write

QUICK: Final = replace(BY_HAND, dispatch=0.05)


async def test_a_confirmation_reaches_the_ehr_and_its_echo_does_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "clinic"
    folder.mkdir()
    (folder / "twilio.token").write_text(f"{TOKEN}\n")
    (folder / "twilio.token").chmod(0o400)
    engine = InboundEngine(script=chain([EngineAct.RESET], repeat(EngineAct.AA)))
    hl7 = {
        "host": "127.0.0.1", "port": await engine.start(), "sending_facility": "LAMNA", "receiving_application": "EPIC",
        "receiving_facility": "LAMNA",
    }  # fmt: skip
    production = {
        "sms": {"debounce": "0s", "reminders": [], "replies": {"enabled": True}},
        "writeback": {"events": {"confirmed": "hl7"}, "hl7": hl7},
    }
    account = {"account_sid": "AC" + "1f" * 16, "auth_token_file": "twilio.token", "public_url": PUBLIC}
    changes = {
        "gateway": {"kind": "twilio", "twilio": account},
        "http": {"enabled": True, "port": 0},
        "environments": {"production": production},
    }
    taken = asyncio.Event()
    engine.on_message = lambda message: taken.set() if message.act is EngineAct.AA else None
    twilio = PocketTwilio(now=lambda: CLOCK)
    async with opened(make(folder, changes), at=CLOCK + timedelta(hours=12), gateway=twilio, pace=QUICK) as clinic:
        twilio.now = clinic.clock.now
        now = clinic.clock.now()
        start = now + timedelta(days=9)
        await clinic.send(signed("S12", "C1", sent=now, start=start))
        clinic.clock.move_to(now + timedelta(minutes=1))
        await clinic.until(lambda: bool(twilio.asked))
        assert await write(clinic, "C", 1) == 200
        await clinic.until(lambda: bool(clinic.events("writeback_retried")))
        clinic.clock.move_to(now + timedelta(minutes=2))
        async with asyncio.timeout(PATIENCE):
            await taken.wait()
        await clinic.until(lambda: bool(clinic.events("writeback_acknowledged")))
        [said, again] = engine.messages
        assert (said.control_id, said.digest) == (again.control_id, again.digest)
        assert (said.trigger, said.appointment) == ("SIU^S14^SIU_S12", "900100^EPIC")
        assert len(engine.acted_upon()) == 1

        await clinic.until(lambda: len(twilio.asked) == 2)  # the thanks
        [ack] = await clinic.send(signed("S14", "C2", sent=clinic.clock.now(), start=start, status="Confirmed"))
        assert ack.code == "AA"
        clinic.clock.move_to(now + timedelta(hours=1))
        await clinic.service.dispatcher.tick()
        assert len(twilio.asked) == 2
        assert len(engine.messages) == 2
        for content in engine.contents:
            assert PHONE[2:].encode() not in content
            assert b"TESTPATIENT" not in content
    await engine.stop()
