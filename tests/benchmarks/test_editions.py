"""The Carebells that are held against each other are really other ones, and a comparison that says nothing can be told."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import editions
from benchmarks.against_itself import (
    AGAIN,
    ALL_COMPILED,
    ALL_PURE,
    BASELINE,
    COMPILED,
    PURE,
    SLOWED,
    Contender,
    compared,
)
from benchmarks.editions import Edition, Editions
from benchmarks.figures import Figure
from benchmarks.intake import Sample
from benchmarks.messages import Messages
from benchmarks.servers import CAREBELL, Missing, Server

ROOT = Path(__file__).parents[2]
IN_CHECKOUT = (ROOT / ".git").exists()
SAMPLE = Sample(
    rate=100.0, p50=1.0, p99=2.0, client_idle=0.9, server_cpu=0.95, answered=10, accepted=10, lost=0, memory=50.0
)


def contender(*rates: float) -> Contender:
    return Contender(CAREBELL, samples=[replace(SAMPLE, rate=rate) for rate in rates])


def rows(**changes: Contender) -> dict[str, Contender]:
    given = {
        BASELINE: contender(90, 100, 110), AGAIN: contender(98, 101, 104), PURE: contender(190, 200, 195),
        COMPILED: contender(300), ALL_PURE: contender(310), ALL_COMPILED: contender(390), SLOWED: contender(100),
    }  # fmt: skip
    return given | changes


def by_name(figures: list[Figure]) -> dict[str, Figure]:
    return {figure.name.removesuffix(", 100 connections"): figure for figure in figures}


def test_each_ratio_is_of_the_medians_and_says_what_limited_it() -> None:
    figures = by_name(list(compared(rows(), 100)))
    pure = figures["intake, one worker, pure Python, against itself before"]
    assert (pure.value, pure.verdict) == (1.95, "met")
    assert "195/s against 100/s; by round 1.90 to 2.00" in pure.note
    assert "limited by the server's CPU (0.95 cores)" in pure.note
    assert figures["intake, all workers, compiled, against itself before"].verdict == "missed by 1.0x"


def test_the_controls_show_the_noise_and_that_a_slower_one_is_seen() -> None:
    figures = by_name(list(compared(rows(), 100)))
    assert figures["control: the baseline against itself"].value == pytest.approx(1.01)
    for rate, verdict in ((92, "met"), (85, "missed by 1.1x"), (125, "missed by 1.1x")):
        noisy = by_name(list(compared(rows(**{AGAIN: contender(rate)}), 100)))
        assert noisy["control: the baseline against itself"].verdict == verdict
    slowed = figures["control: with 50 ms more a commit, against one worker"]
    assert slowed.value == pytest.approx(100 / 195)
    assert slowed.verdict == "met"
    unseen = by_name(list(compared(rows(**{SLOWED: contender(194)}), 100)))
    assert unseen["control: with 50 ms more a commit, against one worker"].verdict == "missed by 1.1x"


def test_what_cannot_run_leaves_its_reason_and_the_others() -> None:
    missing = Contender(None, missing="no C compiler (cc) was found")
    figures = by_name(list(compared(rows(**{COMPILED: missing}), 100)))
    assert figures["intake, one worker, compiled, against itself before"].verdict == "not run"
    assert "no C compiler" in figures["intake, one worker, compiled, against itself before"].note
    assert figures["intake, one worker, pure Python, against itself before"].verdict == "met"


def test_a_baseline_that_is_not_there_says_so(tmp_path: Path) -> None:
    made = Editions(tmp_path, "0" * 40)
    with pytest.raises(Missing, match="no baseline 0000"):
        _ = made.baseline
    with pytest.raises(Missing, match="no baseline 0000"):  # asked again, it is not cloned into a folder that is full
        _ = made.baseline


@pytest.mark.skipif(not IN_CHECKOUT, reason="not in a checkout: there is no history to take a baseline from")
def test_the_baseline_runs_the_code_of_its_commit(tmp_path: Path) -> None:
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True)
    baseline = Editions(tmp_path, head.stdout.strip()).baseline
    assert list(baseline.path) == [tmp_path / "baseline"]
    assert baseline.server(1).variables["PYTHONPATH"] == str(tmp_path / "baseline")


def test_an_edition_that_would_run_other_code_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="would run"):
        editions._edition("elsewhere", [tmp_path], compiled=False)
    with pytest.raises(RuntimeError, match="would run"):
        editions._edition("not compiled at all", [ROOT], compiled=True)


def test_workers_are_asked_for_only_where_serve_knows_them(tmp_path: Path) -> None:
    messages = Messages(file=tmp_path, count=1, size=1, certificate=b"a certificate")
    old = Edition(name="old", path=[ROOT], has_workers=False)
    new = Edition(name="new", path=[ROOT], has_workers=True)

    def words(server: Server, folder: str) -> list[str]:
        (tmp_path / folder).mkdir()
        return list(server.command(tmp_path / folder, messages))

    assert "--workers" not in words(old.server(1), "a")
    assert words(new.server(1), "b")[-2:] == ["--workers", "1"]
    assert "--workers" not in words(new.server(), "c")
    with pytest.raises(Missing, match="no --workers"):
        words(old.server(2), "d")
