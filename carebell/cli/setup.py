"""The declarations of `init`, `demo`, `serve` and `check-config`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Optional

import typer

from carebell.cli.options import Config, Json, config_of, instant, wants_json

commands = typer.Typer()


@commands.command()
def init(
    context: typer.Context,
    directory: Annotated[
        Path,
        typer.Argument(
            metavar="DIR", readable=False, help="The folder; it is made if it is absent. Nothing in it is overwritten."
        ),
    ],
    demo: Annotated[
        bool, typer.Option("--demo", help="Also write test signing keys with their .cer, and sample messages.")
    ] = False,
    json: Json = False,
) -> None:
    """Write a commented carebell.yaml that works without edits, the data key and certs/."""
    from carebell.commands.init import init as run

    run(directory, demo=demo, as_json=wants_json(context, json))


@commands.command()
def demo(
    context: typer.Context,
    directory: Annotated[
        Optional[Path], typer.Option("--dir", metavar="DIR", readable=False, help="Keep the files in this folder.")
    ] = None,
    stay: Annotated[
        bool,
        typer.Option(
            "--stay", help="Then serve until Ctrl-C, with the portal on and an invented hospital that goes on sending."
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Run the main job once: signed messages in over MLLP, answers and texts out, on a fast clock."""
    from carebell.commands.demo import demo as run

    raise typer.Exit(run(directory, stay=stay, as_json=wants_json(context, json)))


@commands.command()
def serve(
    context: typer.Context,
    config: Config = None,
    roles: Annotated[
        str, typer.Option(show_default="all", help="Comma-separated: listener, dispatcher, portal, housekeeping.")
    ] = "listener,dispatcher,portal,housekeeping",
    clock: Annotated[
        Optional[datetime],
        typer.Option(parser=instant, metavar="ISO", help="Start the service's clock at this time, for a rehearsal."),
    ] = None,
    speed: Annotated[float, typer.Option(help="Run that clock this many times as fast, for a rehearsal.")] = 1.0,
    workers: Annotated[
        Optional[int],
        typer.Option(
            show_default="the cores, at most 4; 1 for a rehearsal",
            help="Processes that share the listeners' connections; one more does everything else.",
        ),
    ] = None,
    worker: Annotated[Optional[int], typer.Option(hidden=True)] = None,
    json: Json = False,
) -> None:
    """Run the service until it is told to stop."""
    if worker is not None:  # the supervisor starts its workers with its own command line
        from carebell.bootstrap.worker import run as work

        raise typer.Exit(work(worker))
    from carebell.commands.serve import serve as run

    where, as_json = config_of(context, config), wants_json(context, json)
    raise typer.Exit(run(where, roles=roles, clock=clock, speed=speed, workers=workers, as_json=as_json))


@commands.command("check-config")
def check_config(context: typer.Context, config: Config = None, json: Json = False) -> None:
    """Check the configuration; print each problem with its file, line and column."""
    from carebell.commands.check_config import check_config as run

    raise typer.Exit(run(config_of(context, config), as_json=wants_json(context, json)))
