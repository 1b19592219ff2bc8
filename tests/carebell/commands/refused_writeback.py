"""A configuration with one write-back that the EHR refused."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

from carebell.bootstrap.components import load
from carebell.ids import ControlIds
from scheduler.writeback import WritebackChannel, WritebackEvent, WritebackIntent
from store import writebacks
from store.engine import open_store
from store.keys import KeyRing
from store.outbox import ids_of
from store.vault import Vault
from tests.story.clinic import opened
from tests.story.ehr import signed

PATIENT = "+12025550143"
"""Of no visit's answer."""


def refused_writeback(configuration: Path) -> str:
    """Book a visit, give `configuration` a target for what goes back, and let the EHR refuse a confirmation; the row's id."""
    now = datetime.now(UTC)

    async def book() -> None:
        async with opened(configuration, at=now) as clinic:
            await clinic.send(
                signed("S12", "1", sent=now, start=now + timedelta(days=18), reference="A1", phone=PATIENT)
            )

    asyncio.run(book())
    text = configuration.read_text(encoding="utf-8")
    section = (
        "    writeback:\n      events: {confirmed: hl7}\n      hl7: {host: 127.0.0.1, port: 6661, sending_facility: LAMNA,"
        " receiving_application: EHR, receiving_facility: LAMNA}\n    sms:\n"
    )
    configuration.write_text(text.replace("    sms:\n", section, 1), encoding="utf-8")
    store = open_store(load(configuration).configuration.storage.url)
    with store.write() as conn:
        [owner] = ids_of(conn, "A1")
        intent = WritebackIntent(
            environment="production", appointment=owner, event=WritebackEvent.CONFIRMED, event_seq=None,
            channel=WritebackChannel.HL7, facts={}, expires_at=now + timedelta(days=1), not_before=now,
        )  # fmt: skip
        own_id = writebacks.add(conn, intent, ids=ControlIds(), now=now)
        vault = Vault(KeyRing(current=1, masters={1: b"k" * 32}, pepper=b"p" * 32))
        [item] = writebacks.claim(
            conn, vault, now, environment="production", channel=WritebackChannel.HL7, node="n", limit=1,
            lease=timedelta(minutes=1),
        )  # fmt: skip
        writebacks.refused(conn, item.row.id, 1, at=now, answer="AE", code="AE", err3="204")
    store.close()
    assert own_id is not None
    return own_id
