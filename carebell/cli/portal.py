"""The declarations of `portal`: who may use the staff's pages. The first user is made here; further ones can be invited there."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

from carebell.cli.options import Config, Json, config_of, environment_names, wants_json

portal = typer.Typer(help="Manage who may use the staff's web pages.", no_args_is_help=True)
user = typer.Typer(help="Add users, list them, switch them off and on.", no_args_is_help=True)

Login = Annotated[str, typer.Argument(help="The user name: 2 to 64 of a-z 0-9 . _ @ -", show_default=False)]


@user.command("add")
def user_add(
    context: typer.Context,
    login: Login,
    role: Annotated[str, typer.Option(help="One of administrator, analyst, support and auditor.")],
    name: Annotated[
        Optional[str], typer.Option(help="As colleagues know the person; by default the user name.")
    ] = None,
    environment: Annotated[
        Optional[list[str]],
        typer.Option(
            "--environment",
            "-e",
            autocompletion=environment_names,
            help="One of an analyst's environments; may be given several times.",
        ),
    ] = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Add a user and print the link with which the person sets a password. It works once, for 24 hours."""
    from carebell.commands.portal_users import add as run

    where, as_json = config_of(context, config), wants_json(context, json)
    raise typer.Exit(run(where, login, name=name, role=role, environments=environment or [], as_json=as_json))


@user.command("invite")
def user_invite(context: typer.Context, login: Login, config: Config = None, json: Json = False) -> None:
    """Print a new set-up link, for a lost password or second factor. Older links of the user stop working."""
    from carebell.commands.portal_users import invite as run

    raise typer.Exit(run(config_of(context, config), login, as_json=wants_json(context, json)))


@user.command("list")
def user_list(context: typer.Context, config: Config = None, json: Json = False) -> None:
    """List the users: role, environments, last sign-in, second factor, and who is switched off or locked."""
    from carebell.commands.portal_users import list_all as run

    run(config_of(context, config), as_json=wants_json(context, json))


@user.command("disable")
def user_disable(context: typer.Context, login: Login, config: Config = None, json: Json = False) -> None:
    """Switch a user off and sign them out everywhere. The last administrator cannot be switched off."""
    from carebell.commands.portal_users import disable as run

    raise typer.Exit(run(config_of(context, config), login, as_json=wants_json(context, json)))


@user.command("enable")
def user_enable(context: typer.Context, login: Login, config: Config = None, json: Json = False) -> None:
    """Switch a user on again, with the password and second factor of before."""
    from carebell.commands.portal_users import enable as run

    raise typer.Exit(run(config_of(context, config), login, as_json=wants_json(context, json)))


@portal.command("unlock")
def unlock(context: typer.Context, login: Login, config: Config = None, json: Json = False) -> None:
    """Let a user name be tried again that is locked after a hundred failed sign-ins in a row."""
    from carebell.commands.portal_users import unlock as run

    raise typer.Exit(run(config_of(context, config), login, as_json=wants_json(context, json)))
