"""Serve the simulated FHIR server on this machine: threads and sockets, and the faults that need them.

    GET  /api/FHIR/R4/.well-known/smart-configuration
    GET  /api/FHIR/R4/metadata
    GET  /oauth2/.well-known/openid-configuration
    GET  /oauth2/jwks
    GET  /oauth2/authorize       a page with a form; POST sends the browser back to the application
    POST /oauth2/token           of a sign-in; or of a client by itself, with a signed assertion
    ...  /api/FHIR/R4/{type}     with such a token, see `simulator.fhir.records`
    POST /simulator/faults       {"faults": ["wrong_nonce"], "at": ["token"]}, see `simulator.fhir.faults`
    POST /simulator/launches     {"user": "dana", "context": {"sessionId": "900100"}}: begin a launch; its `iss` and `launch`
    POST /simulator/answers      {"next": ["409", "slow"]}: what happens to the next requests for resources
    POST /simulator/keys         {"keys": [...]}: the JWK set with which the client proves who it is
    POST /simulator/appointments {"id": "1", "status": "booked", "system": "urn:oid:1.2"}
    GET  /simulator/records      the appointments, what was created, and connection states

The addresses in its documents name the address that it listens on, so it cannot stand behind a proxy or on another machine.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from simulator.fhir.documents import (
    BASE_PATH,
    SIGN_IN_PATH,
    capability_statement,
    conformance,
    openid_configuration,
    smart_configuration,
)
from simulator.fhir.faults import Endpoint, FhirFault, FhirFaultPlan, ResourceAct, read_fhir_plan
from simulator.fhir.resources import SimulatedResources
from simulator.fhir.sign_in import FhirClientSettings, PageAnswer, SimulatedSignIn
from simulator.fhir.tokens import TokenSigner

_LONGEST_BODY: Final = 65_536
_HUGE: Final = 4_000_000
_DRIP_SECONDS: Final = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class FhirRequestSeen:
    """One request, for people who watch: no code, token or secret."""

    time: datetime
    method: str
    path: str
    status: int


class FhirSimulator:
    """A simulated FHIR server: `start`, then `url`, then `stop`. Its methods may be called from any thread.

    Args:
        signer: shared between simulators, it spares the making of keys.
        seen: is told of each request after its answer.
    """

    def __init__(
        self,
        client: FhirClientSettings | None = None,
        *,
        vendor: str = "Epic",
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        signer: TokenSigner | None = None,
        seen: Callable[[FhirRequestSeen], None] = lambda _request: None,
    ) -> None:
        self.sign_in = SimulatedSignIn(client or FhirClientSettings(), signer or TokenSigner())
        self.resources = SimulatedResources(self.sign_in.client.client_id)
        self.vendor = vendor
        self.clock = clock
        self.seen = seen
        self.ending = threading.Event()
        self.lock = threading.Lock()
        self.origin = ""
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def base_url(self) -> str:
        """The FHIR base URL."""
        return self.origin + BASE_PATH

    @property
    def issuer(self) -> str:
        return self.origin + SIGN_IN_PATH

    def start(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Listen; port 0 takes a free one. Returns the FHIR base URL.

        Raises:
            ValueError: `host` is not in 127.0.0.0/8.
            OSError: the port is taken.
        """
        if not IPv4Address(host).is_loopback:
            raise ValueError(f"{host} is not an address of this machine alone")
        self._server = _Server((host, port), self)
        self.origin = f"http://{host}:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        return self.base_url

    def stop(self) -> None:
        """Stop listening and end every answer under way."""
        self.ending.set()
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()

    def plan(self, plan: FhirFaultPlan) -> None:
        """The faults from now on."""
        with self.lock:
            self.sign_in.plan = plan


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    block_on_close = True

    def __init__(self, address: tuple[str, int], simulator: FhirSimulator) -> None:
        self.simulator = simulator
        super().__init__(address, _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone is no news."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = 10
    protocol_version = "HTTP/1.0"  # a connection for each request: nothing idles when the simulator ends

    def log_message(self, *_words: Any) -> None:
        """The command prints what was asked, without queries."""

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PATCH(self) -> None:
        self._answer()

    def _answer(self) -> None:
        simulator = self.server.simulator
        path = urlsplit(self.path).path
        length = min(int(self.headers.get("Content-Length") or 0), _LONGEST_BODY)
        body = self.rfile.read(length)
        act = ResourceAct.OK
        with simulator.lock:
            if simulator.resources.serves(path):
                endpoint = None
                act, given = simulator.resources.answer(
                    self.command, path, urlsplit(self.path).query, body, self.headers, simulator.clock()
                )
            else:
                endpoint, given = _routed(simulator, self.command, path, urlsplit(self.path).query, body, self.headers)
            fault = None if endpoint is None else simulator.sign_in.plan.connection_fault(endpoint)
        if act is ResourceAct.SLOW:
            self._misbehave(FhirFault.SLOW)
        elif fault is not None:
            self._misbehave(fault)
        elif act not in (ResourceAct.LOST_BEFORE, ResourceAct.LOST_AFTER):
            self._send(given)
        simulator.seen(
            FhirRequestSeen(time=simulator.clock(), method=self.command, path=path, status=given.status)
        )  # fmt: skip

    def _send(self, given: PageAnswer) -> None:
        self.send_response(given.status)
        if given.location is not None:
            self.send_header("Location", given.location)
        for name, value in given.headers.items():
            self.send_header(name, value)
        data = b"" if given.html is None else given.html.encode()
        if given.document is not None:
            data = json.dumps(given.document).encode()
        media_type = "application/json" if given.document is not None else "text/html; charset=utf-8"
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(data)

    def _misbehave(self, fault: FhirFault) -> None:
        if fault is FhirFault.REDIRECT:
            self._send(PageAnswer(status=302, location="http://169.254.169.254/latest/meta-data/"))
        elif fault is FhirFault.NOT_JSON:
            self._send(PageAnswer(html="<p>Please sign in."))
        else:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            if fault is FhirFault.HUGE:
                self.wfile.write(b'{"filler": "' + b"x" * _HUGE + b'"}')
            while fault is FhirFault.SLOW and not self.server.simulator.ending.wait(_DRIP_SECONDS):
                self.wfile.write(b" ")
                self.wfile.flush()


def _routed(
    simulator: FhirSimulator, method: str, path: str, raw_query: str, body: bytes, headers: Any
) -> tuple[Endpoint | None, PageAnswer]:
    """(where it is, what is answered). Never raises for what a client sent."""
    sign_in, now = simulator.sign_in, simulator.clock()
    faults, issuer, base_url = sign_in.plan.faults, simulator.issuer, simulator.base_url
    query = dict(parse_qsl(raw_query, keep_blank_values=True))
    form = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)) if method == "POST" else {}
    named = "https://another.example" if FhirFault.OTHER_ISSUER_IN_DOCUMENT in faults else issuer
    if (method, path) == ("GET", f"{BASE_PATH}/.well-known/smart-configuration"):
        document = (
            None
            if FhirFault.NO_SMART in faults
            else smart_configuration(
                simulator.origin,
                issuer=named,
                scopes="permission-v1" if FhirFault.OLD_SCOPES in faults else "permission-v2",
            )
        )
        return Endpoint.SMART_CONFIGURATION, _document(document)
    if (method, path) == ("GET", f"{BASE_PATH}/metadata"):
        write = conformance if FhirFault.DSTU2 in faults else capability_statement
        return Endpoint.METADATA, _document(write(base_url, vendor=simulator.vendor))
    if (method, path) == ("GET", f"{SIGN_IN_PATH}/.well-known/openid-configuration"):
        return Endpoint.OPENID_CONFIGURATION, _document(openid_configuration(simulator.origin, issuer=named))
    if (method, path) == ("GET", f"{SIGN_IN_PATH}/jwks"):
        return Endpoint.KEYS, _document(sign_in.signer.published())
    if (method, path) == ("GET", f"{SIGN_IN_PATH}/authorize"):
        return None, sign_in.page(query, base_url=base_url, issuer=issuer, now=now)
    if (method, path) == ("POST", f"{SIGN_IN_PATH}/authorize"):
        return None, sign_in.decide(form, base_url=base_url, issuer=issuer, now=now)
    if (method, path) == ("POST", f"{SIGN_IN_PATH}/token") and form.get("grant_type") == "client_credentials":
        return Endpoint.TOKEN, simulator.resources.token(form, sign_in.plan, simulator.origin + path, now)
    if (method, path) == ("POST", f"{SIGN_IN_PATH}/token"):
        return Endpoint.TOKEN, sign_in.token(form, headers.get("Authorization") or "", issuer=issuer, now=now)
    if (method, path) == ("POST", "/simulator/faults"):
        return None, _steered(sign_in, body)
    if (method, path) == ("POST", "/simulator/launches"):
        return None, _launched(sign_in, body, base_url)
    if path.startswith("/simulator/"):
        return None, simulator.resources.steered(method, path.removeprefix("/simulator/"), body)
    return None, PageAnswer(status=404, document={"resourceType": "OperationOutcome"})


def _document(document: dict[str, Any] | None) -> PageAnswer:
    if document is None:
        return PageAnswer(status=404, document={"resourceType": "OperationOutcome"})
    return PageAnswer(document=document)


def _steered(sign_in: SimulatedSignIn, body: bytes) -> PageAnswer:
    try:
        given = json.loads(body or b"{}")
        if not isinstance(given, dict):
            raise ValueError("a JSON object was expected")
        sign_in.plan = read_fhir_plan(given)
    except ValueError as error:
        return PageAnswer(status=400, document={"error": str(error)})
    return PageAnswer(document={"faults": sorted(fault.value for fault in sign_in.plan.faults)})


def _launched(sign_in: SimulatedSignIn, body: bytes, base_url: str) -> PageAnswer:
    try:
        given = json.loads(body or b"{}")
        context = given.get("context", {}) if isinstance(given, dict) else None
        if not isinstance(context, dict) or not all(isinstance(value, str) for value in context.values()):
            raise ValueError("context is an object of texts")
        word = sign_in.launch(context, str(given.get("user", "dana")))
    except ValueError as error:
        return PageAnswer(status=400, document={"error": str(error)})
    return PageAnswer(document={"iss": base_url, "launch": word})


@contextlib.contextmanager
def running_fhir_simulator(
    simulator: FhirSimulator, *, host: str = "127.0.0.1", port: int = 0
) -> Iterator[FhirSimulator]:
    """A simulated FHIR server that listens until the block ends."""
    simulator.start(host, port)
    try:
        yield simulator
    finally:
        simulator.stop()
