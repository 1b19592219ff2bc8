"""The command line: names, options and help. The code of each command is in `carebell.commands` and is imported when it runs.

Nothing heavy is imported here: `carebell --help` must answer within 0.3 s.
"""

from __future__ import annotations

from typing import Annotated

import typer

from carebell.cli import admin, audit, configuration, inspect, numbers, setup, signing, simulate
from carebell.cli.options import Config, Json

app = typer.Typer(
    name="carebell",
    help="Signed HL7v2 scheduling messages in, appointment text messages out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for section in (setup, signing, inspect, admin):  # in the order in which the help lists them
    app.add_typer(section.commands)
app.add_typer(configuration.configuration, name="config")
app.add_typer(signing.cert, name="cert")
app.add_typer(audit.audit, name="audit")
app.add_typer(admin.optout, name="optout")
app.add_typer(admin.keys, name="keys")
app.add_typer(admin.db, name="db")
app.add_typer(inspect.report, name="report")
app.add_typer(numbers.numbers, name="numbers")
app.add_typer(simulate.simulator, name="simulator")


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(version("carebell"))
        raise typer.Exit


@app.callback()
def _whole(
    context: typer.Context,
    config: Config = None,
    json: Json = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    context.obj = (config, json)
