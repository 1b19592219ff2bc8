"""The receiving side of a simulated EHR: an interface engine that takes what goes back, and answers right or wrong by a script."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from itertools import repeat
from typing import Final

from listener.framing import Decoder, Frame, frame

_LINGER: Final = struct.pack("ii", 1, 0)


class EngineAct(StrEnum):
    """What the engine does with one message.

    aa, ae, ar: answers so. locked: AE with ERR-3 206. wrong_id: answers another message. late: answers after `late` seconds.
    none: answers nothing. reset: takes the message, and resets the connection. before: resets without taking it. half: sends half
    of an answer, and closes. doubled: answers twice. junk: sends what is not MLLP. huge: sends more than an answer may have.
    ca: stored it (CA). later_aa, later_ae, later_ar: CA, and its application answers later. ae_first: the application's AE comes
    before CA.
    """

    AA = "aa"
    AE = "ae"
    AR = "ar"
    LOCKED = "locked"
    WRONG_ID = "wrong_id"
    LATE = "late"
    NONE = "none"
    RESET = "reset"
    BEFORE = "before"
    HALF = "half"
    DOUBLED = "doubled"
    JUNK = "junk"
    HUGE = "huge"
    CA = "ca"
    LATER_AA = "later_aa"
    LATER_AE = "later_ae"
    LATER_AR = "later_ar"
    AE_FIRST = "ae_first"


_LATER: Final = {
    EngineAct.LATER_AA: "AA",
    EngineAct.LATER_AE: "AE",
    EngineAct.LATER_AR: "AR",
    EngineAct.AE_FIRST: "AE",
}
ANSWERS_LATER: Final = frozenset(_LATER)
"""Acts that need somebody who brings the application's answer to Carebell."""
_ERRORS: Final = {"AE": "204", "AR": "202"}
_TAKES_NOTHING: Final = frozenset(
    {
        EngineAct.AE, EngineAct.AR, EngineAct.LOCKED, EngineAct.BEFORE, EngineAct.LATER_AE, EngineAct.LATER_AR,
        EngineAct.AE_FIRST,
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineMessage:
    """A message that arrived.

    Attributes:
        control_id: MSH-10. appointment: SCH-2, ARQ-2 or OBR-3, as sent. digest: of its bytes.
        taken: whether the EHR acted upon it; one with a known MSH-10 it does not.
    """

    control_id: str
    trigger: str
    appointment: str
    digest: bytes
    act: EngineAct
    taken: bool


@dataclass(slots=True, kw_only=True)
class InboundEngine:
    """Attributes:
    script: what to do with each message, one after the other.
    always: MSH-10 -> what to do with this message each time, whatever the script says.
    late: seconds before a late answer.
    messages: all that arrived, in their order.
    answers: the bytes that it answered with, right or wrong, in their order.
    on_message: is told of each.
    bring_later: brings an application's answer, unsigned, to Carebell's listener.
    now: the engine's clock.
    """

    script: Iterator[EngineAct] = field(default_factory=lambda: repeat(EngineAct.AA))
    always: dict[str, EngineAct] = field(default_factory=dict)
    late: float = 1.0
    messages: list[EngineMessage] = field(default_factory=list)
    contents: list[bytes] = field(default_factory=list, repr=False)
    answers: list[bytes] = field(default_factory=list, repr=False)
    on_message: Callable[[EngineMessage], None] = lambda _: None
    bring_later: Callable[[bytes], Awaitable[None]] | None = None
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    _server: asyncio.Server | None = field(default=None, init=False)
    _bringing: set[asyncio.Future[None]] = field(default_factory=set, init=False)
    _writers: set[asyncio.StreamWriter] = field(default_factory=set, init=False)

    async def start(self, host: str = "127.0.0.1", port: int = 0, *, tls: ssl.SSLContext | None = None) -> int:
        """Listen; the port. `tls`: of a server; None: unencrypted."""
        self._server = await asyncio.start_server(self._serve, host, port, ssl=tls)
        own: int = self._server.sockets[0].getsockname()[1]
        return own

    async def stop(self) -> None:
        """Listen no more, and reset every connection."""
        if self._server is not None:
            self._server.close()
        for writer in tuple(self._writers):
            _reset(writer)
        if self._server is not None:
            await self._server.wait_closed()

    async def idle(self) -> None:
        """Wait until every answer of the application was brought."""
        while self._bringing:
            await asyncio.wait(tuple(self._bringing))

    def acted_upon(self) -> list[EngineMessage]:
        """What the EHR did, each once."""
        return [message for message in self.messages if message.taken]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        decoder = Decoder(max_content=1_048_576)
        try:
            while received := await reader.read(65536):
                decoder.receive(received)
                while isinstance(event := decoder.next_event(), Frame):
                    if not await self._handle(event.content, writer):
                        return
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._writers.discard(writer)
            with contextlib.suppress(ConnectionError):
                writer.close()

    async def _handle(self, content: bytes, writer: asyncio.StreamWriter) -> bool:
        """False: the connection is over."""
        lines = [line.split("|") for line in content.decode("utf-8", "replace").split("\r")]
        control_id = lines[0][9]
        act = self.always[control_id] if control_id in self.always else next(self.script, EngineAct.AA)
        self._note(content, lines, act)
        if act in (EngineAct.RESET, EngineAct.BEFORE):
            _reset(writer)
            return False
        if act is EngineAct.NONE:
            return True
        if act is EngineAct.LATE:
            await asyncio.sleep(self.late)
        if act is EngineAct.AE_FIRST:
            await self._bring_later(content, act)
        for block in _answers(act, control_id):
            writer.write(block)
            self.answers.append(block)
        await writer.drain()
        if act is EngineAct.HALF:
            writer.close()
        if act in _LATER and act is not EngineAct.AE_FIRST:
            bringing = asyncio.ensure_future(self._bring_later(content, act))
            self._bringing.add(bringing)
            bringing.add_done_callback(self._bringing.discard)
        return act is not EngineAct.HALF

    async def _bring_later(self, content: bytes, act: EngineAct) -> None:
        if self.bring_later is not None:
            await self.bring_later(later_answer(content, _LATER[act], self.now()))

    def _note(self, content: bytes, lines: list[list[str]], act: EngineAct) -> None:
        control_id = lines[0][9]
        keys = [line[3] if line[0] == "OBR" else line[2] for line in lines if line[0] in ("SCH", "ARQ", "OBR")]
        known = any(message.control_id == control_id and message.taken for message in self.messages)
        message = EngineMessage(
            control_id=control_id,
            trigger=lines[0][8],
            appointment=keys[0] if keys else "",
            digest=sha256(content).digest(),
            act=act,
            taken=act not in _TAKES_NOTHING and not known,
        )
        self.messages.append(message)
        self.contents.append(content)
        self.on_message(message)


def later_answer(content: bytes, code: str, now: datetime, *, control_id: str | None = None) -> bytes:
    """The application's answer to a message, a message of its own, without a signature.

    Args:
        code: MSA-1. control_id: its MSH-10; None: one that follows from the message's.
    """
    header = content.decode("utf-8", "replace").split("\r", 1)[0].split("|")
    event = header[8].split("^")[1]
    kind = f"SRR^{event}^SRR_{event}" if header[8].startswith("SRM") else f"ACK^{event}^ACK"
    own_id = control_id or f"R{header[9][1:]}"
    fields = [
        "MSH", header[1], *header[4:6], *header[2:4], now.strftime("%Y%m%d%H%M%S%z"), "", kind, own_id,
        *header[10:12], "", "", "AL", "NE",
    ]  # fmt: skip
    error = "" if code not in _ERRORS else f"ERR|||{_ERRORS[code]}|E\r"
    return f"{'|'.join(fields)}\rMSA|{code}|{header[9]}\r{error}".encode()


def acts(words: Iterable[str]) -> Iterator[EngineAct]:
    """A script from words; after the last one everything is taken."""
    return (EngineAct(word) for word in words)


def _answers(act: EngineAct, control_id: str) -> list[bytes]:
    stored = dict.fromkeys((EngineAct.CA, *_LATER), "CA")
    code = ({EngineAct.AE: "AE", EngineAct.AR: "AR", EngineAct.LOCKED: "AE"} | stored).get(act, "AA")
    answered = "X" * 20 if act is EngineAct.WRONG_ID else control_id
    err3 = {EngineAct.AE: "204", EngineAct.AR: "202", EngineAct.LOCKED: "206"}.get(act)
    error = "" if err3 is None else f"ERR|||{err3}|E\r"
    answer = (
        f"MSH|^~\\&|EHR|LAMNA|CAREBELL|LAMNA|20260101||ACK|A{control_id[1:]}|P|2.5.1\rMSA|{code}|{answered}\r{error}"
    )
    block = frame(answer.encode())
    if act is EngineAct.HALF:
        return [block[: len(block) // 2]]
    if act is EngineAct.DOUBLED:
        return [block, block]
    if act is EngineAct.JUNK:
        return [b"HTTP/1.1 200 OK\r\n\r\n"]
    if act is EngineAct.HUGE:
        return [frame(answer.encode() + b"NTE|" + b"x" * 70_000 + b"\r")]
    return [block]


def _reset(writer: asyncio.StreamWriter) -> None:
    raw = writer.transport.get_extra_info("socket")
    with contextlib.suppress(OSError):
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)
    writer.transport.abort()
