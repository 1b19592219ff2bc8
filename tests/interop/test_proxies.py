"""The configurations of docs/how-to/reverse-proxy.md, run by the proxies themselves in front of a real service."""

from __future__ import annotations

import asyncio
import http.client
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import pytest
from twilio.request_validator import RequestValidator

from docs.generate import DOCS
from listener.client import MllpClient, SendError
from listener.tls import client_context
from tests.listener.certificates import Pair
from tests.listener.certificates import make as make_pair
from tests.story.clinic import Ack, Clinic, opened
from tests.story.ehr import signed, unsigned
from tests.story.folder import CLOCK, change, make

PAGE: Final = (DOCS / "how-to" / "reverse-proxy.md").read_text("utf-8")
TOKEN: Final = "0123456789abcdef0123456789abcdef"
PUBLIC: Final = "https://sms.lamna.example"


def _block(language: str, first_word: str) -> str:
    """The page's block of that language that begins so."""
    block: str
    [block] = re.findall(rf"^```{language}\n({first_word}.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    return block


def _needs(program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not on this machine")


def _free() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@dataclass(frozen=True, slots=True)
class Proxy:
    """Where it listens."""

    port: int


@contextmanager
def _running(words: list[str], port: int, log: Path) -> Iterator[Proxy]:
    with log.open("wb") as output:
        process = subprocess.Popen(words, stdout=output, stderr=output)
    try:
        while True:
            assert process.poll() is None, log.read_text()
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
            except OSError:
                continue
            break
        yield Proxy(port)
    finally:
        process.terminate()
        process.wait()


@contextmanager
def _nginx(folder: Path, behind: int, pair: Pair) -> Iterator[Proxy]:
    port = _free()
    server = _block("nginx", "server").replace("listen 443 ssl", f"listen 127.0.0.1:{port} ssl")
    server = server.replace("127.0.0.1:8080", f"127.0.0.1:{behind}")
    server = server.replace("/etc/nginx/sms.pem", str(pair.certificate_file)).replace(
        "/etc/nginx/sms.key", str(pair.key_file)
    )
    temporary = "".join(
        f"{name}_temp_path {folder}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log; events {{}}\nhttp {{\n{temporary}{server}}}\n"
    )
    with _running(["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")], port, folder / "proxy.log") as proxy:
        yield proxy


@contextmanager
def _haproxy(folder: Path, behind: int, pair: Pair) -> Iterator[Proxy]:
    port = _free()
    (folder / "sms.pem").write_bytes(pair.certificate_file.read_bytes() + pair.key_file.read_bytes())
    written = _block("haproxy", "frontend webhooks").replace("bind :443", f"bind 127.0.0.1:{port}")
    written = written.replace("127.0.0.1:8080", f"127.0.0.1:{behind}").replace(
        "/etc/haproxy/sms.pem", str(folder / "sms.pem")
    )
    defaults = "defaults\n    timeout connect 5s\n    timeout client 30s\n    timeout server 30s\n"
    (folder / "haproxy.cfg").write_text(defaults + written)
    with _running(["haproxy", "-db", "-f", str(folder / "haproxy.cfg")], port, folder / "proxy.log") as proxy:
        yield proxy


@contextmanager
def _caddy(folder: Path, behind: int, pair: Pair) -> Iterator[Proxy]:
    port = _free()
    site = _block("caddy", "sms").replace("127.0.0.1:8080", f"127.0.0.1:{behind}")
    site = site.replace(
        "sms.lamna.example {", f"https://127.0.0.1:{port} {{\n\ttls {pair.certificate_file} {pair.key_file}"
    )
    lines = (
        "admin off",
        "auto_https disable_redirects",
        f"storage file_system {folder}/caddy",
        "default_bind 127.0.0.1",
    )
    options = "{\n" + "".join(f"\t{line}\n" for line in lines) + "}\n"
    (folder / "Caddyfile").write_text(options + site)
    words = ["caddy", "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]
    with _running(words, port, folder / "proxy.log") as proxy:
        yield proxy


HTTP_PROXIES: Final = {"nginx": _nginx, "haproxy": _haproxy, "caddy": _caddy}


@pytest.mark.interop
@pytest.mark.parametrize("name", HTTP_PROXIES)
async def test_a_signed_webhook_gets_through_and_nothing_else(tmp_path: Path, name: str) -> None:
    _needs(name)
    path = make(
        tmp_path / "clinic",
        {
            "http": {"enabled": True, "port": 0},
            "gateway": {
                "kind": "twilio",
                "twilio": {
                    "account_sid": "AC" + "0" * 32, "auth_token_file": "token",
                    "public_url": PUBLIC, "api_base_url": "http://127.0.0.1:9",
                },
            },
        },
    )  # fmt: skip
    (path.parent / "token").write_text(TOKEN)
    (path.parent / "token").chmod(0o400)
    async with opened(path) as clinic:
        assert clinic.service.http is not None
        pair = make_pair(tmp_path, "sms.lamna.example")
        with HTTP_PROXIES[name](tmp_path, clinic.service.http[1], pair) as proxy:
            fields = {"MessageSid": "SM" + "0" * 32, "MessageStatus": "delivered"}
            signature = RequestValidator(TOKEN).compute_signature(f"{PUBLIC}/twilio/status", fields)
            ask = _asking(proxy, pair)
            assert await asyncio.to_thread(ask, "POST", "/twilio/status", fields, signature) in (200, 204)
            assert await asyncio.to_thread(ask, "POST", "/twilio/status", fields, "forged") == 403
            assert await asyncio.to_thread(ask, "GET", "/health") == 404
            assert await asyncio.to_thread(ask, "GET", "/metrics") == 404
        assert len(clinic.events("webhook_refused")) == 1


def _asking(proxy: Proxy, pair: Pair) -> Callable[..., int]:
    context = ssl.create_default_context(cadata=pair.pem.decode())
    context.check_hostname = False

    def ask(method: str, path: str, fields: dict[str, str] | None = None, signature: str = "") -> int:
        connection = http.client.HTTPSConnection("127.0.0.1", proxy.port, context=context, timeout=30)
        headers = {"X-Twilio-Signature": signature, "Content-Type": "application/x-www-form-urlencoded"}
        try:
            connection.request(method, path, urlencode(fields or {}), headers)
            return connection.getresponse().status
        finally:
            connection.close()

    return ask


# Before the HL7 ports


@contextmanager
def _balancer(folder: Path, behind: int, *, more: str = "") -> Iterator[Proxy]:
    port = _free()
    written = _block("haproxy", "frontend mllp").replace("bind :2575", f"bind 127.0.0.1:{port}")
    written = written.replace("127.0.0.1:2575 check", f"127.0.0.1:{behind} check{more}")
    (folder / "balancer.cfg").write_text(written)
    with _running(["haproxy", "-db", "-f", str(folder / "balancer.cfg")], port, folder / "balancer.log") as proxy:
        yield proxy


def _mutual(folder: Path, server: Pair, engine: Pair) -> Path:
    path = make(folder)
    (folder / "certs" / "engine.cer").write_bytes(engine.pem)
    server.key_file.chmod(0o400)
    tls = {"certificate": str(server.certificate_file), "key": str(server.key_file)}
    environment = {"authentication": "mutual-tls", "certificates": ["certs/engine.cer"], "listener": {"tls": tls}}
    change(path, {"environments": {"production": environment}})
    return path


@pytest.mark.interop
async def test_mutual_tls_passes_through_a_balancer(tmp_path: Path) -> None:
    _needs("haproxy")
    server, engine = make_pair(tmp_path, "carebell.example"), make_pair(tmp_path, "engine.example")
    now = datetime.now(UTC)  # these certificates are valid now
    async with opened(_mutual(tmp_path / "clinic", server, engine), at=now) as clinic:
        with _balancer(tmp_path, clinic.port()) as proxy:
            context = client_context(anchors=[server.pem], certificate=engine.certificate_file, key=engine.key_file)
            client = await MllpClient.connect("127.0.0.1", proxy.port, tls=context, server_name="carebell.example")
            ack = Ack((await client.send(unsigned("S12", "1", sent=now, start=now + timedelta(days=9)))).content)
            await client.close()
        assert ack.code == "AA"
        assert clinic.events("connection_refused") == []  # its health checks are probes


async def _through(clinic: Clinic, proxy: Proxy) -> str:
    client = await MllpClient.connect("127.0.0.1", proxy.port)
    try:
        return Ack((await client.send(signed("S12", "1", sent=CLOCK, start=CLOCK + timedelta(days=9)))).content).code
    finally:
        await client.close()


@pytest.mark.interop
async def test_signed_messages_pass_and_the_proxy_protocol_is_refused_by_name(tmp_path: Path) -> None:
    _needs("haproxy")
    async with opened(make(tmp_path / "clinic")) as clinic:
        with _balancer(tmp_path, clinic.port()) as proxy:
            assert await _through(clinic, proxy) == "AA"
        with _balancer(tmp_path, clinic.port(), more=" send-proxy") as proxy:
            with pytest.raises(SendError):
                await _through(clinic, proxy)
            await clinic.until(lambda: bool(clinic.events("framing_error")))
