"""Completion: the shells' own scripts, and what they offer."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.carebell.conftest import Carebell
from tests.story.folder import make


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_script(shell: str, carebell: Carebell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_CAREBELL_COMPLETE", f"source_{shell}")
    ended = carebell()
    assert (ended.code, ended.err) == (0, "")
    assert f"_CAREBELL_COMPLETE=complete_{shell}" in ended.out


def offered(carebell: Carebell, monkeypatch: pytest.MonkeyPatch, line: str) -> list[str]:
    """What bash is told for the last word of a line."""
    monkeypatch.setenv("_CAREBELL_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len(line.split(" ")) - 1))
    return carebell().out.split()


@pytest.mark.parametrize(
    ("line", "offers"),
    [
        ("carebell conf", ["config"]),
        ("carebell config ", ["preview"]),
        ("carebell plan x --env", ["--environment"]),
        ("carebell keys r", ["rotate"]),
    ],
)
def test_commands_and_options_are_offered(
    line: str, offers: list[str], carebell: Carebell, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert set(offers) <= set(offered(carebell, monkeypatch, line))


def test_environments_are_offered_by_name(carebell: Carebell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAREBELL_CONFIG", str(make(tmp_path / "clinic")))
    assert offered(carebell, monkeypatch, "carebell hold -e ") == ["production", "test"]
    assert offered(carebell, monkeypatch, "carebell hold -e pro") == ["production"]


def test_without_a_configuration_nothing_is_offered_and_nothing_said(
    carebell: Carebell, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert offered(carebell, monkeypatch, "carebell hold -e ") == []


SCRIPTS = {
    "bash": "source <(carebell-script); COMP_WORDS=(carebell conf) COMP_CWORD=1; _carebell_completion carebell; "
    'printf "%s\\n" "${COMPREPLY[@]}"',
    "zsh": "autoload -U compinit && compinit -D && source <(carebell-script) && print ${_comps[carebell]}",
    "fish": "carebell-script | source; complete --do-complete 'carebell conf'",
}
SAYS = {"bash": "config", "zsh": "_carebell_completion", "fish": "config"}


@pytest.mark.parametrize("shell", SCRIPTS)
def test_a_real_shell_completes(shell: str, tmp_path: Path) -> None:
    """zsh completes only while somebody types: here it is only seen to take the script."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed here")
    (tmp_path / "carebell-script").write_text(
        f"#!/bin/sh\n_CAREBELL_COMPLETE=source_{shell} exec carebell\n", encoding="utf-8"
    )
    (tmp_path / "carebell").write_text(f'#!/bin/sh\nexec {sys.executable} -m carebell "$@"\n', encoding="utf-8")
    for script in tmp_path.iterdir():
        script.chmod(0o755)
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    done = subprocess.run(
        [shell, "-c", SCRIPTS[shell]],
        env={**environment, "PYTHONPATH": str(root)} if (root / "carebell").is_dir() else environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert SAYS[shell] in done.stdout.split(), done.stderr
