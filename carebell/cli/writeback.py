"""The declarations of `writeback`."""

from __future__ import annotations

from typing import Annotated, Literal, Optional

import typer

from carebell.cli.options import Config, Json, MaybeEnvironment, config_of, wants_json

writeback = typer.Typer(help="What goes back to the EHR: list it, look at one, try one again.", no_args_is_help=True)


@writeback.command("list")
def writeback_list(
    context: typer.Context,
    config: Config = None,
    environment: MaybeEnvironment = None,
    appointment: Annotated[
        Optional[str], typer.Option(help="Only of this appointment, by the id that the hospital uses.")
    ] = None,
    state: Annotated[Optional[str], typer.Option(help="Only in this state, such as refused.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")] = 100,
    json: Json = False,
) -> None:
    """List what went back to the EHR or waits to, the newest first, with the reason where it did not arrive."""
    from carebell.commands.writeback import list_all as run

    run(
        config_of(context, config),
        environment=environment,
        appointment=appointment,
        state=state,
        limit=limit,
        as_json=wants_json(context, json),
    )


@writeback.command("show")
def writeback_show(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="ID|EVENT", help="An id of `list`, or an event such as confirmed.")],
    config: Config = None,
    environment: MaybeEnvironment = None,
    by: Annotated[
        Literal["patient", "provider", "guest", "interpreter"], typer.Option(help="For an event: who is meant.")
    ] = "patient",
    ask: Annotated[bool, typer.Option("--ask", help="For an event: the EHR is asked to act (SRM).")] = False,
    json: Json = False,
) -> None:
    """Show one write-back, or the message that an event of an environment would make, with an invented visit."""
    from carebell.commands.writeback import show as run

    where = config_of(context, config)
    run(where, name, environment=environment, by=by, ask=ask, as_json=wants_json(context, json))


@writeback.command("retry")
def writeback_retry(
    context: typer.Context,
    writeback_id: Annotated[str, typer.Argument(metavar="ID", help="An id of `list`.")],
    config: Config = None,
    json: Json = False,
) -> None:
    """Send one again that was refused or given up, with the same MSH-10. It is rendered anew, by the present out-map."""
    from carebell.commands.writeback import retry as run

    raise typer.Exit(run(config_of(context, config), writeback_id, as_json=wants_json(context, json)))
