"""A patient answers a text: from the signed webhook over HTTP to the thanks, and nothing of the words in any file."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Final

from sqlalchemy import select

from simulator.webhooks import post_form, sign
from store.tables import patient_replies
from tests.carebell.pocket_twilio import PocketTwilio
from tests.story.clinic import Clinic, opened
from tests.story.ehr import PHONE, signed
from tests.story.folder import CLOCK, make

TOKEN: Final = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
PUBLIC: Final = "https://sms.lamna.example"
ADDRESS: Final = f"{PUBLIC}/twilio/inbound"
WORDS: Final = "Confírmar"


async def write(clinic: Clinic, words: str, number: int) -> int:
    """A patient's text, as Twilio hands it over; the HTTP status."""
    assert clinic.service.http is not None
    door = f"http://{clinic.service.http[0]}:{clinic.service.http[1]}"
    form = {"From": PHONE, "To": "+14255550100", "Body": words, "MessageSid": f"SM{number:032x}"}
    return await post_form(ADDRESS, form, sign(ADDRESS, form, TOKEN), door)


async def test_a_patient_confirms_over_the_webhook(tmp_path: Path) -> None:
    folder = tmp_path / "clinic"
    folder.mkdir()
    (folder / "twilio.token").write_text(f"{TOKEN}\n")
    (folder / "twilio.token").chmod(0o400)
    account = {"account_sid": "AC" + "1f" * 16, "auth_token_file": "twilio.token", "public_url": PUBLIC}
    changes = {
        "gateway": {"kind": "twilio", "twilio": account},
        "http": {"enabled": True, "port": 0},
        "environments": {"production": {"sms": {"debounce": "0s", "replies": {"enabled": True}}}},
    }
    twilio = PocketTwilio(now=lambda: CLOCK)
    async with opened(make(folder, changes), at=CLOCK + timedelta(hours=12), gateway=twilio) as clinic:
        twilio.now = clinic.clock.now
        now = clinic.clock.now()
        await clinic.send(signed("S12", "C1", sent=now, start=now + timedelta(days=9)))
        clinic.clock.move_to(now + timedelta(minutes=1))
        await clinic.service.dispatcher.tick()
        assert "Reply C to confirm." in twilio.asked[0].body
        assert await write(clinic, WORDS, 1) == 200
        clinic.clock.move_to(now + timedelta(minutes=1, seconds=1))  # two of one instant have no order
        assert await write(clinic, "my zebra cannot come", 2) == 200
        for second in (2, 3, 4):  # one segment a second leaves
            clinic.clock.move_to(now + timedelta(minutes=1, seconds=second))
            await clinic.service.dispatcher.tick()
        said = [sms.body for sms in twilio.asked[1:]]
        assert ["is confirmed" in body or "cannot read messages" in body for body in said] == [True, True]
        with clinic.service.store.read() as conn:
            of = patient_replies.c
            rows = conn.execute(select(of.kind, of.reason)).all()
        # Both came at one instant of the test's clock, so nothing says which came first.
        assert Counter(map(tuple, rows)) == Counter([("confirm", None), ("unknown", "no_word")])
        for file in clinic.files():
            content = file.read_bytes()
            assert WORDS.encode() not in content, file.name
            assert b"zebra" not in content, file.name
