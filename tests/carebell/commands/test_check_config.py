"""`check-config` on what only the command sees: modes of files, one certificate under two names, values that do nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.carebell.conftest import Carebell
from tests.story.folder import change


def test_a_restored_database_with_a_wide_mode_is_warned_of(carebell: Carebell, configuration: Path) -> None:
    database = configuration.with_name("carebell.db")
    database.touch(mode=0o600)
    assert "mode" not in carebell("-c", configuration, "check-config").out
    database.chmod(0o644)
    ended = carebell("-c", configuration, "check-config")
    assert ended.code == 0
    assert f"storage.url: carebell.db has mode 0644: other accounts can open it; chmod 0600 {database}" in ended.out
    assert "warning: " in ended.out


def test_one_certificate_under_two_names_is_refused(carebell: Carebell, configuration: Path) -> None:
    folder = configuration.parent / "certs"
    shutil.copy(next(folder.glob("*.cer")), folder / "copy.cer")
    [first] = [path for path in folder.glob("*.cer") if path.name != "copy.cer"][:1]
    listed = [f"certs/{first.name}", "certs/copy.cer"]
    change(configuration, {"environments": {"production": {"certificates": listed}}})
    ended = carebell("-c", configuration, "check-config", "--json")
    assert ended.code == 78
    [row] = [row for row in ended.rows if row["key"] == "environments.production.certificates[1]"]
    assert row["why"].startswith("copy.cer holds a certificate that is listed already")
    assert not row["warning"]
    assert row["line"] > 0


def test_what_does_nothing_is_a_warning(carebell: Carebell, configuration: Path) -> None:
    reminders = {"reminders": [{"before": "24h"}, {"before": "1d"}]}
    change(configuration, {"environments": {"production": {"sms": reminders}}})
    ended = carebell("-c", configuration, "check-config")
    assert ended.code == 0
    assert "1d and 24h are the same moment" in ended.out
