"""The benchmark runs and its counts agree, in its short form; how fast anything was is not a test's business."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.figures import HEAD, Figure, Intake, table
from benchmarks.intake import Sample
from benchmarks.plot import draw

_ROOT = Path(__file__).parents[2]


def _sample(rate: float) -> Sample:
    return Sample(
        rate=rate, p50=1.0, p99=2.0, client_idle=0.9, server_cpu=0.95, answered=10, accepted=10, lost=0, memory=50.0
    )


@pytest.mark.timeout(600)
def test_the_short_form_runs_and_its_counts_agree() -> None:
    """It ends with another status where a message was lost, refused, or a text was not handed over."""
    done = subprocess.run([sys.executable, "-m", "benchmarks", "--short"], cwd=_ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "| carebell serve" in done.stdout
    assert "| texts dispatched, 1,000 pending" in done.stdout


def test_a_row_shows_the_median_and_the_extremes() -> None:
    one = Intake(server="us", does="", connections=16, samples=[_sample(rate) for rate in (300, 100, 200)], ratio=2.0)
    assert one.cells()[:6] == ["us", "16", "200", "100", "300", "2.0x"]
    assert one.cells()[8] == "the server's CPU (0.95 cores)"


def test_a_server_that_cannot_run_says_why() -> None:
    missing = Intake(server="them", does="", connections=16, missing="not run: no JVM is installed")
    assert "not run: no JVM is installed" in table(HEAD, [missing.cells()])
    assert "them" not in draw([missing, Intake(server="us", does="", connections=1, samples=[_sample(5.0)])])


@pytest.mark.parametrize(
    ("value", "side", "verdict"),
    [
        (2.0, "at least", "met"),
        (0.5, "at least", "missed by 2.0x"),
        (0.5, "at most", "met"),
        (3.0, "at most", "missed by 3.0x"),
        (None, "at most", "not run"),
    ],
)
def test_a_target_is_met_or_missed_by_a_factor(value: float | None, side: str, verdict: str) -> None:
    figure = Figure(name="x", value=value, unit="s", target=1.0, side=side)  # type: ignore[arg-type]
    assert figure.verdict == verdict
