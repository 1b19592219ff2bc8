"""A small service of its own for the disk faults: stores messages through the real committer and says when each is acknowledged.

    python -m tests.faults.writer FOLDER COUNT WINDOW [SYNCHRONOUS]

Prints `ack N` after N's commit, `again N` when a passing fault refused it (and tries it again), `dead CODE` when the committer
ends for good. The acknowledgements also go to FOLDER/acks, so that the disk layer sees them in order with the syncs.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event

from store import schema
from store.appointment_repository import save
from store.committer import CommitFault, Committer, Transient
from store.engine import Store, open_store
from store.faults import StoreFault
from store.keys import KeyRing
from store.vault import Vault
from tests.store.samples import NOW, appointment, first, memory, reminder

ACKS = "acks"
DATABASE = "carebell.db"


def _weakened(file: Path, synchronous: str) -> Store:
    """Opened with what the product never sets, to see that the harness notices: before its writers' connection is there."""
    store = open_store(f"sqlite:///{file}")

    def prepare(connection: Any, _record: Any) -> None:
        connection.execute(f"PRAGMA synchronous={synchronous}").close()

    store.engine.dispose()
    event.listen(store.engine, "connect", prepare)
    return store


async def _store_all(folder: Path, count: int, window: int, synchronous: str | None) -> int:
    store = open_store(f"sqlite:///{folder / DATABASE}")
    schema.upgrade(store)
    if synchronous is not None:
        store.close()
        store = _weakened(folder / DATABASE, synchronous)
    vault = Vault(KeyRing(current=1, masters={1: b"k" * 32}, pepper=b"p" * 32))
    acks = os.open(folder / ACKS, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def work(conn: Connection, jobs: Sequence[int]) -> Sequence[int]:
        saves = [first(appointment(job), reminder(), reminder(rule="7d")) for job in jobs]
        save(conn, vault, saves, [memory(job) for job in jobs], NOW)
        return jobs

    def say(word: str, what: object) -> None:
        line = f"{word} {what}\n"
        if word == "ack":
            os.write(acks, line.encode())
        sys.stdout.write(line)
        sys.stdout.flush()

    dead: list[StoreFault] = []
    committer = Committer[int, int](store, work, on_fatal=dead.append)
    committer.start()
    numbers = iter(range(count))

    async def one_sender() -> None:
        for number in numbers:
            while True:
                try:
                    await committer.submit(number)
                except Transient:
                    say("again", number)
                    await asyncio.sleep(0.02)
                except CommitFault:
                    return
                else:
                    say("ack", number)
                    break

    await asyncio.gather(*(one_sender() for _ in range(window)))
    await committer.stop()
    store.close()
    if dead:
        say("dead", dead[0].code)
    return 70 if dead else 0


if __name__ == "__main__":
    weak = sys.argv[4] if len(sys.argv) > 4 else None
    sys.exit(asyncio.run(_store_all(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), weak)))
