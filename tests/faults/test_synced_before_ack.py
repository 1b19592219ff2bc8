"""F4: between reading a message and writing its answer the kernel confirmed that the database's log is on the disk (strace)."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from tests.faults.conftest import Tally
from tests.faults.node import Node, write_configuration
from tests.faults.senders import Hospital, send_all
from tests.faults.tracing import NoTrace, strace

_CALL = re.compile(r"^(?P<thread>\d+) +(?:<\.\.\. )?(?P<name>\w+)(?: resumed>|\((?P<file>\d+))")
_IN, _OUT, _SYNC = {"read", "recvfrom", "recvmsg"}, {"write", "sendto", "sendmsg", "writev"}, {"fdatasync", "fsync"}


def _calls(lines: Iterable[str]) -> Iterator[tuple[str, str, str, bool, bool]]:
    """(thread, name, file, begins, ends) of each call; one that another thread's line splits comes twice."""
    split: dict[str, str] = {}
    for line in lines:
        found = _CALL.match(line)
        if found is None:
            continue
        thread, begins = found["thread"], "resumed>" not in line
        file = found["file"] if begins else split.pop(thread, "")
        ends = "<unfinished ...>" not in line
        if not ends:
            split[thread] = file
        succeeded = ends and re.search(r"= \d+$", line.rstrip()) is not None
        if begins or succeeded:
            yield thread, found["name"], file, begins, succeeded


def _judge(lines: Iterable[str]) -> Counter[str]:
    """Answers that left after, or `too early`: before, a sync which began when their message had been read."""
    read_at: dict[str, int] = {}
    sync_began: dict[str, int] = {}
    newest_synced = -1  # when the newest completed sync began
    seen: Counter[str] = Counter()
    for at, (line, (thread, name, file, begins, ends)) in enumerate(_paired(lines)):
        if name in _IN and ends and "\\vMSH" in line:
            read_at[file] = at
        elif name in _SYNC and (begins or ends):
            if begins:
                sync_began[thread] = at
            if ends:
                newest_synced = max(newest_synced, sync_began[thread])
        elif name in _OUT and begins and "\\vMSH" in line:
            seen["answers"] += 1
            seen["too early"] += newest_synced <= read_at[file]
    return seen


def _paired(lines: Iterable[str]) -> Iterator[tuple[str, tuple[str, str, str, bool, bool]]]:
    held: list[str] = []

    def keep() -> Iterator[str]:
        for line in lines:
            held[:] = [line]
            yield line

    for call in _calls(keep()):
        yield held[0], call


@pytest.mark.faults("F4")
@pytest.mark.timeout(600)
def test_each_answer_leaves_after_a_sync(tally: Tally, tmp_path: Path) -> None:
    try:
        program = strace()
    except NoTrace as reason:
        pytest.skip(str(reason))
    trace = tmp_path / "trace"
    calls = "trace=" + ",".join(sorted(_IN | _OUT | _SYNC))
    # seccomp: only the calls of interest stop the service.
    tracing = (program, "-f", "--seccomp-bpf", "-s", "8", "-o", str(trace), "-e", calls, "-e", "signal=none")
    hospital = Hospital()
    node = Node(write_configuration(tmp_path, [hospital.identity.certificate]), before=tracing)
    messages = [hospital.write(number) for number in tally.rounds()]
    asyncio.run(send_all(node.port, hospital, messages))
    assert node.stop() == 0
    with trace.open(encoding="utf-8", errors="replace") as lines:
        tally.seen.update(_judge(lines))
    assert hospital.ledger.in_doubt == []
    assert (tally.seen["answers"], tally.seen["too early"]) == (len(messages), 0)


@pytest.mark.faults("F4", proof=True)
def test_the_judge_notices_an_answer_that_came_too_early() -> None:
    message, sync = '10 read(7, "\\vMSH|^~\\\\"..., 4096) = 900', "11 fdatasync(9) = 0"
    answer = '10 write(7, "\\vMSH|^~\\\\"..., 200) = 200'
    begun, over = "11 fdatasync(9 <unfinished ...>", "11 <... fdatasync resumed>) = 0"
    failed = "11 fdatasync(9) = -1 EIO (Input/output error)"
    assert _judge([message, sync, answer]) == {"answers": 1, "too early": 0}
    assert _judge([line.replace(" ", "    ", 1) for line in (message, sync, answer)]) == {"answers": 1, "too early": 0}
    assert _judge([message, begun, over, answer]) == {"answers": 1, "too early": 0}
    for early in (
        [sync, message, answer],
        [begun, message, over, answer],
        [message, begun, answer],
        [message, failed, answer],
    ):
        assert _judge(early) == {"answers": 1, "too early": 1}
