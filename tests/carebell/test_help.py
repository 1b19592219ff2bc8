"""`--help` of every command reads well on a terminal of 60 columns."""

from __future__ import annotations

import pytest
import typer
from typer.testing import CliRunner

from carebell.cli import app, first_sentence
from tests.carebell.command_table import LEAVES

GROUPS = sorted({words.rpartition(" ")[0] for words, _ in LEAVES if " " in words} | {""})


@pytest.mark.parametrize("words", [*GROUPS, *(words for words, _ in LEAVES)])
def test_help_fits_on_sixty_columns(words: str) -> None:
    result = CliRunner().invoke(app, [*words.split(), "--help"], terminal_width=60, prog_name="carebell")
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert [line for line in lines if len(line) > 60] == []
    assert [line for line in lines if line.endswith("...") and not line.startswith("Usage")] == []


def test_every_command_and_option_is_explained() -> None:
    unexplained = [words for words, command in LEAVES if not command.help]
    unexplained += [
        f"{words} {option.opts}"
        for words, command in LEAVES
        for option in command.params
        if not getattr(option, "help", None) and not getattr(option, "hidden", False)
    ]
    assert unexplained == []


def test_a_group_lists_whole_sentences() -> None:
    listed = CliRunner().invoke(app, ["--help"], terminal_width=200).output
    group = typer.main.get_command(app)
    for command in group.commands.values():  # type: ignore[attr-defined]  # it is a group
        assert first_sentence(command.help) in listed


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("Write carebell.yaml that works. Then stop.", "Write carebell.yaml that works."),
        ("One line\nbroken. And more.\n\nA paragraph.", "One line broken."),
        ("", ""),
    ],
)
def test_the_first_sentence(text: str, sentence: str) -> None:
    assert first_sentence(text) == sentence
