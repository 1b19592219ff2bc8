"""`db backup`: the copy, its record, and what is refused."""

from __future__ import annotations

import stat
from pathlib import Path

from tests.carebell.conftest import Carebell


def test_a_copy_is_made_and_recorded(carebell: Carebell, configuration: Path, tmp_path: Path) -> None:
    carebell("db", "upgrade", "-c", configuration)
    copy = tmp_path / "copy.db"
    ended = carebell("db", "backup", copy, "-c", configuration, "--json")
    [row] = ended.rows
    assert (ended.code, row["file"], row["bytes"]) == (0, str(copy), copy.stat().st_size)
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    doctor = carebell("doctor", "-c", configuration, "--json")
    [diagnosis] = [row for row in doctor.rows if row["check"] == "backup"]
    assert (diagnosis["state"], row["time"][:16].replace("T", " ") in diagnosis["what"]) == ("good", True)

    again = carebell("db", "backup", copy, "-c", configuration)
    assert again.code == 78
    assert "exists already and was not overwritten" in again.sentence


def test_a_backup_by_other_means_is_recorded(carebell: Carebell, configuration: Path) -> None:
    carebell("db", "upgrade", "-c", configuration)
    ended = carebell("db", "backup", "--noted", "-c", configuration)
    assert (ended.code, ended.out) == (0, "recorded: a backup was made now\n")


def test_a_file_or_a_note_is_asked_for(carebell: Carebell, configuration: Path, tmp_path: Path) -> None:
    for words in ([], [tmp_path / "copy.db", "--noted"]):
        ended = carebell("db", "backup", *words, "-c", configuration)
        assert (ended.code, ended.sentence) == (
            2,
            "name a file for the copy, or say --noted after a backup by other means",
        )
