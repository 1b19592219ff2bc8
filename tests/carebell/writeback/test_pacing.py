"""carebell/writeback/pacing.py: pauses grow to five minutes, and a silent target is probed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from carebell.writeback.pacing import FAILURES, PAUSES, PROBE_EVERY, TargetBreaker, pause_after

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_pauses_grow_and_stay_at_five_minutes() -> None:
    middle = [pause_after(attempt, 0.5) for attempt in range(1, 20)]
    assert middle == sorted(middle)
    assert (middle[0], middle[-1]) == (timedelta(seconds=1), timedelta(minutes=5))
    for attempt in (1, 4, len(PAUSES), 100):
        usual = pause_after(attempt, 0.5)
        assert pause_after(attempt, 0.0) == usual * 0.8
        assert pause_after(attempt, 1.0) == usual * 1.2


def test_a_breaker_opens_after_ten_and_closes_with_any_answer() -> None:
    breaker = TargetBreaker()
    for _ in range(FAILURES - 1):
        breaker.failed(NOW)
    assert breaker.may_try(NOW)
    breaker.failed(NOW)
    assert breaker.is_open
    assert not breaker.may_try(NOW + PROBE_EVERY - timedelta(seconds=1))
    assert breaker.may_try(NOW + PROBE_EVERY)
    breaker.failed(NOW + PROBE_EVERY)
    assert not breaker.may_try(NOW + PROBE_EVERY)
    assert breaker.answered()
    assert not breaker.answered()
    assert (breaker.failures, breaker.is_open) == (0, False)
