"""So many callbacks in a turn, in their order."""

from __future__ import annotations

import asyncio
from functools import partial

from portal.turn_budget import TurnBudget


async def test_what_is_over_waits_its_turn() -> None:
    loop, called = asyncio.get_running_loop(), list[int]()
    turns = TurnBudget(loop, per_turn=2)
    assert [turns.run(lambda number=number: called.append(number)) for number in range(5)] == [  # type: ignore[misc]
        True,
        True,
        False,
        False,
        False,
    ]
    seen = []
    for _ in range(4):
        seen.append(list(called))
        await asyncio.sleep(0)
    assert seen == [[0, 1], [0, 1, 2, 3], [0, 1, 2, 3, 4], [0, 1, 2, 3, 4]]


async def test_a_callback_that_fails_takes_no_other_s_turn() -> None:
    loop, called, failures = asyncio.get_running_loop(), list[int](), list[object]()
    loop.set_exception_handler(lambda _, context: failures.append(context["exception"]))
    turns = TurnBudget(loop, per_turn=3)

    def call(number: int) -> None:
        called.append(number)
        if number == 4:
            raise ZeroDivisionError

    for number in range(8):
        turns.run(partial(call, number))
    for _ in range(5):
        await asyncio.sleep(0)
    assert called == list(range(8))
    assert [type(failure) for failure in failures] == [ZeroDivisionError]


async def test_a_newcomer_never_overtakes_who_waits() -> None:
    loop, called = asyncio.get_running_loop(), list[int]()
    turns = TurnBudget(loop, per_turn=1)
    for number in range(3):
        turns.run(lambda number=number: called.append(number))  # type: ignore[misc]
    await asyncio.sleep(0)
    assert not turns.run(lambda: called.append(3))
    for _ in range(5):
        await asyncio.sleep(0)
    assert called == [0, 1, 2, 3]
    assert turns.run(lambda: called.append(4))


async def test_a_callback_that_asks_again_does_not_hold_the_loop() -> None:
    loop, called = asyncio.get_running_loop(), list[int]()
    turns = TurnBudget(loop, per_turn=3)

    def again() -> None:
        called.append(len(called))
        if len(called) < 100:
            turns.run(again)

    turns.run(again)
    assert len(called) <= 3
    while len(called) < 100:
        before = len(called)
        await asyncio.sleep(0)
        assert len(called) - before <= 3
