"""From a text's due time to the gateway: the service's own ticks, in this process, and a gateway that notes when it gets what."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Final

from benchmarks.bench import Bench
from benchmarks.figures import Figure
from benchmarks.inside import InstantGateway, due_at, unlimited
from carebell.bootstrap import components
from carebell.bootstrap.service import Service
from journal.logs import setup
from journal.metrics import Metrics
from notifier.gateway import Receipt, Sms
from scheduler.clock import RealClock
from store.appointment_repository import save
from tests.faults.node import write_configuration

_AHEAD: Final = timedelta(seconds=1)
"""From the last row stored to the first one due."""
_STORED_EACH: Final = timedelta(milliseconds=2)
"""A row is stored in a tenth of this on an idle machine."""
_PATIENCE: Final = 300.0


def punctual(bench: Bench) -> Iterator[Figure]:
    """Of a few texts on an idle service, and of many due at the same moment."""
    extent, rng = bench.extent, random.Random(11)
    over = extent.texts_seconds
    bench.say(f"punctuality: {extent.texts} texts within {over:.0f} s")
    idle = _late(bench, [rng.random() * over for _ in range(extent.texts)])
    yield Figure(
        name=f"due to handed over, {extent.texts} texts within {over:.0f} s, p99",
        value=_p99(idle),
        unit="s",
        target=2,
        note=f"p50 {idle[len(idle) // 2]:.2f} s, latest {idle[-1]:.2f} s; due at random moments, since a plan's whole minute "
        "may meet any moment between two ticks",
    )
    many = extent.texts_at_once
    bench.say(f"punctuality: {many:,} texts due at once")
    late = _late(bench, [0.0] * many)
    yield Figure(
        name=f"due to handed over, {many:,} texts due at once, p99",
        value=_p99(late),
        unit="s",
        target=30,
        note=f"p50 {late[len(late) // 2]:.2f} s, latest {late[-1]:.2f} s; the sender may send any number",
    )


def _p99(late: Sequence[float]) -> float:
    return late[int(len(late) * 0.99)]


class _Noting(InstantGateway):
    """Attributes: late: seconds after its due time, of each text. complete: set when `wanted` were handed over."""

    def __init__(self, wanted: int) -> None:
        self.late: list[float] = []
        self.complete = Event()
        self._wanted = wanted

    def send(self, sms: Sms) -> Receipt:
        self.late.append((datetime.now(UTC) - sms.due).total_seconds())
        if len(self.late) == self._wanted:
            self.complete.set()
        return super().send(sms)


def _late(bench: Bench, offsets: Sequence[float]) -> list[float]:
    """Seconds late, ascending, of a text for each offset (seconds after the first may be due). SystemExit: one is missing."""
    with unlimited():
        return sorted(asyncio.run(_served(bench.folder(), bench.certificate, offsets)))


async def _served(folder: Path, certificate: bytes, offsets: Sequence[float]) -> list[float]:
    configuration = write_configuration(folder, [certificate], gateway={"segments_per_second": {}})
    gateway = _Noting(len(offsets))
    with setup(now=RealClock().now, file=folder / "bench.log") as journal:
        service = Service(
            loaded=components.load(configuration), journal=journal, metrics=Metrics(),
            roles=frozenset({"dispatcher", "housekeeping"}), gateway=gateway, reloads=False,
        )  # fmt: skip
        await service.start()
        try:
            await asyncio.to_thread(_store, service, offsets)
            if not await asyncio.to_thread(gateway.complete.wait, _PATIENCE):
                raise SystemExit(f"benchmark: {len(gateway.late)} of {len(offsets)} texts were handed over")
        finally:
            await service.stop()
    return gateway.late


def _store(service: Service, offsets: Sequence[float]) -> None:
    """The rows, as the way in stores them, well before the first is due."""
    now = datetime.now(UTC)
    begin = now + _AHEAD + _STORED_EACH * len(offsets)
    saves = [due_at(number, begin + timedelta(seconds=offset), now) for number, offset in enumerate(offsets)]
    for at in range(0, len(saves), 500):
        with service.store.write() as conn:
            save(conn, service.vault, saves[at : at + 500], [], now)
    if datetime.now(UTC) >= begin:
        raise SystemExit("benchmark: the machine took longer to store the texts than until they were due")
