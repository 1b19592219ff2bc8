"""Dispatching and starting with many texts that wait; and how soon a command answers."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks import inside
from benchmarks.bench import Bench
from benchmarks.figures import Figure
from tests.faults.node import write_configuration


def pending(bench: Bench) -> Iterator[Figure]:
    """The same few thousand due, before ever more that are not."""
    due = bench.extent.due
    for waiting in bench.extent.pending:
        bench.say(f"dispatching with {waiting:,} texts pending")
        configuration = inside.fill(bench.folder(), bench.certificate, due=due, waiting=waiting)
        rate, idle = inside.dispatch(configuration, due)
        yield Figure(
            name=f"texts dispatched, {waiting:,} pending",
            value=rate,
            unit="/s",
            target=5_000,
            side="at least",
            note=f"{due:,} due at once: claimed, rendered, handed to a gateway that answers at once, recorded",
        )
        yield Figure(name=f"idle tick, {waiting:,} pending", value=idle, unit="ms", target=5, note="median of 20")
        seconds, memory = inside.start_up(configuration)
        yield Figure(
            name=f"start-up, {waiting:,} pending",
            value=seconds,
            unit="s",
            target=2,
            note="from the command to the listening port; once, the file in the page cache",
        )
        yield Figure(name=f"memory after start, {waiting:,} pending", value=memory, unit="MB", target=150)


def commands(bench: Bench) -> Iterator[Figure]:
    """Whole processes."""
    bench.say("commands")
    times = bench.extent.commands
    configuration = write_configuration(bench.folder(), [bench.certificate])
    note = f"median of {times}"
    shown = inside.command_seconds("--help", times=times)
    yield Figure(name="carebell --help", value=shown, unit="s", target=0.3, note=note)
    checked = inside.command_seconds("check-config", "-c", str(configuration), times=times)
    yield Figure(name="carebell check-config", value=checked, unit="s", target=1, note=note)
