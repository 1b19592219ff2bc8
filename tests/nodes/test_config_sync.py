"""A configuration that is saved on one node reaches the others whose file is what it was made from; nothing else is touched."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from carebell.bootstrap.config_sync import VersionFollower
from tests.carebell.conftest import Carebell
from tests.story.clinic import BY_HAND, Clinic, opened
from tests.story.folder import change, load

FROM: Final = "environments.production.sms.quiet_hours.from"
OFTEN: Final = replace(BY_HAND, beat=0.2)


@pytest.fixture
def other(configuration: Path, tmp_path: Path) -> Path:
    """The second node's file: byte for byte the first one's."""
    shutil.copytree(configuration.parent, tmp_path / "two")
    return tmp_path / "two" / configuration.name


def _history(carebell: Carebell, configuration: Path) -> list[dict[str, Any]]:
    return carebell("-c", configuration, "config", "history", "--json").rows


def _writes(carebell: Carebell, configuration: Path) -> list[str]:
    rows = carebell("-c", configuration, "audit", "--json").rows
    return [row["who"].partition(":")[0] for row in rows if row["what"] == "config.write"]


def _content(configuration: Path) -> bytes:
    return configuration.read_bytes()


def _edit(configuration: Path, content: bytes) -> None:
    configuration.write_bytes(content)


def _follow(clinic: Clinic, times: int = 1) -> None:
    """What the periodic task does every few seconds."""
    follower = VersionFollower(clinic.service._running, {})
    for _ in range(times):
        follower.follow()


async def test_the_other_node_takes_what_was_saved(configuration: Path, other: Path, carebell: Carebell) -> None:
    async with (
        opened(configuration, alone=False, reloads=True) as one,
        opened(other, alone=False, reloads=True, pace=OFTEN) as two,
    ):
        assert carebell("-c", configuration, "config", "set", FROM, "22:00", "--comment", "ticket 1").code == 0
        version = load(configuration).version
        await one.until(lambda: one.service.loaded.version == version)
        await two.until(lambda: two.service.loaded.version == version)
        assert _content(other) == _content(configuration)
        await two.until(lambda: len(two.events("configuration_taken")) == 1)
        assert one.events("configuration_taken") == []
        _follow(one)
    assert [(row["source"], row["comment"]) for row in _history(carebell, configuration)] == [
        ("file", None), ("command", "ticket 1"),
    ]  # fmt: skip
    assert sorted(_writes(carebell, configuration)) == ["cli", "service"]


async def test_a_node_that_starts_late_takes_several_steps_at_once(
    configuration: Path, other: Path, carebell: Carebell
) -> None:
    async with opened(configuration, alone=False, reloads=True) as one:
        for value in ("22:00", "23:00"):
            assert carebell("-c", configuration, "config", "set", FROM, value).code == 0
        version = load(configuration).version
        await one.until(lambda: one.service.loaded.version == version)
        async with opened(other, alone=False) as two:
            _follow(two)
            assert _content(other) == _content(configuration)
            _follow(one)
    versions = [row["version"] for row in _history(carebell, configuration)]
    assert (len(versions), versions[-1]) == (3, version), "the late node's old file is no new version"


async def test_nothing_is_written_over_what_somebody_edited(
    configuration: Path, other: Path, carebell: Carebell
) -> None:
    async with (
        opened(configuration, alone=False, reloads=True) as one,
        opened(other, alone=False, reloads=True) as two,
    ):
        change(other, {"http": {"port": 9090}})
        edited = _content(other)
        await two.until(lambda: two.service.loaded.configuration.http.port == 9090)
        assert carebell("-c", configuration, "config", "set", FROM, "22:00").code == 0
        saved = _content(configuration)
        for clinic in (one, two):
            _follow(clinic)
        assert (_content(configuration), _content(other)) == (saved, edited)
        assert two.events("configuration_taken") == two.events("configuration_not_taken") == []


async def test_who_takes_a_change_back_by_hand_is_not_overruled(
    configuration: Path, other: Path, carebell: Carebell
) -> None:
    original = _content(configuration)
    async with (
        opened(configuration, alone=False, reloads=True) as one,
        opened(other, alone=False, reloads=True) as two,
    ):
        assert carebell("-c", configuration, "config", "set", FROM, "22:00").code == 0
        version = load(configuration).version
        await one.until(lambda: one.service.loaded.version == version)
        _follow(two)
        saved = _content(other)
        _edit(configuration, original)
        await one.until(lambda: one.service.loaded.version != version)
        await one.until(lambda: len(_history(carebell, configuration)) == 3)
        for clinic in (one, two):
            _follow(clinic)
        assert (_content(configuration), _content(other)) == (original, saved)


async def test_what_cannot_be_used_on_the_other_node_is_said_once(
    configuration: Path, other: Path, carebell: Carebell
) -> None:
    before = _content(other)
    async with opened(configuration, alone=False) as one, opened(other, alone=False) as two:
        certificate = configuration.parent / "certs" / "only-here.cer"
        shutil.copy(next(certificate.parent.glob("*.cer")), certificate)
        key = "environments.production.certificates"
        assert carebell("-c", configuration, "config", "set", key, "[certs/only-here.cer]").code == 0
        _follow(two, times=2)
        [refusal] = two.events("configuration_not_taken")
        assert "only-here.cer" in refusal["problem"]
        assert one.events("configuration_not_taken") == []
    assert _content(other) == before
