"""A gateway on loopback that speaks the protocol of docs/reference/http-gateway.md, takes each key once, and breaks off as told."""

from __future__ import annotations

import json
import socket
import struct
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

from notifier.http_json.webhooks import sign_event

TOKEN, SECRET = "bearer-t0ken", "webhook-s3cret"
Fault = Literal["none", "reset_before", "reset_after", "rate_limited", "unreachable_number"]


@dataclass
class JsonGateway:
    """Attributes:
    faults: what happens to the next creates, in turn; "none" from then on.
    taken: key -> the text, as it came first. posts: (key, whether it was taken before).
    """

    url: str = ""
    faults: list[Fault] = field(default_factory=list)
    taken: dict[str, dict[str, Any]] = field(default_factory=dict)
    posts: list[tuple[str, bool]] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    unauthorized: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def create(self, key: str, text: dict[str, Any]) -> tuple[Fault, int, dict[str, Any]]:
        with self.lock:
            fault: Fault = self.faults.pop(0) if self.faults else "none"
            self.posts.append((key, key in self.taken))
            if fault == "rate_limited":
                return fault, 429, {"code": "rate_limited"}
            if fault == "unreachable_number":
                return fault, 422, {"code": "invalid_number"}
            if fault != "reset_before":
                self.taken.setdefault(key, {**text, "id": f"gw-{len(self.taken) + 1}", "status": "accepted"})
                return fault, 202, self.message(key)
            return fault, 0, {}

    def message(self, key: str) -> dict[str, Any]:
        text = self.taken[key]
        return {name: text[name] for name in ("id", "status", "code") if name in text}

    def find(self, path: str, query: dict[str, list[str]]) -> dict[str, Any] | None:
        with self.lock:
            wanted = path.removeprefix("/texts").strip("/")
            for key, text in self.taken.items():
                if query.get("key") == [key] or text["id"] == wanted:
                    return self.message(key)
        return None

    # Its events

    def tell(self, events_url: str, event: dict[str, Any], *, secret: str = SECRET, at: datetime | None = None) -> int:
        """Post an event; the HTTP status that it got."""
        body = json.dumps(event).encode()
        return post(events_url, body, signed(body, secret, at or datetime.now(UTC)))

    def report(self, key: str, status: str, code: str | None = None) -> int:
        """A text's new status, told where its create asked for."""
        text = self.taken[key]
        text["status"] = status
        event = {"event": "status", "key": key, "id": text["id"], "status": status}
        return self.tell(text["events_url"], event | ({} if code is None else {"code": code}))


def signed(body: bytes, secret: str, at: datetime) -> dict[str, str]:
    timestamp = str(int(at.timestamp()))
    return {"X-Carebell-Timestamp": timestamp, "X-Carebell-Signature": sign_event(secret, timestamp, body)}


def post(url: str, body: bytes, headers: dict[str, str]) -> int:
    request = urllib.request.Request(url, body, {"Content-Type": "application/json", **headers}, method="POST")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


@contextmanager
def running() -> Iterator[JsonGateway]:
    """On a free port; gone at the end."""
    gateway = JsonGateway()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self, status: int, body: dict[str, Any] | None = None) -> None:
            content = b"" if body is None else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def _is_known(self) -> bool:
            if self.headers.get("Authorization") == f"Bearer {TOKEN}":
                return True
            gateway.unauthorized += 1
            self._answer(401)
            return False

        def do_POST(self) -> None:  # the name that http.server looks for
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if not self._is_known():
                return
            fault, status, answer = gateway.create(self.headers["Idempotency-Key"], json.loads(body))
            if fault.startswith("reset"):
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
                self.close_connection = True
            else:
                self._answer(status, answer)

        def do_GET(self) -> None:
            if self._is_known():
                parts = urlsplit(self.path)
                message = gateway.find(parts.path, parse_qs(parts.query))
                self._answer(404 if message is None else 200, message)

        def do_DELETE(self) -> None:
            if self._is_known():
                gateway.deleted.append(self.path.rpartition("/")[2])
                self._answer(204)

        def finish(self) -> None:
            with suppress(OSError):  # the socket was reset on purpose
                super().finish()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # http.server's name
            """Silent."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """Silent: connections break here on purpose."""

    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    gateway.url = f"http://127.0.0.1:{server.server_address[1]}/texts"
    try:
        yield gateway
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
