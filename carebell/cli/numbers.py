"""The organisation's numbers at Twilio: `numbers`, as it is called."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

from carebell.cli.options import Config, Json, config_of, wants_json

numbers = typer.Typer(help="The organisation's own numbers at Twilio.", no_args_is_help=True)

OwnNumber = Annotated[str, typer.Argument(metavar="NUMBER", help="E.164: one of the organisation's, not a patient's.")]
Service = Annotated[
    Optional[str], typer.Option("--service", metavar="MG...", help="Put it into this Messaging Service.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be done, and do nothing.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do it without asking; what costs money too.")]


@numbers.command("list")
def numbers_list(context: typer.Context, config: Config = None, json: Json = False) -> None:
    """The account's numbers, who uses them, and where patients' answers go."""
    from carebell.commands.numbers import list_all as run

    run(config_of(context, config), as_json=wants_json(context, json))


@numbers.command("search")
def numbers_search(
    context: typer.Context,
    config: Config = None,
    country: Annotated[str, typer.Option(help="Two letters: US, CA ...")] = "US",
    kind: Annotated[str, typer.Option(help="local, toll_free or mobile.")] = "local",
    area_code: Annotated[Optional[int], typer.Option(help="Of North America: 425.")] = None,
    contains: Annotated[Optional[str], typer.Option(help="Digits, * for any.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100)] = 20,
    json: Json = False,
) -> None:
    """Numbers for sale that can text. Buys nothing."""
    from carebell.commands.numbers import search as run

    raise typer.Exit(
        run(
            config_of(context, config), country=country, kind=kind, area_code=area_code, contains=contains, limit=limit,
            as_json=wants_json(context, json),
        )
    )  # fmt: skip


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
    """Buy a number and link it to our webhook. Shows what it will do and asks; its monthly price begins at once."""
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
    """Send what patients answer to one of our numbers to our webhook. Shows what it will do and asks."""
    from carebell.commands.numbers import link as run

    where, as_json = config_of(context, config), wants_json(context, json)
    raise typer.Exit(run(where, number, service=service, yes=yes, dry_run=dry_run, as_json=as_json))
