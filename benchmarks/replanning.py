"""A changed rule: what it costs to plan every appointment anew while messages come in, in the service, by its own reload."""

from __future__ import annotations

import json
import random
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from benchmarks.bench import Bench
from benchmarks.figures import Figure
from benchmarks.intake import CHECKOUT, client_command
from benchmarks.messages import Messages
from benchmarks.servers import ROLES
from carebell.bootstrap import components
from journal.events import Event, name_of
from journal.events.configuration import ConfigurationChanged, Replanned
from store.appointment_repository import save
from tests.faults.node import Node, kill_all, write_configuration
from tests.store.samples import appointment, first, reminder

_CONNECTIONS: Final = 16
_PATIENCE: Final = 600.0
_POLL: Final = 0.02
_WARMING: Final = 1.0
"""Seconds of load before the file is edited."""


def beside_intake(bench: Bench) -> Iterator[Figure]:
    """From the reload's line in the log to that of the last page, and what a sender waits meanwhile."""
    count, rate, messages = bench.extent.replanned, bench.extent.replanning_rate, bench.messages
    bench.say(f"storing {count:,} appointments")
    folder = bench.folder()
    configuration = fill_future(folder, messages, count)
    try:
        node = Node(configuration, roles=ROLES)
        try:
            quiet = _Client(node.port, messages, rate, first=0)
            quiet.begin()
            time.sleep(_WARMING)
            before = quiet.end()
            client = _Client(node.port, messages, rate, first=messages.count // 10)
            bench.say(f"planning {count:,} appointments anew, {rate:.0f} messages a second beside it")
            write_configuration(
                folder, [messages.certificate], sms={"debounce": "60s", "reminders": [{"before": "48h"}]}
            )
            log = _Log(folder / "carebell.log")
            changed = log.wait_for(ConfigurationChanged)
            client.begin()
            done = log.wait_for(Replanned)
            totals = client.end()
        except BaseException:
            node.kill()
            raise
        node.stop()
    finally:
        kill_all()
    if int(done["planned"]) < count:
        raise SystemExit(f"benchmark: {done['planned']} texts were planned anew, {count} were to")
    seconds = (_moment(done) - _moment(changed)).total_seconds()
    yield Figure(
        name=f"re-planning {count:,} appointments",
        value=seconds,
        unit="s",
        target=60,
        note=f"through `carebell serve`, from its word that the edited file is in force to its word that all are planned; one text "
        f"of each withdrawn, one planned; {rate:.0f} messages a second beside it",
    )
    yield Figure(
        name=f"ACK p99 while re-planning {count:,}",
        value=totals["p99"] / 1000,
        unit="s",
        target=1,
        note=f"open loop, {rate:.0f}/s over {_CONNECTIONS} connections, from when a message was due; {totals['answered']:.0f} "
        f"answers in {totals['seconds']:.0f} s; p50 {totals['p50']:.0f} ms, slowest {totals['max']:.0f} ms; "
        f"before it p99 {before['p99']:.0f} ms",
    )


def fill_future(folder: Path, messages: Messages, count: int) -> Path:
    """`count` real appointments in three weeks, each with a reminder of the rule `24h` that waits; the configuration."""
    configuration = write_configuration(
        folder, [messages.certificate], sms={"debounce": "60s", "reminders": [{"before": "24h"}]}
    )
    loaded = components.load(configuration)
    vault, store = components.open_vault(loaded), components.open_database(loaded, upgrade=True)
    now, rng = datetime.now(UTC), random.Random(5)
    start = now.replace(minute=0, second=0, microsecond=0) + timedelta(days=20)
    for at in range(0, count, 500):
        saves = []
        for number in range(at, min(at + 500, count)):
            begins = start + timedelta(minutes=15 * rng.randrange(500))
            visit = appointment(
                number, start=begins, changed_at=now, planned_at=now, aliases=(f"EPIC|LAMNA|filler|S{number}|",)
            )
            saves.append(first(visit, reminder(due=begins - timedelta(hours=24))))
        with store.write() as conn:
            save(conn, vault, saves, [], now)
    store.close()
    return configuration


class _Client:
    """A load client that waits for a word, and ends at one."""

    def __init__(self, port: int, messages: Messages, rate: float, *, first: int) -> None:
        command = client_command(port, messages, connections=_CONNECTIONS, seconds=_PATIENCE, skip=first)
        self._process = subprocess.Popen(
            [*command, "--rate", str(rate), "--held"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=CHECKOUT,
        )

    def begin(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("begin\n")
        self._process.stdin.flush()

    def end(self) -> dict[str, float]:
        """Its figures; SystemExit where an answer is missing or another than AA."""
        totals: dict[str, float] = json.loads(self._process.communicate()[0])
        if totals["lost"] or totals["refused"] or not totals["answered"]:
            raise SystemExit(f"benchmark: beside it {totals['lost']:.0f} were lost, {totals['refused']:.0f} refused")
        return totals


class _Log:
    """The service's log, read from its present end on."""

    def __init__(self, path: Path) -> None:
        self._lines = path.open(encoding="utf-8")
        self._lines.seek(0, 2)

    def wait_for(self, event: type[Event]) -> dict[str, str]:
        """The next such line."""
        begun, partial = time.monotonic(), ""
        while time.monotonic() - begun < _PATIENCE:
            partial += self._lines.readline()
            if not partial.endswith("\n"):
                time.sleep(_POLL)
                continue
            line, partial = json.loads(partial), ""
            if line["event"] == name_of(event):
                return dict(line)
        raise SystemExit(f"benchmark: the service did not say {name_of(event)}")


def _moment(line: dict[str, str]) -> datetime:
    return datetime.fromisoformat(line["time"])
