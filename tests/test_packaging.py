"""The rooms have common names, so: every one is ours alone, the wheel holds all of each, and the checkout holds nothing else.

`listener`, `parser` or `config` could come from anybody's distribution; a `find:` that misses a sub-package builds an empty
wheel without a word. The story tests run once more from the wheel (`.ci/run`); there, what asks about the checkout is skipped.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import importlib.metadata
import importlib.util
import inspect
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path, PurePath
from types import ModuleType
from typing import Any

import pytest

ROOMS = (
    "carebell", "certs", "config", "ehr", "journal", "listener", "meetings", "notifier", "oauth", "parser", "portal", "scheduler",
    "simulator",
    "store",
)  # fmt: skip
DATA = (
    "carebell/system/carebell.logrotate",
    "carebell/system/carebell.service",
    "carebell/system/carebell.sysusers",
    "carebell/system/carebell.tmpfiles",
    "config/answers.yaml",
    "config/carebell.yaml",
    "config/page_words/en.yaml",
    "config/page_words/es.yaml",
    "config/reply_words/en.yaml",
    "config/reply_words/es.yaml",
    "config/reply_words/fr.yaml",
    "config/schema.json",
    "config/templates/en.yaml",
    "config/templates/es.yaml",
    "journal/carebell.lnav.json",
    "ehr/fhir_maps/epic.yaml",
    "ehr/fhir_maps/generic.yaml",
    "ehr/fhir_maps/oracle_health.yaml",
    "ehr/outmaps/epic.yaml",
    "ehr/outmaps/generic.yaml",
    "ehr/outmaps/oracle_health.yaml",
    "ehr/status_maps/epic.yaml",
    "parser/fieldmaps/epic.yaml",
    "parser/fieldmaps/generic.yaml",
    "parser/fieldmaps/oracle_health.yaml",
    "store/migrations/script.py.mako",
    *(f"{room}/py.typed" for room in ROOMS),
)
CHECKOUT = Path(__file__).parent.parent
needs_checkout = pytest.mark.skipif(
    not (CHECKOUT / "setup.cfg").exists(), reason="not in a checkout: the tests run from the built wheel"
)


# What is installed


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_is_ours_alone(room: str) -> None:
    owners = set(importlib.metadata.packages_distributions().get(room, []))
    found = importlib.import_module(room).__file__
    assert found is not None
    if not owners:  # an editable install is a path file, which names no packages
        assert Path(found).is_relative_to(CHECKOUT)
        owners = _owners_of_files(room)
    assert owners == {"carebell"}


def _owners_of_files(room: str) -> set[str]:
    """Distributions that carry a top-level package or module of that name, and the one whose top_level.txt names it."""
    owners = set()
    for distribution in importlib.metadata.distributions():
        named = (distribution.read_text("top_level.txt") or "").split()
        files = {path.parts[0] for path in distribution.files or () if path.suffix == ".py"}
        if room in named or {room, f"{room}.py"} & files:
            owners.add(distribution.name)
    return owners


def test_no_room_hides_a_module_of_pythons() -> None:
    assert [room for room in ROOMS if room in sys.stdlib_module_names] == []


def test_what_is_installed_finds_its_data() -> None:
    for name in DATA:
        room, _, rest = name.partition("/")
        file = importlib.import_module(room).__file__
        assert file is not None
        assert (Path(file).parent / rest).is_file(), name


# What is built


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names in a wheel built from what git would check out."""
    source, output = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in _tracked():
        target = source / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((CHECKOUT / name).read_bytes())
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(output), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    [built] = output.glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        return set(archive.namelist())


def _tracked() -> list[str]:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=CHECKOUT, capture_output=True, check=True)
    names = [name for name in done.stdout.decode().split("\0") if name]
    return [name for name in names if (CHECKOUT / name).is_file()]


@needs_checkout
def test_the_wheel_holds_every_module_of_every_room(wheel: set[str]) -> None:
    modules = {name for name in _tracked() if name.split("/")[0] in ROOMS and name.endswith(".py")}
    assert len(modules) > 100
    assert sorted(modules - wheel) == []


@needs_checkout
def test_the_wheel_holds_every_data_file(wheel: set[str]) -> None:
    assert sorted(set(DATA) - wheel) == []
    # Whatever lies in a room is a part of it: a file that nobody packs is a bug or does not belong there.
    tracked = {name for name in _tracked() if name.split("/")[0] in ROOMS}
    assert sorted(tracked - wheel) == []


@needs_checkout
def test_the_wheel_holds_nothing_else(wheel: set[str]) -> None:
    tops = {PurePath(name).parts[0] for name in wheel}
    [metadata] = [top for top in tops if top.endswith(".dist-info")]
    assert tops == {*ROOMS, metadata}
    assert f"{metadata}/licenses/LICENSE" in wheel
    assert f"{metadata}/entry_points.txt" in wheel


def _setup() -> ModuleType:
    spec = importlib.util.spec_from_file_location("carebell_setup", CHECKOUT / "setup.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _script(name: str) -> Any:
    """A module of `.ci`, which is no package."""
    spec = importlib.util.spec_from_file_location(f"ci_{Path(name).stem}", CHECKOUT / ".ci" / name)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@needs_checkout
def test_what_is_compiled_is_there_and_is_named_once() -> None:
    setup = _setup()
    paths = [path for group in setup.compiled_modules().values() for path in group]
    assert len(paths) == len(set(paths)) > 40
    assert [path for path in paths if not (CHECKOUT / path).is_file()] == []
    assert set(setup.INTERPRETED) <= set(_tracked())


@needs_checkout
def test_a_pattern_that_fits_no_module_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    setup = _setup()
    monkeypatch.setattr(setup, "GROUPS", {"library": ("parser/gone.py",)})
    with pytest.raises(ValueError, match=r"parser/gone\.py: nothing to compile"):
        setup.compiled_modules()


WITHOUT_OWN_CONSTRUCTOR = {"Reset", "Delimiters", "PhoneRules", "Rules", "VisitWindow"}
"""Dataclasses of compiled modules that keep the interpreted one: they have no fields, a `__post_init__`, or are made with a
configuration."""


@needs_checkout
def test_compiled_dataclasses_are_made_by_a_constructor_that_takes_what_theirs_takes() -> None:
    paths = [path for group in _setup().compiled_modules().values() for path in group]
    kept = set()
    for path in paths:
        source = (CHECKOUT / path).read_text("utf-8")
        rewritten = _script("constructors.py").rewritten(source)
        module = importlib.import_module(path.removesuffix(".py").replace("/", "."))
        lines = rewritten.split("\n")
        assert [at for at, line in enumerate(source.split("\n")) if line not in ("", lines[at])] == []
        for statement in ast.parse(rewritten).body:
            made = getattr(module, statement.name) if isinstance(statement, ast.ClassDef) else None
            if isinstance(statement, ast.ClassDef) and dataclasses.is_dataclass(made):
                functions = {node.name: node for node in statement.body if isinstance(node, ast.FunctionDef)}
                constructor = functions.get("__init__")
                if constructor is None:
                    kept.add(statement.name)
                    continue
                assert _parameters(constructor.args) == [
                    (name, parameter.kind is parameter.KEYWORD_ONLY, parameter.default is not parameter.empty)
                    for name, parameter in inspect.signature(vars(made)["__init__"]).parameters.items()
                ]
                assigned = [ast.unparse(line.targets[0]) for line in constructor.body if isinstance(line, ast.Assign)]
                assert assigned == [f"self.{field.name}" for field in dataclasses.fields(made)]
    assert kept == WITHOUT_OWN_CONSTRUCTOR


def _parameters(arguments: ast.arguments) -> list[tuple[str, bool, bool]]:
    """(name, keyword only, has a default)"""
    plain = len(arguments.args) - len(arguments.defaults)
    positional = [(argument.arg, False, at >= plain) for at, argument in enumerate(arguments.args)]
    named = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    return positional + [(argument.arg, True, default is not None) for argument, default in named]


@needs_checkout
def test_a_constructor_keeps_defaults_and_makes_fresh_what_a_factory_makes() -> None:
    source = """@dataclass(slots=True, kw_only=True)
class Made:
    name: str
    count: int = field(default=2, repr=False)
    names: list[str] = field(default_factory=list)

    def said(self) -> str:
        return self.name
"""
    scope: dict[str, Any] = {"dataclass": dataclasses.dataclass, "field": dataclasses.field, "__name__": __name__}
    exec(_script("constructors.py").rewritten(source), scope)
    made, other = scope["Made"](name="one"), scope["Made"](name="two", count=3, names=["three"])
    assert (made.said(), made.count, made.names) == ("one", 2, [])
    assert (other.said(), other.count, other.names) == ("two", 3, ["three"])
    assert made.names is not scope["Made"](name="one").names


@needs_checkout
def test_without_a_compiler_the_reason_is_one_line() -> None:
    environment = {**os.environ, "CC": "no-such-compiler -Wall"}
    command = ["sh", ".ci/compile", "--check"]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == "no C compiler (no-such-compiler) was found (Debian: apt install gcc)\n"


@needs_checkout
def test_the_installed_metadata_is_the_projects() -> None:
    found = importlib.metadata.metadata("carebell")
    assert "MIT" in (found["License-Expression"], found["License"])
    assert found["Requires-Python"] == ">=3.11"
    [script] = importlib.metadata.distribution("carebell").entry_points.select(group="console_scripts")
    assert (script.name, script.value) == ("carebell", "carebell.__main__:main")
    assert "Carebell" in str(found.json["description"])


# What is checked in


@needs_checkout
def test_the_checkout_has_its_papers() -> None:
    for name in ("README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "Makefile", ".ci/run"):
        assert (CHECKOUT / name).stat().st_size > 200, name


@needs_checkout
def test_nothing_ignored_is_tracked() -> None:
    done = subprocess.run(
        ["git", "ls-files", "--cached", "--ignored", "--exclude-standard"],
        cwd=CHECKOUT,
        capture_output=True,
        check=True,
    )
    assert done.stdout == b""


# A home directory, a checkout of somebody's or a session's place: of no meaning on another machine.
_OF_A_MACHINE = re.compile(rb"(?<![\w./-])/(?:work|root|Users)/|(?<![\w./-])/home/(?!carebell\b)\w+/")


@needs_checkout
def test_no_tracked_file_names_a_place_on_a_machine() -> None:
    assert _naming(_OF_A_MACHINE, (name for name in _tracked() if name != "tests/test_packaging.py")) == []


@needs_checkout
def test_lock_files_name_no_registry() -> None:
    locks = [name for name in _tracked() if name.endswith(".lock")]
    assert len(locks) == 3
    assert _naming(re.compile(rb"https?://|--index-url|--find-links"), locks) == []


def _naming(pattern: re.Pattern[bytes], names: Iterable[str]) -> list[str]:
    found = ((name, pattern.search((CHECKOUT / name).read_bytes())) for name in names)
    return [f"{name}: {hit[0].decode('ascii', 'replace')}" for name, hit in found if hit]
