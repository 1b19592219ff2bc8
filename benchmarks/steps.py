"""`python -m benchmarks.steps`: what each step of a booking costs, in CPU time of one thread, without sockets.

CPU time, and the best of several passes or the median of many groups, because the machine may be busy: what remains is the
code's own cost. In the service the
steps take half as much again: there two threads hand the interpreter to and fro, and the caches are cold.
"""

from __future__ import annotations

import argparse
import io
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.messages import Messages, make_messages, read_messages
from carebell.bootstrap import components
from carebell.environment_policy import runtime_config
from carebell.ids import RandomIds
from carebell.inbound import trust
from carebell.inbound.process import MessageProcessor
from carebell.inbound.validate import ValidatedMessage
from config.load import load
from journal.events.messages import MessageAccepted
from journal.logs import setup
from parser import siu
from parser.ack import ACCEPTED, acknowledge
from tests.faults.node import write_configuration

_PASSES = 5
_ENVIRONMENT = "production"


def cheapest(step: Callable[[Any], object], items: Sequence[Any]) -> float:
    """CPU microseconds an item, of the cheapest pass."""
    best = float("inf")
    for _ in range(_PASSES):
        before = time.process_time()
        for item in items:
            step(item)
        best = min(best, time.process_time() - before)
    return best / len(items) * 1e6


def middle(step: Callable[[Any], object], items: Sequence[Any]) -> float:
    """CPU microseconds of the median item, each done once."""
    took = []
    for item in items:
        before = time.process_time()
        step(item)
        took.append(time.process_time() - before)
    return statistics.median(took) * 1e6


def steps(folder: Path, messages: Messages) -> Iterable[tuple[str, float]]:
    """Each step's name and cost."""
    loaded = load(write_configuration(folder / "site", [messages.certificate]), {})
    now = datetime.now(UTC)
    keeper, policies = trust.message_validator(loaded, [_ENVIRONMENT], now), runtime_config(loaded).policies
    rules = policies[_ENVIRONMENT].rules
    contents = [frame[1:-2] for frame in read_messages(messages.file)]
    sample = contents[:400]
    yield "verify", cheapest(lambda content: keeper.verifier.verify(content, received_at=now), sample)
    verified = [message for content in sample if (message := keeper.validate(content, now).verified) is not None]
    yield "parse", cheapest(lambda message: siu.read(message, rules), verified)
    validated = [keeper.validate(content, now) for content in contents]
    store, vault = components.open_database(loaded, upgrade=True), components.open_vault(loaded)
    registry, at = MessageProcessor(vault, lambda: policies, RandomIds()), 0
    for group, share in ((100, 0.5), (10, 0.35), (1, 0.1)):
        jobs = validated[at : (at := at + int(len(validated) * share))]
        groups = [jobs[first : first + group] for first in range(0, len(jobs) - group + 1, group)]
        yield f"plan and commit, groups of {group}", middle(partial(_commit, store.write, registry), groups) / group
    store.close()
    answered = partial(acknowledge, answer=ACCEPTED, now=now, control_id="1")
    yield "answer", cheapest(lambda message: answered(message.msh), verified)
    with setup(now=lambda: now, file=folder / "log", terminal=io.StringIO()) as journal:
        yield (
            "log line, file and terminal",
            cheapest(
                lambda message: journal.emit(
                    MessageAccepted(
                        environment=_ENVIRONMENT,
                        control_id="B1",
                        trigger="S12",
                        appointment="1",
                        revision=1,
                        effect="stored",
                        answer="AA",
                        planned=3,
                        withdrawn=0,
                        suppressed=0,
                        milliseconds=9.5,
                        peer="127.0.0.1",
                        thumbprint=message.thumbprint[:8],
                        warnings=None,
                        order_doubtful=None,
                        number_fault=None,
                    )
                ),
                verified,
            ),
        )


def _commit(write: Callable[[], Any], registry: MessageProcessor, jobs: Sequence[ValidatedMessage]) -> None:
    with write() as conn:
        registry.commit_group(conn, jobs)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.steps")
    parser.add_argument("--messages", type=int, default=8000)
    count = parser.parse_args().messages
    with tempfile.TemporaryDirectory() as folder:
        for name, microseconds in steps(Path(folder), make_messages(Path(folder), count)):
            print(f"{name:<36} {microseconds:7.1f} us", flush=True)


if __name__ == "__main__":
    main()
