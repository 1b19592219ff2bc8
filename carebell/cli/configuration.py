"""The declarations of `config`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from carebell.cli.options import Config, Json, config_of, wants_json

configuration = typer.Typer(
    help="Foresee what a change of the configuration does; see what was in force.", no_args_is_help=True
)


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


@configuration.command("history")
def config_history(context: typer.Context, config: Config = None, json: Json = False) -> None:
    """List the configurations that took effect: when, by whom, and which keys changed."""
    from carebell.commands.config_versions import history as run

    raise typer.Exit(run(config_of(context, config), as_json=wants_json(context, json)))


@configuration.command("show")
def config_show(
    context: typer.Context,
    version: Annotated[str, typer.Argument(help="A version, as reports name it, or its beginning.")],
    config: Config = None,
    json: Json = False,
) -> None:
    """Print the text that a version of the configuration had, without secrets."""
    from carebell.commands.config_versions import show as run

    run(config_of(context, config), version, as_json=wants_json(context, json))
