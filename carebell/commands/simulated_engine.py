"""`simulator ehr --inbound`: an interface engine on this machine that takes what goes back, right or wrong by a script."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from itertools import chain, cycle
from typing import Any

from carebell.commands.output import print_json, print_sentence
from carebell.commands.signals import signalled
from carebell.exits import Stop, UsageStop
from simulator.inbound import EngineAct, EngineMessage, InboundEngine


def engine(*, host: str, port: int, answers: str | None, again: bool, count: int | None, as_json: bool) -> None:
    """Listen until a signal or `count` messages; a line for each. Nothing of a message's content is printed but its ids."""
    script = _script(answers, again=again)
    asyncio.run(_listen(host, port, script, count, as_json))


def _script(answers: str | None, *, again: bool) -> Iterator[EngineAct]:
    try:
        acts = [] if answers is None else [EngineAct(word.strip()) for word in answers.split(",")]
    except ValueError:
        raise UsageStop(f"--answers: each is one of {', '.join(act.value for act in EngineAct)}") from None
    listed: Iterable[EngineAct] = cycle(acts) if again and acts else chain(acts, cycle([EngineAct.AA]))
    return iter(listed)


async def _listen(host: str, port: int, script: Iterator[EngineAct], count: int | None, as_json: bool) -> None:
    enough = asyncio.Event()
    simulated = InboundEngine(script=script)

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
        await simulated.stop()
