"""`python -m tests.faults` itself: it leaves nothing behind when it is killed, and its table says what was really run."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Final

import pytest
from rich.console import Console

from docs.generate import DOCS
from tests.faults.counts import FAULTS, FULL, number_of
from tests.faults.node import PATIENCE
from tests.faults.outcomes import Outcome, merge, rows, show, summary
from tests.faults.tracing import NoTrace, strace

WHEN: Final = datetime(2026, 3, 2, tzinfo=UTC)
NOTHING: Final[Mapping[str, int]] = MappingProxyType({})


# Killed


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=["ctrl-c", "terminated", "killed"]
)
def test_a_killed_run_leaves_no_process(number: signal.Signals, tmp_path: Path) -> None:
    """F4 runs its node under another program, which is harder to end; where nothing can be traced, F1."""
    try:
        strace()
        fault = "F4"
    except NoTrace:
        fault = "F1"
    mark = {"CAREBELL_TEST_MARK": str(tmp_path), "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-m", "tests.faults", "--ci", "--only", fault]
    run = subprocess.Popen(
        command,
        env={**os.environ, **mark},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=_as_in_the_background if number is signal.SIGTERM else None,
    )
    assert run.stdout is not None
    try:
        _until(lambda: any("--roles" in words for words in _marked(str(tmp_path)).values()) or run.poll() is not None)
        assert run.poll() is None, "it ended before it had started a node"
        run.send_signal(number)
        run.stdout.read()
        run.wait(PATIENCE)
        _until(lambda: not _marked(str(tmp_path)))
    finally:
        run.kill()
        run.stdout.close()
    assert run.returncode == {signal.SIGKILL: -9}.get(number, 130)


def _as_in_the_background() -> None:
    """As a shell starts what stands before `&`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _marked(mark: str) -> dict[int, list[str]]:
    """Process -> command, of every process that inherited the mark."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"CAREBELL_TEST_MARK={mark}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                found[int(folder.name)] = (folder / "cmdline").read_text("utf-8", "replace").split("\0")
        except OSError:
            continue  # it has ended, or is somebody else's
    return found


def _until(happened: Callable[[], bool]) -> None:
    begun = time.monotonic()
    while not happened():
        assert time.monotonic() - begun < PATIENCE, "it never happened"
        time.sleep(0.05)


# What it says


def ended(
    outcome: str, *, rounds: int = 0, why: str = "", proof: bool = False, seen: Mapping[str, int] = NOTHING
) -> Outcome:
    found = Outcome()
    found.take({"test": "t", "planned": True})
    found.take({
        "test": "t", "outcome": outcome, "why": why, "seconds": 1.0, "proof": proof, "rounds": rounds, "seen": dict(seen),
    })  # fmt: skip
    return found


def test_the_rounds_are_those_that_ran() -> None:
    [row] = rows({"F1": ended("passed", rounds=321, seen={"lost": 0})}, WHEN)
    assert (row["rounds"], row["asked"], row["seen"], row["verdict"]) == ("321", "500 kills", "lost: 0", "kept")


def test_a_skipped_test_proves_nothing_and_says_why() -> None:
    [row] = rows({"F4": ended("skipped", why="strace is not installed", rounds=3)}, WHEN)
    assert (row["rounds"], row["verdict"], row["why"]) == ("0", "skipped", "strace is not installed")


def test_the_rounds_of_a_proof_do_not_count() -> None:
    found = ended("passed", rounds=20, seen={"lost": 0})
    found.take({"test": "p", "planned": True})
    found.take(
        {"test": "p", "outcome": "passed", "why": "", "seconds": 1.0, "proof": True, "rounds": 50, "seen": {"found": 7}}
    )
    [row] = rows({"F3": found}, WHEN)
    assert (row["rounds"], row["seen"]) == ("20", "lost: 0, found: 7")


def test_one_failure_breaks_the_promise() -> None:
    found = ended("passed", rounds=1)
    found.take({"test": "u", "outcome": "failed", "why": "", "seconds": 1.0, "proof": False, "rounds": 1, "seen": {}})
    assert found.verdict == "BROKEN"


def test_a_fault_whose_tests_are_not_over_keeps_its_row(tmp_path: Path) -> None:
    file = tmp_path / "faults.json"
    merge(rows({"F1": ended("passed", rounds=30), "F2": ended("passed", rounds=3)}, WHEN), file)
    half = ended("passed", rounds=9)
    half.take({"test": "still running", "planned": True})
    merge(rows({"F1": half, "F2": ended("passed", rounds=20)}, WHEN), file)
    written = {row["id"]: row for row in json.loads(file.read_text("utf-8"))["faults"]}
    assert list(written) == list(FAULTS)
    assert [written[row]["rounds"] for row in ("F1", "F2", "F3")] == ["30", "20", "0"]
    assert [written[row]["verdict"] for row in ("F1", "F2", "F3")] == ["kept", "kept", "not run"]


def test_the_last_line_counts_faults_and_not_rows() -> None:
    found = {row: ended("passed", rounds=1) for row in FAULTS}
    found["F4"] = ended("skipped", why="no strace")
    found["F16 YAML"] = ended("failed")
    count = len({number_of(row) for row in FAULTS})
    assert count < len(FAULTS)
    assert summary(rows(found, WHEN), 3720.0) == f"{count} faults: {count - 2} kept, 1 broken, 1 skipped; 1 h 02 min"


def test_the_table_fits_into_80_columns() -> None:
    found = {
        row: ended("passed", rounds=fault.full, seen={"a thing that was seen": 10_000}) for row, fault in FAULTS.items()
    }
    console = Console(width=80)
    with console.capture() as capture:
        console.print(show(rows(found, WHEN)))
    lines = capture.get().splitlines()
    assert max(map(len, lines)) <= 80
    assert "…" not in capture.get()


@pytest.mark.parametrize(("asked", "rounds"), [("full", 500), ("0.4", 200), ("0.001", 30)])
def test_a_share_of_the_full_count_is_never_less_than_cis(
    asked: str, rounds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FULL, asked)
    assert FAULTS["F1"].rounds == rounds


def test_an_unknown_fault_is_an_error() -> None:
    run = subprocess.run([sys.executable, "-m", "tests.faults", "--only", "F99"], capture_output=True, text=True)
    assert (run.returncode, "no such fault: F99" in run.stderr) == (2, True)


def test_every_fault_has_its_row_in_the_page() -> None:
    page = (DOCS / "explanation" / "promises.md").read_text("utf-8")
    assert re.findall(r"^\| `([FP]\d+[^`]*)` \|", page, re.MULTILINE) == list(FAULTS)
