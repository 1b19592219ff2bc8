"""The declarations of `reply`."""

from __future__ import annotations

from typing import Annotated

import typer

from carebell.cli.options import Config, Json, MaybeEnvironment, config_of, wants_json

reply = typer.Typer(
    help="Patients' replies that wait for a person: list them, note that one is done.", no_args_is_help=True
)


@reply.command("list")
def reply_list(
    context: typer.Context, config: Config = None, environment: MaybeEnvironment = None, json: Json = False
) -> None:
    """List the patients who ask for a call, cannot come, or were not understood, the longest wait first."""
    from carebell.commands.replies import list_all as run

    run(config_of(context, config), environment=environment, as_json=wants_json(context, json))


@reply.command("done")
def reply_done(
    context: typer.Context,
    reply_id: Annotated[str, typer.Argument(metavar="ID", help="An id of `list`.")],
    config: Config = None,
    json: Json = False,
) -> None:
    """Note that somebody saw to it: it waits no more, nor do earlier ones of its visit that asked for the same."""
    from carebell.commands.replies import done as run

    raise typer.Exit(run(config_of(context, config), reply_id, as_json=wants_json(context, json)))
