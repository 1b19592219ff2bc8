"""The declarations of `visit`: video visits and their join links."""

from __future__ import annotations

from typing import Annotated

import typer

from carebell.cli.options import At, Config, Json, MaybeEnvironment, config_of, wants_json

visit = typer.Typer(help="Show video visits, and make or revoke their join links.", no_args_is_help=True)

Appointment = Annotated[str, typer.Argument(help="The appointment's id, as the EHR shows it.", show_default=False)]


@visit.command("list")
def visit_list(
    context: typer.Context,
    config: Config = None,
    environment: MaybeEnvironment = None,
    at: At = None,
    json: Json = False,
) -> None:
    """List the video visits from a day before to a week after now. No link is shown."""
    from carebell.commands.visits import list_all as run

    run(config_of(context, config), environment, at=at, as_json=wants_json(context, json))


@visit.command("show")
def visit_show(
    context: typer.Context,
    appointment: Appointment,
    config: Config = None,
    environment: MaybeEnvironment = None,
    json: Json = False,
) -> None:
    """Show a visit's links, by their marks, and all that happened in it."""
    from carebell.commands.visits import show as run

    raise typer.Exit(run(config_of(context, config), appointment, environment, as_json=wants_json(context, json)))


@visit.command("link")
def visit_link(
    context: typer.Context,
    appointment: Appointment,
    role: Annotated[str, typer.Option("--for", help="patient, guest, interpreter or provider.")],
    config: Config = None,
    environment: MaybeEnvironment = None,
    json: Json = False,
) -> None:
    """Make a further link and print it, once; a new patient's link is the one that later texts name."""
    from carebell.commands.visits import link as run

    raise typer.Exit(run(config_of(context, config), appointment, environment, role, as_json=wants_json(context, json)))


@visit.command("revoke")
def visit_revoke(
    context: typer.Context,
    appointment: Appointment,
    mark: Annotated[str, typer.Argument(help="Of the link, as `visit show` prints it.", show_default=False)],
    config: Config = None,
    environment: MaybeEnvironment = None,
    json: Json = False,
) -> None:
    """Revoke one link: from then on it looks as if it had never been. The visit and its other links stay."""
    from carebell.commands.visits import revoke as run

    raise typer.Exit(run(config_of(context, config), appointment, environment, mark, as_json=wants_json(context, json)))
