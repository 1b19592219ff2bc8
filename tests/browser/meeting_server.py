"""A simulated Jitsi server as a browser meets it: a page of its own, which notes who came in."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from scheduler.visit_life import VisitRole
from simulator.meetings.jitsi import Occupant, SimulatedJitsi


@dataclass
class MeetingServer:
    """A server of meetings on this machine: whoever opens an address with a token is in its room, and Carebell is told.

    Attributes:
        url: of the server.
        jitsi: who is in which room; None: it does not know Carebell yet.
    """

    url: str = ""
    jitsi: SimulatedJitsi | None = None
    there: dict[VisitRole, Occupant] = field(default_factory=dict)

    def enter(self, address: str) -> None:
        assert self.jitsi is not None
        occupant = self.jitsi.enter(address)
        self.there[VisitRole(occupant.role)] = occupant

    def leave(self, code: str, role: VisitRole) -> None:
        assert self.jitsi is not None
        self.jitsi.leave(code, self.there.pop(role))


@contextmanager
def meeting_server() -> Iterator[MeetingServer]:
    made = MeetingServer()

    class Rooms(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if "jwt=" in self.path:
                made.enter(made.url + self.path)
            body = b"<!doctype html><html lang='en'><title>Meeting</title><h1>The meeting</h1></html>"
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Rooms)
    made.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
