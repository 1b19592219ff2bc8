"""`demo --stay`: the whole product in a browser with one command.

It serves until Ctrl-C, with the portal on, a simulated gateway, and a feed that goes on.
The folder's `carebell.yaml` is edited, not overridden, so that the portal's pages can change it as they would at a clinic.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, TextIO

from carebell import authors
from carebell.bootstrap.service import ROLES, Service
from carebell.commands.output import print_json
from carebell.commands.serve import serve
from carebell.commands.signer import signer
from carebell.commands.simulated_ehr import feed_of
from carebell.commands.simulated_feed import DemoFeed, engine_script, script_telephones
from carebell.commands.simulated_twilio import ACCOUNT, account_of
from carebell.exits import Stop
from carebell.staff.administration import Administration
from carebell.staff.passwords import Passwords
from carebell.staff.people_context import PeopleContext, approvers_by_environment
from config.edit import Edit, edited
from listener.client import MllpClient
from portal.people import Invitation
from portal.roles import Role
from simulator.ehr import stream
from simulator.fhir.server import FhirSimulator
from simulator.fhir.sign_in import FhirClientSettings
from simulator.inbound import InboundEngine
from simulator.twilio_api import TwilioSimulator

LOGIN: Final = "kim"
_TOKEN_FILE: Final = "twilio.token"  # noqa: S105  # a file's name
_PORTS: Final = {
    "production": 2575,
    "test": 2576,
    "http": 8080,
    "portal": 8443,
    "twilio": 8444,
    "fhir": 8445,
    "engine": 6661,
}
"""Taken where they are free, so that the documentation's addresses are right."""

_ENGINE_NAMES: Final = {"sending_facility": "LAMNA", "receiving_application": "EPIC", "receiving_facility": "LAMNA"}


def stay(folder: Path, *, as_json: bool) -> int:
    """Serve what `demo` wrote into `folder`."""
    ports = {name: _free_port(number) for name, number in _PORTS.items()}
    prepare(folder, ports)
    return serve(
        folder / "carebell.yaml",
        roles=",".join(ROLES),
        clock=None,
        speed=1.0,
        workers=1,
        as_json=as_json,
        beside=partial(_around, ports=ports),
        log_on_terminal=False,  # it would carry the link away
    )


def prepare(folder: Path, ports: Mapping[str, int]) -> None:
    """Change the folder's configuration, and write the gateway's token that it names.

    Args:
        ports: of `production`, `test`, `http`, `portal`, `twilio` and `engine`.
    """
    configuration, token_file = folder / "carebell.yaml", folder / _TOKEN_FILE
    configuration.write_bytes(edited(configuration.read_bytes(), _edits(ports), configuration.name))
    token_file.touch(mode=0o600)
    token_file.write_text(f"{secrets.token_hex(16)}\n", encoding="ascii")


def _edits(ports: Mapping[str, int]) -> list[Edit]:
    """A portal without second factor, a gateway that is simulated, and texts at any hour: somebody is watching. Patients may
    answer, and what they answer goes back to a simulated engine."""
    portal: dict[str, Any] = {
        "enabled": True,
        "port": ports["portal"],
        "public_url": _url(ports["portal"]),
        "sign_in": {"local": {"second_factor": "none"}},
    }
    production = ("environments", "production")
    sms = (*production, "sms")
    writeback = {
        "events": {"confirmed": "hl7", "cannot_come": "hl7", "call_me": "hl7"},
        "hl7": {"host": "127.0.0.1", "port": ports["engine"], **_ENGINE_NAMES},
    }
    return [
        Edit(("gateway", "kind"), "twilio"),
        Edit(("gateway", "twilio", "account_sid"), ACCOUNT),
        Edit(("gateway", "twilio", "auth_token_file"), _TOKEN_FILE),
        Edit(("gateway", "twilio", "api_base_url"), _url(ports["twilio"])),
        Edit(("gateway", "twilio", "public_url"), _url(ports["http"])),
        Edit(("gateway", "segments_per_second"), {"+14255550100": 10.0}),
        Edit(("http", "port"), ports["http"]),
        Edit(("portal",), portal),
        Edit((*production, "listener", "port"), ports["production"]),
        Edit(("environments", "test", "listener", "port"), ports["test"]),
        Edit((*sms, "quiet_hours"), None),
        Edit((*sms, "debounce"), "5s"),
        Edit((*sms, "replies"), {"enabled": True}),
        Edit((*production, "writeback"), writeback),
    ]


@asynccontextmanager
async def _around(service: Service, rows: TextIO | None, *, ports: Mapping[str, int]) -> AsyncIterator[None]:
    """The simulated world, and the first administrator's way in."""
    rng = random.Random()  # noqa: S311  # a simulation's, not a secret
    settings, callbacks_to = account_of(service.loaded)
    simulator = TwilioSimulator(settings, rng=rng, deliver_to=callbacks_to)
    script_telephones(simulator.account)
    fhir = FhirSimulator(FhirClientSettings())
    async with AsyncExitStack() as world:
        try:
            await simulator.start(port=ports["twilio"])
        except OSError as error:
            raise _not_listening("Twilio", ports["twilio"], error) from None
        world.push_async_callback(simulator.stop)
        try:
            fhir.start("127.0.0.1", ports["fhir"])
        except OSError as error:
            raise _not_listening("FHIR server", ports["fhir"], error) from None
        world.push_async_callback(asyncio.to_thread, fhir.stop)
        engine = InboundEngine(script=engine_script(rng))
        try:
            await engine.start(port=ports["engine"])
        except OSError as error:
            raise _not_listening("interface engine", ports["engine"], error) from None
        world.push_async_callback(engine.stop)
        link = await asyncio.to_thread(_first_link, service)
        _say(service, link, fhir, ports["engine"], rows)
        running = asyncio.create_task(_feed(service, simulator, rng).run())
        try:
            yield
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running


def _not_listening(what: str, port: int, error: OSError) -> Stop:
    return Stop(f"cannot listen on 127.0.0.1:{port} for the simulated {what}: {error.strerror or error}")


def _feed(service: Service, simulator: TwilioSimulator, rng: random.Random) -> DemoFeed:
    environment = service.loaded.configuration.environments["production"]
    folder = service.loaded.path.parent
    number = next(number for port, number in service.ports if "production" in port.environments)
    return DemoFeed(
        connect=lambda: MllpClient.connect("127.0.0.1", number),
        messages=stream(rng, lambda: datetime.now(UTC), feed=feed_of(environment)),
        sign=signer(folder / "keys" / "production.key.pem", folder / "certs" / "production.cer"),
        simulator=simulator,
        rng=rng,
    )


def _first_link(service: Service) -> str:
    """Invite the first administrator. Blocking."""
    context = PeopleContext(
        store=service.store,
        vault=service.vault,
        settings=lambda: service.loaded.configuration.portal,
        organization=lambda: service.loaded.configuration.organization.name,
        environments=lambda: approvers_by_environment(service.loaded.configuration),
        now=service.clock.now,
        passwords=Passwords(),
    )
    with service.store.write() as conn:
        invitation = Administration(context).invite(
            conn, authors.service(service.node), LOGIN, "Kim", Role.ADMINISTRATOR.value, ()
        )
    if not isinstance(invitation, Invitation):
        raise Stop(f"the demonstration's user {LOGIN} was refused: {invitation.reason}")
    return f"{service.loaded.configuration.portal.public_url}/set-up/{invitation.token}"


def _say(service: Service, link: str, fhir: FhirSimulator, engine_port: int, rows: TextIO | None) -> None:
    client_id = fhir.sign_in.client.client_id
    if rows is not None:
        print_json({"time": None, "what": "portal", "user": LOGIN, "link": link}, rows)
        print_json({"time": None, "what": "fhir", "fhir_base_url": fhir.base_url, "client_id": client_id}, rows)
        print_json({"time": None, "what": "engine", "host": "127.0.0.1", "port": engine_port}, rows)
        return
    print(
        f"\nOpen this in a browser and choose a password; the link works once, and your user name is {LOGIN}:\n"
        f"  {link}\n"
        "An invented hospital books, moves and cancels visits, and its patients answer now and then. Texts go to a simulated\n"
        "Twilio, and what patients answer goes back to a simulated interface engine, which refuses one in ten (page Sent back):\n"
        "nothing leaves this machine. To connect a test environment, give it the simulated EHR's FHIR base URL:\n"
        f"  {fhir.base_url}   client id: {client_id}\n"
        f"Commands work beside it: carebell -c {service.loaded.path} status\n"
        "Ctrl-C ends it.",
        flush=True,
    )


def _url(port: int) -> str:
    return f"http://127.0.0.1:{port}"


def _free_port(wanted: int) -> int:
    """`wanted`, or any other if another program has it."""
    for number in (wanted, 0):
        with suppress(OSError), socket.create_server(("127.0.0.1", number)) as probe:
            return int(probe.getsockname()[1])
    raise Stop("no port is free on 127.0.0.1")
