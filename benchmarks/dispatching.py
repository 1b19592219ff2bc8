"""Texts handed over: each Carebell by turns, beside the baseline's; and to a gateway that answers after 100 ms.

Run by its path with PYTHONPATH naming an edition (`python -P benchmarks/dispatching.py FOLDER DUE WAITING`), it measures that
edition with that edition's own `benchmarks.inside`, and prints JSON.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from benchmarks.bench import Bench
    from benchmarks.editions import Edition
    from benchmarks.figures import Figure

_WAITING: Final = 20_000
"""Texts in the same database that are not due."""
_SLOW: Final = 0.1
"""Seconds until the slow gateway answers."""


def against_itself(bench: Bench) -> Iterator[Figure]:
    """The target of dispatching against the baseline; nothing in the short form."""
    from benchmarks.against_itself import edition
    from benchmarks.figures import Figure

    if not bench.extent.dispatch_rounds:
        return
    editions = {name: edition(bench, name) for name in ("baseline", "pure", "compiled")}
    rates: dict[str, list[float]] = {name: [] for name, made in editions.items() if not isinstance(made, str)}
    for turn in range(bench.extent.dispatch_rounds):
        for name, own in rates.items():
            made = editions[name]
            assert not isinstance(made, str)
            bench.say(f"dispatching, {made.name}, round {turn + 1} of {bench.extent.dispatch_rounds}")
            own.append(_rate_of(made, bench.folder(), bench.extent.due))
    for name, label, target in (("pure", "pure Python", 3.4), ("compiled", "compiled", None)):
        missing = [made for key in ("baseline", name) if isinstance(made := editions[key], str)]
        title = f"texts dispatched, {label}, against itself before"
        if missing:
            yield Figure(
                name=title, value=None, unit="x", target=target, side="at least", note=f"not run: {missing[0]}"
            )
            continue
        own, before = rates[name], statistics.median(rates["baseline"])
        rate = statistics.median(own)
        yield Figure(
            name=title,
            value=rate / before,
            unit="x",
            target=target,
            side="at least",
            note=f"{rate:,.0f}/s against {before:,.0f}/s; by round {min(own) / before:.2f} to {max(own) / before:.2f}; "
            f"{bench.extent.due:,} due at once, {_WAITING:,} more waiting; a gateway that answers at once, on one thread: limited "
            "by its CPU",
        )


def _rate_of(edition: Edition, folder: Path, due: int) -> float:
    command = [sys.executable, "-P", __file__, str(folder), str(due), str(_WAITING)]
    environment = {**os.environ, **edition.variables}
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment)
    if done.returncode != 0:
        raise SystemExit(f"benchmark: {edition.name} did not dispatch: {done.stderr.strip()[-300:]}")
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured["rate"]


def slow_gateway(bench: Bench) -> Iterator[Figure]:
    """Through Twilio's client, with the dispatcher of `carebell serve`."""
    from benchmarks import inside
    from benchmarks.figures import Figure
    from benchmarks.slow_twilio import SlowTwilio
    from tests.faults.node import Node

    count, folder = bench.extent.slow_texts, bench.folder()
    bench.say(f"{count:,} texts to a gateway that answers after {_SLOW * 1000:.0f} ms")
    with SlowTwilio(count, _SLOW) as twilio:
        configuration = inside.fill(folder, bench.certificate, due=count, waiting=0)
        twilio.configure(configuration)
        node = Node(
            configuration,
            roles="dispatcher",
            program=(sys.executable, "-m", "benchmarks.variants"),
            environment={**os.environ, "CAREBELL_BENCH_UNLIMITED": "1"},
        )
        try:
            result = twilio.result()
        finally:
            node.kill()
    yield Figure(
        name=f"texts a second to a gateway that answers after {_SLOW * 1000:.0f} ms",
        value=result.rate,
        unit="/s",
        target=700,
        side="at least",
        note=f"{count:,} due at once, one process, Twilio's own client; most at once under way {result.most_at_once}, so at most "
        f"{result.most_at_once / _SLOW:,.0f}/s; the simulated Twilio used {result.cpu:.2f} cores of this machine",
    )


def main(arguments: list[str]) -> None:
    """Fill, dispatch, print."""
    from benchmarks import inside
    from simulator.ehr import make_identity

    folder, due, waiting = Path(arguments[0]), int(arguments[1]), int(arguments[2])
    certificate = make_identity("Nobody", now=datetime.now(UTC), bits=2048).certificate
    rate, idle = inside.dispatch(inside.fill(folder, certificate, due=due, waiting=waiting), due)
    print(json.dumps({"rate": rate, "idle": idle, "file": inside.__file__}))


if __name__ == "__main__":
    main(sys.argv[1:])
