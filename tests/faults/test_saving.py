"""P1 to P5: carebell.yaml is saved whole or not at all, never over another's change, and the preview is what then happens."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib import resources
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config.digests import digest_of
from config.edit import REMOVED, Edit, EditRefused, edited
from config.save import SaveConflict, save
from tests.carebell.outbound.test_foresee import EDITS, Lived, base, check_preview, lives
from tests.config.test_edit import check_any_edit, files, laid, paths, values
from tests.faults.config_saver import STEPS
from tests.faults.conftest import Tally
from tests.faults.disk import Disk
from tests.story.folder import make

__all__ = ["base", "lives"]

pytestmark = pytest.mark.timeout(3600)
REAL_FILES: Final = [resources.files("config").joinpath("carebell.yaml").read_bytes()] + [
    (Path(__file__).parents[1] / "config" / name).read_bytes() for name in ("contract.yaml", "small.yaml")
]
VALUES: Final[tuple[Any, ...]] = ("22:00", "24h", 3, True, None, [], ["a", "b"], {"before": "2h"}, REMOVED)


def _rows(*words: object, environment: Mapping[str, str] | None = None) -> Iterator[dict[str, Any]]:
    command = [sys.executable, "-m", "tests.faults.config_saver", *map(str, words)]
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert ended.returncode == 0, ended.stderr
    return map(json.loads, ended.stdout.splitlines())


@pytest.mark.faults("P1")
def test_killed_at_any_step_the_file_is_whole_and_the_history_follows(tally: Tally, tmp_path: Path) -> None:
    rounds = tally.fault.rounds * len(STEPS)
    *rows, last = _rows("kill", make(tmp_path / "clinic"), rounds)
    for done, row in enumerate(rows, 1):
        assert row["file"] == ("new" if row["step"] in ("folder synced", "recorded") else "old")
        assert row["history"]
        tally.seen[row["file"]] += 1
        tally.progress(done, rounds)
    assert (len(rows), last) == (rounds, {"left": []})


@pytest.mark.faults("P2")
def test_a_disk_that_fails_leaves_the_old_file_and_is_named(tally: Tally, disk: Disk) -> None:
    configuration = make(disk.folder / "clinic")
    rows = list(_rows("disk", configuration, tally.fault.rounds, disk.faults, environment=disk.environment()))
    words = {"full": "no space left on device", "eio": "input/output error"}
    for done, row in enumerate(rows, 1):
        assert (row["file"], row["again"], words[row["how"]] in row["said"]) == ("old", "new", True), row
        tally.seen[row["how"]] += 1
        tally.progress(done, len(rows))
    assert len(rows) == tally.fault.rounds


@pytest.mark.faults("P3")
def test_of_two_savers_and_an_editor_nobody_is_overwritten(tally: Tally, tmp_path: Path) -> None:
    """The editor takes no lock and writes once in every second round: its text is there at the end, whoever else saved."""
    file = tmp_path / "carebell.yaml"
    for number in tally.rounds():
        file.write_bytes(b"a: %d\n" % number)
        saved, by_hand = _write_at_once(file, with_editor=number % 2 == 0)
        assert len(saved) <= 1
        assert file.read_bytes() == (saved[0] if by_hand is None else by_hand)
        tally.seen["saved" if saved else "conflicts alone"] += 1


def _write_at_once(file: Path, *, with_editor: bool) -> tuple[list[bytes], bytes | None]:
    """What two savers of the same base wrote, and what an editor wrote beside them."""
    digest, by_hand = digest_of(file.read_bytes()), b"by: hand\n" if with_editor else None
    together, saved = threading.Barrier(3), list[bytes]()

    def write(content: bytes) -> None:
        together.wait()
        with suppress(SaveConflict):
            save(file, content, base=digest)
            saved.append(content)

    def edit() -> None:
        together.wait()
        if by_hand is not None:
            beside = file.with_name("vi.tmp")
            beside.write_bytes(by_hand)
            beside.replace(file)

    threads = [threading.Thread(target=write, args=(b"saver: %d\n" % who,)) for who in range(2)]
    threads.append(threading.Thread(target=edit))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return saved, by_hand


@pytest.mark.faults("P4")
def test_random_edits_of_generated_files(tally: Tally) -> None:
    @settings(max_examples=tally.fault.rounds, deadline=None, database=None)
    @given(files(), st.data())
    def check(text: str, data: st.DataObject) -> None:
        check_any_edit(text, data)
        tally.seen["edits"] += 1
        tally.progress(tally.seen["edits"], tally.fault.rounds)

    check()


@pytest.mark.faults("P4")
def test_random_edits_of_real_files(tally: Tally) -> None:
    draw = random.Random(4)
    for _ in tally.rounds(0.02):
        content = draw.choice(REAL_FILES)
        before = values(content)
        keys = draw.choice([keys for keys in paths(before) if keys])
        value = draw.choice(VALUES)
        try:
            after = edited(content, [Edit(keys, value)], "carebell.yaml")
        except EditRefused:
            tally.seen["refused"] += 1
            continue
        assert json.dumps(values(after), sort_keys=True) == json.dumps(laid(before, keys, value), sort_keys=True)
        if value is not REMOVED:
            kept = [line for line in content.decode().splitlines() if line.lstrip().startswith("#")]
            assert [line for line in after.decode().splitlines() if line in kept] == kept or isinstance(
                _at(before, keys), dict | list
            ), "a comment is gone"
        tally.seen["edits of real files"] += 1


@pytest.mark.faults("P5")
def test_the_preview_is_what_then_happens(tally: Tally, base: Any, lives: list[Lived]) -> None:
    @settings(
        max_examples=tally.fault.rounds,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(edits=EDITS, which=st.integers(0, 2))
    def check(edits: dict[str, Any], which: int) -> None:
        tally.seen["texts that change"] += check_preview(edits, lives[which], base)
        tally.progress(tally.done + 1, tally.fault.rounds)

    check()


def _at(value: Any, keys: tuple[str | int, ...]) -> Any:
    for key in keys:
        value = value[key]
    return value
