"""`demo`: the whole service in one run. Only the time, the EHR and the gateway are simulated.

A signed booking is sent to the service over a real MLLP socket. The confirmation, the reminders, the patient's answer, what goes
back to the EHR, a new time, a cancellation and the forgotten phone number follow. The clock jumps from one due text to the next.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Final, TextIO

from carebell.bootstrap.components import load
from carebell.bootstrap.service import Service
from carebell.commands.init import init
from carebell.commands.interrupt import interruptible
from carebell.commands.output import print_json, rows_alone
from carebell.commands.simulated_reply import DemoReplies
from carebell.exits import OK, REFUSED, Stop
from carebell.maintenance.periodic import Pace
from carebell.samples import PHONE, REFERENCE, ZONE, message
from carebell.times import iso
from certs.cer import read_upload
from certs.sign import load_key, sign
from config.load import Loaded
from journal.logs import setup
from journal.metrics import Metrics
from listener.client import MllpClient
from notifier.console import ConsoleGateway
from parser.phone_number import PhoneNumber
from scheduler.clock import SteppingClock
from scheduler.writeback import WritebackState
from store import appointments, outbox, writeback_rows
from store.phone_scan import scan_files

_ANY_PORT: Final = {
    "CAREBELL_ENVIRONMENTS__PRODUCTION__LISTENER__PORT": "0",
    "CAREBELL_ENVIRONMENTS__TEST__LISTENER__PORT": "0",
    "CAREBELL_HTTP__PORT": "0",
}
STORY_ASIDE: Final = {
    "CAREBELL_STORAGE__URL": "sqlite:///story/carebell.db",
    "CAREBELL_STORAGE__MARKER_FILE": "story/marker",
    "CAREBELL_LOG__FILE": "story/carebell.log",
}
"""The story's clock runs ahead by days. What is served afterwards begins with a database and a log of its own."""
_BY_HAND: Final = Pace(dispatch=3600.0, reconciliation=3600.0, purge=3600.0)
"""The demo starts each round itself, so that every line is printed at its step."""


def demo(directory: Path | None, *, stay: bool, as_json: bool) -> int:
    """Run the demo; 0 if each step did what it should."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="carebell-demo-") as temporary, interruptible() as progress:
        folder = directory.expanduser() if directory is not None else Path(temporary)
        progress.done = f"the demo did not finish; its files are {'removed' if directory is None else f'in {folder}'}"
        with redirect_stdout(StringIO()):
            init(folder, demo=True)
        with rows_alone(as_json) as stdout:
            aside: Mapping[str, str] = {}
            if stay:
                (folder / "story").mkdir()
                aside = STORY_ASIDE
            story = _DemoStory(folder, stdout if as_json else None, keeps=directory is not None, aside=aside)
            good = asyncio.run(story.tell())
        story.end(good, time.monotonic() - began)
        if stay:
            from carebell.commands.simulated_clinic import stay as keep_serving

            return keep_serving(folder, as_json=as_json)
    return OK if good else REFUSED


class _DemoStory:
    """One patient's appointment, from booking to forgetting."""

    def __init__(self, folder: Path, rows: TextIO | None, *, keeps: bool, aside: Mapping[str, str]) -> None:
        """Args:
        rows: the stream for JSON rows instead of sentences.
        keeps: whether the folder stays after the demo.
        aside: environment variables that lead its files elsewhere.
        """
        self._folder = folder
        self._keeps = keeps
        self._rows = rows
        self._aside = aside
        self._clock = SteppingClock(_morning())
        self._replies = DemoReplies(folder)
        self._sent = 0

    async def tell(self) -> bool:
        """True if each step did what it should."""
        try:
            variables = await self._replies.start()
            return await self._serve(load(self._folder / "carebell.yaml", {**_ANY_PORT, **variables, **self._aside}))
        finally:
            await self._replies.stop()

    async def _serve(self, loaded: Loaded) -> bool:
        with setup(now=self._clock.now, file=loaded.configuration.log.file) as journal:
            service = Service(
                loaded=loaded,
                journal=journal,
                metrics=Metrics(),
                clock=self._clock,
                pace=_BY_HAND,
                gateway=ConsoleGateway(sys.stdout),  # webhooks come from a simulated gateway, texts are printed
                reloads=False,
            )
            await service.start()
            try:
                return await self._tell(service)
            finally:
                await service.stop()

    async def _tell(self, service: Service) -> bool:
        number = next(number for port, number in service.ports if "production" in port.environments)
        self._say(
            f"Carebell listens for MLLP on 127.0.0.1:{number}, on an embedded SQLite database.\n"
            "The clock of this demo jumps. Every time below is in the clinic's zone.",
            "listening",
            port=number,
        )
        client = await MllpClient.connect("127.0.0.1", number)
        try:
            visit = _visit(self._clock.now())
            steps: list[bool] = []
            self._title("An unsigned booking is refused")
            steps.append(await self._send(client, "S12", visit, signed=False) == "AR")
            self._title("The EHR books a visit, signed (SIU^S12)")
            steps.append(await self._send(client, "S12", visit) == "AA")
            steps.append(await self._texts(service, 1) == 1)
            self._title("A week before, the first reminder")
            steps.append(await self._texts(service, 1) == 1)
            self._step(timedelta(minutes=20))
            self._title("The patient answers C, and is thanked")
            steps.append(await self._reply(service, "C") == 200)
            steps.append(await self._texts(service, 1) == 1)
            self._title("The EHR is told that the visit is confirmed (SIU^S14)")
            steps.append(await self._tell_ehr(service))
            moved = visit + timedelta(days=2, hours=-4, minutes=-30)
            self._step(timedelta(hours=26))
            self._title("The visit is moved (SIU^S13)")
            steps.append(await self._send(client, "S13", moved) == "AA")
            steps.append(await self._texts(service, 1) == 1)
            self._title("The reminders follow to the new time")
            steps.append(await self._texts(service, 1) == 1)
            self._step(timedelta(hours=30))
            self._title("The visit is cancelled (SIU^S15)")
            steps.append(await self._send(client, "S15", moved, status="Cancelled") == "AA")
            steps.append(await self._texts(service, 1) == 1)
            self._title("The texts that were not sent, and why")
            await asyncio.to_thread(self._show_silences, service)
            self._title("The phone number is forgotten")
            steps.append(await asyncio.to_thread(self._forget, service))
        finally:
            await client.close()
        return all(steps)

    # The parts of a step

    async def _send(
        self, client: MllpClient, event: str, visit: datetime, *, signed: bool = True, status: str = "Scheduled"
    ) -> str:
        self._sent += 1
        now = self._clock.now()
        content = message(event, f"DEMO{self._sent:04}", sent=now, start=visit, status=status)
        if signed:
            report = read_upload(self._folder / "certs" / "production.cer", now)
            if report.certificate is None:
                raise Stop(f"the demo's own certificate is refused: {report.reason}")
            key = load_key(self._folder / "keys" / "production.key.pem")
            content = sign(content, key=key, certificate=report.certificate)
        self._say(f"  EHR  > {_first_lines(content)}", "message", event=event, signed=signed)
        answer = await client.send(content)
        segments = answer.content.decode("ascii", "replace").split("\r")
        acknowledgement = segments[1].split("|")[1]
        self._say(
            f"  ACK  < {segments[1]}   ({answer.milliseconds:.1f} ms)",
            "answer",
            answer=acknowledgement,
            msa=segments[1],
            milliseconds=round(answer.milliseconds, 1),
        )
        return acknowledgement

    async def _reply(self, service: Service, word: str) -> int:
        status = await self._replies.write(service, word)
        sender = PhoneNumber(PHONE).masked
        self._say(
            f"  SMS  > {word} from {sender}, a signed webhook over HTTP\n  HTTP < {status}",
            "reply",
            word=word,
            sender=sender,
            status=status,
        )
        return status

    async def _tell_ehr(self, service: Service) -> bool:
        """Send what goes back to the EHR. True if the EHR acted upon one message, and Carebell knows."""
        engine = self._replies.engine
        await service.writebacks.tick()
        await service.writebacks.idle()
        for sent, content in zip(engine.messages, engine.contents, strict=True):
            self._say(
                f"  EHR  < {_first_lines(content)}",
                "writeback",
                message=sent.trigger,
                appointment=sent.appointment,
                control_id=sent.control_id,
            )
        for answer in engine.answers:
            msa = next(line for line in answer.decode().split("\r") if line.startswith("MSA"))
            self._say(f"  ACK  > {msa}", "writeback_answer", answer=msa.split("|")[1], msa=msa)
        states = await asyncio.to_thread(self._told, service)
        self._say(f"  recorded: {', '.join(states) or 'nothing'}", "writeback_recorded", states=states)
        return len(engine.acted_upon()) == 1 and states == [WritebackState.ACKNOWLEDGED.value]

    def _told(self, service: Service) -> list[str]:
        with service.store.read() as conn:
            return [row.state.value for row in writeback_rows.rows(conn)]

    async def _texts(self, service: Service, count: int) -> int:
        """Jump to the next due text and send it, `count` times. Return how many were sent."""
        sent_count = 0
        for _ in range(count):
            due = await asyncio.to_thread(self._next_due, service)
            if due is None:
                break
            self._clock.move_to(max(due, self._clock.now()))
            self._say(f"  {_local(self._clock.now())}", "due")
            sent = await service.dispatcher.tick()
            sent_count += sent
            if self._rows is not None:
                self._say("", "texts", sent=sent)
        return sent_count

    def _next_due(self, service: Service) -> datetime | None:
        with service.store.read() as conn:
            return outbox.next_due(conn)

    def _show_silences(self, service: Service) -> None:
        with service.store.read() as conn:
            rows = [row for row in outbox.rows(conn, appointment=REFERENCE) if row.state.value == "suppressed"]
        for row in rows:
            due = _local(row.due) if row.due is not None else "no time"
            self._say(
                f"  {row.kind.value} {row.rule}, due {due}: {row.reason.value}",
                "silence",
                kind=row.kind.value,
                rule=row.rule,
                due=iso(row.due),
                reason=row.reason.value,
            )

    def _forget(self, service: Service) -> bool:
        before = self._phone(service)
        service.retention.round()
        after = self._phone(service)
        log = service.loaded.configuration.log.file
        files = [*service.store.files, *([log] if log is not None else [])]
        traces = scan_files(files, PhoneNumber(PHONE))
        searched = len([file for file in files if file.exists()])
        self._say(
            f"  phone before {before or 'none'}, after {after or 'none'}\n"
            f"  searched {searched} files for its digits: {len(traces)} traces",
            "forgotten",
            before=before,
            after=after,
            files=searched,
            traces=len(traces),
        )
        return after is None and not traces

    def _phone(self, service: Service) -> str | None:
        with service.store.read() as conn:
            visits = appointments.named(conn, service.vault, REFERENCE, self._clock.now())
        return visits[0].phone if visits else None

    def _step(self, by: timedelta) -> None:
        self._clock.move_to(self._clock.now() + by)

    def _title(self, text: str) -> None:
        self._say(f"\n{_local(self._clock.now())}  {text}", "step", text=text)

    def _say(self, sentence: str, row_kind: str, **fields: object) -> None:
        if self._rows is None:
            print(sentence)
        else:
            print_json({"time": iso(self._clock.now()), "what": row_kind, **fields}, self._rows)

    def end(self, good: bool, seconds: float) -> None:
        """Print the end of the demo and what to look at next."""
        folder = self._folder
        if self._keeps:
            look = f"The demo's files are in {folder}: try `carebell -c {folder}/carebell.yaml outbox`, `appointments`, `logs`."
        else:
            look = "Run `carebell demo --dir DIR` to keep its files, and `carebell init DIR` to make your own configuration."
        self._say(
            f"\nThe demo took {seconds:.1f} s.\n{look}",
            "end",
            good=good,
            seconds=round(seconds, 1),
            directory=str(folder) if self._keeps else None,
        )


def _morning(now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> datetime:
    """Ten in the morning at the clinic, today: then no text of the demo falls into quiet hours."""
    return now().astimezone(ZONE).replace(hour=10, minute=0, second=0, microsecond=0).astimezone(UTC)


def _visit(now: datetime) -> datetime:
    """Two in the afternoon, twelve days from now."""
    return (now.astimezone(ZONE) + timedelta(days=12)).replace(hour=14, minute=0)


def _local(instant: datetime) -> str:
    return instant.astimezone(ZONE).strftime("%a %d %b %H:%M")


def _first_lines(content: bytes) -> str:
    """The message's kind and its end. The rest holds patient data."""
    segments = content.decode().rstrip("\r").split("\r")
    kind, last = segments[0].split("|")[8], segments[-1]
    ending = f"{last[:40]}..." if last.startswith("ZSG") else "no signature"
    return f"{kind}, {len(segments)} segments, {len(content)} bytes, {ending}"
