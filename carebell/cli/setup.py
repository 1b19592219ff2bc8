"""`init`, `demo`, `serve` and `check-config`, as they are called."""

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
        Path, typer.Argument(metavar="DIR", readable=False, help="Made if absent; nothing in it is overwritten.")
    ],
    demo: Annotated[
        bool, typer.Option("--demo", help="Also test signing keys, their .cer and sample messages.")
    ] = False,
    json: Json = False,
) -> None:
    """Write a commented carebell.yaml that works as it stands, the data key and certs/."""
    from carebell.commands.init import init as run

    run(directory, demo=demo, as_json=wants_json(context, json))


@commands.command()
def demo(
    context: typer.Context,
    directory: Annotated[
        Optional[Path], typer.Option("--dir", metavar="DIR", readable=False, help="Keep its files here.")
    ] = None,
    stay: Annotated[bool, typer.Option("--stay", help="Go on serving when the story is told.")] = False,
    json: Json = False,
) -> None:
    """The main job in one go: signed messages in over MLLP, ACKs and SMS out, on a fast clock."""
    from carebell.commands.demo import demo as run

    raise typer.Exit(run(directory, stay=stay, as_json=wants_json(context, json)))


@commands.command()
def serve(
    context: typer.Context,
    config: Config = None,
    roles: Annotated[
        str, typer.Option(show_default="all", help="Any of listener, dispatcher, portal, housekeeping; commas between.")
    ] = "listener,dispatcher,portal,housekeeping",
    clock: Annotated[
        Optional[datetime], typer.Option(parser=instant, metavar="ISO", help="Start its time here, to rehearse.")
    ] = None,
    speed: Annotated[float, typer.Option(help="Run its time this many times as fast, to rehearse.")] = 1.0,
    json: Json = False,
) -> None:
    """The service."""
    from carebell.commands.serve import serve as run

    where, as_json = config_of(context, config), wants_json(context, json)
    raise typer.Exit(run(where, roles=roles, clock=clock, speed=speed, as_json=as_json))


@commands.command("check-config")
def check_config(context: typer.Context, config: Config = None, json: Json = False) -> None:
    """Check the configuration: file:line:column: key: why."""
    from carebell.commands.check_config import check_config as run

    raise typer.Exit(run(config_of(context, config), as_json=wants_json(context, json)))
