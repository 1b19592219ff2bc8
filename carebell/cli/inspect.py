"""The declarations of the commands that only show: `explain plan rehearse outbox appointments logs trace status report`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Optional

import typer

from carebell.cli.options import (
    At,
    Config,
    EnvironmentName,
    Files,
    Json,
    MaybeAppointment,
    MaybeEnvironment,
    config_of,
    wants_json,
)

commands = typer.Typer()
MaybeState = Annotated[
    Optional[str],
    typer.Option(
        help="Only rows that are due, sending, accepted, sent, delivered, undelivered, failed, unknown or suppressed."
    ),
]
report = typer.Typer(help="Report on texts and on video visits.", no_args_is_help=True)


@commands.command()
def explain(
    context: typer.Context,
    files: Files,
    environment: EnvironmentName,
    config: Config = None,
    conformance: Annotated[bool, typer.Option("--conformance", help="Add hl7apy's report, as warnings.")] = False,
    json: Json = False,
) -> None:
    """Show which field gave each value, and why the other fields were not used. Sum up a folder."""
    from carebell.commands.explain import explain as run

    raise typer.Exit(
        run(config_of(context, config), files, environment, conformance=conformance, as_json=wants_json(context, json))
    )


@commands.command()
def plan(
    context: typer.Context,
    files: Files,
    environment: EnvironmentName,
    config: Config = None,
    at: At = None,
    json: Json = False,
) -> None:
    """Show what would be texted, when and why, and what would not be texted. Nothing is stored or sent."""
    from carebell.commands.plan import plan as run

    raise typer.Exit(run(config_of(context, config), files, environment, at=at, as_json=wants_json(context, json)))


@commands.command()
def rehearse(
    context: typer.Context,
    folder: Annotated[
        Optional[Path], typer.Argument(metavar="DIR", readable=False, help="A folder of messages, or one file of them.")
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=92, help="How many days the calendar has.")] = 14,
    begins: Annotated[
        Optional[datetime],
        typer.Option(
            "--from",
            formats=["%Y-%m-%d"],
            metavar="DATE",
            help="The calendar's first day; by default that of the first message, or today with --simulate.",
        ),
    ] = None,
    simulate: Annotated[
        Optional[int], typer.Option(min=1, max=2000, metavar="VISITS", help="Invent a feed with so many visits a day.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Another seed invents another feed.")] = 1,
    environment: Annotated[
        Optional[str],
        typer.Option("--environment", "-e", help="Every message is for this one; by default its header decides."),
    ] = None,
    html: Annotated[
        Optional[Path], typer.Option(metavar="FILE", help="Also write a page with charts; it names no patient.")
    ] = None,
    texts: Annotated[bool, typer.Option("--texts", help="List each text too, with what it says.")] = False,
    config: Config = None,
    json: Json = False,
) -> None:
    """Show day by day what patients would get, for a folder of messages or an invented feed. Nothing is stored or sent."""
    from carebell.commands.rehearse import rehearse as run

    raise typer.Exit(
        run(
            config_of(context, config),
            folder,
            simulate=simulate,
            environment=environment,
            begins=None if begins is None else begins.date(),
            days=days,
            seed=seed,
            html=html,
            lists_texts=texts,
            as_json=wants_json(context, json),
        )
    )


@commands.command()
def outbox(
    context: typer.Context,
    config: Config = None,
    appointment: MaybeAppointment = None,
    state: MaybeState = None,
    environment: MaybeEnvironment = None,
    json: Json = False,
) -> None:
    """List every text, sent or not sent, with its reason."""
    from carebell.commands.outbox import outbox as run

    run(
        config_of(context, config),
        appointment=appointment,
        state=state,
        environment=environment,
        as_json=wants_json(context, json),
    )


@commands.command()
def appointments(
    context: typer.Context,
    config: Config = None,
    appointment: MaybeAppointment = None,
    environment: MaybeEnvironment = None,
    json: Json = False,
) -> None:
    """List the stored appointments. Telephone numbers are masked."""
    from carebell.commands.appointments import appointments as run

    run(config_of(context, config), appointment=appointment, environment=environment, as_json=wants_json(context, json))


@commands.command()
def logs(
    context: typer.Context,
    config: Config = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Keep running and show new lines.")] = False,
    appointment: MaybeAppointment = None,
    control_id: Annotated[Optional[str], typer.Option(help="Lines of this message (MSH-10).")] = None,
    since: Annotated[Optional[str], typer.Option(help="Only lines not older than this: 90s, 15m, 1h, 7d.")] = None,
    level: Annotated[
        str, typer.Option(help="Only lines of this level and above: debug, info, warning or error.")
    ] = "info",
    json: Json = False,
) -> None:
    """Show the lines of the service's log and of its rotated files."""
    from carebell.commands.logs import logs as run

    run(
        config_of(context, config),
        follow=follow,
        appointment=appointment,
        control_id=control_id,
        since=since,
        level=level,
        as_json=wants_json(context, json),
    )


@commands.command()
def trace(
    context: typer.Context,
    config: Config = None,
    appointment: MaybeAppointment = None,
    control_id: Annotated[
        Optional[str], typer.Option(help="The appointment of this message (MSH-10), or why it was refused.")
    ] = None,
    phone: Annotated[
        bool, typer.Option("--phone", help="Every appointment of a number. It is asked for, and not stored.")
    ] = False,
    environment: MaybeEnvironment = None,
    json: Json = False,
) -> None:
    """Why did this patient get no text? One appointment's life: messages, plans, texts, statuses, silences, with their reasons."""
    from carebell.commands.trace import trace as run

    raise typer.Exit(
        run(
            config_of(context, config),
            appointment=appointment,
            control_id=control_id,
            by_phone=phone,
            environment=environment,
            as_json=wants_json(context, json),
        )
    )


@commands.command()
def status(
    context: typer.Context,
    config: Config = None,
    monitor: Annotated[
        bool,
        typer.Option(
            "--monitor",
            help="One line for Nagios, Icinga or Zabbix. The exit code is 0 good, 1 warning, 2 critical, 3 not known.",
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Show listeners, certificates, queue, gateway, alarms, and the last message of each environment."""
    if monitor:
        from carebell.commands.status_monitor import monitor as run_monitor

        raise typer.Exit(run_monitor(config_of(context, config), as_json=wants_json(context, json)))
    from carebell.commands.status import status as run

    raise typer.Exit(run(config_of(context, config), as_json=wants_json(context, json)))


@report.command("sms")
def report_sms(
    context: typer.Context,
    config: Config = None,
    span_start: Annotated[
        Optional[str],
        typer.Option("--from", metavar="ISO", help="Planned at or after this; by default 7 days before --to."),
    ] = None,
    span_end: Annotated[
        Optional[str], typer.Option("--to", metavar="ISO", help="Planned before this, or on this date; by default now.")
    ] = None,
    environment: MaybeEnvironment = None,
    csv: Annotated[bool, typer.Option("--csv", help="Rows for a spreadsheet, without the sums.")] = False,
    json: Json = False,
) -> None:
    """List every text of a time span, sent or not sent, and the sums. Times without an offset are UTC.

    --json prints a line for each, and as its last line the sums: {"tiles": {"delivered_percent", "on_time_percent" (taken by the
    gateway within a minute of its time), "unknown", "opt_out_percent", "segments", ...}, "from", "to"}.
    """
    from carebell.commands.report import report as run

    run(
        config_of(context, config),
        span_start=span_start,
        span_end=span_end,
        environment=environment,
        as_csv=csv,
        as_json=wants_json(context, json),
    )


@report.command("visits")
def report_visits(
    context: typer.Context,
    config: Config = None,
    span_start: Annotated[
        Optional[str],
        typer.Option("--from", metavar="ISO", help="Started at or after this; by default 7 days before --to."),
    ] = None,
    span_end: Annotated[
        Optional[str], typer.Option("--to", metavar="ISO", help="Started before this, or on this date; by default now.")
    ] = None,
    environment: MaybeEnvironment = None,
    csv: Annotated[bool, typer.Option("--csv", help="Rows for a spreadsheet, without the sums.")] = False,
    json: Json = False,
) -> None:
    """List every video visit of a time span in which something happened, and the sums. Times without an offset are UTC.

    --json prints a line for each, the newest first, and as its last line the sums: {"tiles": {"visits", "completed", "no_show",
    "staff_did_not_join", "in_progress", "average_duration_seconds", "average_lobby_wait_seconds"}, "from", "to"}.
    """
    from carebell.commands.report_visits import report_visits as run

    run(
        config_of(context, config),
        span_start=span_start,
        span_end=span_end,
        environment=environment,
        as_csv=csv,
        as_json=wants_json(context, json),
    )
