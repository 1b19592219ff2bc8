"""The connection to an EHR's interface engine: opened when it is needed, kept, and one message in flight.

    await connection.open()
    answer = await connection.exchange(content, control_id)      # for one message after the other
    connection.abort()                                           # at the end

An answer counts if its MSA-2 is our MSH-10. Whatever else arrives (other bytes, an answer to another message, a second answer, one
of more than 64 KiB) ends the connection, because nothing that follows could be told apart. The message is then sent again as it is.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from ehr.acknowledgements import EngineAnswer, read_answer
from listener.client import MllpClient, SendError

LONGEST_ANSWER: Final = 64 * 1024


class EngineFault(Exception):
    """There is no answer that counts. `code` is stable: `SendFault` in capitals, NOT_AN_ANSWER or WRONG_ID."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(slots=True, kw_only=True)
class EngineConnection:
    """One connection. Not to be shared between tasks.

    Attributes:
        tls: of `listener.tls.client_context`; None: unencrypted.
        server_name: in the engine's certificate, if it is not `host`.
        timeout: from the message to its answer.
        connect_timeout: for name, TCP and TLS together.
    """

    host: str
    port: int
    timeout: timedelta
    tls: ssl.SSLContext | None = None
    server_name: str | None = None
    connect_timeout: timedelta = timedelta(seconds=10)
    _client: MllpClient | None = field(default=None, init=False)

    @property
    def is_open(self) -> bool:
        return self._client is not None and self._client.is_open

    async def open(self) -> None:
        """Connect, unless it is connected. EngineFault if that is not possible."""
        if self.is_open:
            return
        try:
            self._client = await MllpClient.connect(
                self.host,
                self.port,
                tls=self.tls,
                server_name=self.server_name,
                connect_timeout=self.connect_timeout,
                answer_timeout=self.timeout,
                max_answer=LONGEST_ANSWER,
                keepalive=True,
            )
        except SendError as error:
            raise EngineFault(error.code.value.upper(), str(error)) from None

    async def exchange(self, content: bytes, control_id: str) -> EngineAnswer:
        """Send one message and return the answer to it. EngineFault: there is none; the connection is closed."""
        client = self._client
        if client is None:
            raise EngineFault("CLOSED", "the connection is not open")
        try:
            reply = await client.send(content)
        except SendError as error:
            self.abort()
            raise EngineFault(error.code.value.upper(), str(error)) from None
        answer = read_answer(reply.content)
        if answer is None:
            self.abort()
            raise EngineFault("NOT_AN_ANSWER", "what came back is no acknowledgement")
        if answer.control_id != control_id.encode("ascii"):
            self.abort()
            raise EngineFault("WRONG_ID", "the answer is to another message: MSA-2 is not our MSH-10")
        return answer

    def abort(self) -> None:
        """Close at once. A message without an answer gets EngineFault."""
        client, self._client = self._client, None
        if client is not None:
            client.abort()
