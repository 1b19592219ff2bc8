"""A typo in carebell.yaml while the service runs takes no command away that works on what the service stored."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from carebell.bootstrap.active_config import note_in_force
from store import schema
from store.engine import open_store
from tests.carebell.conftest import Carebell
from tests.story import folder

SINCE = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)

Break = Callable[[Path], object]

BREAKS: dict[str, Break] = {
    "unknown key": lambda path: path.write_text(path.read_text().replace("environments:", "enviroments:")),
    "value": lambda path: path.write_text(path.read_text().replace("time_zone: ", "time_zone: Mars/")),
    "tab": lambda path: path.write_text(path.read_text().replace("time_zone", "\ttime_zone")),
    "cut off": lambda path: path.write_text(path.read_text()[:300]),
    "empty": lambda path: path.write_text(""),
    "storage misspelt": lambda path: path.write_text(path.read_text().replace("storage:", "storge:")),
    "log misspelt": lambda path: path.write_text(path.read_text().replace("log:", "lgo:")),
    "gone": lambda path: path.unlink(),
}

COMMANDS = {
    "hold": ("hold",),
    "hold one": ("hold", "-e", "production"),
    "release": ("release",),
    "release one": ("release", "-e", "production"),
    "outbox": ("outbox",),
    "outbox one": ("outbox", "-e", "test"),
    "appointments": ("appointments",),
    "report": ("report", "sms", "--to", "2026-03-03"),
    "optout list": ("optout", "list"),
    "optout add": ("optout", "add", "+12025550143"),
    "optout add one": ("optout", "add", "+12025550143", "--sender", "+14255550100"),
    "purge": ("purge",),
    "purge verify": ("purge", "--verify", "+12025550143"),
    "status": ("status",),
    "logs": ("logs",),
}


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    return folder.make(tmp_path / "clinic", {"log": {"file": "carebell.log"}})


@pytest.fixture
def served(configuration: Path) -> Path:
    """A configuration that a service runs on."""
    loaded = folder.load(configuration)
    store = open_store(loaded.configuration.storage.url)
    schema.upgrade(store)
    with store.write() as conn:
        note_in_force(conn, loaded, since=SINCE, now=SINCE)
    store.close()
    line = {"time": "2026-03-02T08:00:00.000Z", "level": "info", "event": "sms_sent", "appointment": "A1"}
    configuration.with_name("carebell.log").write_text(json.dumps(line) + "\n")
    return configuration


@pytest.mark.parametrize("how", BREAKS)
@pytest.mark.parametrize("command", ["hold", "outbox one", "logs"])
def test_however_the_file_is_broken(carebell: Carebell, served: Path, command: str, how: str) -> None:
    whole = carebell("-c", served, *COMMANDS[command])
    if command == "hold":
        carebell("-c", served, "release")
    BREAKS[how](served)
    broken = carebell("-c", served, *COMMANDS[command])
    assert (broken.code, broken.out) == (whole.code, whole.out)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_typo_takes_no_command_away(carebell: Carebell, served: Path, command: str) -> None:
    version = folder.load(served).version
    whole = carebell("-c", served, *COMMANDS[command])
    if command.startswith("hold"):
        carebell("-c", served, "release")
    if command.startswith("release"):
        assert whole.code == 0
    BREAKS["unknown key"](served)
    broken = carebell("-c", served, *COMMANDS[command])
    assert broken.code == whole.code
    if command != "status":
        assert broken.out == whole.out
    warning = broken.err.splitlines()[0]
    assert warning.startswith(f"carebell: warning: {served}:")
    assert ": enviroments: unknown key" in warning
    assert warning.endswith(f"; the configuration in force since 2026-03-02T08:00:00Z is used, version {version}")
    assert len([line for line in broken.err.splitlines() if "warning" in line]) == 1


def test_the_warning_stands_beside_json_lines_not_among_them(carebell: Carebell, served: Path) -> None:
    BREAKS["unknown key"](served)
    ended = carebell("-c", served, "hold", "--json")
    assert [row["held"] for row in ended.rows] == [True]
    assert "enviroments" in ended.err


@pytest.mark.parametrize("how", BREAKS)
@pytest.mark.parametrize("environment", [(), ("-e", "production")])
def test_the_emergency_stop_needs_no_configuration_that_was_ever_in_force(
    carebell: Carebell, configuration: Path, how: str, environment: tuple[str, ...]
) -> None:
    assert carebell("-c", configuration, "db", "upgrade").code == 0
    whole = configuration.read_text()
    BREAKS[how](configuration)
    assert carebell("-c", configuration, "outbox").code == 78
    ended = carebell("-c", configuration, "hold", *environment)
    assert (ended.code, ended.out.endswith(": texts are held\n")) == (0, True)
    assert str(configuration) in ended.err
    configuration.write_text(whole)
    status = carebell("-c", configuration, "status", "--json")
    assert [hold["name"] for hold in status.rows[0]["gateway"]["holds"]] == [*environment[1:]] or [""]


def test_a_hold_needs_no_key(carebell: Carebell, served: Path) -> None:
    key_file = served.with_name("carebell.key")
    key_file.unlink()
    assert carebell("-c", served, "outbox").code == 78
    assert carebell("-c", served, "hold").code == 0


def test_where_no_database_is_none_is_made(carebell: Carebell, configuration: Path) -> None:
    BREAKS["unknown key"](configuration)
    for command in (("hold",), ("outbox",)):
        ended = carebell("-c", configuration, *command)
        assert (ended.code, ended.out) == (78, "")
        assert ": enviroments: unknown key" in ended.err
    assert not configuration.with_name("carebell.db").exists()


def test_an_environment_that_is_unknown_is_no_typo_of_the_file(carebell: Carebell, served: Path) -> None:
    BREAKS["unknown key"](served)
    assert carebell("-c", served, "hold", "-e", "moon").code == 2


@pytest.mark.parametrize("how", BREAKS)
def test_logs_need_neither_a_sound_file_nor_a_database(carebell: Carebell, configuration: Path, how: str) -> None:
    folder.change(configuration, {"log": {"file": "service.log"}})
    line = {"time": "2026-03-02T08:00:00.000Z", "level": "info", "event": "sms_sent", "appointment": "A1"}
    name = "carebell.log" if how in ("gone", "empty", "cut off") else "service.log"
    configuration.with_name(name).write_text(json.dumps(line) + "\n")
    BREAKS[how](configuration)
    ended = carebell("-c", configuration, "logs")
    assert ended.code == 0
    assert "sms sent" in ended.out


def test_what_the_file_itself_is_needed_for_still_refuses(carebell: Carebell, served: Path) -> None:
    BREAKS["unknown key"](served)
    for command in (("check-config",), ("serve",), ("verify", "-e", "production", served)):
        assert carebell("-c", served, *command).code == 78
