"""Writers of one process go in the order in which they asked, whoever comes back at once."""

from __future__ import annotations

import threading

import pytest

from store.fair_lock import FairLock
from store.faults import StoreFault


def _waiting(turns: FairLock, count: int) -> None:
    while len(turns._waiting) < count:  # a thread is on its way to the queue
        threading.Event().wait(0.001)


def test_who_comes_back_at_once_goes_to_the_end() -> None:
    turns, order = FairLock(60), []

    def write(name: str) -> None:
        with turns.turn():
            order.append(name)

    threads = []
    with turns.turn():
        for name in "abc":
            thread = threading.Thread(target=write, args=(name,))
            thread.start()
            threads.append(thread)
            _waiting(turns, len(threads))
    write("again")
    for thread in threads:
        thread.join(60)
    assert order == ["a", "b", "c", "again"]


def test_patience_ends_and_the_queue_goes_on() -> None:
    turns, faults = FairLock(0.01), []

    def write() -> None:
        try:
            with turns.turn():
                pass
        except StoreFault as fault:
            faults.append(fault.code)

    with turns.turn():
        thread = threading.Thread(target=write)
        thread.start()
        thread.join(60)
    with turns.turn():
        assert faults == ["STORE_LOCKED"]


def test_who_does_not_wait_is_told_that_the_lock_is_taken() -> None:
    turns = FairLock(60)
    with turns.turn():
        with pytest.raises(StoreFault, match="lock"), turns.turn(at_once=True):
            pass
        assert not turns._waiting
    with turns.turn(at_once=True), pytest.raises(StoreFault, match="lock"), turns.turn(at_once=True):
        pass
    with turns.turn(at_once=True):
        pass


def test_a_turn_may_be_ended_by_another_thread_and_after_a_fault() -> None:
    turns = FairLock(60)
    turn = turns.turn()
    thread = threading.Thread(target=turn.__enter__)
    thread.start()
    thread.join(60)
    turn.__exit__(None, None, None)
    with pytest.raises(ValueError, match="work"), turns.turn():
        raise ValueError("work")
    with turns.turn():
        pass
