"""The declarations of `config`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from carebell.cli.options import Config, Json, config_of, wants_json

configuration = typer.Typer(help="Foresee what a change of the configuration does.", no_args_is_help=True)


@configuration.command("preview")
def config_preview(
    context: typer.Context,
    file: Annotated[
        Optional[Path],
        typer.Argument(
            readable=False,
            help="The configuration to try, as if it stood in the place of -c; by default -c itself.",
            show_default=False,
        ),
    ] = None,
    appointments: Annotated[
        bool, typer.Option("--appointments", help="List each text that changes, with its appointment.")
    ] = False,
    config: Config = None,
    json: Json = False,
) -> None:
    """Show which waiting texts a configuration would add, withdraw or move, by day. Nothing is changed.

    It also says which keys need a restart, and which ones an approver vouches for.
    """
    from carebell.commands.config_preview import preview as run

    raise typer.Exit(
        run(config_of(context, config), file, appointments=appointments, as_json=wants_json(context, json))
    )
