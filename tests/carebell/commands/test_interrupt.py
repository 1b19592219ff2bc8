"""Ctrl-C: 130, nothing on standard output that was not done, and a sentence that says what was done."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from listener.framing import frame
from tests.carebell.command_table import LEAVES
from tests.carebell.conftest import Carebell
from tests.story.folder import VECTORS

MESSAGE: Final = VECTORS / "messages/accept/m01-rs256-s12.hl7"
PATIENT: Final = "+12025550188"


def _press(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


MOMENTS: Final = [
    ("outbox", "store.outbox.rows", "nothing was changed"),
    ("status", "carebell.commands.status.opened_to_look", "nothing was changed"),
    ("hold", "store.holds.hold", "nothing was changed"),
    ("hold", "store.audit.append", "nothing was changed"),
    ("hold", "carebell.commands.open_store.OpenDatabase.log", "everything: texts are held"),
    ("hold -e test", "carebell.commands.open_store.OpenDatabase.log", "test: texts are held"),
    ("release", "store.audit.append", "nothing was changed"),
    ("release", "carebell.commands.open_store.OpenDatabase.log", "everything: its holds are ended"),
    ("optout add", "sys.stdin.readline", "nothing was changed"),
    ("optout add +12025550188", "store.audit.append", "nothing was changed"),
    ("optout remove +12025550188", "store.optouts.remove", "nothing was changed"),
    ("portal user add kim --role administrator", "store.audit.append", "nothing was changed"),
    ("portal user add kim --role administrator", "carebell.commands.portal_users.print_result",
     "the link may have been made; `carebell portal user invite` prints a new one"),
    ("rehearse --simulate 1 --days 1", "carebell.bootstrap.rehearsal.ServiceRehearsal.play", "nothing was changed"),
    ("config preview", "carebell.commands.config_preview.effect_of", "nothing was changed"),
    ("config set environments.production.sms.caps.per_day 4", "carebell.configuring.saving.save", "nothing was changed"),
    ("config set environments.production.sms.caps.per_day 4", "carebell.commands.config_write._record",
     "carebell.yaml was written; it is perhaps not in the history yet"),
    ("purge", "carebell.commands.open_store.OpenDatabase.now", "nothing was changed"),
    ("purge", "carebell.commands.purge.forget_now", "only a part may have been forgotten; run `carebell purge` again"),
    ("purge --verify +12025550188", "carebell.commands.purge.scan_files",
     "what was due is forgotten; the search for the number was not finished"),
    ("keys rotate", "carebell.commands.keys.rotate_master_key",
     "the rotation may be unfinished; run `carebell keys rotate` again"),
    ("db backup copy.db", "store.backup.copy", "nothing was changed"),
    ("db backup copy.db", "store.backup.note", "copy.db is written, but not recorded"),
    ("db upgrade", "store.schema.upgrade", "the tables may be between two versions; run `carebell db upgrade` again"),
]  # fmt: skip


ONLY_LOOKS: Final = {
    "appointments", "audit", "audit export", "audit verify", "cert show", "check-config", "config preview", "doctor",
    "config history", "config show", "explain", "logs", "numbers list", "numbers search", "optout list", "outbox", "plan",
    "portal user list", "rehearse", "reply list", "report sms", "report visits", "sign",
    "status", "trace", "verify", "visit list", "visit show", "writeback list", "writeback show",
}  # fmt: skip
"""Ctrl-C ends these with `nothing was changed`, which is true of them at any moment."""
ELSEWHERE: Final = {
    "init", "demo", "send",  # below
    "install", "numbers buy", "numbers link", "keys drop-unreadable",  # tests/carebell/commands/test_install.py, test_numbers.py
    "portal user invite", "portal user disable", "portal user enable", "portal unlock",  # test_portal_users.py
    "config restore",  # writes as `config set` does
    "db downgrade", "visit link", "visit revoke", "writeback retry", "reply done",  # one transaction: it is done or not
    "serve", "simulator twilio", "simulator ehr", "simulator fhir",  # end with 0: Ctrl-C is how they are ended
}  # fmt: skip


def test_each_command_that_changes_something_is_interrupted_somewhere() -> None:
    here = {command for words, _, _ in MOMENTS for command, _ in LEAVES if f"{words} ".startswith(f"{command} ")}
    assert {command for command, _ in LEAVES} == here | ONLY_LOOKS | ELSEWHERE


@pytest.mark.parametrize(
    ("words", "where", "done"), MOMENTS, ids=[f"{words.split()[0]} in {where}" for words, where, _ in MOMENTS]
)
def test_what_was_done_is_said(
    words: str, where: str, done: str, carebell: Carebell, configuration: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    carebell("-c", configuration, "db", "upgrade")
    if where == "sys.stdin.readline":
        monkeypatch.setattr("carebell.commands.optout.typed_number", _press)
    else:
        monkeypatch.setattr(where, _press)
    ended = carebell("-c", configuration, *words.split())
    assert (ended.code, ended.sentence) == (130, f"interrupted: {done}")
    assert PATIENT not in ended.out + ended.err


@pytest.mark.parametrize(
    ("where", "count"), [("store.audit.append", 0), ("carebell.commands.open_store.OpenDatabase.log", 1)]
)
def test_the_sentence_is_true(
    where: str, count: int, carebell: Carebell, configuration: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    carebell("-c", configuration, "db", "upgrade")
    with monkeypatch.context() as patch:
        patch.setattr(where, _press)
        assert carebell("-c", configuration, "hold").code == 130
    assert len(carebell("-c", configuration, "status", "--json").rows[0]["gateway"]["holds"]) == count


def test_an_unfinished_folder_is_said_to_be(
    carebell: Carebell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("carebell.commands.init.create_key_file", _press)
    ended = carebell("init", tmp_path / "new")
    assert ended.code == 130
    assert (
        ended.sentence == f"interrupted: 3 of 4 files were written into {tmp_path / 'new'}; remove them and begin again"
    )


def test_the_demo_says_where_its_files_are(carebell: Carebell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("carebell.commands.demo.Service.start", _press)
    ended = carebell("demo", "--dir", tmp_path / "demo")
    assert ended.code == 130
    assert ended.sentence == f"interrupted: the demo did not finish; its files are in {tmp_path / 'demo'}"


def test_send_counts_what_was_answered(tmp_path: Path) -> None:
    """A real signal, while the second message waits for its answer."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        subprocess.Popen(
            [
                sys.executable,
                "-m",
                "carebell",
                "send",
                str(MESSAGE),
                "--repeat",
                "5",
                "--to",
                f"127.0.0.1:{server.getsockname()[1]}",
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            preexec_fn=partial(
                signal.signal, signal.SIGINT, signal.default_int_handler
            ),  # also where tests run in the background
        ) as process,
    ):
        connection, _ = server.accept()
        with connection, connection.makefile("rb") as received:
            _read_block(received)
            connection.sendall(frame(b"MSH|^~\\&|\rMSA|AA|1\r"))
            _read_block(received)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert len(out.splitlines()) == 1
    assert err == "carebell: interrupted: 1 of 5 messages were answered; 1 more may have arrived\n"


def _read_block(received: object) -> None:
    while received.read(1) not in (b"\x1c", b""):  # type: ignore[attr-defined]  # a socket's file
        pass
