"""The command line: names, options and help. The code of each command is in `carebell.commands` and is imported when it runs.

Nothing heavy is imported here: `carebell --help` must answer within 0.3 s.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

import typer
import typer.core

from carebell.cli import (
    admin,
    audit,
    configuration,
    inspect,
    numbers,
    portal,
    replies,
    setup,
    signing,
    simulate,
    visits,
    writeback,
)
from carebell.cli.options import Config, Json


class Group(typer.core.TyperGroup):
    """Commands, each listed with its whole first sentence, on a terminal of any width."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        named = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        rows = [(name, first_sentence(command.help or "")) for name, command in named if command is not None]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def first_sentence(text: str) -> str:
    """Up to the first full stop that ends a sentence; `carebell.yaml that` holds none."""
    line = " ".join(text.split("\n\n")[0].split())
    return re.split(r"(?<=\.) (?=[A-Z])", line)[0]


app = typer.Typer(
    name="carebell",
    help="Signed HL7v2 scheduling messages in, appointment text messages out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=True,
    cls=Group,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for section in (setup, signing, inspect, admin):  # in the order in which the help lists them
    app.add_typer(section.commands)
app.add_typer(configuration.configuration, name="config", cls=Group)
app.add_typer(signing.cert, name="cert", cls=Group)
app.add_typer(audit.audit, name="audit", cls=Group)
app.add_typer(admin.optout, name="optout", cls=Group)
app.add_typer(replies.reply, name="reply", cls=Group)
app.add_typer(writeback.writeback, name="writeback", cls=Group)
app.add_typer(admin.keys, name="keys", cls=Group)
app.add_typer(admin.db, name="db", cls=Group)
app.add_typer(inspect.report, name="report", cls=Group)
app.add_typer(visits.visit, name="visit", cls=Group)
app.add_typer(numbers.numbers, name="numbers", cls=Group)
portal.portal.add_typer(portal.user, name="user", cls=Group)
app.add_typer(portal.portal, name="portal", cls=Group)
app.add_typer(simulate.simulator, name="simulator", cls=Group)


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        from carebell.build_in_use import build_in_use

        typer.echo(f"{version('carebell')} ({build_in_use()})")
        raise typer.Exit


@app.callback()
def _whole(
    context: typer.Context,
    config: Config = None,
    json: Json = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_print_version,
            is_eager=True,
            help="Print the version, and whether it is compiled, and stop.",
        ),
    ] = False,
) -> None:
    context.obj = (config, json)
