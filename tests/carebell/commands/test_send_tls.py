"""`send` and a TLS port: what the analyst reads when the one does not fit the other."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.carebell.conftest import Carebell
from tests.listener.certificates import make as make_pair
from tests.story.clinic import opened
from tests.story.ehr import unsigned
from tests.story.folder import change, make


async def test_what_is_wrong_is_said_on_both_sides(tmp_path: Path, carebell: Carebell) -> None:
    """A mutual-TLS port: without TLS, without a certificate, with another one, by another name, and as it should be."""
    now = datetime.now(UTC)  # OpenSSL judges the listener's certificate by the machine's clock
    path = make(tmp_path / "clinic")
    folder = path.parent
    server, engine = make_pair(tmp_path, "carebell.example"), make_pair(tmp_path, "engine.example")
    stranger = make_pair(tmp_path, "stranger.example")
    (folder / "certs" / "engine.cer").write_bytes(engine.pem)
    server.key_file.chmod(0o400)
    tls = {"certificate": str(server.certificate_file), "key": str(server.key_file)}
    environment = {"authentication": "mutual-tls", "certificates": ["certs/engine.cer"], "listener": {"tls": tls}}
    change(path, {"environments": {"production": environment}})
    message = folder / "booking.hl7"
    message.write_bytes(unsigned("S12", "1", sent=now, start=now + timedelta(days=9)))
    trust = ["--tls-ca", server.certificate_file, "--tls-name", "carebell.example"]
    async with opened(path, at=now) as clinic:
        port = f"127.0.0.1:{clinic.port()}"

        async def send(*options: object) -> tuple[int, str]:
            ended = await asyncio.to_thread(carebell, "send", message, "--to", port, *options)
            return ended.code, ended.out + ended.err

        def logged(reason: str) -> bool:
            return any(line["reason"] == reason for line in clinic.events("connection_refused"))

        code, said = await send()
        assert (code, "if this port wants TLS, send with --tls-ca" in said) == (75, True)
        await clinic.until(lambda: logged("tls_failed"))
        code, said = await send(*trust)
        assert (code, "alert certificate required" in said) == (75, True)
        await clinic.until(lambda: logged("no_client_certificate"))
        code, said = await send(*trust, "--tls-cert", stranger.certificate_file, "--tls-key", stranger.key_file)
        assert (code, "alert unknown ca" in said) == (75, True)
        await clinic.until(lambda: logged("client_certificate_refused"))
        [line] = [
            line for line in clinic.events("connection_refused") if line["reason"] == "client_certificate_refused"
        ]
        assert line["thumbprint"] == stranger.thumbprint[:8]
        code, said = await send(*trust, "--tls-cert", engine.certificate_file, "--tls-key", stranger.key_file)
        assert (code, "is not the private key of" in said) == (1, True)
        code, said = await send("--tls-ca", server.certificate_file, "--tls-name", "other.example")
        assert (code, "Hostname mismatch" in said) == (75, True)
        code, said = await send("--tls-ca", stranger.certificate_file, "--tls-name", "carebell.example")
        assert (code, "the server's certificate is not accepted" in said) == (75, True)
        code, said = await send(*trust, "--tls-cert", engine.certificate_file, "--tls-key", engine.key_file)
        assert (code, ": AA (" in said) == (0, True)


async def test_tls_to_a_port_that_has_none(tmp_path: Path, carebell: Carebell) -> None:
    path = make(tmp_path / "clinic")
    message = path.with_name("booking.hl7")
    message.write_bytes(unsigned("S12", "1", sent=datetime.now(UTC), start=datetime.now(UTC)))
    async with opened(path) as clinic:
        ended = await asyncio.to_thread(carebell, "send", message, "--to", f"127.0.0.1:{clinic.port()}", "--tls")
        assert ended.code == 75
        assert "closed the connection in the TLS handshake; perhaps this port has no TLS" in ended.sentence
        await clinic.until(lambda: bool(clinic.events("framing_error") or clinic.events("connection_lost")))
