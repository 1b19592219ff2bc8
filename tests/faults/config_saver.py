"""Saves carebell.yaml again and again: ends itself with SIGKILL at a step of saving, or meets a disk that fails.

    python -m tests.faults.config_saver kill CONFIGURATION ROUNDS
    python -m tests.faults.config_saver disk CONFIGURATION ROUNDS FAULTS

One line of JSON for each round: `step` or `how`, `file` (`old`, `new` or `other`), `history` (whether its newest version is what
the file says, after what a start of the service does), `said` (why nothing was written). FAULTS: the disk layer's folder.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from carebell.bootstrap.config_record import facts_of, mark_of, record, sealed_text
from carebell.configuring import saving
from carebell.configuring.proposal import Proposal, propose_edits
from config.digests import digest_of
from config.edit import Edit
from config.load import load
from config.save import SaveRefused, save
from store import config_versions, schema
from store.audit import Author
from store.engine import Store, open_store
from store.keys import read_key_file
from store.vault import Vault

STEPS: Final = ("created", "written", "synced", "exchanged", "folder synced", "recorded")
FAILURES: Final = ("full", "eio")
_BEGINS: Final = datetime(2026, 3, 2, tzinfo=UTC)
_KIM: Final = Author(who="portal:kim", origin="peer=203.0.113.7")
_FROM: Final = ("environments", "production", "sms", "quiet_hours", "from")


def _proposal(path: Path, number: int) -> Proposal:
    return propose_edits(path, path.read_bytes(), [Edit(_FROM, f"{20 + number // 60 % 3}:{number % 60:02}")], {})


def _opened(path: Path) -> tuple[Store, Vault]:
    store = open_store(f"sqlite:///{path.with_name('carebell.db')}")
    return store, Vault(ring=read_key_file(path.with_name("carebell.key")))


def _end_at(wanted: str) -> Callable[[str], None]:
    def reached(step: str) -> None:
        if step == wanted:
            os.kill(os.getpid(), signal.SIGKILL)

    return reached


def _save_and_end(path: Path, proposal: Proposal, step: str) -> None:
    """In a process of its own, which does not come back."""
    save(path, proposal.content, base=digest_of(proposal.base), reached=_end_at(step))
    store, vault = _opened(path)
    _end_at(step)("recorded")
    saving.record(store, vault, proposal, _KIM, at=_BEGINS, source="portal", comment=None)


def _started(path: Path, at: datetime) -> bool:
    """What a start does with the file; whether the history's newest version is the file then."""
    store, vault = _opened(path)
    try:
        with store.write() as conn:
            facts = facts_of(load(path, {}), vault.ring, at)
            record(conn, facts, _KIM, at=at, sealed=sealed_text(conn, vault, facts, at))
            newest = config_versions.newest(conn)
        return newest is not None and newest.mark == mark_of(vault.ring, digest_of(path.read_bytes()))
    finally:
        store.close()


def _report(facts: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()  # before the next fork, so that no child writes it again


def _seen(path: Path, proposal: Proposal) -> str:
    return {proposal.base: "old", proposal.content: "new"}.get(path.read_bytes(), "other")


def kill(path: Path, rounds: int) -> None:
    store, _ = _opened(path)
    schema.upgrade(store)
    store.close()
    for number in range(rounds):
        step = STEPS[number % len(STEPS)]
        proposal = _proposal(path, number)
        child = os.fork()
        if child == 0:
            _save_and_end(path, proposal, step)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status), "the process came to its end"
        file = _seen(path, proposal)
        history = _started(path, _BEGINS + timedelta(minutes=number))
        _report({"step": step, "file": file, "history": history})
    proposal = _proposal(path, rounds)
    save(path, proposal.content, base=digest_of(proposal.base))
    _report({"left": [file.name for file in path.parent.glob(".carebell.yaml*")]})


def disk(path: Path, rounds: int, faults: Path) -> None:
    for number in range(rounds):
        how = FAILURES[number % len(FAILURES)]
        proposal, said = _proposal(path, number), ""
        (faults / how).touch()
        try:
            saving.write(proposal)
        except SaveRefused as refused:
            said = str(refused)
        (faults / how).unlink()
        file = _seen(path, proposal)
        saving.write(proposal)
        again = _seen(path, proposal)
        _report({"how": how, "file": file, "said": said, "again": again})


if __name__ == "__main__":
    words = sys.argv[1:]
    if words[0] == "kill":
        kill(Path(words[1]), int(words[2]))
    else:
        disk(Path(words[1]), int(words[2]), Path(words[3]))
