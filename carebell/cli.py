"""The command line: names, options and help; every command's work is in `carebell.commands`, imported when it is called.

Nothing heavy is imported here: `carebell --help` must answer within 0.3 s.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Optional

import typer

app = typer.Typer(
    name="carebell",
    help="Signed HL7v2 scheduling messages in, appointment text messages out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
cert_app = typer.Typer(help="Certificates.", no_args_is_help=True)
optout_app = typer.Typer(help="Who must not be texted.", no_args_is_help=True)
keys_app = typer.Typer(help="The data-encryption keys.", no_args_is_help=True)
db_app = typer.Typer(help="The database.", no_args_is_help=True)
report_app = typer.Typer(help="Reports.", no_args_is_help=True)
numbers_app = typer.Typer(help="The organisation's own numbers at Twilio.", no_args_is_help=True)
simulator_app = typer.Typer(help="The simulated outside world, for rehearsals and load.", no_args_is_help=True)
app.add_typer(cert_app, name="cert")
app.add_typer(optout_app, name="optout")
app.add_typer(keys_app, name="keys")
app.add_typer(db_app, name="db")
app.add_typer(report_app, name="report")
app.add_typer(numbers_app, name="numbers")
app.add_typer(simulator_app, name="simulator")


def _instant(written: str) -> datetime:
    """`2026-03-02T15:04:05Z`: an ISO 8601 instant; without an offset it is UTC."""
    try:
        instant = datetime.fromisoformat(written)
    except ValueError:
        raise typer.BadParameter(f"{written!r} is not an ISO 8601 time such as 2026-03-02T15:04:05Z") from None
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


Config = Annotated[
    Optional[Path],
    typer.Option(
        "-c", "--config", help="The configuration; else $CAREBELL_CONFIG, ./carebell.yaml, /etc/carebell/carebell.yaml."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
Files = Annotated[list[Path], typer.Argument(help="Files, taken in order.", show_default=False)]
EnvironmentName = Annotated[str, typer.Option("--environment", "-e", help="An environment of the configuration.")]
MaybeEnvironment = Annotated[Optional[str], typer.Option("--environment", "-e", help="Only this environment.")]
MaybeAppointment = Annotated[
    Optional[str], typer.Option("--appointment", help="An appointment's id, as the EHR knows it.")
]
At = Annotated[
    Optional[datetime], typer.Option("--at", parser=_instant, metavar="ISO", help="As seen at this time; else now.")
]


def _print_version(wanted: bool) -> None:
    if wanted:
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


def _config(context: typer.Context, config: Path | None) -> Path | None:
    """`-c` may stand before or after the command's name."""
    return config or context.obj[0]


def _json(context: typer.Context, json: bool) -> bool:
    return json or context.obj[1]


# Setting up


@app.command()
def init(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Made if absent; nothing in it is overwritten.")],
    demo: Annotated[
        bool, typer.Option("--demo", help="Also test signing keys, their .cer and sample messages.")
    ] = False,
) -> None:
    """Write a commented carebell.yaml that works as it stands, the data key and certs/."""
    from carebell.commands.init import init as run

    run(directory, demo=demo)


@app.command()
def demo(
    directory: Annotated[Optional[Path], typer.Option("--dir", metavar="DIR", help="Keep its files here.")] = None,
    stay: Annotated[bool, typer.Option("--stay", help="Go on serving when the story is told.")] = False,
) -> None:
    """The main job in one go: signed messages in over MLLP, ACKs and SMS out, on a fast clock."""
    from carebell.commands.demo import demo as run

    raise typer.Exit(run(directory, stay=stay))


@app.command()
def serve(
    context: typer.Context,
    config: Config = None,
    roles: Annotated[
        str, typer.Option(help="Any of listener,dispatcher,portal,housekeeping.")
    ] = "listener,dispatcher,portal,housekeeping",
    clock: Annotated[
        Optional[datetime], typer.Option(parser=_instant, metavar="ISO", help="Start its time here, to rehearse.")
    ] = None,
    speed: Annotated[float, typer.Option(help="Run its time this many times as fast, to rehearse.")] = 1.0,
) -> None:
    """The service."""
    from carebell.commands.serve import serve as run

    raise typer.Exit(run(_config(context, config), roles=roles, clock=clock, speed=speed))


@app.command("check-config")
def check_config(context: typer.Context, config: Config = None, json: Json = False) -> None:
    """Check the configuration: file:line:column: key: why."""
    from carebell.commands.check_config import check_config as run

    raise typer.Exit(run(_config(context, config), as_json=_json(context, json)))


# Certificates and signatures


@cert_app.command("show")
def cert_show(context: typer.Context, files: Files, at: At = None, json: Json = False) -> None:
    """Would this upload be accepted, and if not, why? With the signing header, ready to paste."""
    from carebell.commands.cert import show as run

    raise typer.Exit(run(files, at=at, as_json=_json(context, json)))


@app.command()
def sign(
    file: Annotated[Path, typer.Argument(help="A message, bare or framed.")],
    key: Annotated[Path, typer.Option(help="The private key, PEM.")],
    cert: Annotated[Path, typer.Option(help="Its certificate, .cer.")],
    alg: Annotated[Optional[str], typer.Option(help="RS256, PS256, ES256 or EdDSA; else what fits the key.")] = None,
    output: Annotated[Optional[Path], typer.Option("-o", "--output", help="Where to; else standard output.")] = None,
) -> None:
    """Append ZSG, the signature segment."""
    from carebell.commands.cert import sign as run

    run(file, key=key, cert=cert, alg=alg, output=output)


@app.command()
def verify(
    context: typer.Context,
    files: Files,
    environment: EnvironmentName,
    config: Config = None,
    at: At = None,
    json: Json = False,
) -> None:
    """The whole inbound decision, storing nothing."""
    from carebell.commands.verify import verify as run

    raise typer.Exit(run(_config(context, config), files, environment, at=at, as_json=_json(context, json)))


@app.command()
def send(
    context: typer.Context,
    files: Files,
    to: Annotated[str, typer.Option(metavar="HOST:PORT", help="The listener.")],
    key: Annotated[Optional[Path], typer.Option(help="Sign each message with this private key first.")] = None,
    cert: Annotated[Optional[Path], typer.Option(help="The certificate of that key.")] = None,
    tls: Annotated[bool, typer.Option("--tls", help="Over TLS.")] = False,
    tls_ca: Annotated[Optional[Path], typer.Option(help="Trust this CA instead of the system's.")] = None,
    tls_cert: Annotated[Optional[Path], typer.Option(help="Client certificate, PEM.")] = None,
    tls_key: Annotated[Optional[Path], typer.Option(help="Client key, PEM.")] = None,
    tls_name: Annotated[Optional[str], typer.Option(help="Expect this name in the server's certificate.")] = None,
    repeat: Annotated[int, typer.Option(min=1, help="Send everything this many times.")] = 1,
    connections: Annotated[int, typer.Option(min=1, help="Over this many connections.")] = 1,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds to wait for each answer.")] = 30.0,
    json: Json = False,
) -> None:
    """An MLLP client: one line per message with its ACK and milliseconds."""
    from carebell.commands.send import Tls
    from carebell.commands.send import send as run

    wanted = Tls(ca=tls_ca, certificate=tls_cert, key=tls_key, name=tls_name) if tls or tls_ca or tls_cert else None
    raise typer.Exit(
        run(
            files, to, key=key, cert=cert, tls=wanted, repeat=repeat, connections=connections, timeout=timeout,
            as_json=_json(context, json),
        )
    )  # fmt: skip


# Asking why


@app.command()
def explain(
    context: typer.Context,
    files: Files,
    environment: EnvironmentName,
    config: Config = None,
    conformance: Annotated[bool, typer.Option("--conformance", help="Add hl7apy's report, as warnings.")] = False,
    json: Json = False,
) -> None:
    """Which field gave each value, and why the others lost. A folder is summed up."""
    from carebell.commands.explain import explain as run

    raise typer.Exit(
        run(_config(context, config), files, environment, conformance=conformance, as_json=_json(context, json))
    )


@app.command()
def plan(
    context: typer.Context,
    files: Files,
    environment: EnvironmentName,
    config: Config = None,
    at: At = None,
    json: Json = False,
) -> None:
    """What would be texted when and why, and what not and why; nothing is stored or sent."""
    from carebell.commands.plan import plan as run

    raise typer.Exit(run(_config(context, config), files, environment, at=at, as_json=_json(context, json)))


@app.command()
def outbox(
    context: typer.Context,
    config: Config = None,
    appointment: MaybeAppointment = None,
    state: Annotated[Optional[str], typer.Option(help="Only rows in this state.")] = None,
    environment: MaybeEnvironment = None,
    json: Json = False,
) -> None:
    """Every text and every silence, with its reason."""
    from carebell.commands.look import outbox as run

    run(
        _config(context, config),
        appointment=appointment,
        state=state,
        environment=environment,
        as_json=_json(context, json),
    )


@app.command()
def appointments(
    context: typer.Context,
    config: Config = None,
    appointment: MaybeAppointment = None,
    environment: MaybeEnvironment = None,
    json: Json = False,
) -> None:
    """What is known of appointments; phones masked."""
    from carebell.commands.look import appointments as run

    run(_config(context, config), appointment=appointment, environment=environment, as_json=_json(context, json))


@app.command()
def logs(
    context: typer.Context,
    config: Config = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as lines come.")] = False,
    appointment: MaybeAppointment = None,
    control_id: Annotated[Optional[str], typer.Option(help="Lines of this message (MSH-10).")] = None,
    since: Annotated[Optional[str], typer.Option(help="Not older than this: 90s, 15m, 1h, 7d.")] = None,
    level: Annotated[str, typer.Option(help="debug, info, warning or error, and above.")] = "info",
    json: Json = False,
) -> None:
    """The service's log lines, for people."""
    from carebell.commands.logs import logs as run

    run(
        _config(context, config), follow=follow, appointment=appointment, control_id=control_id, since=since, level=level,
        as_json=_json(context, json),
    )  # fmt: skip


@app.command()
def status(context: typer.Context, config: Config = None, json: Json = False) -> None:
    """Listeners, certificates, queue, gateway, and the last message of each environment."""
    from carebell.commands.status import status as run

    raise typer.Exit(run(_config(context, config), as_json=_json(context, json)))


@report_app.command("sms")
def report_sms(
    context: typer.Context,
    config: Config = None,
    begins: Annotated[
        Optional[str], typer.Option("--from", metavar="ISO", help="Planned at or after this; else 7 days before --to.")
    ] = None,
    ends: Annotated[
        Optional[str], typer.Option("--to", metavar="ISO", help="Planned before this, or on this date; else now.")
    ] = None,
    environment: MaybeEnvironment = None,
    csv: Annotated[bool, typer.Option("--csv", help="Rows for a spreadsheet, without the sums.")] = False,
    json: Json = False,
) -> None:
    """Every text and every silence of a span, and what they come to. Times without an offset are UTC.

    --json prints a line for each, and as its last line the sums: {"tiles": {"delivered_percent", "on_time_percent" (taken by the
    gateway within a minute of its time), "unknown", "opt_out_percent", "segments", ...}, "from", "to"}.
    """
    from carebell.commands.report import report as run

    run(
        _config(context, config), begins=begins, ends=ends, environment=environment, as_csv=csv,
        as_json=_json(context, json),
    )  # fmt: skip


# The organisation's numbers at Twilio


OwnNumber = Annotated[str, typer.Argument(metavar="NUMBER", help="E.164: one of the organisation's, not a patient's.")]
Service = Annotated[
    Optional[str], typer.Option("--service", metavar="MG...", help="Put it into this Messaging Service.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be done, and do nothing.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do it without asking; what costs money too.")]


@numbers_app.command("list")
def numbers_list(context: typer.Context, config: Config = None, json: Json = False) -> None:
    """The account's numbers, who uses them, and where patients' answers go."""
    from carebell.commands.numbers import list_all as run

    run(_config(context, config), as_json=_json(context, json))


@numbers_app.command("search")
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
            _config(context, config), country=country, kind=kind, area_code=area_code, contains=contains, limit=limit,
            as_json=_json(context, json),
        )
    )  # fmt: skip


@numbers_app.command("buy")
def numbers_buy(
    context: typer.Context,
    number: OwnNumber,
    config: Config = None,
    service: Service = None,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Buy a number and link it to our webhook. Shows what it will do and asks; its monthly price begins at once."""
    from carebell.commands.numbers import buy as run

    raise typer.Exit(run(_config(context, config), number, service=service, yes=yes, dry_run=dry_run))


@numbers_app.command("link")
def numbers_link(
    context: typer.Context,
    number: OwnNumber,
    config: Config = None,
    service: Service = None,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Send what patients answer to one of our numbers to our webhook. Shows what it will do and asks."""
    from carebell.commands.numbers import link as run

    raise typer.Exit(run(_config(context, config), number, service=service, yes=yes, dry_run=dry_run))


# The simulated outside world


Seed = Annotated[Optional[int], typer.Option(help="The same seed, the same run.")]


@simulator_app.command("twilio")
def simulator_twilio(
    context: typer.Context,
    config: Config = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any free port.")] = 0,
    seed: Seed = None,
    count: Annotated[Optional[int], typer.Option(min=1, help="End after so many texts were asked for.")] = None,
    json: Json = False,
) -> None:
    """Twilio's API on this machine. With -c it has that configuration's senders, account and token."""
    from carebell.commands.simulated_twilio import twilio as run

    where = _config(context, config)
    raise typer.Exit(run(where, host=host, port=port, seed=seed, count=count, as_json=_json(context, json)))


@simulator_app.command("ehr")
def simulator_ehr(
    context: typer.Context,
    to: Annotated[str, typer.Option(metavar="HOST:PORT", help="The listener.")],
    config: Config = None,
    environment: Annotated[
        Optional[str], typer.Option("--environment", "-e", help="Write as this one of -c wants it; else its first.")
    ] = None,
    key: Annotated[Optional[Path], typer.Option(help="Sign each message with this private key.")] = None,
    cert: Annotated[Optional[Path], typer.Option(help="The certificate of that key.")] = None,
    tls: Annotated[bool, typer.Option("--tls", help="Over TLS.")] = False,
    tls_ca: Annotated[Optional[Path], typer.Option(help="Trust this CA instead of the system's.")] = None,
    tls_cert: Annotated[Optional[Path], typer.Option(help="Client certificate, PEM.")] = None,
    tls_key: Annotated[Optional[Path], typer.Option(help="Client key, PEM.")] = None,
    tls_name: Annotated[Optional[str], typer.Option(help="Expect this name in the server's certificate.")] = None,
    seed: Seed = None,
    rate: Annotated[
        Optional[float], typer.Option(min=0.01, help="Messages a second; else as fast as answers come.")
    ] = None,
    count: Annotated[Optional[int], typer.Option(min=1, help="End after so many messages.")] = None,
    connections: Annotated[int, typer.Option(min=1, help="Over this many connections.")] = 1,
    json: Json = False,
) -> None:
    """A hospital's scheduling feed of people who do not exist: bookings, moves, edits and cancellations."""
    from carebell.commands.send import Tls
    from carebell.commands.simulated_ehr import ehr as run

    wanted = Tls(ca=tls_ca, certificate=tls_cert, key=tls_key, name=tls_name) if tls or tls_ca or tls_cert else None
    raise typer.Exit(
        run(
            _config(context, config), to, environment=environment, key=key, cert=cert, tls=wanted, seed=seed, rate=rate,
            count=count, connections=connections, as_json=_json(context, json),
        )
    )  # fmt: skip


# Operations, all audited


Number = Annotated[Optional[str], typer.Argument(help="E.164; without it, asked for, so that it stands in no history.")]
Sender = Annotated[Optional[str], typer.Option("--sender", help="For this sender; else for every sender configured.")]


@optout_app.command("list")
def optout_list(context: typer.Context, config: Config = None, json: Json = False) -> None:
    """Opt-outs by sender; numbers are kept as keyed hashes only."""
    from carebell.commands.optout import list_all as run

    run(_config(context, config), as_json=_json(context, json))


@optout_app.command("add")
def optout_add(context: typer.Context, number: Number = None, sender: Sender = None, config: Config = None) -> None:
    """Never text this number again."""
    from carebell.commands.optout import add as run

    run(_config(context, config), number, sender)


@optout_app.command("remove")
def optout_remove(context: typer.Context, number: Number = None, sender: Sender = None, config: Config = None) -> None:
    """Text this number again: only when the patient asked for it."""
    from carebell.commands.optout import remove as run

    raise typer.Exit(run(_config(context, config), number, sender))


@app.command()
def hold(
    context: typer.Context,
    config: Config = None,
    environment: MaybeEnvironment = None,
    reason: Annotated[str, typer.Option(help="For the audit log.")] = "by hand",
) -> None:
    """Send nothing until `release`; messages are still received."""
    from carebell.commands.operate import hold as run

    run(_config(context, config), environment, reason)


@app.command()
def release(context: typer.Context, config: Config = None, environment: MaybeEnvironment = None) -> None:
    """End a hold, and close breakers whose cause is mended; what became useless meanwhile is recorded as expired."""
    from carebell.commands.operate import release as run

    run(_config(context, config), environment)


@app.command()
def purge(
    context: typer.Context,
    config: Config = None,
    at: At = None,
    verify: Annotated[bool, typer.Option("--verify", help="Ask for a number and search every file for it.")] = False,
) -> None:
    """Forget now what is due to be forgotten."""
    from carebell.commands.operate import purge as run

    raise typer.Exit(run(_config(context, config), at=at, verify=verify))


@keys_app.command("rotate")
def keys_rotate(context: typer.Context, config: Config = None) -> None:
    """A new data-encryption key; what is stored is re-encrypted."""
    from carebell.commands.operate import rotate as run

    run(_config(context, config))


@db_app.command("upgrade")
def db_upgrade(context: typer.Context, config: Config = None) -> None:
    """Bring the database's tables to this version."""
    from carebell.commands.operate import upgrade as run

    run(_config(context, config))
