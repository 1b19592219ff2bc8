"""`simulator fhir`: an EHR's FHIR server with SMART sign-in on this machine, for rehearsals. It holds no patient."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any

from carebell.commands.output import print_json
from carebell.commands.signals import signalled
from carebell.exits import OK, Stop
from carebell.times import iso
from simulator.fhir.faults import Endpoint, FhirFault, FhirFaultPlan
from simulator.fhir.server import FhirRequestSeen, FhirSimulator
from simulator.fhir.sign_in import FhirClientSettings


def fhir(
    *,
    host: str,
    port: int,
    client_id: str,
    redirect_uris: Sequence[str],
    faults: Sequence[FhirFault],
    endpoints: Sequence[Endpoint],
    count: int | None,
    as_json: bool,
) -> int:
    """Serve until a signal, or until `count` requests were answered."""
    return asyncio.run(_serve(host, port, FhirClientSettings(client_id=client_id, redirect_uris=tuple(redirect_uris)),
                              FhirFaultPlan(faults=frozenset(faults), at=frozenset(endpoints or Endpoint)),
                              count, as_json))  # fmt: skip


async def _serve(
    host: str, port: int, client: FhirClientSettings, plan: FhirFaultPlan, count: int | None, as_json: bool
) -> int:
    loop, requests = asyncio.get_running_loop(), asyncio.Queue[FhirRequestSeen]()

    def seen(request: FhirRequestSeen) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(requests.put_nowait, request)

    simulator = FhirSimulator(client, seen=seen)
    simulator.plan(plan)
    try:
        simulator.start(host, port)
    except ValueError as error:
        raise Stop(f"the simulated FHIR server listens only on this machine, such as 127.0.0.1: {error}") from None
    except OSError as error:
        raise Stop(f"cannot listen on {host}:{port}: {error.strerror or error}") from None
    try:
        with signalled() as signal_received:
            _introduce(simulator, as_json)
            following = asyncio.create_task(_follow(requests, count, as_json))
            awaited: set[asyncio.Future[Any]] = {following, signal_received}
            await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
            if following.done():
                following.result()
            following.cancel()
    finally:
        await asyncio.to_thread(simulator.stop)
    return OK


def _introduce(simulator: FhirSimulator, as_json: bool) -> None:
    client_id = simulator.sign_in.client.client_id
    if as_json:
        print_json({"fhir_base_url": simulator.base_url, "issuer": simulator.issuer, "client_id": client_id})
        return
    print(f"simulated FHIR server at {simulator.base_url}; sign-in with client id {client_id}")
    print(f"OpenID Connect issuer: {simulator.issuer}")
    print(
        f'faults: POST {simulator.origin}/simulator/faults {{"faults": ["wrong_nonce"]}}, or --fault; see --help',
        flush=True,
    )


async def _follow(requests: asyncio.Queue[FhirRequestSeen], count: int | None, as_json: bool) -> None:
    """Print each request, and end after `count` of them. None: never."""
    shown = 0
    while count is None or shown < count:
        request = await requests.get()
        shown += 1
        if as_json:
            print_json(
                {"time": iso(request.time), "method": request.method, "path": request.path, "status": request.status}
            )
        else:
            print(f"{iso(request.time)}  {request.method} {request.path}: {request.status}", flush=True)
