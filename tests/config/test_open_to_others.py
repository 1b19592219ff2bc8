"""A restored database or log often has a wider mode than Carebell gave it: `check-config` says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.files import open_to_others
from config.load import load
from tests.config.conftest import Write


@pytest.mark.parametrize(
    ("file", "mode", "key", "advice"),
    [
        ("carebell.db", 0o644, "storage.url", "0600"),
        ("carebell.db", 0o640, "storage.url", "0600"),
        ("carebell.db-wal", 0o604, "storage.url", "0600"),
        ("carebell.db-shm", 0o666, "storage.url", "0600"),
        ("carebell.log", 0o644, "log.file", "0640"),
        ("carebell.log", 0o660, "log.file", "0640"),
        ("outbox.jsonl", 0o640, "gateway.file", "0600"),
    ],
)
def test_a_wide_mode_is_said_with_the_command_that_narrows_it(
    file: str, mode: int, key: str, advice: str, write: Write, tmp_path: Path
) -> None:
    path = write("kind: console", "kind: file")
    (tmp_path / file).touch()
    (tmp_path / file).chmod(mode)
    [problem] = open_to_others(load(path, {}))
    assert problem.key == key
    assert problem.why == (f"{file} has mode {mode:04o}: other accounts can open it; chmod {advice} {tmp_path / file}")


@pytest.mark.parametrize(("file", "mode"), [("carebell.db", 0o600), ("carebell.db", 0o400), ("carebell.log", 0o640)])
def test_a_narrow_mode_or_no_file_is_not(file: str, mode: int, write: Write, tmp_path: Path) -> None:
    path = write()
    assert open_to_others(load(path, {})) == []
    (tmp_path / file).touch()
    (tmp_path / file).chmod(mode)
    assert open_to_others(load(path, {})) == []
