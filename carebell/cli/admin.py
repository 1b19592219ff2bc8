"""Operations, all audited: `hold`, `release`, `purge`, `optout`, `keys` and `db`, as they are called."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

from carebell.cli.options import At, Config, Json, MaybeEnvironment, config_of, wants_json

commands = typer.Typer()
optout = typer.Typer(help="Who must not be texted.", no_args_is_help=True)
keys = typer.Typer(help="The data-encryption keys.", no_args_is_help=True)
db = typer.Typer(help="The database.", no_args_is_help=True)


Number = Annotated[Optional[str], typer.Argument(help="E.164; without it, asked for, so that it stands in no history.")]
Sender = Annotated[Optional[str], typer.Option("--sender", help="For this sender; else for every sender configured.")]


@optout.command("list")
def optout_list(context: typer.Context, config: Config = None, json: Json = False) -> None:
    """Opt-outs by sender; numbers are kept as keyed hashes only."""
    from carebell.commands.optout import list_all as run

    run(config_of(context, config), as_json=wants_json(context, json))


@optout.command("add")
def optout_add(
    context: typer.Context, number: Number = None, sender: Sender = None, config: Config = None, json: Json = False
) -> None:
    """Never text this number again."""
    from carebell.commands.optout import add as run

    run(config_of(context, config), number, sender, as_json=wants_json(context, json))


@optout.command("remove")
def optout_remove(
    context: typer.Context, number: Number = None, sender: Sender = None, config: Config = None, json: Json = False
) -> None:
    """Text this number again: only when the patient asked for it."""
    from carebell.commands.optout import remove as run

    raise typer.Exit(run(config_of(context, config), number, sender, as_json=wants_json(context, json)))


@commands.command()
def hold(
    context: typer.Context,
    config: Config = None,
    environment: MaybeEnvironment = None,
    reason: Annotated[str, typer.Option(help="For `status`, `outbox` and the audit log.")] = "by hand",
    json: Json = False,
) -> None:
    """Send nothing until `release`; messages are still received."""
    from carebell.commands.operate import hold as run

    run(config_of(context, config), environment, reason, as_json=wants_json(context, json))


@commands.command()
def release(
    context: typer.Context, config: Config = None, environment: MaybeEnvironment = None, json: Json = False
) -> None:
    """End a hold, and close breakers whose cause is mended; what became useless meanwhile is recorded as expired."""
    from carebell.commands.operate import release as run

    run(config_of(context, config), environment, as_json=wants_json(context, json))


@commands.command()
def purge(
    context: typer.Context,
    number: Number = None,
    config: Config = None,
    at: At = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Search files and visits for a number, and say until when it is kept.")
    ] = False,
    json: Json = False,
) -> None:
    """Forget now what is due to be forgotten; with `--verify`, say where a number still stands."""
    from carebell.commands.purge import purge as run

    raise typer.Exit(run(config_of(context, config), number, at=at, verify=verify, as_json=wants_json(context, json)))


@keys.command("rotate")
def keys_rotate(context: typer.Context, config: Config = None, json: Json = False) -> None:
    """Make a new master key, wrap every day's key under it, and take the old one out of the key file."""
    from carebell.commands.keys import rotate as run

    run(config_of(context, config), as_json=wants_json(context, json))


@keys.command("drop-unreadable")
def keys_drop_unreadable(
    context: typer.Context,
    config: Config = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without it, say how many there are.")] = False,
    json: Json = False,
) -> None:
    """Take away day keys that the key file does not open: of a database restored from before the last `keys rotate`."""
    from carebell.commands.keys import drop_unreadable as run

    raise typer.Exit(run(config_of(context, config), sure=yes, as_json=wants_json(context, json)))


@db.command("upgrade")
def db_upgrade(context: typer.Context, config: Config = None, json: Json = False) -> None:
    """Bring the database's tables to this version."""
    from carebell.commands.operate import upgrade as run

    run(config_of(context, config), as_json=wants_json(context, json))
