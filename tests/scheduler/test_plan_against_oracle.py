"""The planner and the oracle over 6,000 random histories: the same texts, at the same times, for the same reasons.

A story that fails is told again by its region and number: `random_case(Random("Europe 17"), ZONES["Europe"])`.
"""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from scheduler.rehearsal import rehearse
from tests.scheduler.oracle import Fate, oracle
from tests.scheduler.random_stories import ZONES, Case, random_case

CASES_A_REGION = 1_500  # four regions: 6,000 in all
SHARDS = 5
WORTH_SEEING = (
    ("booked", "goes"),
    ("booked", "canceled"),
    ("booked", "past"),
    ("booked", "not_booked"),
    ("updated", "not_booked"),
    ("reminder", "not_booked"),
    ("updated", "goes"),
    ("updated", "canceled"),
    ("updated", "past"),
    ("updated", "no_visible_change"),
    ("canceled", "goes"),
    ("canceled", "past"),
    ("reminder", "goes"),
    ("reminder", "late_booking"),
    ("reminder", "too_close"),
    ("reminder", "quiet_hours"),
    ("reminder", "superseded"),
    ("reminder", "canceled"),
    ("reminder", "past"),
    ("reminder", "no_time"),
)


def planned(case: Case) -> list[Fate]:
    found = []
    for each in rehearse(case.events, case.policy, lambda _: None, zone=case.zone).texts:
        row = each.row
        verdict, expires = ("goes", row.expires) if each.leaves else (row.reason.value, None)
        found.append(Fate(row.kind.value, row.rule, row.due, verdict, expires))
    return found


def expected(case: Case) -> list[Fate]:
    return oracle(case.events, case.policy.sms, case.policy.shown)


@pytest.mark.parametrize("region", ZONES)
@pytest.mark.parametrize("shard", range(SHARDS))
def test_the_planner_agrees_with_the_oracle(region: str, shard: int) -> None:
    seen: Counter[tuple[str, str]] = Counter()
    for number in range(shard, CASES_A_REGION, SHARDS):
        case = random_case(Random(f"{region} {number}"), ZONES[region])
        ours, theirs = Counter(planned(case)), Counter(expected(case))
        assert ours == theirs, f"story {region} {number}"
        seen.update((each.kind, each.verdict) for each in theirs)
    assert min(seen[one] for one in WORTH_SEEING) >= 2, "these stories look for trouble no more"
