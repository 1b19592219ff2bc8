"""The declarations of `hold`, `release`, `purge`, `optout`, `keys` and `db`. Each of these is recorded in the audit log."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from carebell.cli.options import At, Config, Json, MaybeEnvironment, config_of, wants_json

commands = typer.Typer()
optout = typer.Typer(help="List and change who must not be texted.", no_args_is_help=True)
keys = typer.Typer(help="Change the keys that encrypt the stored numbers.", no_args_is_help=True)
db = typer.Typer(help="Prepare the database.", no_args_is_help=True)


Number = Annotated[
    Optional[str],
    typer.Argument(help="In E.164. If it is left out, the command asks for it, so that no history keeps it."),
]
Sender = Annotated[
    Optional[str], typer.Option("--sender", help="Only for this sender; by default for every configured sender.")
]


@optout.command("list")
def optout_list(context: typer.Context, config: Config = None, json: Json = False) -> None:
    """List the opt-outs by sender. Numbers are stored as keyed hashes only."""
    from carebell.commands.optout import list_all as run

    run(config_of(context, config), as_json=wants_json(context, json))


@optout.command("add")
def optout_add(
    context: typer.Context, number: Number = None, sender: Sender = None, config: Config = None, json: Json = False
) -> None:
    """Record that this number must not be texted."""
    from carebell.commands.optout import add as run

    run(config_of(context, config), number, sender, as_json=wants_json(context, json))


@optout.command("remove")
def optout_remove(
    context: typer.Context, number: Number = None, sender: Sender = None, config: Config = None, json: Json = False
) -> None:
    """Allow texts to this number again, when the patient asked for it."""
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
    """Stop all texts until `release`; messages are still received."""
    from carebell.commands.operate import hold as run

    run(config_of(context, config), environment, reason, as_json=wants_json(context, json))


@commands.command()
def release(
    context: typer.Context, config: Config = None, environment: MaybeEnvironment = None, json: Json = False
) -> None:
    """End a hold and close open breakers. Texts that are too late by now are recorded as expired."""
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
    """Delete now what is due to be deleted; with `--verify`, say where a number still stands."""
    from carebell.commands.purge import purge as run

    raise typer.Exit(run(config_of(context, config), number, at=at, verify=verify, as_json=wants_json(context, json)))


@keys.command("rotate")
def keys_rotate(context: typer.Context, config: Config = None, json: Json = False) -> None:
    """Make a new master key, wrap every day's key with it, and remove the old master key from the key file."""
    from carebell.commands.keys import rotate as run

    run(config_of(context, config), as_json=wants_json(context, json))


@keys.command("drop-unreadable")
def keys_drop_unreadable(
    context: typer.Context,
    config: Config = None,
    yes: Annotated[bool, typer.Option("--yes", help="Delete them; without it the command only counts them.")] = False,
    json: Json = False,
) -> None:
    """Delete day keys that the key file cannot open, after a restore from before the last `keys rotate`."""
    from carebell.commands.keys import drop_unreadable as run

    raise typer.Exit(run(config_of(context, config), sure=yes, as_json=wants_json(context, json)))


@commands.command()
def install(
    context: typer.Context,
    root: Annotated[
        Optional[Path],
        typer.Option(metavar="DIR", readable=False, help="Write below this folder instead of /, to build an image."),
    ] = None,
    json: Json = False,
) -> None:
    """Make this machine run Carebell as a service: unit, account, folders, configuration. Needs root. Keeps a configuration."""
    from carebell.commands.install import install as run

    run(root, as_json=wants_json(context, json))


@commands.command()
def doctor(
    context: typer.Context,
    config: Config = None,
    online: Annotated[
        bool, typer.Option("--online", help="Also connect to the gateway; nothing is sent to it.")
    ] = False,
    json: Json = False,
) -> None:
    """Check the whole installation; say what is wrong and how to mend it."""
    from carebell.commands.doctor import doctor as run

    raise typer.Exit(run(config_of(context, config), online=online, as_json=wants_json(context, json)))


@db.command("backup")
def db_backup(
    context: typer.Context,
    file: Annotated[
        Optional[Path], typer.Argument(readable=False, help="The copy; it must not exist. SQLite only.")
    ] = None,
    noted: Annotated[
        bool, typer.Option("--noted", help="Make none: record that one was made by other means, such as pg_dump.")
    ] = False,
    config: Config = None,
    json: Json = False,
) -> None:
    """Copy the database while the service runs, and record when."""
    from carebell.commands.backup import backup as run

    run(config_of(context, config), file, noted=noted, as_json=wants_json(context, json))


@db.command("upgrade")
def db_upgrade(context: typer.Context, config: Config = None, json: Json = False) -> None:
    """Bring the database's tables to this version of the program."""
    from carebell.commands.operate import upgrade as run

    run(config_of(context, config), as_json=wants_json(context, json))


@db.command("downgrade")
def db_downgrade(
    context: typer.Context,
    version: Annotated[str, typer.Argument(help="The version of the tables that the older program has, such as 0001.")],
    config: Config = None,
    json: Json = False,
) -> None:
    """Bring the tables back to an older version, before an older program is installed. Stop every node first."""
    from carebell.commands.operate import downgrade as run

    run(config_of(context, config), version, as_json=wants_json(context, json))
