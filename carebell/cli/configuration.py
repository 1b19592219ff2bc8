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

    It also says which keys need a restart, which ones an approver vouches for where an approval is required,
    and which certificates come into use or are used no more, and what becomes of their messages.
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


Comment = Annotated[Optional[str], typer.Option("--comment", help="Why, for the history.", show_default=False)]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what it would do, and write nothing.")]


@configuration.command("set")
def config_set(
    context: typer.Context,
    key: Annotated[
        str,
        typer.Argument(
            help="The key, as check-config names it: environments.test.sms.min_gap, "
            "or environments.test.sms.reminders[0].before for the first item of a list."
        ),
    ],
    value: Annotated[
        Optional[str],
        typer.Argument(
            help="The value, as the file would have it; `-`: read it from standard input.", show_default=False
        ),
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Take the key out of the file.")] = False,
    base: Annotated[
        Optional[str],
        typer.Option(
            "--base",
            metavar="VERSION",
            help="Only if the file still makes this version, as `config history` and `status` name it.",
            show_default=False,
        ),
    ] = None,
    comment: Comment = None,
    dry_run: DryRun = False,
    config: Config = None,
    json: Json = False,
) -> None:
    """Change one key of carebell.yaml and keep every other byte. It shows what the change does to the texts that wait.

    A value that check-config would refuse is not written, and neither is a file that somebody else changed in the meantime: then
    it prints what was there, what you want and what is there now.
    """
    from carebell.commands.config_write import set_key as run

    raise typer.Exit(
        run(
            config_of(context, config),
            key,
            value,
            remove=remove,
            base_version=base,
            comment=comment,
            dry_run=dry_run,
            as_json=wants_json(context, json),
        )
    )


@configuration.command("restore")
def config_restore(
    context: typer.Context,
    version: Annotated[str, typer.Argument(help="A version, as `config history` lists it, or its beginning.")],
    comment: Comment = None,
    dry_run: DryRun = False,
    config: Config = None,
    json: Json = False,
) -> None:
    """Give carebell.yaml the text of an earlier version, after showing what that does to the texts that wait.

    It comes back exactly, with telephone numbers and passwords, for 400 days; of older ones these stay as the file has them.
    Certificates and other files are not touched.
    """
    from carebell.commands.config_write import restore as run

    raise typer.Exit(
        run(config_of(context, config), version, comment=comment, dry_run=dry_run, as_json=wants_json(context, json))
    )
