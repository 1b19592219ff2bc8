"""A claimed text is looked at once more directly before its post: whatever anybody has committed by then counts."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from scheduler.appointment import AppointmentStatus
from scheduler.sms import HoldScope
from store import holds, last_look, optouts
from store.claims import Claimed, Send, claim
from store.engine import Store, Transaction, open_store
from store.holds import Hold
from store.last_look import LastLook
from store.optouts import Optout
from store.vault import Vault
from tests.store.samples import NOW, again, appointment, first, put, reminder

SENDER = "+14255550100"

_OTHER_PROCESS = """
import sys
from datetime import datetime
from scheduler.sms import HoldScope
from store.engine import open_store
from store.holds import Hold, hold
store = open_store(sys.argv[1])
with store.write() as conn:
    hold(conn, Hold(scope=HoldScope.ALL, name="", reason="stop", actor="test", since=datetime.fromisoformat(sys.argv[2])))
store.close()
"""


def claim_some(store: Store, vault: Vault, count: int = 3) -> Sequence[Claimed]:
    put(store, vault, [first(appointment(number), reminder()) for number in range(count)])
    with store.write() as conn:
        return claim(
            conn,
            vault,
            NOW,
            node="n1",
            limit=count,
            lease=timedelta(seconds=30),
            senders={"production": SENDER},
            decide=lambda _: Send(segments=1),
        ).claimed


def hold_everything(url: str, vault: Vault, claimed: Sequence[Claimed]) -> None:
    own = open_store(url)
    with own.write() as conn:
        holds.hold(conn, Hold(scope=HoldScope.ALL, name="", reason="stop", actor="test", since=NOW))
    own.close()


def hold_everything_from_another_process(url: str, vault: Vault, claimed: Sequence[Claimed]) -> None:
    subprocess.run([sys.executable, "-c", _OTHER_PROCESS, url, NOW.isoformat()], check=True)


def opt_out(url: str, vault: Vault, claimed: Sequence[Claimed]) -> None:
    own = open_store(url)
    with own.write() as conn:
        for claim in claimed:
            assert claim.row.phone_key is not None
            optouts.add(conn, Optout(phone_key=claim.row.phone_key, sender=SENDER, source="webhook", since=NOW))
    own.close()


def cancel(url: str, vault: Vault, claimed: Sequence[Claimed]) -> None:
    own = open_store(url)
    ended = [replace(claim.appointment, revision=2, status=AppointmentStatus.CANCELED) for claim in claimed]
    put(own, vault, [again(visit) for visit in ended])
    own.close()


@pytest.mark.parametrize("change", [hold_everything, hold_everything_from_another_process, opt_out, cancel])
def test_what_was_committed_since_the_last_post_counts(
    url: str, store: Store, vault: Vault, change: Callable[[str, Vault, Sequence[Claimed]], None]
) -> None:
    posted, waiting, also_waiting = claim_some(store, vault)
    with LastLook(store) as look:
        look.watch([posted, waiting, also_waiting])
        assert look.allows(posted)
        change(url, vault, [waiting, also_waiting])
        assert not look.allows(waiting)
        assert not look.allows(also_waiting)


def test_a_commit_that_concerns_another_text_takes_nothing_away(url: str, store: Store, vault: Vault) -> None:
    posted, canceled, waiting = claim_some(store, vault)
    with LastLook(store) as look:
        look.watch([posted, canceled, waiting])
        assert look.allows(posted)
        cancel(url, vault, [canceled])
        assert look.allows(waiting)
        assert not look.allows(canceled)


def test_texts_of_a_later_claim_are_looked_at_too(store: Store, vault: Vault) -> None:
    early, late = claim_some(store, vault, 2)
    with LastLook(store) as look:
        look.watch([early])
        assert look.allows(early)
        look.watch([late])
        assert look.allows(late)


@pytest.mark.parametrize("backend", ["sqlite"])
def test_sqlite_is_read_again_only_after_a_commit(
    url: str, store: Store, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    claimed, looks = claim_some(store, vault, 6), []

    def counted(conn: Transaction, asked: Sequence[Claimed]) -> set[str]:
        looks.append(len(asked))
        return real(conn, asked)

    real = last_look.still_sendable
    monkeypatch.setattr(last_look, "still_sendable", counted)
    with LastLook(store) as look:
        look.watch(claimed)
        assert [look.allows(claim) for claim in claimed[:4]] == [True] * 4
        assert looks == [6]
        put(store, vault, [first(appointment(99))])
        assert [look.allows(claim) for claim in claimed[4:]] == [True] * 2
        assert looks == [6, 2], "only those that were not asked about are read again"
