"""`carebell serve` with changes that no product build has: exits at named points, leases that a test can wait for, and a
gateway that stops answering.

    CAREBELL_TEST_EXIT=committed:7 python -m tests.faults.launch -c carebell.yaml --roles listener

The product has no hook for this: the functions are replaced here, before its main begins. A name that is gone is an error.
Without this module, which no wheel holds, the variable means nothing (`test_exits` starts the product with it).
"""

from __future__ import annotations

import functools
import importlib
import json
import os
import random
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from notifier.gateway import Receipt, Sms

EXIT: Final = "CAREBELL_TEST_EXIT"
LEASE: Final = "CAREBELL_TEST_LEASE"
STEADY: Final = "CAREBELL_TEST_STEADY"
"""Seconds that a worker must have run to be started again without a pause."""
HESITATE: Final = "CAREBELL_TEST_HESITATE"
"""Up to so many seconds pass between the last look at a text and its post, which is noted with the machine's monotonic time in
`posted.jsonl` beside the file gateway's file."""
STALL: Final = "CAREBELL_TEST_STALL"
"""After so many texts the file gateway answers no more."""
CODE: Final = 86
"""The exit status that says: at the point that was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """Attributes:
    function: module, class and method. when: before or after it runs.
    counts: of its result: whether this pass counts at all.
    within: the process ends at one of the first so many passes; a round of the dispatcher takes what a minute brought.
    """

    function: tuple[str, str, str]
    when: Literal["before", "after"]
    counts: Callable[[Any], bool] = lambda _: True
    within: int = 20


_HANDLER: Final = ("carebell.inbound.handler", "MessageHandler")
_DISPATCHER: Final = ("carebell.outbound.dispatcher", "Dispatcher")

POINTS: Final[Mapping[str, Point]] = MappingProxyType({
    "submitted": Point(function=(*_HANDLER, "handle"), when="after"),
    "written": Point(function=("carebell.inbound.process", "MessageProcessor", "commit_group"), when="after"),
    "committed": Point(function=("store.committer", "Committer", "_deliver"), when="before"),
    "answering": Point(function=(*_HANDLER, "_answer"), when="before"),
    "answered": Point(function=(*_HANDLER, "_answer"), when="after"),
    "claimed": Point(function=(*_DISPATCHER, "_claim"), when="after", counts=lambda found: bool(found.claimed), within=2),
    "posted": Point(function=("notifier.file_gateway", "FileGateway", "send"), when="after"),
    "recorded": Point(function=(*_DISPATCHER, "_record"), when="after", within=2),
})  # fmt: skip


def exit_at(point: Point, passes: int) -> None:
    """End this process, with nothing tidied up, at the `passes`-th time."""
    module, owner_name, name = point.function
    owner = getattr(importlib.import_module(module), owner_name)
    real, passed = getattr(owner, name), count(1)

    @functools.wraps(real)
    def watched(*args: Any, **named: Any) -> Any:
        if point.when == "before" and next(passed) == passes:
            os._exit(CODE)
        result = real(*args, **named)
        if point.when == "after" and point.counts(result) and next(passed) == passes:
            os._exit(CODE)
        return result

    setattr(owner, name, watched)


def shorten_leases(seconds: float) -> None:
    """A claim that is not reported back for this long is over; and it is noticed soon."""
    from carebell.maintenance import periodic
    from carebell.outbound import dispatcher

    dispatcher.LEASE = timedelta(seconds=seconds)  # type: ignore[misc]
    quick = periodic.Pace(dispatch=0.2, reconciliation=0.5, purge=15.0)
    periodic.Pace.at_speed = classmethod(lambda cls, speed: quick)  # type: ignore[method-assign,assignment]


def stall_gateway(after: int) -> None:
    """The gateway takes `after` texts; whoever posts another one waits for its answer until the process ends."""
    from notifier.file_gateway import FileGateway

    send, asked = FileGateway.send, count(1)

    def answer_no_more(gateway: FileGateway, sms: Sms) -> Receipt:
        if next(asked) > after:
            threading.Event().wait()
        return send(gateway, sms)

    FileGateway.send = answer_no_more  # type: ignore[method-assign,assignment]


def hesitate(seconds: float) -> None:
    """The time in which a cancellation must wait is long."""
    from notifier.file_gateway import FileGateway

    send, rng = FileGateway.send, random.Random(13)

    def send_later(gateway: FileGateway, sms: Sms) -> Receipt:
        time.sleep(rng.uniform(0, seconds))
        with open("posted.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps({"appointment": sms.appointment, "at": time.monotonic()}) + "\n")
        return send(gateway, sms)

    FileGateway.send = send_later  # type: ignore[method-assign,assignment]


def main() -> None:
    """Change what the environment asks for, then serve."""
    wanted = os.environ.get(EXIT)
    if wanted is not None:
        name, _, passes = wanted.partition(":")
        exit_at(POINTS[name], int(passes))
    lease = os.environ.get(LEASE)
    if lease is not None:
        shorten_leases(float(lease))
    stall = os.environ.get(STALL)
    if stall is not None:
        stall_gateway(int(stall))
    pause = os.environ.get(HESITATE)
    if pause is not None:
        hesitate(float(pause))
    steady = os.environ.get(STEADY)
    if steady is not None:
        from carebell.workers import pool

        pool.STEADY = float(steady)  # type: ignore[misc]
    from carebell.__main__ import main as carebell

    sys.argv = ["carebell", "serve", *sys.argv[1:]]
    carebell()


if __name__ == "__main__":
    main()
