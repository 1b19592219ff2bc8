"""How many cores a process may use: those of its affinity, or fewer whole ones of a container's limit."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from carebell.bootstrap.process_setup import usable_cores


@pytest.mark.parametrize(
    ("limit", "cores"),
    [
        ("max 100000\n", 8),
        ("250000 100000\n", 2),
        ("50000 100000\n", 1),
        ("1600000 100000\n", 8),
        ("nonsense\n", 8),
        (None, 8),
    ],
)
def test_whole_cores_of_a_container_s_limit_count(
    limit: str | None, cores: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    quota = tmp_path / "cpu.max"
    if limit is not None:
        quota.write_text(limit)
    assert usable_cores(quota) == cores
