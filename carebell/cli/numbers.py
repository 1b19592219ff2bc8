"""The declarations of `numbers`: the organisation's numbers at Twilio."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

from carebell.cli.options import Config, Json, config_of, wants_json

numbers = typer.Typer(help="Manage the organisation's own numbers at Twilio.", no_args_is_help=True)

OwnNumber = Annotated[
    str, typer.Argument(metavar="NUMBER", help="In E.164; one of the organisation's, not a patient's.")
]
Service = Annotated[
    Optional[str], typer.Option("--service", metavar="MG...", help="Add the number to this Messaging Service.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be done, and stop.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask, even where it costs money.")]


@numbers.command("list")
def numbers_list(context: typer.Context, config: Config = None, json: Json = False) -> None:
    """List the account's numbers, who uses them, and where replies go."""
    from carebell.commands.numbers import list_all as run

    run(config_of(context, config), as_json=wants_json(context, json))


@numbers.command("search")
def numbers_search(
    context: typer.Context,
    config: Config = None,
    country: Annotated[str, typer.Option(help="Two letters, such as US or CA.")] = "US",
    kind: Annotated[str, typer.Option(help="One of local, toll_free and mobile.")] = "local",
    area_code: Annotated[Optional[int], typer.Option(help="A North American area code, such as 425.")] = None,
    contains: Annotated[Optional[str], typer.Option(help="Digits in the number; * stands for any.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100, help="At most so many numbers.")] = 20,
    json: Json = False,
) -> None:
    """List numbers for sale that can send texts. Nothing is bought."""
    from carebell.commands.numbers import search as run

    raise typer.Exit(
        run(
            config_of(context, config),
            country=country,
            kind=kind,
            area_code=area_code,
            contains=contains,
            limit=limit,
            as_json=wants_json(context, json),
        )
    )


@numbers.command("buy")
def numbers_buy(
    context: typer.Context,
    number: OwnNumber,
    config: Config = None,
    service: Service = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Buy a number and direct its replies to our webhook.

    The command shows what it will do and asks. The monthly price begins at once."""
    from carebell.commands.numbers import buy as run

    where, as_json = config_of(context, config), wants_json(context, json)
    raise typer.Exit(run(where, number, service=service, yes=yes, dry_run=dry_run, as_json=as_json))


@numbers.command("link")
def numbers_link(
    context: typer.Context,
    number: OwnNumber,
    config: Config = None,
    service: Service = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Direct the replies to one of our numbers to our webhook. The command shows what it will do and asks."""
    from carebell.commands.numbers import link as run

    where, as_json = config_of(context, config), wants_json(context, json)
    raise typer.Exit(run(where, number, service=service, yes=yes, dry_run=dry_run, as_json=as_json))
