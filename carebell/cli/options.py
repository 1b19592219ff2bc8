"""Options that several commands share, and the functions that read them.

No path is checked here (`readable=False`): the command itself says what is wrong with a file, and gives the exit code.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

if TYPE_CHECKING:
    from carebell.commands.send import SendTls


def instant(written: str) -> datetime:
    """Read `2026-03-02T15:04:05Z`, an ISO 8601 instant. Without an offset it is UTC."""
    try:
        parsed = datetime.fromisoformat(written)
    except ValueError:
        raise typer.BadParameter(f"{written!r} is not an ISO 8601 time such as 2026-03-02T15:04:05Z") from None
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)


def environment_names(context: typer.Context) -> list[str]:
    """What a shell offers for `--environment`: the names in the configuration; none if it cannot be read."""
    from carebell.bootstrap.components import load
    from carebell.exits import Stop

    named = next((parent.params.get("config") for parent in (context, context.parent) if parent), None)
    try:
        return list(load(named).configuration.environments)
    except (Stop, OSError):
        return []


Config = Annotated[
    Optional[Path],
    typer.Option(
        "-c",
        "--config",
        readable=False,
        help="The configuration; by default $CAREBELL_CONFIG, ./carebell.yaml, /etc/carebell/carebell.yaml.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
Files = Annotated[list[Path], typer.Argument(readable=False, help="Files, in this order.", show_default=False)]
EnvironmentName = Annotated[
    str,
    typer.Option("--environment", "-e", autocompletion=environment_names, help="An environment of the configuration."),
]
MaybeEnvironment = Annotated[
    Optional[str],
    typer.Option("--environment", "-e", autocompletion=environment_names, help="Only this environment."),
]
MaybeAppointment = Annotated[
    Optional[str], typer.Option("--appointment", help="An appointment's id, as the EHR shows it.")
]
At = Annotated[
    Optional[datetime],
    typer.Option("--at", parser=instant, metavar="ISO", help="As seen at this time; by default now."),
]
Seed = Annotated[Optional[int], typer.Option(help="The same seed gives the same run.")]
OverTls = Annotated[bool, typer.Option("--tls", help="Use TLS.")]
TlsCa = Annotated[Optional[Path], typer.Option(readable=False, help="Trust this CA instead of the system's.")]
TlsCertificate = Annotated[Optional[Path], typer.Option(readable=False, help="The client certificate (PEM).")]
TlsKey = Annotated[Optional[Path], typer.Option(readable=False, help="The client key (PEM).")]
TlsName = Annotated[Optional[str], typer.Option(help="The name that the server's certificate must have.")]


def config_of(context: typer.Context, config: Path | None) -> Path | None:
    """The value of `-c`, which may be given before or after the command's name."""
    return config or context.obj[0]


def wants_json(context: typer.Context, json: bool) -> bool:
    return json or context.obj[1]


def tls_of(
    tls: bool, *, ca: Path | None, certificate: Path | None, key: Path | None, name: str | None
) -> SendTls | None:
    """The TLS options; None: no TLS. A CA or a certificate switches TLS on without `--tls`."""
    from carebell.commands.send import SendTls
    from carebell.exits import UsageStop

    if tls or ca or certificate:
        return SendTls(ca=ca, certificate=certificate, key=key, name=name)
    if key or name:
        raise UsageStop("--tls-key and --tls-name go with --tls; nothing was sent")
    return None
