"""`simulator ehr --inbound`: an interface engine on this machine that takes what goes back, right or wrong by a script."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from functools import partial
from itertools import chain, cycle
from pathlib import Path
from typing import Any

from carebell.commands.output import print_json, print_sentence
from carebell.commands.send import SendTls, acknowledged, address, tls_context
from carebell.commands.signals import signalled
from carebell.commands.signer import signer
from carebell.exits import Stop, UsageStop
from listener.client import MllpClient, SendError
from simulator.inbound import ANSWERS_LATER, EngineAct, EngineMessage, InboundEngine

Way = Callable[[bytes], Awaitable[str]]
"""Brings an unsigned message to Carebell's listener; what was answered there."""


def engine(
    *, host: str, port: int, answers: str | None, again: bool, way: Way | None, count: int | None, as_json: bool
) -> None:
    """Listen until a signal or `count` messages; a line for each. Nothing of a message's content is printed but its ids.

    Args:
        way: for later answers of the application; None: there are none.
    """
    script = _script(answers, again=again, answers_later=way is not None)
    asyncio.run(_listen(host, port, script, way, count, as_json))


def later_answers(to: str, *, key: Path | None, cert: Path | None, tls: SendTls | None) -> Way:
    """A connection to the listener for each of them, signed if there is a key. UsageStop: the options do not fit."""
    listener_host, listener_port = address(to)
    if (key is None) != (cert is None):
        raise UsageStop("--key and --cert go together")
    sign = signer(key, cert) if key is not None and cert is not None else None
    context = tls_context(tls) if tls is not None else None

    async def bring(content: bytes) -> str:
        try:
            client = await MllpClient.connect(
                listener_host, listener_port, tls=context, server_name=tls.name if tls else None
            )
            try:
                reply = await client.send(content if sign is None else sign(content))
            finally:
                await client.close()
        except SendError as error:
            return str(error)
        code, text = acknowledged(reply.content)
        return f"{code} {text}".rstrip()

    return bring


def _script(answers: str | None, *, again: bool, answers_later: bool) -> Iterator[EngineAct]:
    try:
        acts = [] if answers is None else [EngineAct(word.strip()) for word in answers.split(",")]
    except ValueError:
        raise UsageStop(f"--answers: each is one of {', '.join(act.value for act in EngineAct)}") from None
    if not answers_later and (needs := ANSWERS_LATER.intersection(acts)):
        raise UsageStop(f"--answers: {', '.join(sorted(needs))}: name Carebell's listener with --to")
    listed: Iterable[EngineAct] = cycle(acts) if again and acts else chain(acts, cycle([EngineAct.AA]))
    return iter(listed)


async def _listen(
    host: str, port: int, script: Iterator[EngineAct], way: Way | None, count: int | None, as_json: bool
) -> None:
    enough = asyncio.Event()
    simulated = InboundEngine(script=script)
    if way is not None:
        simulated.bring_later = partial(_bring, way, as_json)

    def tell(message: EngineMessage) -> None:
        if as_json:
            print_json(
                {
                    "control_id": message.control_id,
                    "type": message.trigger,
                    "appointment": message.appointment,
                    "answer": message.act.value,
                    "taken": message.taken,
                }
            )
        else:
            double = "" if message.taken else ", not acted upon"
            print(f"{message.trigger} {message.control_id}: {message.act.value}{double}", flush=True)
        if count is not None and len(simulated.messages) >= count:
            enough.set()

    simulated.on_message = tell
    with signalled() as signal_received:
        try:
            own_port = await simulated.start(host, port)
        except OSError as error:
            raise Stop(f"cannot listen on {host}:{port}: {error.strerror or error}") from None
        if as_json:
            print_json({"listening": f"{host}:{own_port}"})
        else:
            print_sentence(f"listening on {host}:{own_port} for what goes back to the EHR")
        counted = asyncio.ensure_future(enough.wait())
        awaited: set[asyncio.Future[Any]] = {signal_received, counted}
        await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
        counted.cancel()
        await asyncio.sleep(0)  # the last answer leaves
        await simulated.idle()
        await simulated.stop()


async def _bring(way: Way, as_json: bool, content: bytes) -> None:
    answered = await way(content)
    header, msa = (line.split("|") for line in content.decode().split("\r")[:2])
    if as_json:
        print_json(
            {"control_id": header[9], "type": header[8], "answers": msa[2], "with": msa[1], "answered": answered}
        )
    else:
        print(f"{header[8]} {header[9]} answers {msa[2]} with {msa[1]}: {answered}", flush=True)
