"""The declarations of `simulator`: a simulated Twilio, a simulated EHR and its FHIR server."""

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
from simulator.fhir.faults import Endpoint, FhirFault

simulator = typer.Typer(
    help="A simulated Twilio, a simulated EHR and its FHIR server, for rehearsals and load tests.", no_args_is_help=True
)


@simulator.command("twilio")
def simulator_twilio(
    context: typer.Context,
    config: Config = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any free port.")] = 0,
    seed: Seed = None,
    count: Annotated[Optional[int], typer.Option(min=1, help="End after this many create requests.")] = None,
    json: Json = False,
) -> None:
    """Serve Twilio's API on this machine. With -c it uses that configuration's senders, account and token."""
    from carebell.commands.simulated_twilio import twilio as run

    where = config_of(context, config)
    raise typer.Exit(run(where, host=host, port=port, seed=seed, count=count, as_json=wants_json(context, json)))


@simulator.command("ehr")
def simulator_ehr(
    context: typer.Context,
    to: Annotated[
        Optional[str],
        typer.Option(metavar="HOST:PORT", help="The listener; with --inbound: for later answers of the application."),
    ] = None,
    inbound: Annotated[bool, typer.Option("--inbound", help="Take what goes back instead of sending a feed.")] = False,
    host: Annotated[str, typer.Option(help="With --inbound: address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="With --inbound: 0 takes any free port.")] = 0,
    answers: Annotated[
        Optional[str],
        typer.Option(
            metavar="ACT,ACT",
            help="With --inbound: what to do with each message, such as aa, ae, none; a wrong word lists all. Then aa.",
        ),
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Begin --answers again after the last one.")] = False,
    config: Config = None,
    environment: Annotated[
        Optional[str],
        typer.Option("--environment", "-e", help="Write messages for this environment of -c; by default its first."),
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
        Optional[float], typer.Option(min=0.01, help="Messages a second; by default as fast as answers come.")
    ] = None,
    count: Annotated[Optional[int], typer.Option(min=1, help="End after this many messages.")] = None,
    connections: Annotated[int, typer.Option(min=1, help="Use this many connections.")] = 1,
    json: Json = False,
) -> None:
    """Send a hospital's scheduling feed with invented patients: bookings, moves, edits and cancellations."""
    from carebell.commands.simulated_ehr import ehr as run
    from carebell.commands.simulated_engine import engine, later_answers
    from carebell.exits import UsageStop

    tls_settings = tls_of(tls, ca=tls_ca, certificate=tls_cert, key=tls_key, name=tls_name)
    if inbound:
        way = None if to is None else later_answers(to, key=key, cert=cert, tls=tls_settings)
        engine(
            host=host, port=port, answers=answers, again=again, way=way, count=count, as_json=wants_json(context, json)
        )
        return
    if to is None:
        raise UsageStop("name the listener with --to, or take what goes back with --inbound")
    raise typer.Exit(
        run(
            config_of(context, config),
            to,
            environment=environment,
            key=key,
            cert=cert,
            tls=tls_settings,
            seed=seed,
            rate=rate,
            count=count,
            connections=connections,
            as_json=wants_json(context, json),
        )
    )


@simulator.command("fhir")
def simulator_fhir(
    context: typer.Context,
    host: Annotated[str, typer.Option(help="Address of this machine to listen on, in 127.0.0.0/8.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any free port.")] = 0,
    client_id: Annotated[str, typer.Option(help="The client id that is registered.")] = "carebell",
    redirect_uri: Annotated[
        Optional[list[str]],
        typer.Option(help="A registered callback; may be given again. By default every address of this machine."),
    ] = None,
    fault: Annotated[
        Optional[list[FhirFault]],
        typer.Option(
            metavar="FAULT",
            help="Do this wrong, such as wrong_nonce or slow; a wrong word lists all. May be given again.",
        ),
    ] = None,
    at: Annotated[
        Optional[list[Endpoint]],
        typer.Option(
            metavar="ENDPOINT",
            help="Where slow, huge, redirect and not_json happen; may be given again. By default everywhere.",
        ),
    ] = None,
    count: Annotated[Optional[int], typer.Option(min=1, help="End after this many requests.")] = None,
    json: Json = False,
) -> None:
    """Serve an EHR's FHIR server with SMART sign-in, two test users and no patient, on this machine alone."""
    from carebell.commands.simulated_fhir import fhir as run

    raise typer.Exit(
        run(
            host=host,
            port=port,
            client_id=client_id,
            redirect_uris=redirect_uri or (),
            faults=fault or (),
            endpoints=at or (),
            count=count,
            as_json=wants_json(context, json),
        )
    )
