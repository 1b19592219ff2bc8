"""One connection: it passes frames to the handler, sends answers in order, and ends for one of several reasons.

How a message is handled: `data_received` gives the chunk to the decoder. `_pump` takes frames out of it while there is
room (read-ahead, overload, unread answers) and calls the handler. An immediate answer is written at once; a Future joins the
queue. `_flush` writes the finished answers at the head of the queue. All answers that are ready together are sent in one
write, so an answer is never split over two.

Receiving and answering share a small state; separating them would cost a call for each message. `listener.closing` ends the
transport.

No task is created for a message. Everything has a limit: the queue by `max_pipelined`, the decoder by
`max_message` plus one chunk, the transport's buffer by those two and the write time-out.
"""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial
from typing import Protocol

from listener.closing import Closing, reset
from listener.framing import Decoder, Frame, FrameError, FramingFault, frame
from listener.incidents import Kind, Peer
from listener.limits import Deadline, Limits
from listener.reply import RESET, Close, Handler, Oversize, Reply, Reset

_TURN = 32  # messages handled in one turn, some 6 ms of work; one chunk can hold 5,461 empty blocks


class Owner(Protocol):
    """What a connection needs from its server: the shared budget, and a method to report its end."""

    handler: Handler
    oversize: Oversize
    frames: int
    chunk: memoryview

    def report(self, kind: Kind, peer: Peer | None, text: str = "", error: BaseException | None = None) -> None: ...
    def saturated(self) -> bool: ...
    def wait_for_room(self, connection: Connection) -> None: ...
    def took(self, size: int) -> None: ...
    def settled(self, size: int) -> None: ...
    def buffers(self, connection: Connection, held: int, before: int) -> None: ...
    def closed(self, connection: Connection, kind: Kind) -> None: ...
    def evict(self, connection: Connection) -> None: ...


class _End:
    """A queue entry: after the answers before it, send this answer and close for this reason."""

    __slots__ = ("answer", "kind")

    def __init__(self, kind: Kind, answer: bytes | None = None) -> None:
        self.kind = kind
        self.answer = answer


class Connection(asyncio.BufferedProtocol):
    """The protocol of one accepted socket. `start` begins its work after the TLS handshake, if there is one.

    It is a buffered protocol so that a read takes no more than the server's `chunk`: whatever a peer writes at once, the rest
    stays in the kernel and on the peer's side while the service has enough to do.
    """

    __slots__ = (
        "_answered",
        "_answers",
        "_busy_writing",
        "_closing",
        "_decoder",
        "_ending",
        "_eof",
        "_frame_deadline",
        "_heard",
        "_idle_deadline",
        "_kind",
        "_last",
        "_last_block",
        "_limits",
        "_loop",
        "_lost",
        "_queue",
        "_reading",
        "_resume_at",
        "_server",
        "_transport",
        "_write_deadline",
        "_yielded",
        "held",
        "peer",
    )

    def __init__(self, server: Owner, limits: Limits, peer: Peer, loop: asyncio.AbstractEventLoop) -> None:
        self.peer = peer
        self._server = server
        self._limits = limits
        self._loop = loop
        self._decoder = Decoder(max_content=limits.max_message)
        self._transport: asyncio.Transport | None = None  # None before `start` and after the end
        self._queue: deque[Reply | asyncio.Future[Reply] | _End] = deque()
        self._answers: list[bytes] = []  # framed, for the next write
        self._kind: Kind | None = None  # why it ends, once known
        self._ending = False  # takes no more frames: an end is in the queue, or the server drains
        self._closing = False  # the transport is being closed; input is discarded
        self._last: Closing | None = None  # how it is closed
        self._lost = False
        self._eof = False
        self._heard = False
        self._answered = False
        self._reading = True
        # lower than the pause mark; otherwise each answer would cost two system calls
        self._resume_at = limits.max_pipelined // 2
        self._busy_writing = False  # the transport's buffer is full
        self._yielded = False  # more frames are ready for the next turn of the loop
        self.held = 0  # bytes of input in memory
        # when the last complete block was taken; before the first block, when the connection was accepted
        self._last_block = loop.time()
        self._frame_deadline = Deadline(loop, limits.frame_timeout, self._frame_late)
        self._write_deadline = Deadline(loop, limits.write_timeout, self._write_late)
        idle = limits.idle_timeout
        self._idle_deadline = Deadline(loop, idle, self._idle) if idle is not None else None

    @property
    def quiet_since(self) -> tuple[bool, float] | None:
        """(whether a block has begun, loop time of the last complete one); None: an answer is pending, and the peer reads its
        answers."""
        if (self._queue or self._decoder.unread) and not self._busy_writing:
            return None
        return self._decoder.mid_block or self._busy_writing, self._last_block

    # --- asyncio.BufferedProtocol

    def start(self, transport: asyncio.Transport, peer: Peer) -> None:
        """Begin. Bytes may have arrived before: a TLS peer can send data with its last handshake message."""
        self.peer = peer
        self._transport = transport
        if self._lost:
            self._gone(None)
            return
        if self._idle_deadline is not None:
            self._idle_deadline.restart()
        self._pump()
        if self._eof:
            self._end_of_input()

    def get_buffer(self, sizehint: int) -> memoryview:
        """All connections of a server share it: each read is copied out at once. With TLS asyncio itself reads up to 256 KB of
        the peer's bytes before, and deciphers them into this."""
        return self._server.chunk

    def buffer_updated(self, nbytes: int) -> None:
        received = self._server.chunk[:nbytes]
        data = bytes(received)
        received[:] = bytes(nbytes)  # no message stays behind in it
        self.data_received(data)

    def data_received(self, data: bytes) -> None:
        self._heard = True
        if self._closing:
            if self._last is not None:
                self._last.discard(len(data))
            return
        self._decoder.receive(data)
        self._pump()

    def eof_received(self) -> bool:
        """The peer has finished sending. It may still read its answers, so a plain socket stays half open."""
        self._eof = True
        if self._closing:
            return False
        if self._transport is None:
            return False
        self._end_of_input()
        return self._transport.get_extra_info("ssl_object") is None  # asyncio's TLS cannot stay half open

    def pause_writing(self) -> None:
        self._busy_writing = True
        self._write_deadline.restart()

    def resume_writing(self) -> None:
        self._busy_writing = False
        self._write_deadline.stop()
        self._pump()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        if self._transport is not None:  # otherwise the handshake failed, or `start` will notice it
            self._gone(exc)

    def _gone(self, exc: Exception | None) -> None:
        if self._kind is None:
            if self._decoder.mid_block:
                self._report(Kind.CUT_OFF)
            elif not self._heard:
                self._report(Kind.BARE_CONNECT)
            elif exc is not None:
                self._report(Kind.PEER_RESET, type(exc).__name__)
            else:
                self._kind = Kind.PEER_CLOSED
        self._transport = None
        self._queue.clear()  # the Futures belong to the handler; `_settled` still counts them when they finish
        self._answers.clear()
        for timed in (self._frame_deadline, self._write_deadline, self._idle_deadline, self._last):
            if timed is not None:
                timed.cancel()
        self._server.buffers(self, 0, self.held)
        self.held = 0
        self._server.closed(self, self._kind or Kind.PEER_CLOSED)

    # --- messages in

    def _pump(self) -> None:
        """Take frames while there is room for them; then write, and decide whether to read on."""
        server, decoder, queue = self._server, self._decoder, self._queue
        room = self._limits.max_pipelined
        turn = _TURN
        while decoder.unread and not self._ending and not self._busy_writing and len(queue) < room:
            if self._transport is None:
                break
            if server.saturated():
                server.wait_for_room(self)
                break
            if not turn:
                self._yield_turn()
                break
            turn -= 1
            event = decoder.next_event()
            if event is None:
                break
            if isinstance(event, Frame):
                self._take(event.content)
            else:
                self._refuse(event)
        if self._answers:
            self._write()
        self._regulate()
        if self._eof:
            self._after_answers()

    def _yield_turn(self) -> None:
        if not self._yielded:
            self._yielded = True
            self._loop.call_soon(self._next_turn)

    def _next_turn(self) -> None:
        self._yielded = False
        self._pump()

    def _take(self, content: bytes) -> None:
        server = self._server
        server.frames += 1
        self._last_block = self._loop.time()
        self._frame_deadline.stop()  # the next block, if it has begun already, gets its own deadline
        if self._idle_deadline is not None:
            self._idle_deadline.restart()
        answer: Reply | asyncio.Future[Reply]
        try:
            answer = server.handler(content, self.peer)
        except Exception as error:
            answer = self._failed(error)
        if isinstance(answer, asyncio.Future):
            size = len(content)
            server.took(size)
            self._queue.append(answer)
            answer.add_done_callback(partial(self._settled, size))
        elif self._queue:
            self._queue.append(answer)
        else:
            self._emit(answer)

    def _refuse(self, error: FrameError) -> None:
        """The framing is broken: answer the messages before, then close."""
        answer = None
        if error.kind is FramingFault.TOO_LONG:
            kind = Kind.TOO_LONG
            try:
                answer = self._server.oversize(error.head, self.peer)
            except Exception as failure:  # the close below is all that is left to do
                self._server.report(Kind.HANDLER_FAILED, self.peer, type(failure).__name__, failure)
        elif error.kind is FramingFault.JUNK:
            kind = Kind.JUNK
        else:
            kind = Kind.BAD_FRAMING
        self._report(kind, error.why)
        self._ending = True
        self._queue.append(_End(kind, answer))
        self._flush()

    def _regulate(self) -> None:
        """Read on or pause; start or stop the deadline of an unfinished block; report the buffered bytes to the server."""
        transport, decoder = self._transport, self._decoder
        if transport is None or self._closing or transport.is_closing():
            return
        unread = decoder.unread
        if self._reading:
            if unread or self._ending or self._busy_writing or len(self._queue) >= self._limits.max_pipelined:
                self._reading = False
                transport.pause_reading()
        elif not (unread or self._ending or self._busy_writing or self._eof or len(self._queue) > self._resume_at):
            self._reading = True
            transport.resume_reading()
        if decoder.mid_block:
            if not self._frame_deadline.running:
                self._frame_deadline.restart()
        else:
            self._frame_deadline.stop()
        held = decoder.held
        if held != self.held:
            before, self.held = self.held, held
            self._server.buffers(self, held, before)

    def resume(self) -> None:
        """The server has room again."""
        self._pump()

    # --- answers out

    def _settled(self, size: int, future: asyncio.Future[Reply]) -> None:
        self._server.settled(size)
        if self._transport is None:
            if not future.cancelled():
                future.exception()  # mark as seen: nobody waits for it
            return
        if self._queue and self._queue[0] is future:
            self._flush()
            self._pump()

    def _flush(self) -> None:
        """Write the finished answers at the head of the queue."""
        queue = self._queue
        while queue and self._transport is not None and not self._closing:
            answer = queue[0]
            if isinstance(answer, asyncio.Future):
                if not answer.done():
                    break
                answer = self._result(answer)
            queue.popleft()
            if isinstance(answer, _End):
                self._emit(answer.answer)
                if not self._closing:
                    self._close(answer.kind)
                return
            self._emit(answer)

    def _result(self, future: asyncio.Future[Reply]) -> Reply:
        if future.cancelled():
            return self._failed(asyncio.CancelledError())
        error = future.exception()
        return self._failed(error) if error is not None else future.result()

    def _failed(self, error: BaseException) -> Reset:
        self._report(Kind.HANDLER_FAILED, type(error).__name__, error)
        return RESET

    def _emit(self, reply: Reply) -> None:
        if type(reply) is bytes:
            try:
                self._answers.append(frame(reply))
            except ValueError as error:
                self._emit(self._failed(error))
        elif isinstance(reply, Reset):
            self._write()
            self._reset(Kind.RESET)
        elif isinstance(reply, Close):
            self._emit(reply.answer)
            if not self._closing:
                self._close(Kind.ANSWERED_AND_CLOSED)

    def _write(self) -> None:
        answers = self._answers
        transport = self._transport
        if not answers or transport is None:
            return
        data = answers[0] if len(answers) == 1 else b"".join(answers)
        answers.clear()
        if not transport.is_closing():
            self._answered = True
            transport.write(data)

    # --- endings

    def drain(self) -> None:
        """Take no more messages, and close when those in flight are answered."""
        if self._closing or self._lost:
            return
        self._ending = True
        if self._transport is None:
            return  # still in its handshake: the server drops it
        self._regulate()
        if self._queue:
            if not isinstance(self._queue[-1], _End):
                self._queue.append(_End(Kind.DRAINED))
        else:
            self._close(Kind.DRAINED)

    def abort(self, kind: Kind, text: str = "") -> None:
        """Reset the connection, even if messages are in flight."""
        if not self._lost:
            self._report(kind, text)
            self._reset(kind)

    def crowd_out(self, text: str) -> None:
        """Reset at once to make room for another peer, also during the TLS handshake."""
        if not self._lost:
            self._report(Kind.CROWDED_OUT, text)
            self._reset(Kind.CROWDED_OUT)
        self._server.evict(self)

    def _report(self, kind: Kind, text: str = "", error: BaseException | None = None) -> None:
        """Report an incident. The first one is stored as the reason for the connection's end."""
        if self._kind is None:
            self._kind = kind
        self._server.report(kind, self.peer, text, error)

    def _end_of_input(self) -> None:
        if self._decoder.mid_block and not self._decoder.unread and not self._ending:
            self._report(Kind.CUT_OFF)
        self._frame_deadline.stop()
        self._after_answers()

    def _after_answers(self) -> None:
        """Close a half-closed connection when all its answers are sent."""
        if self._eof and not self._queue and not self._decoder.unread and not self._closing:
            self._close(Kind.PEER_CLOSED if self._heard else Kind.BARE_CONNECT)

    def _close(self, kind: Kind) -> None:
        """Close so that the last answers arrive: then discard the peer's bytes until it closes too."""
        if self._kind is None:
            if kind is Kind.BARE_CONNECT:
                self._report(kind)
            self._kind = kind
        self._write()
        transport = self._transport
        if transport is None:
            return
        self._stop_taking()
        last = self._last = Closing(self._loop, self._limits, transport)
        quiet = kind in (Kind.DRAINED, Kind.IDLE_TIMEOUT)  # the peer may not be sending
        if not self._answered or self._eof or transport.is_closing() or (quiet and not transport.can_write_eof()):
            last.shut()
            return
        last.linger()
        if not self._reading:
            self._reading = True
            transport.resume_reading()

    def _stop_taking(self) -> None:
        """Discard input from now on, and free the buffered input."""
        self._ending = self._closing = True
        self._decoder = Decoder(max_content=self._limits.max_message)
        self._server.buffers(self, 0, self.held)
        self.held = 0
        self._frame_deadline.stop()
        if self._idle_deadline is not None:
            self._idle_deadline.stop()

    def _reset(self, kind: Kind) -> None:
        if self._kind is None:
            self._kind = kind
        self._stop_taking()
        if self._transport is not None:
            reset(self._transport)

    def _frame_late(self) -> None:
        if not self._reading:  # this side paused reading, so the peer could not finish
            self._frame_deadline.restart()
            return
        self._report(Kind.FRAME_TIMEOUT)
        self._ending = True
        self._queue.append(_End(Kind.FRAME_TIMEOUT))
        self._flush()
        self._regulate()

    def _write_late(self) -> None:
        if self._closing:
            if self._transport is not None:
                reset(self._transport)
            return
        self.abort(Kind.WRITE_TIMEOUT)

    def _idle(self) -> None:
        if self._queue or self._decoder.mid_block or self._decoder.unread:
            if self._idle_deadline is not None:
                self._idle_deadline.restart()
            return
        self._report(Kind.IDLE_TIMEOUT)
        self._close(Kind.IDLE_TIMEOUT)
