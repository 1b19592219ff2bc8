"""The declarations of `cert`, `sign`, `verify` and `send`: certificates, signatures, sending messages."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from carebell.cli.options import (
    At,
    Config,
    EnvironmentName,
    Files,
    Json,
    OverTls,
    TlsCa,
    TlsCertificate,
    TlsKey,
    TlsName,
    config_of,
    tls_of,
    wants_json,
)

commands = typer.Typer()
cert = typer.Typer(help="Check certificates.", no_args_is_help=True)


@cert.command("show")
def cert_show(context: typer.Context, files: Files, at: At = None, json: Json = False) -> None:
    """Say whether each certificate would be accepted, or why not; print its signing header."""
    from carebell.commands.cert import show as run

    raise typer.Exit(run(files, at=at, as_json=wants_json(context, json)))


@commands.command()
def sign(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(readable=False, help="A message, bare or framed.")],
    key: Annotated[Path, typer.Option(readable=False, help="The private key (PEM).")],
    cert: Annotated[Path, typer.Option(readable=False, help="The certificate of that key (.cer).")],
    alg: Annotated[
        Optional[str], typer.Option(help="RS256, PS256, ES256 or EdDSA; by default what fits the key.")
    ] = None,
    output: Annotated[
        Optional[Path],
        typer.Option("-o", "--output", readable=False, help="Write to this file; by default to standard output."),
    ] = None,
    json: Json = False,
) -> None:
    """Sign a message: append ZSG, the signature segment."""
    from carebell.commands.cert import sign as run

    run(file, key=key, cert=cert, alg=alg, output=output, as_json=wants_json(context, json))


@commands.command()
def verify(
    context: typer.Context,
    files: Files,
    environment: EnvironmentName,
    config: Config = None,
    at: At = None,
    json: Json = False,
) -> None:
    """Say how the service would answer each message. Nothing is stored."""
    from carebell.commands.verify import verify as run

    raise typer.Exit(run(config_of(context, config), files, environment, at=at, as_json=wants_json(context, json)))


@commands.command()
def send(
    context: typer.Context,
    files: Files,
    to: Annotated[str, typer.Option(metavar="HOST:PORT", help="The listener.")],
    key: Annotated[
        Optional[Path], typer.Option(readable=False, help="Sign each message with this private key first.")
    ] = None,
    cert: Annotated[Optional[Path], typer.Option(readable=False, help="The certificate of that key.")] = None,
    tls: OverTls = False,
    tls_ca: TlsCa = None,
    tls_cert: TlsCertificate = None,
    tls_key: TlsKey = None,
    tls_name: TlsName = None,
    repeat: Annotated[int, typer.Option(min=1, help="Send all messages this many times.")] = 1,
    connections: Annotated[int, typer.Option(min=1, help="Use this many connections.")] = 1,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds to wait for each answer.")] = 30.0,
    json: Json = False,
) -> None:
    """Send messages over MLLP; print each answer with its milliseconds."""
    from carebell.commands.send import send as run

    tls_settings = tls_of(tls, ca=tls_ca, certificate=tls_cert, key=tls_key, name=tls_name)
    raise typer.Exit(
        run(
            files,
            to,
            key=key,
            cert=cert,
            tls=tls_settings,
            repeat=repeat,
            connections=connections,
            timeout=timeout,
            as_json=wants_json(context, json),
        )
    )
