"""F23: killed while hundreds of texts are due and the gateway does not answer; only the requests that were open are in doubt."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from scheduler.sms import SmsState
from tests.faults.conftest import Tally
from tests.faults.launch import LEASE, STALL
from tests.faults.node import LAUNCH, PATIENCE, FastTime, Node, write_configuration
from tests.faults.rows import read_rows, texts_sent
from tests.faults.senders import Hospital, send_all

DUE = 200
ANSWERED = 7
AT_ONCE = 128
"""Worker threads: the most requests that are open at any moment."""


@pytest.mark.faults("F23")
@pytest.mark.timeout(3600)
def test_only_open_requests_are_in_doubt_after_kill_9(tally: Tally, tmp_path: Path) -> None:
    for number in tally.rounds():
        folder = tmp_path / str(number)
        _kill_while_posting(folder, tally)


def _kill_while_posting(folder: Path, tally: Tally) -> None:
    hospital, fast = Hospital(), FastTime()
    configuration = write_configuration(folder, [hospital.identity.certificate])
    messages = [hospital.write(number) for number in range(DUE)]
    listener = Node(configuration, roles="listener", more=fast.options())
    asyncio.run(send_all(listener.port, hospital, messages))
    assert listener.stop() == 0

    stalled = {**os.environ, STALL: str(ANSWERED)}
    node = Node(configuration, roles="dispatcher", more=fast.options(), environment=stalled, program=LAUNCH)
    _until(folder, lambda states: states[SmsState.DELIVERED] == ANSWERED and _in_doubt(states) >= AT_ONCE // 2)
    node.kill()
    killed = read_rows(folder / "data").confirmations
    in_doubt = _in_doubt(killed)
    assert in_doubt <= AT_ONCE
    assert killed[SmsState.DUE] == DUE - ANSWERED - in_doubt

    quick = {**os.environ, LEASE: "30"}  # a second of the machine: texts that wait half of it are given back
    node = Node(configuration, roles="dispatcher,housekeeping", more=fast.options(), environment=quick, program=LAUNCH)
    _until(folder, lambda states: states[SmsState.DUE] == states[SmsState.SENDING] == 0)
    assert node.stop() == 0
    after = read_rows(folder / "data").confirmations
    sent = texts_sent(folder / "sent.jsonl")
    assert [own for own, times in sent.items() if times > 1] == []
    assert len(sent) >= DUE - in_doubt
    assert after[SmsState.UNKNOWN] <= in_doubt
    tally.seen.update({"kills": 1, "in doubt": in_doubt, "texts sent": len(sent), "doubled": 0})


def _in_doubt(states: Counter[str]) -> int:
    """Claimed and not recorded; `unknown` once the lease is over, which on a fast clock is soon."""
    return states[SmsState.SENDING] + states[SmsState.UNKNOWN]


def _until(folder: Path, holds: Callable[[Counter[str]], bool]) -> None:
    """Wait for what the node does by itself."""
    give_up = time.monotonic() + PATIENCE
    while not holds(states := read_rows(folder / "data").confirmations):
        assert time.monotonic() < give_up, states
        time.sleep(0.05)
