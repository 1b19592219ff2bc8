"""The simulated outside world: `simulator`, as it is called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from carebell.cli.options import (
    Config,
    Json,
    OverTls,
    Seed,
    TlsCa,
    TlsCertificate,
    TlsKey,
    TlsName,
    config_of,
    tls_of,
    wants_json,
)

simulator = typer.Typer(help="The simulated outside world, for rehearsals and load.", no_args_is_help=True)


@simulator.command("twilio")
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

    where = config_of(context, config)
    raise typer.Exit(run(where, host=host, port=port, seed=seed, count=count, as_json=wants_json(context, json)))


@simulator.command("ehr")
def simulator_ehr(
    context: typer.Context,
    to: Annotated[str, typer.Option(metavar="HOST:PORT", help="The listener.")],
    config: Config = None,
    environment: Annotated[
        Optional[str], typer.Option("--environment", "-e", help="Write as this one of -c wants it; else its first.")
    ] = None,
    key: Annotated[
        Optional[Path], typer.Option(readable=False, help="Sign each message with this private key.")
    ] = None,
    cert: Annotated[Optional[Path], typer.Option(readable=False, help="The certificate of that key.")] = None,
    tls: OverTls = False,
    tls_ca: TlsCa = None,
    tls_cert: TlsCertificate = None,
    tls_key: TlsKey = None,
    tls_name: TlsName = None,
    seed: Seed = None,
    rate: Annotated[
        Optional[float], typer.Option(min=0.01, help="Messages a second; else as fast as answers come.")
    ] = None,
    count: Annotated[Optional[int], typer.Option(min=1, help="End after so many messages.")] = None,
    connections: Annotated[int, typer.Option(min=1, help="Over this many connections.")] = 1,
    json: Json = False,
) -> None:
    """A hospital's scheduling feed of people who do not exist: bookings, moves, edits and cancellations."""
    from carebell.commands.simulated_ehr import ehr as run

    tls_settings = tls_of(tls, ca=tls_ca, certificate=tls_cert, key=tls_key, name=tls_name)
    raise typer.Exit(
        run(
            config_of(context, config), to, environment=environment, key=key, cert=cert, tls=tls_settings, seed=seed, rate=rate,
            count=count, connections=connections, as_json=wants_json(context, json),
        )
    )  # fmt: skip
