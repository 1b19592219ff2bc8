"""Claims never double, and what is reported back never goes backwards."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from scheduler.appointment import Appointment, AppointmentStatus
from scheduler.sms import HoldScope, Reason, SmsKind, SmsState
from store import attempts, holds, leases, optouts, outbox, tables
from store.appointment_repository import find
from store.attempts import Acceptance
from store.claims import (
    UNREADABLE_AGAIN,
    ClaimCandidate,
    Claimed,
    Decision,
    Later,
    Round,
    Send,
    Suppress,
    claim,
)
from store.crypto import day_of
from store.engine import Store, open_store
from store.keys import KeyFault, KeyRing
from store.last_look import still_sendable
from store.optouts import Optout
from store.outbox_row import RANK
from store.vault import Vault
from tests.store.samples import NOW, PHONE, again, appointment, first, put, reminder

SENDER = "+14255550100"
LEASE = timedelta(seconds=30)


def _claim(store: Store, vault: Vault, decide: Any = lambda _: Send(segments=1), **options: Any) -> Round:
    values: dict[str, Any] = {"node": "n1", "limit": 10, "lease": LEASE, "senders": {"production": SENDER}} | options
    now = values.pop("now", NOW)
    with store.write() as conn:
        return claim(conn, vault, now, decide=decide, **values)


def _one(store: Store, vault: Vault) -> Claimed:
    put(store, vault, [first(appointment(), reminder())])
    (claimed,) = _claim(store, vault).claimed
    return claimed


def _state(store: Store, outbox_id: str) -> SmsState:
    with store.read() as conn:
        row = attempts.by_id(conn, outbox_id)
    assert row is not None
    return row.state


def test_a_due_row_is_taken_once_and_a_later_one_not_yet(store: Store, vault: Vault) -> None:
    later = NOW + timedelta(hours=1)
    one = appointment()
    put(store, vault, [first(one, reminder(), reminder(rule="15m", due=later))])
    (claimed,) = _claim(store, vault).claimed
    assert (claimed.row.rule, claimed.row.attempts, claimed.recipient.e164()) == ("24h", 1, PHONE.e164())
    assert _claim(store, vault).empty
    with store.read() as conn:
        assert attempts.by_id(conn, claimed.row.id) == claimed.row
        assert outbox.next_due(conn) == later


def test_a_decision_is_written_with_its_reason(store: Store, vault: Vault) -> None:
    put(store, vault, [first(appointment(1), reminder()), first(appointment(2), reminder())])
    until = NOW + timedelta(minutes=5)
    decisions: dict[str, Decision] = {"R1": Suppress(reason=Reason.CAP), "R2": Later(until=until)}
    done = _claim(store, vault, lambda candidate: decisions[candidate.row.reference])
    assert [row.reason for row in done.suppressed] == [Reason.CAP]
    with store.read() as conn:
        rows = {row.reference: row for row in outbox.rows(conn)}
    assert (rows["R1"], rows["R2"]) == (done.suppressed[0], done.postponed[0])
    assert (rows["R2"].state, rows["R2"].next_attempt_at, rows["R2"].attempts) == (SmsState.DUE, until, 0)


def _break_day_key(conn: Any, of: Appointment) -> None:
    assert of.start is not None
    other = tables.day_keys.update().where(tables.day_keys.c.day == day_of(of.start))
    conn.execute(other.values(wrapped=(1).to_bytes(4, "big") + b"x" * 60))


def _alter_seal(conn: Any, of: Appointment) -> None:
    mine = tables.appointments.c.id == of.id
    phone = conn.execute(select(tables.appointments.c.phone).where(mine)).scalar_one()
    conn.execute(tables.appointments.update().where(mine).values(phone=phone[:-1] + bytes([phone[-1] ^ 1])))


def _cut_seal(conn: Any, of: Appointment) -> None:
    conn.execute(tables.appointments.update().where(tables.appointments.c.id == of.id).values(phone=b"?"))


@pytest.mark.parametrize("harm", [_break_day_key, _alter_seal, _cut_seal], ids=["day key", "altered", "cut"])
def test_one_unreadable_number_waits_and_the_others_leave(store: Store, vault: Vault, harm: Any) -> None:
    good, bad = appointment(1), appointment(2, start=NOW + timedelta(days=5))
    put(store, vault, [first(good, reminder()), first(bad, reminder())])
    with store.write() as conn:
        harm(conn, bad)
    fresh = Vault(vault.ring)  # it has not opened the key before
    done = _claim(store, fresh)
    assert [one.row.reference for one in done.claimed] == ["R1"]
    assert [row.reference for row in done.unreadable] == ["R2"]
    assert done.postponed == done.unreadable
    with store.read() as conn:
        [row] = outbox.rows(conn, state=SmsState.DUE)
    assert (row.reference, row.attempts, row.next_attempt_at) == ("R2", 0, NOW + UNREADABLE_AGAIN)
    assert _claim(store, fresh).empty
    assert [row.reference for row in _claim(store, fresh, now=NOW + UNREADABLE_AGAIN).unreadable] == ["R2"]


def test_a_key_file_that_is_put_right_lets_the_text_go(store: Store, vault: Vault) -> None:
    put(store, vault, [first(appointment(), reminder())])
    restored = KeyRing(current=7, masters={7: b"7" * 32}, pepper=vault.ring.pepper)

    def shut() -> KeyRing:
        raise KeyFault("KEY_FILE_OPEN_TO_OTHERS", "others can read it")

    node = Vault(restored, reread=shut)
    assert len(_claim(store, node).unreadable) == 1
    node.reread = lambda: vault.ring
    assert len(_claim(store, node, now=NOW + UNREADABLE_AGAIN).claimed) == 1


def test_the_decision_sees_optouts_caps_and_holds(store: Store, vault: Vault) -> None:
    put(
        store,
        vault,
        [first(appointment(number), reminder(due=NOW + timedelta(seconds=number))) for number in (1, 2, 3)],
    )
    with store.write() as conn:
        out = Optout(phone_key=vault.ring.phone_key(PHONE), sender=SENDER, source="cli", since=NOW)
        optouts.add(conn, out)
        holds.hold(
            conn, holds.Hold(scope=HoldScope.ENVIRONMENT, name="production", reason="drill", actor="cli", since=NOW)
        )
    seen: list[ClaimCandidate] = []

    def decide(candidate: ClaimCandidate) -> Decision:
        seen.append(candidate)
        return Send(segments=1)

    _claim(store, vault, decide, limit=2, now=NOW + timedelta(minutes=1))
    _claim(store, vault, decide, now=NOW + timedelta(hours=25))
    assert [(one.day, one.week) for one in seen] == [(0, 0), (1, 1), (0, 2)]
    assert {(one.opted_out, one.hold) for one in seen} == {(True, "hold: drill")}


def test_an_open_breaker_lets_one_probe_pass(store: Store, vault: Vault) -> None:
    put(store, vault, [first(appointment(number), reminder()) for number in range(3)])
    with store.write() as conn:
        assert holds.trip(conn, HoldScope.SENDER, SENDER, code=21606, at=NOW, probe_at=NOW)
    later = Later(until=NOW + timedelta(hours=1))
    done = _claim(store, vault, lambda candidate: later if candidate.hold else Send(segments=1))
    assert (len(done.claimed), len(done.postponed)) == (1, 2)
    with store.write() as conn:
        assert holds.reset(conn, HoldScope.SENDER, SENDER)
        assert holds.open_breakers(conn) == []


def test_only_the_named_environments_are_looked_at(store: Store, vault: Vault) -> None:
    put(store, vault, [first(appointment(), reminder())])
    assert _claim(store, vault, senders={"test": SENDER}).empty


def test_a_claim_closes_the_confirmation_window(store: Store, vault: Vault) -> None:
    one = appointment(window_revision=1, window_due=NOW, window_text=True)
    put(store, vault, [first(one, reminder(kind=SmsKind.BOOKED, rule="scheduled"))])
    closed = replace(one, window_revision=None, window_due=None, window_text=False)
    _claim(store, vault, lambda _: Send(segments=1, appointment=closed))
    with store.write() as conn:
        assert find(conn, vault, [("production", one.aliases)], NOW)[0][0].appointment == closed


def test_a_cancellation_after_the_claim_takes_the_right_to_post_away(store: Store, vault: Vault) -> None:
    claimed = _one(store, vault)
    with store.read() as conn:
        assert still_sendable(conn, [claimed]) == {claimed.row.id}
    put(store, vault, [again(replace(claimed.appointment, revision=2, status=AppointmentStatus.CANCELED))])
    with store.read() as conn:
        assert still_sendable(conn, [claimed]) == set()


def test_threads_never_claim_the_same_row(url: str, store: Store, vault: Vault) -> None:
    put(store, vault, [first(appointment(number), reminder()) for number in range(60)])

    def take(name: str) -> list[str]:
        mine, own = [], open_store(url)
        while round_ := _claim(own, vault, node=name, limit=7).claimed:
            mine += [one.row.id for one in round_]
        own.close()
        return mine

    with ThreadPoolExecutor(2) as pool:
        taken = [own_id for ids in pool.map(take, ["n1", "n2"]) for own_id in ids]
    # SKIP LOCKED may let a thread finish early while the other still holds rows; none may be left in the end.
    taken += take("n3")
    assert (len(taken), len(set(taken))) == (60, 60)


_PROCESS = """
import sys
from datetime import datetime, timedelta
from store.claims import Send, claim
from store.engine import open_store
from store.keys import KeyRing
from store.vault import Vault
store = open_store(sys.argv[1])
vault = Vault(KeyRing(current=1, masters={1: b"k" * 32}, pepper=b"p" * 32))
while True:
    with store.write() as conn:
        found = claim(conn, vault, datetime.fromisoformat(sys.argv[2]), node="n", limit=5, lease=timedelta(seconds=30),
                      senders={"production": "+14255550100"}, decide=lambda _: Send(segments=1)).claimed
    if not found:
        break
    print("\\n".join(one.row.id for one in found))
"""


def test_processes_never_claim_the_same_row(url: str, store: Store, vault: Vault) -> None:
    put(store, vault, [first(appointment(number), reminder()) for number in range(60)])
    arguments = [sys.executable, "-c", _PROCESS, url, NOW.isoformat()]
    nodes = [subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    taken = [own_id for node in nodes for own_id in node.communicate(timeout=120)[0].split()]
    taken += [one.row.id for one in _claim(store, vault, limit=100).claimed]
    assert (len(taken), len(set(taken))) == (60, 60)


# What comes back

_REPORTS = [SmsState.ACCEPTED, SmsState.SENT, SmsState.UNDELIVERED, SmsState.FAILED, SmsState.DELIVERED]


@given(reports=st.lists(st.sampled_from(_REPORTS), min_size=1, max_size=8))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_order_of_callbacks_ends_at_the_highest_rank(
    store: Store, vault: Vault, reports: Sequence[SmsState]
) -> None:
    with store.write() as conn:
        for table in (tables.gateway_forgets, tables.outbox, tables.aliases, tables.appointments):
            conn.execute(delete(table))
    claimed = _one(store, vault)
    for number, report in enumerate(reports):
        with store.write() as conn:
            if report is SmsState.ACCEPTED:
                attempts.accepted(conn, [Acceptance(claimed.row.id, 1, "SM1")], at=NOW)
            else:
                attempts.advance_status(conn, claimed.row.id, 1, report, at=NOW + timedelta(seconds=number))
    assert RANK[_state(store, claimed.row.id)] == max(RANK[report] for report in reports)


def test_a_callback_before_the_sid_s_commit_keeps_its_state_and_gets_the_sid(store: Store, vault: Vault) -> None:
    claimed = _one(store, vault)
    with store.write() as conn:
        assert attempts.advance_status(conn, claimed.row.id, 1, SmsState.DELIVERED, at=NOW)
        assert attempts.accepted(conn, [Acceptance(claimed.row.id, 1, "SM1")], at=NOW)
        row = attempts.by_message_id(conn, "SM1")
        assert row is not None
        assert (row.state, row.final_at) == (SmsState.DELIVERED, NOW)
        assert attempts.to_forget(conn, NOW, limit=9) == [("SM1", NOW)]
        attempts.forgotten(conn, "SM1", NOW)
        after = attempts.by_id(conn, row.id)
        assert after is not None
        assert after.gateway_forgotten_at == NOW


def test_another_attempt_s_report_changes_nothing(store: Store, vault: Vault) -> None:
    claimed = _one(store, vault)
    with store.write() as conn:
        assert not attempts.advance_status(conn, claimed.row.id, 2, SmsState.DELIVERED, at=NOW)
        assert not attempts.refused(conn, claimed.row.id, 0, code=21211, at=NOW)
    assert _state(store, claimed.row.id) is SmsState.SENDING


def test_an_expired_lease_is_unknown_and_never_due_again(store: Store, vault: Vault) -> None:
    claimed = _one(store, vault)
    with store.write() as conn:
        assert attempts.expire_leases(conn, NOW + LEASE - timedelta(microseconds=1)) == []
        assert attempts.expire_leases(conn, NOW + LEASE) == [claimed.row.id]
        assert attempts.to_resolve(conn, NOW + timedelta(seconds=59), limit=9) == []
        assert [row.id for row in attempts.to_resolve(conn, NOW + timedelta(seconds=60), limit=9)] == [claimed.row.id]
        attempts.checked(conn, [claimed.row.id], NOW + timedelta(seconds=60))
        assert attempts.to_resolve(conn, NOW + timedelta(seconds=90), limit=9) == []
    assert _claim(store, vault, now=NOW + timedelta(days=1)).empty


def test_a_text_that_was_never_looked_up_comes_before_those_that_were(store: Store, vault: Vault) -> None:
    """More of unknown fate than one round looks up: the ones that are never found must not keep the others waiting."""
    put(store, vault, [first(appointment(number), reminder()) for number in range(3)])
    assert len(_claim(store, vault).claimed) == 3
    at = NOW + timedelta(seconds=60)
    with store.write() as conn:
        everyone = set(attempts.expire_leases(conn, NOW + LEASE))
        seen = [row.id for row in attempts.to_resolve(conn, at, limit=2)]
        attempts.checked(conn, seen, at)
        again = [row.id for row in attempts.to_resolve(conn, at + timedelta(seconds=60), limit=2)]
    assert {again[0]} == everyone - set(seen)
    assert again[1] in seen


def test_a_retry_waits_and_counts_a_second_attempt(store: Store, vault: Vault) -> None:
    claimed = _one(store, vault)
    until = NOW + timedelta(minutes=1)
    with store.write() as conn:
        assert attempts.retry(conn, claimed.row.id, 1, until=until, code=20429)
    assert _claim(store, vault).empty
    (second,) = _claim(store, vault, now=until).claimed
    assert (second.row.id, second.row.attempts, second.row.code) == (claimed.row.id, 2, None)


def test_a_delivery_that_was_reported_late_stops_the_waiting_retry(store: Store, vault: Vault) -> None:
    claimed = _one(store, vault)
    with store.write() as conn:
        attempts.retry(conn, claimed.row.id, 1, until=NOW, code=30003)
        assert not attempts.advance_status(conn, claimed.row.id, 1, SmsState.UNDELIVERED, at=NOW)
        assert attempts.advance_status(conn, claimed.row.id, 1, SmsState.DELIVERED, at=NOW)
    assert _claim(store, vault).empty


def test_what_is_not_final_after_an_hour_is_polled(store: Store, vault: Vault) -> None:
    claimed = _one(store, vault)
    with store.write() as conn:
        attempts.accepted(conn, [Acceptance(claimed.row.id, 1, "SM1")], at=NOW)
        assert attempts.to_poll(conn, NOW + timedelta(minutes=59), limit=9) == []
        assert [row.sid for row in attempts.to_poll(conn, NOW + timedelta(hours=1), limit=9)] == ["SM1"]


def test_lists_reports_and_depth(store: Store, vault: Vault) -> None:
    one = appointment(1)
    put(
        store,
        vault,
        [first(one, reminder(), reminder(rule="7d", due=NOW + timedelta(days=1))), first(appointment(2), reminder())],
    )
    with store.read() as conn:
        for name in (one.id, "R1", one.aliases[0]):
            assert [row.rule for row in outbox.rows(conn, appointment=name)] == ["24h", "7d"]
        assert list(outbox.rows(conn, state=SmsState.SENT)) == []
        assert [row.reference for row in outbox.report(conn, NOW, NOW + timedelta(days=1))].count("R1") == 1
        queue = outbox.queue(conn, NOW + timedelta(minutes=3))
    assert (queue.ready, queue.waiting, queue.lag) == (2, 3, timedelta(minutes=3))


def test_an_alias_is_found_in_every_environment_that_has_any(store: Store, vault: Vault) -> None:
    places = ["north", "production", "west"]
    ones = [replace(appointment(number), environment=place) for number, place in enumerate(places)]
    with store.read() as conn:
        assert outbox.alias_environments(conn) == []
    put(store, vault, [first(one) for one in ones])
    with store.read() as conn:
        assert outbox.alias_environments(conn) == places
        for one in ones:
            assert outbox.ids_of(conn, one.aliases[0]) == [one.id]
            assert outbox.ids_of(conn, one.aliases[0], environment=one.environment) == [one.id]
            assert outbox.ids_of(conn, one.aliases[0], environment="east") == []


def test_replanning_visits_every_page_once(store: Store, vault: Vault) -> None:
    put(store, vault, [first(appointment(number), reminder()) for number in range(5)])
    put(store, vault, [first(appointment(9, start=NOW - timedelta(days=1)))])
    seen, after = [], ""
    while True:
        with store.write() as conn:
            page = outbox.to_replan(conn, vault, "production", NOW, after=after, limit=2)
        if not page:
            break
        seen += [found.appointment.reference for found in page]
        after = page[-1].appointment.id
    assert sorted(seen) == ["R0", "R1", "R2", "R3", "R4"]


def test_the_far_reminder_is_decided_last_and_a_cancellation_first(store: Store, vault: Vault) -> None:
    """Whatever came first into the queue: what is decided last is what a cap or a sender's rate lets fall."""
    for number, (kind, days) in enumerate(
        [
            (SmsKind.REMINDER, 7),
            (SmsKind.BOOKED, 9),
            (SmsKind.REMINDER, 1),
            (SmsKind.CANCELED, 3),
            (SmsKind.REMINDER, 2),
        ]
    ):
        one = appointment(number, start=NOW + timedelta(days=days))
        put(store, vault, [first(one, reminder(kind=kind, due=NOW - timedelta(minutes=9 - number)))])
    seen: list[str] = []

    def decide(candidate: ClaimCandidate) -> Decision:
        seen.append(candidate.row.reference)
        return Send(segments=1)

    _claim(store, vault, decide)
    assert seen == ["R3", "R1", "R2", "R4", "R0"]


def test_a_retry_never_reopens_what_the_gateway_has(store: Store, vault: Vault) -> None:
    claimed = _one(store, vault)
    with store.write() as conn:
        assert attempts.ambiguous(conn, claimed.row.id, 1)
        assert attempts.advance_status(
            conn, claimed.row.id, 1, SmsState.SENT, at=NOW, message_id="SM1"
        )  # a callback, meanwhile
        assert not attempts.resend(conn, claimed.row.id, 1, until=NOW)
        assert not attempts.retry(conn, claimed.row.id, 1, until=NOW)
    assert _state(store, claimed.row.id) is SmsState.SENT


def test_doubts_are_counted_and_unspent_attempts_are_not(store: Store, vault: Vault) -> None:
    claimed = _one(store, vault)
    with store.write() as conn:
        assert attempts.retry(conn, claimed.row.id, 1, until=NOW, spent=False)
    (again_claimed,) = _claim(store, vault).claimed
    assert again_claimed.row.attempts == 1
    with store.write() as conn:
        attempts.ambiguous(conn, claimed.row.id, 1)
        assert attempts.resend(conn, claimed.row.id, 1, until=NOW)
    (third,) = _claim(store, vault).claimed
    assert (third.row.attempts, third.row.doubts) == (2, 1)


def test_what_an_advanced_clock_postponed_is_looked_at_again(store: Store, vault: Vault) -> None:
    put(store, vault, [first(appointment(), reminder())])
    ahead = NOW + timedelta(days=30)
    _claim(store, vault, lambda _: Later(until=ahead + timedelta(seconds=30)), now=ahead)
    assert _claim(store, vault).empty
    with store.write() as conn:
        assert outbox.hurry(conn, NOW) == 1
    assert len(_claim(store, vault).claimed) == 1


def test_a_lease_from_an_advanced_clock_is_no_lease(store: Store, vault: Vault) -> None:
    with store.write() as conn:
        assert leases.acquire(conn, "housekeeping", "n1", now=NOW + timedelta(days=30), lasts=LEASE)
        assert leases.acquire(conn, "housekeeping", "n2", now=NOW, lasts=LEASE)
        assert not leases.acquire(conn, "housekeeping", "n3", now=NOW, lasts=LEASE)


def test_a_confirmation_that_is_tried_again_is_told_to_the_planner_as_under_way(store: Store, vault: Vault) -> None:
    one = appointment()  # its window is closed: the patient counts as told
    put(store, vault, [first(one, reminder(kind=SmsKind.BOOKED, rule="scheduled"), reminder())])
    with store.write() as conn:
        for claimed in claim(
            conn,
            vault,
            NOW,
            node="n1",
            limit=9,
            lease=LEASE,
            senders={"production": SENDER},
            decide=lambda _: Send(segments=1),
        ).claimed:
            attempts.retry(conn, claimed.row.id, 1, until=NOW, code=30003)
    with store.write() as conn:
        [[found]] = find(conn, vault, [("production", one.aliases)], NOW)
    assert {past.kind: past.state for past in found.history} == {
        SmsKind.BOOKED: SmsState.SENDING,
        SmsKind.REMINDER: SmsState.DUE,
    }
