"""`send`: an MLLP client. It prints one line for each message, with its ACK and milliseconds."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Final

from carebell.commands.files import FileMessage, message_files, messages
from carebell.commands.output import print_json
from carebell.commands.signer import signer
from carebell.exits import OK, REFUSED, InterruptedStop, Stop, TransientStop, UsageStop
from certs.msh import read_msh
from certs.sign import SigningError
from journal.lines import plain
from listener.client import ClientReply, MllpClient, SendError, SendFault
from listener.tls import TlsSetupError, client_context


@dataclass(frozen=True, slots=True, kw_only=True)
class SendTls:
    """TLS settings. `ca`: trust this instead of the system's store. `name`: expected in the server's certificate."""

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    name: str | None = None


def send(
    files: Sequence[Path],
    to: str,
    *,
    key: Path | None,
    cert: Path | None,
    tls: SendTls | None,
    repeat: int,
    connections: int,
    timeout: float,
    as_json: bool,
) -> int:
    """Send all messages; 1 if an answer is not AA or CA."""
    host, port = address(to)
    outgoing = [message for file in message_files(files) for message in messages(file)]
    if not outgoing:
        raise Stop("there is no message in these files")
    if (key is None) != (cert is None):
        raise UsageStop("--key and --cert go together")
    if key is not None and cert is not None:
        append_signature = signer(key, cert)
        try:
            outgoing = [replace(message, content=append_signature(message.content)) for message in outgoing]
        except SigningError as error:
            raise Stop(str(error)) from None
    context = tls_context(tls) if tls is not None else None
    sender = _Sender(host, port, context, tls.name if tls else None, timedelta(seconds=timeout), as_json)
    outgoing *= repeat
    try:
        return asyncio.run(sender.run(outgoing, connections))
    except KeyboardInterrupt:
        waiting = min(connections, len(outgoing) - sender.answered)
        raise InterruptedStop(
            f"interrupted: {sender.answered} of {len(outgoing)} messages were answered; {waiting} more may have arrived"
        ) from None


def address(written: str) -> tuple[str, int]:
    """Read HOST:PORT. UsageStop if it has another form."""
    host, _, port = written.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise UsageStop(f"--to: {written!r} is not HOST:PORT, such as 127.0.0.1:2575")
    return host.strip("[]"), int(port)


def tls_context(tls: SendTls) -> ssl.SSLContext:
    """The TLS context for the connection. Stop if a file is not usable."""
    try:
        anchors = [tls.ca.read_bytes()] if tls.ca is not None else None
        return client_context(anchors=anchors, certificate=tls.certificate, key=tls.key)
    except TlsSetupError as error:
        raise Stop(str(error)) from None


_LIKE_A_TLS_PORT: Final = (SendFault.CLOSED, SendFault.RESET, SendFault.NOT_MLLP)
"""How a port that wants TLS ends a connection without it."""


class _Sender:
    """Send on each connection one message at a time and wait for its answer, as interface engines do. Connections take messages in
    turn."""

    def __init__(
        self, host: str, port: int, context: ssl.SSLContext | None, name: str | None, timeout: timedelta, as_json: bool
    ) -> None:
        self._host, self._port, self._context, self._name = host, port, context, name
        self._timeout = timeout
        self._as_json = as_json
        self._refused = False
        self.answered = 0

    async def run(self, outgoing: Sequence[FileMessage], connections: int) -> int:
        try:
            async with asyncio.TaskGroup() as group:
                for index in range(min(connections, max(len(outgoing), 1))):
                    group.create_task(self._connection(outgoing[index::connections]))
        except* SendError as errors:
            [first, *_] = errors.exceptions
            place, why = f"{self._host}:{self._port}", str(first)
            if self._context is None and isinstance(first, SendError) and first.code in _LIKE_A_TLS_PORT:
                why += "; if this port wants TLS, send with --tls-ca"
            raise TransientStop(why if place in why else f"{place}: {why}") from None
        except* BrokenPipeError:  # standard output was closed; faults of the connection are SendErrors
            raise BrokenPipeError from None
        return REFUSED if self._refused else OK

    async def _connection(self, outgoing: Sequence[FileMessage]) -> None:
        client = await MllpClient.connect(
            self._host, self._port, tls=self._context, server_name=self._name, answer_timeout=self._timeout
        )
        try:
            for message in outgoing:
                self._show(message, await client.send(message.content))
        finally:
            await client.close()

    def _show(self, message: FileMessage, answer: ClientReply) -> None:
        self.answered += 1
        control_id = read_msh(message.content).control_id.decode("ascii", "replace")
        code, text = acknowledged(answer.content)
        self._refused = self._refused or code not in ("AA", "CA")
        if self._as_json:
            row = message.place | {"control_id": control_id, "answer": code, "text": text}
            print_json(row | {"milliseconds": round(answer.milliseconds, 1), "ack": answer.content.decode("latin-1")})
        else:
            words = " ".join(part for part in (code, text) if part)
            print(f"{plain(message.name)}: {control_id}: {words} ({answer.milliseconds:.1f} ms)", flush=True)


def acknowledged(content: bytes) -> tuple[str, str]:
    """MSA-1 and MSA-3 of an answer; `?` if it has no MSA."""
    separator = content[3:4] or b"|"
    for segment in content.replace(b"\n", b"\r").split(b"\r"):
        fields = segment.split(separator)
        if fields[0] == b"MSA" and len(fields) > 1:
            text = fields[3] if len(fields) > 3 else b""
            return fields[1].decode("ascii", "replace"), text.decode("latin-1")
    return "?", "the answer has no MSA segment"
