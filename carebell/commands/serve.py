"""`serve`: run the service until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TextIO

from carebell.bootstrap.components import load
from carebell.bootstrap.doors import Door
from carebell.bootstrap.process_setup import event_loop_factory, open_journal, usable_cores
from carebell.bootstrap.service import ROLES, Service
from carebell.bootstrap.service_manager import ServiceManager
from carebell.bootstrap.signals import ServeSignals
from carebell.commands.output import print_json, rows_alone
from carebell.exits import OK, REFUSED, UsageStop
from carebell.inbound.listeners import listening_ports
from carebell.maintenance.periodic import Pace
from carebell.times import iso
from config.load import Loaded
from journal.metrics import Metrics
from journal.traces import Hooks
from scheduler.clock import AcceleratedClock, Clock, RealClock

_MOST_WORKERS: Final = 64
_DEFAULT_WORKERS: Final = 4
"""The most that are started unasked. SQLite has one writer at a time, so that more gain little there."""


Beside = Callable[[Service, TextIO | None], contextlib.AbstractAsyncContextManager[None]]


def serve(
    config: Path | None,
    *,
    roles: str,
    clock: datetime | None,
    speed: float,
    workers: int | None = None,
    as_json: bool = False,
    beside: Beside | None = None,
    log_on_terminal: bool = True,
) -> int:
    """Run until SIGTERM or SIGINT (0) or a failure (1).

    This process is the supervisor. With several workers it serves no HL7 connection itself; everything that a service does once, it
    does: texts, HTTP, forgetting, watching carebell.yaml. systemd's notifications (READY, RELOADING, WATCHDOG, STOPPING) belong to
    `_run` and `Service`, and never to a worker (`carebell.bootstrap.worker`).

    Args:
        beside: what else runs in the loop, from the announcement to the end; it gets the started service, and where rows go.
    """
    signals = ServeSignals()
    signals.install()
    loaded = load(config)
    chosen = _roles(roles)
    time = _clock(loaded, clock, speed)
    processes = _workers(workers, chosen, time)
    metrics = Metrics()
    with (
        open_journal(loaded, time, metrics, on_terminal=log_on_terminal) as journal,
        Hooks(journal) as hooks,
        rows_alone(as_json) as stdout,
    ):
        service = Service(
            loaded=loaded,
            journal=journal,
            metrics=metrics,
            clock=time,
            roles=chosen,
            pace=Pace.at_speed(speed),
            manager=ServiceManager.of(os.environ, os.getpid()),
            workers=processes,
            doors=_doors(loaded),
        )
        with asyncio.Runner(loop_factory=event_loop_factory()) as runner:
            return runner.run(_run(service, hooks, signals, stdout if as_json else None, beside))


async def _run(
    service: Service, hooks: Hooks, signals: ServeSignals, rows: TextIO | None, beside: Beside | None
) -> int:
    asyncio.get_running_loop().set_exception_handler(hooks.loop_handler)
    signals.attach(on_end=service.asked_to_end, on_reload=service.reload)
    if not await _started(service):
        return OK
    gc.collect()
    gc.freeze()  # objects made at the start live to the end; examining them in each collection took a tenth of each commit
    with contextlib.suppress(BrokenPipeError):  # nobody reads this output; the service runs nevertheless
        _announce(service) if rows is None else print_json(_announcement(service), rows)
    try:
        async with beside(service, rows) if beside is not None else contextlib.nullcontext():
            failure = await service.wait()
    finally:
        signals.limit_end()
        await service.stop()
    if failure is not None:
        print(f"carebell: {failure}", file=sys.stderr)
    return OK if failure is None else REFUSED


async def _started(service: Service) -> bool:
    """Start; False: it was told to end before it had started, and nothing is left of it."""
    start, end = asyncio.ensure_future(service.start()), asyncio.ensure_future(service.wait())
    await asyncio.wait({start, end}, return_when=asyncio.FIRST_COMPLETED)
    if start.done():
        end.cancel()
        await start  # or raises what stopped it
        return True
    start.cancel()
    await asyncio.wait({start})
    return False


def _announce(service: Service) -> None:
    clock = service.clock
    if isinstance(clock, AcceleratedClock):
        print(
            f"carebell: REHEARSAL: its clock is at {clock.now():%Y-%m-%d %H:%M:%S} UTC and runs x{clock.speed:g}; "
            f"texts are sent and phones forgotten by that clock in {service.store.backend}",
            flush=True,
        )
    if service.ports:
        shared = f" ({service.workers} workers)" if service.workers > 1 else ""
        print(f"carebell: listening: {listening_ports(service.ports)}{shared}", flush=True)
    if service.http is not None:
        print(f"carebell: http://{service.http[0]}:{service.http[1]}/health", flush=True)
    if (url := _portal_url(service)) is not None:
        print(f"carebell: portal: {url}", flush=True)
    if (url := _join_url(service)) is not None:
        print(f"carebell: patients' pages: {url}", flush=True)


def _portal_url(service: Service) -> str | None:
    """Where browsers reach the staff's pages; None: they are off here."""
    address = service.addresses.get("portal")
    return None if address is None else service.loaded.configuration.portal.url_at(address[1])


def _join_url(service: Service) -> str | None:
    """Where patients reach their pages; None: they are off here."""
    address = service.addresses.get("join")
    return None if address is None else service.loaded.configuration.join.url_at(address[1])


def _announcement(service: Service) -> dict[str, Any]:
    clock = service.clock
    return {
        "listening": [
            {"environments": list(port.environments), "host": port.section.host, "port": number}
            for port, number in service.ports
        ],
        "workers": service.workers,
        "health": None if service.http is None else f"http://{service.http[0]}:{service.http[1]}/health",
        "portal": _portal_url(service),
        "join": _join_url(service),
        "rehearsal": {"time": iso(clock.now()), "speed": clock.speed} if isinstance(clock, AcceleratedClock) else None,
    }


def _doors(loaded: Loaded) -> list[Door]:
    """The doors beside the one for webhooks. The pages' packages are read only where there are pages."""
    doors: list[Door] = []
    if loaded.configuration.portal.enabled:
        from carebell.staff.door import StaffDoor

        doors.append(StaffDoor())
    if loaded.configuration.join.enabled:
        from carebell.patients.door import PatientsDoor

        doors.append(PatientsDoor())
    return doors


def _roles(written: str) -> frozenset[str]:
    chosen = frozenset(part.strip() for part in written.split(",") if part.strip())
    unknown = chosen - set(ROLES)
    if unknown or not chosen:
        raise UsageStop(f"--roles: {', '.join(sorted(unknown)) or 'none'} is not a role; there are {', '.join(ROLES)}")
    return chosen


def _workers(wanted: int | None, roles: frozenset[str], clock: Clock) -> int:
    """How many processes serve HL7 connections: by default one for each core, at most four; one in a rehearsal."""
    listens = "listener" in roles
    if wanted is None:
        alone = not listens or isinstance(clock, AcceleratedClock)
        return 1 if alone else min(usable_cores(), _DEFAULT_WORKERS)
    if not 1 <= wanted <= _MOST_WORKERS:
        raise UsageStop(f"--workers must be from 1 to {_MOST_WORKERS}")
    if wanted > 1 and not listens:
        raise UsageStop(
            f"--workers {wanted}: workers share only what the role listener does, and --roles leaves it out"
        )
    return wanted


def _clock(loaded: Loaded, start: datetime | None, speed: float) -> Clock:
    if start is None and speed == 1.0:
        return RealClock()
    if loaded.configuration.gateway.is_live:
        raise UsageStop("--clock and --speed are for rehearsals: refused with a live gateway")
    if speed <= 0:
        raise UsageStop("--speed must be above 0")
    return AcceleratedClock(start or RealClock().now(), speed)
