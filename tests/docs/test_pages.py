"""The written pages against the product: links lead somewhere, commands and options exist, configuration examples are right."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
import typer
from ruamel.yaml import YAML

from carebell.cli import app
from config.model import Configuration, Environment, SmsSettings
from docs.generate import DOCS, PAGES
from journal.events import ENTRIES

ROOT: Final = DOCS.parent
WRITTEN: Final = sorted(
    str(path.relative_to(ROOT))
    for path in [*DOCS.rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    if str(path.relative_to(DOCS) if path.is_relative_to(DOCS) else path) not in PAGES
)

LINK: Final = re.compile(r"\[[^\]\n]+\]\(([^)\s]+)\)")
HEADING: Final = re.compile(r"^#{1,6} +(.+)$", re.MULTILINE)
CODE: Final = re.compile(r"```(?P<language>\w*)\n(?P<block>.*?)^```|`(?P<inline>[^`]+)`", re.DOTALL | re.MULTILINE)
COMMAND: Final = re.compile(r"(?:^|\$ |&& |`)carebell((?: +[^\s|#&;,`>]+)*)", re.MULTILINE)


@pytest.mark.parametrize("page", WRITTEN)
def test_links_lead_somewhere(page: str) -> None:
    path = ROOT / page
    broken = [link for link in LINK.findall(_without_code(path.read_text("utf-8"))) if not _leads_somewhere(path, link)]
    assert broken == []


def _without_code(text: str) -> str:
    return re.sub(r"```.*?```", "", text, flags=re.DOTALL)


def _leads_somewhere(page: Path, link: str) -> bool:
    if link.startswith(("https://", "http://", "mailto:")):
        return True
    name, _, anchor = link.partition("#")
    target = (page.parent / name).resolve() if name else page
    if not target.exists():
        return False
    return not anchor or anchor in {_anchor(heading) for heading in HEADING.findall(target.read_text("utf-8"))}


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", WRITTEN)
def test_commands_and_options_exist(page: str) -> None:
    unknown = [words for words in _commands((ROOT / page).read_text("utf-8")) if not _is_a_call(words)]
    assert unknown == []


def _commands(text: str) -> Iterator[list[str]]:
    """The words after `carebell` in code, up to a comment, a pipe or the line's end."""
    for match in CODE.finditer(text):
        code = match["block"] if match["inline"] is None else match["inline"]
        code = re.sub(r"\\\n\s*", "", code) if match["block"] else " ".join(code.split())
        for call in COMMAND.finditer(code):
            yield call[1].split()


@cache
def _options() -> Mapping[tuple[str, ...], frozenset[str]]:
    """Each command's words -> its options."""

    def below(command: Any, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], frozenset[str]]]:
        named = [
            option
            for parameter in command.params
            for option in getattr(parameter, "opts", ())
            if option.startswith("-")
        ]
        yield words, frozenset([*named, "--help", "-h"])
        for name, inner in getattr(command, "commands", {}).items():
            yield from below(inner, (*words, name))

    return dict(below(typer.main.get_command(app), ()))


def _is_a_call(words: list[str]) -> bool:
    known = _options()
    length = max(size for size in range(4) if tuple(words[:size]) in known)
    if length == 0 and words and not words[0].startswith("-"):
        return False
    allowed = known[tuple(words[:length])]
    return all(word.partition("=")[0] in allowed for word in words[length:] if re.match(r"--?[a-z]", word))


def is_a_call(call: str) -> bool:
    """Whether `carebell WORDS` is a command with options that exist."""
    words = call.partition("carebell ")[2].split()
    return bool(words) and _is_a_call(words)


@pytest.mark.parametrize(
    ("words", "good"),
    [
        ("serve --roles listener", True),
        ("serve --rolls x", False),
        ("keys rotate", True),
        ("hurry up", False),
        ("portal user add --roll x", False),
    ],
)
def test_the_check_of_commands_can_fail(words: str, good: bool) -> None:
    assert _is_a_call(words.split()) is good


def _yaml_blocks() -> Iterator[tuple[str, str]]:
    for page in WRITTEN:
        for match in CODE.finditer((ROOT / page).read_text("utf-8")):
            if match["language"] == "yaml":
                yield page, textwrap.dedent(match["block"])


def test_configuration_examples_are_right() -> None:
    """Each example, laid over the shipped configuration at the section whose keys it has, is a good configuration."""
    shipped = (ROOT / "config" / "carebell.yaml").read_text("utf-8")
    seen = 0
    for page, block in _yaml_blocks():
        example = YAML(typ="safe").load(block)
        whole = YAML(typ="safe").load(shipped)
        _lay(_section(whole, example, page), example)
        Configuration.model_validate(whole)
        seen += 1
    assert seen >= 5


def _section(whole: dict[str, Any], example: Mapping[str, Any], page: str) -> dict[str, Any]:
    production: dict[str, Any] = whole["environments"]["production"]
    for model, section in ((Configuration, whole), (Environment, production), (SmsSettings, production["sms"])):
        keys = {field.alias or name for name, field in model.model_fields.items()}
        if set(example) <= keys:
            return section
    raise AssertionError(f"{page}: an example has keys of no section: {sorted(example)}")


def _lay(below: dict[str, Any], above: Mapping[str, Any]) -> None:
    for key, value in above.items():
        if isinstance(value, Mapping) and isinstance(below.get(key), dict):
            _lay(below[key], value)
        else:
            below[key] = value


def test_the_night_guide_names_events_that_exist() -> None:
    guide = (DOCS / "how-to" / "read-the-logs.md").read_text("utf-8")
    table = guide.split("## What it says, what to do")[1].split("\n## ")[0]
    named = re.findall(r"^\| (?:many )?`(\w+)`", table, re.MULTILINE)
    assert len(named) > 8
    assert set(named) <= {entry.name for entry in ENTRIES.values()}
