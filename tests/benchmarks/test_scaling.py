"""The growth of a message's cost is read from the growth benchmark's file, and from nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.scaling import grown


def point(size: int, booked: float, moved: float) -> dict[str, object]:
    costs = {f"{kind}_{what}": 100.0 for kind in ("booked", "moved") for what in ("us", "bytes")}
    return costs | {
        "appointments": size, "booked_cpu_us": booked, "moved_cpu_us": moved, "when": "2026-03-01", "load": 0.4,
    }  # fmt: skip


def test_the_cost_at_a_million_is_held_against_that_at_ten_thousand(tmp_path: Path) -> None:
    points = [point(10_000, 100.0, 200.0), point(100_000, 400.0, 400.0), point(1_000_000, 110.0, 300.0)]
    (tmp_path / "growth.json").write_text("".join(json.dumps(each) + "\n" for each in points), "utf-8")
    booked, moved, *largest = grown(tmp_path / "growth.json")
    assert [booked.value, moved.value] == pytest.approx([1.1, 1.5])
    assert [booked.verdict, moved.verdict] == ["met", "missed by 1.3x"]
    assert booked.when == "2026-03-01"
    assert [row.verdict for row in largest] == ["not run", "not run"]
    assert "load average 0.4 then" in booked.note


def test_without_both_sizes_it_says_how_to_get_them(tmp_path: Path) -> None:
    (tmp_path / "growth.json").write_text(json.dumps(point(10_000, 100.0, 200.0)) + "\n", "utf-8")
    for file in ("growth.json", "missing.json"):
        rows = list(grown(tmp_path / file))
        assert [row.verdict for row in rows] == ["not run"] * 4
        assert all("benchmarks.growth" in row.note for row in rows)
