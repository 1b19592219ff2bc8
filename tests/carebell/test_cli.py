"""The command line itself: help, versions, where the configuration is looked for, and how wrong calls end."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import typer

from carebell.build_in_use import build_in_use
from carebell.cli import app
from tests.carebell.conftest import Carebell
from tests.story.folder import VECTORS


def _walk(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, bool]]:
    """Each command's name after `carebell`, and whether it is a group."""
    for name, command in group.commands.items():
        is_group = hasattr(command, "commands")
        yield " ".join((*path, name)), is_group
        if is_group:
            yield from _walk(command, (*path, name))


COMMANDS = dict(_walk(typer.main.get_command(app)))
M01 = VECTORS / "messages/accept/m01-rs256-s12.hl7"


@pytest.mark.parametrize("columns", [80, 60])
@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_fits_the_terminal(
    command: str, columns: int, carebell: Carebell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERMINAL_WIDTH", str(columns))
    ended = carebell(*command.split(), "--help")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith(f"Usage: carebell {command}".rstrip())
    assert [line for line in ended.out.splitlines() if len(line) > columns] == []


@pytest.mark.parametrize("command", [name for name, is_group in COMMANDS.items() if not is_group])
def test_every_command_has_json_and_says_what_it_does(command: str, carebell: Carebell) -> None:
    said = carebell(*command.split(), "--help").out
    assert "\n  --json " in said
    sentence = said.split("\n\n")[1].strip()
    assert sentence.endswith((".", "?")), sentence


def test_help_names_every_command(carebell: Carebell) -> None:
    said = carebell("--help").out
    for command in {command.split()[0] for command in COMMANDS}:
        assert f"\n  {command} " in said


@pytest.mark.parametrize(
    "words",
    [
        ("-c", M01, "outbox"),
        ("outbox", "-c", M01),
        ("cert", "show", M01),
        ("sign", M01, "--key", M01, "--cert", M01),
        ("verify", M01, "--environment", "production"),
        ("send", M01, "--to", "127.0.0.1:1", "--key", M01, "--cert", M01),
        ("send", M01, "--to", "127.0.0.1:1", "--tls", "--tls-ca", M01, "--tls-cert", M01, "--tls-key", M01),
        ("explain", M01, "-e", "production"),
        ("plan", M01, "-e", "production"),
        ("simulator", "ehr", "--to", "127.0.0.1:1", "--key", M01, "--cert", M01),
    ],
    ids=lambda words: "-".join(word.strip("-") for word in words if word is not M01),
)
def test_a_file_that_may_not_be_read_is_no_wrong_call(
    words: tuple[object, ...], carebell: Carebell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The parser of the command line would say 2 for it, where the contract has 77."""
    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    assert carebell(*words).code in (1, 75, 77, 78)


def test_without_a_command_help_is_shown(carebell: Carebell) -> None:
    assert "Usage: carebell" in (ended := carebell()).out + ended.err
    assert ended.code == 2


def test_version(carebell: Carebell) -> None:
    ended = carebell("--version")
    assert (ended.code, ended.out) == (0, f"{version('carebell')} ({build_in_use()})\n")


@pytest.mark.parametrize(
    "words",
    [
        ("nonsense",),
        ("verify", M01),
        ("verify", M01, "--environment"),
        ("outbox", "--nonsense"),
        ("cert", "show"),
        ("plan", M01, "--environment", "production", "--at", "tomorrow"),
        ("verify", M01, "--environment", "production", "--at", "2026-13-45"),
        ("cert", "show", M01, "--at", "noon"),
        ("serve", "--clock", "yesterday"),
        ("send", M01, "--to", "127.0.0.1:1", "--repeat", "0"),
    ],
    ids=lambda words: "-".join(word.strip("-") for word in words if word is not M01),
)
def test_a_wrong_call_is_2(words: tuple[object, ...], carebell: Carebell) -> None:
    ended = carebell(*words)
    assert ended.code == 2
    assert ended.out == ""
    assert "Traceback" not in ended.err
    assert ended.err


@pytest.mark.parametrize(
    "words",
    [
        ("outbox", "--state", "vanished"),
        ("logs", "--level", "loud"),
        ("serve", "--roles", "cook"),
        ("serve", "--roles", ","),
        ("serve", "--speed", "0"),
        ("serve", "--workers", "0"),
        ("serve", "--workers", "65"),
        ("serve", "--workers", "2", "--roles", "dispatcher,portal"),
        ("verify", M01, "--environment", "moon"),
        ("explain", M01, "--environment", "moon"),
        ("plan", M01, "--environment", "moon"),
        ("hold", "--environment", "moon"),
        ("optout", "add", "12025550143"),
        ("optout", "add", "+12025550143", "--sender", "+19995550100"),
        ("purge", "--at", "2200-01-01T00:00:00Z"),
    ],
    ids=lambda words: "-".join(word.strip("-") for word in words[:3] if word is not M01 and "+" not in word),
)
def test_what_the_configuration_does_not_know_is_2(
    words: tuple[object, ...], carebell: Carebell, configuration: Path
) -> None:
    carebell("-c", configuration, "db", "upgrade")
    ended = carebell("-c", configuration, *words)
    assert (ended.code, ended.out) == (2, "")
    assert len(ended.sentence) > 20


# Where the configuration is


def test_the_configuration_is_looked_for_in_order(
    carebell: Carebell, configuration: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert carebell("check-config").sentence.startswith("no configuration: there is no ./carebell.yaml")
    here = Path("carebell.yaml")
    here.write_text("organization: {}\n")
    assert "carebell.yaml:1:" in carebell("check-config").err
    monkeypatch.setenv("CAREBELL_CONFIG", str(configuration))
    assert carebell("check-config").code == 0
    # -c wins, before or after the command's name.
    other = tmp_path / "other.yaml"
    other.write_text("nonsense: 1\n")
    for words in (("-c", other, "check-config"), ("check-config", "-c", other), ("check-config", "--config", other)):
        ended = carebell(*words)
        assert ended.code == 78
        assert "other.yaml:1:1: nonsense" in ended.err
    assert carebell("check-config", "-c", tmp_path / "absent.yaml").code == 78


def test_the_environment_overrides_the_file(
    carebell: Carebell, configuration: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAREBELL_HTTP__PORT", "eighty")
    ended = carebell("-c", configuration, "check-config")
    assert ended.code == 78
    assert "CAREBELL_HTTP__PORT" in ended.err


def test_json_before_or_after_the_command(carebell: Carebell) -> None:
    file = VECTORS / "certs/accept/01-prod-rsa3072.cer"
    before, after = carebell("--json", "cert", "show", file), carebell("cert", "show", file, "--json")
    assert before == after
    assert before.rows[0]["verdict"] == "accept"


# As the shell sees it


def test_the_console_script_and_the_module_end_alike(configuration: Path) -> None:
    script = Path(sys.executable).with_name("carebell")
    for program in ([str(script)], [sys.executable, "-m", "carebell"]):
        done = subprocess.run(
            [*program, "-c", str(configuration), "verify", "absent.hl7", "--environment", "production"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == "carebell: absent.hl7: no such file\n"


CERTIFICATE = VECTORS / "certs/accept/01-prod-rsa3072.cer"


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    ("words", "lines"),
    [
        (["cert", "show", *[str(CERTIFICATE)] * 500], 1),
        (["cert", "show", str(CERTIFICATE)], 0),
        (["cert", "show", str(CERTIFICATE), "--json"], 0),
        (["--help"], 0),
        (["optout", "--help"], 0),
        (["--version"], 0),
    ],
    ids=["in the middle", "before the first line", "JSON", "help", "help of a group", "version"],
)
def test_a_reader_that_hangs_up_ends_it_quietly(words: list[str], lines: int, unbuffered: str) -> None:
    """As `carebell ... | head -1` does; 141 is what a shell reports of a program that SIGPIPE ended."""
    with subprocess.Popen(
        [sys.executable, "-m", "carebell", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        for _ in range(lines):
            process.stdout.readline()
        process.stdout.close()
        said = process.stderr.read()
    assert said == b""
    assert process.returncode == 141


def test_a_reader_of_the_complaint_that_hangs_up_ends_it_too() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "carebell", "verify", "absent.hl7", "-e", "production", "-c", "absent.yaml"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stderr.close()
        assert process.stdout.read() == b""
    assert process.returncode == 141


def test_no_output_at_all_is_no_fault() -> None:
    """Both streams closed from the start, as a careless cron job has it."""
    done = subprocess.run(
        ["sh", "-c", f"exec {sys.executable} -m carebell cert show {CERTIFICATE} >&- 2>&-"], timeout=60, check=False
    )
    assert done.returncode == 0


def test_a_disk_that_is_full_is_one_sentence() -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "carebell", "cert", "show", str(CERTIFICATE)],
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == b"carebell: the system says: no space left on device\n"


def test_ctrl_c_is_130_and_a_sentence(carebell: Carebell, monkeypatch: pytest.MonkeyPatch) -> None:
    def press(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("carebell.commands.cert.show", press)
    ended = carebell("cert", "show", CERTIFICATE)
    assert (ended.code, ended.out) == (130, "")
    assert ended.sentence == "interrupted: nothing was changed"
