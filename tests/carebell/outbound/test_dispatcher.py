"""What is claimed and not recorded never exceeds what can be posted at once; everything that is due leaves all the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier, Event, Thread
from typing import Any

import pytest

from carebell.outbound.posting import Posted
from notifier.gateway import Sms
from scheduler.sms import HoldScope, SmsState
from simulator.patients import fictitious_number
from store import holds
from store.claims import Claimed, Round
from store.holds import Hold
from tests.carebell.pieces import AT_ONCE, Pieces, pieces
from tests.carebell.pocket_twilio import PocketTwilio
from tests.story.ehr import unsigned

NOW = datetime(2026, 3, 2, 18, 0, tzinfo=UTC)
DUE = 120


def assert_set(event: Event) -> None:
    assert event.wait(30)


def book_many(service: Pieces) -> None:
    for number in range(DUE):
        service.hear(
            unsigned(
                "S12",
                f"c{number}",
                sent=NOW,
                start=NOW + timedelta(days=10),
                reference=f"R{number}",
                phone=fictitious_number(number),
            )
        )
    assert service.refused == []


def test_no_more_is_claimed_than_can_be_posted_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    twilio = PocketTwilio(now=lambda: NOW)
    with pieces(tmp_path / "clinic", at=NOW, gateway=twilio, sms={"debounce": "0s", "reminders": []}) as service:
        book_many(service)
        claim, open_rows = service.dispatcher._claim, []

        def counted(limit: int) -> Round:
            claimed_round = claim(limit)
            open_rows.append(service.count(SmsState.SENDING))
            return claimed_round

        monkeypatch.setattr(service.dispatcher, "_claim", counted)
        assert service.tick() == DUE
        assert AT_ONCE // 2 < max(open_rows) <= AT_ONCE
        assert service.count(SmsState.SENDING) == 0


def test_a_slow_gateway_gets_as_many_requests_at_once_as_may_be(tmp_path: Path) -> None:
    all_open, first_ones = Barrier(AT_ONCE), iter(range(AT_ONCE))

    def before(_: Sms) -> None:
        if next(first_ones, None) is not None:
            all_open.wait(30)  # no answer before so many are open

    twilio = PocketTwilio(now=lambda: NOW, before=before)
    with pieces(tmp_path / "clinic", at=NOW, gateway=twilio, sms={"debounce": "0s", "reminders": []}) as service:
        book_many(service)
        assert service.tick() == DUE


def test_a_claim_that_fails_keeps_no_open_request_from_being_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    twilio = PocketTwilio(now=lambda: NOW)
    with pieces(tmp_path / "clinic", at=NOW, gateway=twilio, sms={"debounce": "0s", "reminders": []}) as service:
        book_many(service)
        claim = service.dispatcher._claim
        claimed: list[Claimed] = []

        def fail_later(limit: int) -> Round:
            if claimed:
                raise OSError("the database is away")
            claimed.extend((claimed_round := claim(limit)).claimed)
            return claimed_round

        monkeypatch.setattr(service.dispatcher, "_claim", fail_later)
        with pytest.raises(OSError, match="away"):
            service.tick()
        assert len(claimed) == AT_ONCE
        assert service.count(SmsState.SENDING) == 0
        monkeypatch.undo()
        assert service.tick() == DUE - AT_ONCE


class EarlySet(Event):
    """Set once right after it was cleared, as by a thread that had decided it before. The third wait calls `waited`."""

    waited: Callable[[], None]

    def __init__(self) -> None:
        super().__init__()
        self.waits, self.is_early = 0, True

    def clear(self) -> None:
        super().clear()
        if self.is_early:
            self.is_early = False
            self.set()

    def wait(self, timeout: float | None = None) -> bool:
        self.waits += 1
        if self.waits == 3:
            self.waited()
        return super().wait(timeout)


def test_without_a_finished_post_nothing_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    released = Event()
    monkeypatch.setattr(EarlySet, "waited", lambda _: released.set(), raising=False)
    monkeypatch.setattr("carebell.outbound.posting.Event", EarlySet)
    twilio = PocketTwilio(now=lambda: NOW, before=lambda _: assert_set(released))
    with pieces(tmp_path / "clinic", at=NOW, gateway=twilio, sms={"debounce": "0s", "reminders": []}) as service:
        book_many(service)
        record_all, recorded = service.dispatcher._record_all, []

        def counted(posted: Sequence[Posted]) -> list[Exception]:
            recorded.append(len(posted))
            return record_all(posted)

        monkeypatch.setattr(service.dispatcher, "_record_all", counted)
        assert service.tick() == DUE
        assert sum(recorded) == DUE
        assert 0 not in recorded


def test_texts_that_wait_behind_a_slow_one_get_a_thread_although_the_dispatcher_does_something_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("carebell.outbound.posting._WIDENS_AFTER", 60.0)  # by the dispatcher's thread
    both_open, posts, moments = Barrier(2), iter(range(DUE)), iter(range(10 * DUE))

    def before(_: Sms) -> None:
        if next(posts) in (1, 2):
            both_open.wait(10)

    twilio = PocketTwilio(now=lambda: NOW, before=before)
    with pieces(tmp_path / "clinic", at=NOW, gateway=twilio, sms={"debounce": "0s", "reminders": []}) as service:
        book_many(service)
        monkeypatch.setattr(service.dispatcher, "_seconds", lambda: float(next(moments)))
        assert service.tick() == DUE


def test_nothing_is_claimed_while_no_thread_can_be_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    twilio = PocketTwilio(now=lambda: NOW)
    with pieces(tmp_path / "clinic", at=NOW, gateway=twilio, sms={"debounce": "0s", "reminders": []}) as service:
        book_many(service)
        start = Thread.start

        def fail(thread: Thread) -> None:
            if thread.name.startswith("worker-"):
                raise RuntimeError("can't start new thread")
            start(thread)

        monkeypatch.setattr(Thread, "start", fail)
        with pytest.raises(RuntimeError, match="new thread"):
            service.tick()
        assert service.count(SmsState.SENDING) == 0
        monkeypatch.undo()
        assert service.tick() == DUE


def test_a_thread_that_cannot_be_started_keeps_no_text_from_leaving(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = Thread.start

    def fail(thread: Thread) -> None:
        if thread.name.startswith("worker-") and thread.name != "worker-0":
            second.set()
            raise RuntimeError("can't start new thread")
        start(thread)

    def before(_: Sms) -> None:
        second.wait(30)  # no answer before another thread was wanted

    second = Event()
    twilio = PocketTwilio(now=lambda: NOW, before=before)
    with pieces(tmp_path / "clinic", at=NOW, gateway=twilio, sms={"debounce": "0s", "reminders": []}) as service:
        book_many(service)
        monkeypatch.setattr(Thread, "start", fail)
        assert service.tick() == DUE
        assert second.is_set()


def test_what_cannot_be_looked_at_again_is_given_back_untried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    twilio = PocketTwilio(now=lambda: NOW)
    with pieces(tmp_path / "clinic", at=NOW, gateway=twilio, sms={"debounce": "0s", "reminders": []}) as service:
        book_many(service)

        def fail(*_: Any) -> Any:
            raise OSError("the database is away")

        monkeypatch.setattr("store.last_look.still_sendable", fail)
        with pytest.raises(OSError, match="away"):
            service.tick()
        assert twilio.ledger.received == ()
        assert {(row.state, row.attempts) for row in service.rows()} == {(SmsState.DUE, 0)}
        monkeypatch.undo()
        assert service.tick() == DUE


def test_a_hold_that_comes_while_texts_are_posted_stops_those_that_wait_for_a_thread(tmp_path: Path) -> None:
    twilio = PocketTwilio(now=lambda: NOW)
    with pieces(
        tmp_path / "clinic", at=NOW, gateway=twilio, sms={"debounce": "0s", "reminders": []}, threads=1
    ) as service:
        book_many(service)
        everything = Hold(scope=HoldScope.ALL, name="", reason="stop", actor="test", since=NOW)

        def hold_at_the_third(sms: Sms) -> None:
            if len(twilio.ledger.received) == 2:
                with service.store.write() as conn:
                    assert holds.hold(conn, everything)

        twilio.before = hold_at_the_third
        assert service.tick() == 3
        assert len(twilio.ledger.received) == 3
        assert service.count(SmsState.SENDING) == 0
        assert {row.attempts for row in service.rows() if row.state is SmsState.DUE} == {0}


def test_what_was_decided_under_another_configuration_is_decided_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    twilio = PocketTwilio(now=lambda: NOW)
    with pieces(tmp_path / "clinic", at=NOW, gateway=twilio, sms={"debounce": "0s", "reminders": []}) as service:
        book_many(service)
        present, claim = [service.runtime_config], service.dispatcher._claim
        monkeypatch.setattr(service.dispatcher, "_runtime_config", lambda: present[-1])

        def reload_after(limit: int) -> Round:
            claimed_round = claim(limit)
            if len(present) == 1:
                assert len(claimed_round.claimed) == AT_ONCE
                present.append(replace(service.runtime_config))
            return claimed_round

        monkeypatch.setattr(service.dispatcher, "_claim", reload_after)
        assert service.tick() == DUE
        assert {row.attempts for row in service.rows()} == {1}
        assert service.events("sms_sent") == len(twilio.ledger.received) == DUE
