"""The declarations of `audit`: read, check and export who changed or looked at what."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from carebell.cli.options import Config, Json, MaybeEnvironment, config_of, wants_json

audit = typer.Typer(help="Show who changed or looked at what, check it, export it.")
Since = Annotated[
    Optional[str], typer.Option(help="Only entries not older than this: 15m, 1h, 7d, or since 2026-03-02.")
]


@audit.callback(invoke_without_command=True)
def audit_list(
    context: typer.Context,
    config: Config = None,
    since: Since = None,
    who: Annotated[Optional[str], typer.Option(help="Only by this account or part of the service.")] = None,
    what: Annotated[Optional[str], typer.Option(help="Only this action, or those that begin so: optout.")] = None,
    environment: MaybeEnvironment = None,
    json: Json = False,
) -> None:
    """Show who changed or looked at what, from where and when; `verify` checks it, `export` writes it for an auditor."""
    if context.invoked_subcommand is not None:
        context.obj = (config_of(context, config), wants_json(context, json))
        return
    from carebell.commands.audit import show as run

    run(
        config_of(context, config),
        since=since,
        who=who,
        what=what,
        environment=environment,
        as_json=wants_json(context, json),
    )


@audit.command("verify")
def audit_verify(
    context: typer.Context,
    config: Config = None,
    head: Annotated[
        Optional[list[str]],
        typer.Option("--head", metavar="SEQ:HASH", help="A head that was noted elsewhere; may be given several times."),
    ] = None,
    json: Json = False,
) -> None:
    """Check that no entry was altered, removed or cut off, also against the heads in the log. Exit 1: the first bad entry."""
    from carebell.commands.audit import verify as run

    raise typer.Exit(run(config_of(context, config), heads=head or [], as_json=wants_json(context, json)))


@audit.command("export")
def audit_export(
    context: typer.Context,
    config: Config = None,
    csv: Annotated[bool, typer.Option("--csv", help="Rows for a spreadsheet.")] = False,
    output: Annotated[
        Optional[Path], typer.Option("-o", "--output", readable=False, help="A new file; by default standard output.")
    ] = None,
    json: Json = False,
) -> None:
    """Write every entry with the text that its hash covers, as JSON lines or CSV: it can be checked without Carebell."""
    from carebell.commands.audit import export as run

    run(config_of(context, config), as_csv=csv, output=output, as_json=wants_json(context, json))
