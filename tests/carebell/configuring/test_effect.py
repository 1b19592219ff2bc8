"""What is foreseen within limits: the whole where it fits, else a fair part made up to the whole, and said so."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from carebell.configuring.effect import ConfigurationEffect, Coverage, EffectLimits, effect_of, sentences
from carebell.environment_policy import runtime_config
from carebell.outbound.foresee import Change
from config.load import Loaded
from tests.carebell.outbound.test_foresee import Lived, base, lives
from tests.story import folder

__all__ = ["base", "lives"]

_NUMBERS = count()


@pytest.fixture
def trial(base: Loaded, tmp_path: Path) -> Loaded:
    sms: dict[str, Any] = {"reminders": [{"before": "25h"}]}
    content = {"environments": {"production": {"sms": sms}, "test": None}}
    return folder.load(folder.make(tmp_path / f"trial{next(_NUMBERS)}", content))


def _effect(life: Lived, trial: Loaded, base: Loaded, limits: EffectLimits | None) -> ConfigurationEffect:
    with life.store.read() as conn:
        return effect_of(conn, life.vault, trial, base, life.now, limits=limits)


def test_within_the_limits_it_is_the_whole(base: Loaded, lives: list[Lived], trial: Loaded) -> None:
    whole = _effect(lives[1], trial, base, None)
    limited = _effect(lives[1], trial, base, EffectLimits())
    assert whole.changes
    assert Counter(limited.changes) == Counter(whole.changes)
    assert (limited.is_estimate, limited.sums()) == (False, whole.sums())


def test_beyond_them_a_part_stands_for_the_whole(
    base: Loaded, lives: list[Lived], trial: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("carebell.configuring.effect.PAGE", 5)
    whole = _effect(lives[1], trial, base, None)
    few = _effect(lives[1], trial, base, EffectLimits(appointments=10))
    [coverage] = few.coverage.values()
    assert (coverage.planned, few.is_estimate) == (10, True)
    assert set(few.changes) < set(whole.changes)
    again = _effect(lives[1], trial, base, EffectLimits(appointments=10))
    assert again.changes == few.changes, "the same part the next time"
    planned = Counter(change.change for change in few.changes)[Change.PLANNED]
    assert few.sums()[Change.PLANNED] == round(planned * coverage.total / 10)
    said = list(sentences(few, runtime_config(trial).policies))
    assert said[0].startswith("about ")


def test_after_the_time_no_further_page_is_planned(
    base: Loaded, lives: list[Lived], trial: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("carebell.configuring.effect.PAGE", 5)
    ticks = count(0, 3)
    late = EffectLimits(time=timedelta(seconds=5), seconds=lambda: float(next(ticks)))
    [coverage] = _effect(lives[1], trial, base, late).coverage.values()
    assert coverage.planned == 10, "one page, and one more that began in time"
    assert coverage.total > 10


@pytest.mark.parametrize(("planned", "total", "factor"), [(0, 0, 1.0), (5, 5, 1.0), (5, 20, 4.0), (0, 20, 1.0)])
def test_a_part_is_made_up_to_the_whole(planned: int, total: int, factor: float) -> None:
    assert Coverage(planned=planned, total=total).factor == factor
