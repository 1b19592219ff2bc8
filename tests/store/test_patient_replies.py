"""What patients answered: once for each message, on both databases; and when its ids are forgotten."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from sqlalchemy import select

from scheduler.reply import ReplyKind, ReplyReason
from store import patient_replies, tables
from store.engine import Store
from store.forgetting import sweep
from store.patient_replies import PatientReply
from store.replies import REMEMBERED
from store.vault import Vault
from tests.store.samples import NOW

STRANGE = PatientReply(
    id="r1",
    environment="production",
    appointment=None,
    revision=None,
    question=None,
    kind=ReplyKind.UNKNOWN,
    reason=ReplyReason.NO_WORD,
    at=NOW,
)


def test_a_message_is_written_once(store: Store) -> None:
    with store.write() as conn:
        assert patient_replies.add(conn, STRANGE, "key")
        assert not patient_replies.add(conn, replace(STRANGE, id="r2"), "key")
        assert patient_replies.add(conn, replace(STRANGE, id="r3"), "other")


def test_what_is_about_no_visit_goes_when_it_cannot_come_again(store: Store, vault: Vault) -> None:
    with store.write() as conn:
        patient_replies.add(conn, STRANGE, "key")
        assert sweep(conn, vault, NOW + REMEMBERED - timedelta(seconds=1)).replies == 0
        assert sweep(conn, vault, NOW + REMEMBERED).replies == 1
        assert conn.execute(select(tables.patient_replies)).all() == []
