"""What is foreseen within limits: the whole where it fits, else a fair part made up to the whole, and said so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from carebell.configuring.effect import ConfigurationEffect, Coverage, EffectLimits, effect_of, sentences
from carebell.configuring.reminder_effect import because
from carebell.environment_policy import runtime_config
from carebell.outbound.foresee import Change, ForeseenChange
from config.load import Loaded
from scheduler.sms import Reason, SmsKind
from tests.carebell.outbound.test_foresee import Lived, base, lives
from tests.story import folder

__all__ = ["base", "lives"]

_NUMBERS = count()
TUESDAY = datetime(2026, 3, 3, 18, tzinfo=UTC)  # 10:00 at the clinic


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


# Reminders


def _said(base: Loaded, *changes: ForeseenChange, coverage: Mapping[str, Coverage] | None = None) -> list[str]:
    effect = ConfigurationEffect(
        changes=changes, at_once=0, restart=[], approval=[], switched_off={}, coverage=coverage or {}
    )
    return list(sentences(effect, runtime_config(base).policies))


def _change(visit: str, rule: str, hours: int, change: Change, **more: Any) -> ForeseenChange:
    at = TUESDAY + timedelta(hours=hours)
    return ForeseenChange(
        change=change, environment="production", appointment=visit, kind=SmsKind.REMINDER, rule=rule,
        before=at if change is Change.WITHDRAWN else None, after=at if change is Change.PLANNED else None,
        **({"reason": Reason.NO_RULE if change is Change.WITHDRAWN else Reason.REMINDER} | more),
    )  # fmt: skip


def _moved(visit: str) -> tuple[ForeseenChange, ForeseenChange]:
    return _change(visit, "24h", 48, Change.WITHDRAWN), _change(visit, "48h", 24, Change.PLANNED)


def test_a_reminder_of_another_time_before_the_visit_moves(base: Loaded) -> None:
    assert _said(base, *_moved("A1"), *_moved("A2"))[0] == (
        "2 reminders move from 24h to 48h before the visit; the first at Wed 2026-03-04 10:00"
    )
    assert _said(base, *_moved("A1"), _change("A2", "7d@10:00", 1, Change.PLANNED))[:2] == [
        "1 reminder moves from 24h to 48h before the visit",
        "1 texts more, 0 fewer, 0 moved; the first at Tue 2026-03-03 11:00",
    ]


def test_who_gets_no_reminder_any_more_is_said_first(base: Loaded) -> None:
    late = {"is_last_reminder": True, "not_instead": (("48h", Reason.LATE_RULE),)}
    lost = [_change(visit, "24h", 3, Change.WITHDRAWN, **late) for visit in ("A2", "A3")]
    assert _said(base, *_moved("A1"), *lost)[:3] == [
        "2 visits get no reminder any more: 48h before has passed already",
        "1 reminder moves from 24h to 48h before the visit",
        "0 texts more, 2 fewer, 0 moved; the first at Tue 2026-03-03 13:00",
    ]
    assert because(lost[0]) == (
        "the configuration has no such reminder for this visit any more, and 48h before has passed already"
    )
    half = {"production": Coverage(planned=5, total=10)}
    assert (
        _said(base, *lost, coverage=half)[0] == "about 4 visits get no reminder any more: 48h before has passed already"
    )


@pytest.mark.parametrize(
    ("reason", "instead", "why"),
    [
        (Reason.NO_RULE, (), "the configuration has no such reminder for this visit any more"),
        (Reason.NO_CONSENT, (), "there is no consent"),
        (
            Reason.NO_RULE,
            (("7d@10:00", Reason.LATE_RULE), ("48h", Reason.LATE_RULE)),
            "7d (10:00) and 48h before have passed already",
        ),
        (Reason.NO_RULE, (("23h", Reason.TOO_CLOSE),), "reminder 23h: too close to a confirmation"),
    ],
)
def test_why_a_visit_gets_none(reason: Reason, instead: tuple[tuple[str, Reason], ...], why: str, base: Loaded) -> None:
    gone = [
        _change("A1", rule, hours, Change.WITHDRAWN, reason=reason, is_last_reminder=True, not_instead=instead)
        for rule, hours in (("24h", 3), ("2h", 25))
    ]
    assert _said(base, *gone)[0] == f"1 visit gets no reminder any more: {why}"


def test_the_two_sides_of_a_reload(base: Loaded, lives: list[Lived], tmp_path: Path) -> None:
    """A day to two days before: every reminder moves, or its visit is warned of."""
    trial = {"environments": {"production": {"sms": {"reminders": [{"before": "7d", "at": "10:00"}, {"before": "48h"}]}},
        "test": None}}  # fmt: skip
    effect = _effect(lives[1], folder.load(folder.make(tmp_path / "trial", trial)), base, None)
    lost, fewer = effect.unreminded(), effect.sums()[Change.WITHDRAWN]
    assert lost["48h before has passed already"] >= 1
    assert effect.moves()["from 24h to 48h before the visit"] == effect.sums()[Change.PLANNED]
    assert sum(effect.moves().values()) + sum(lost.values()) == fewer
