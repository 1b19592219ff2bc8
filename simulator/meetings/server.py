"""Serve a simulated meeting service on this machine: JSON over HTTP, and answers that never come."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Protocol
from urllib.parse import parse_qsl, urlsplit

_LONGEST_BODY: Final = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceRequest:
    """What was asked. `headers`: names in lower case. `form`: of a form, or the query."""

    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    query: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode("utf-8", "replace")))

    def document(self) -> dict[str, Any]:
        read = json.loads(self.body or b"{}")
        return read if isinstance(read, dict) else {}


Answer = tuple[int, Mapping[str, Any]]


class SimulatedService(Protocol):
    """What a simulated service answers; None: the connection ends without an answer. Called by one thread at a time."""

    def answer(self, request: ServiceRequest) -> Answer | None: ...


class _ServiceServer(ThreadingHTTPServer):
    daemon_threads = False

    def __init__(self, service: SimulatedService) -> None:
        self.service = service
        self.turn = threading.Lock()
        super().__init__(("127.0.0.1", 0), _ServiceHandler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone is no news."""


class _ServiceHandler(BaseHTTPRequestHandler):
    server: _ServiceServer
    timeout = 10

    def log_message(self, *_words: Any) -> None:
        """Addresses hold what is nobody's business."""

    def _answer(self) -> None:
        parts = urlsplit(self.path)
        length = min(int(self.headers.get("Content-Length") or 0), _LONGEST_BODY)
        request = ServiceRequest(
            method=self.command,
            path=parts.path,
            headers={name.lower(): value for name, value in self.headers.items()},
            query=dict(parse_qsl(parts.query)),
            body=self.rfile.read(length),
        )
        with self.server.turn:
            answer = self.server.service.answer(request)
        if answer is None:
            return
        status, document = answer
        data = b"" if status == 204 else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def do_PATCH(self) -> None:
        self._answer()


@contextlib.contextmanager
def running_service(service: SimulatedService) -> Iterator[str]:
    """Its address, on a free port of this machine, until the block ends."""
    server = _ServiceServer(service)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
