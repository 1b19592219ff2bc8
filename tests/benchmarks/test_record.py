"""Runs in parts are put together: new rows replace the old ones of their theme, and what is kept is read back as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.figures import Figure, Intake
from benchmarks.intake import Sample
from benchmarks.page import write_page
from benchmarks.record import Conditions, ResultRecord, TablePart
from benchmarks.themes import THEMES, chosen

_ORDER = ("intake", "burst", "nodes")


def conditions(when: str) -> Conditions:
    return Conditions(
        when=when,
        machine="a machine",
        python="Python 3.11",
        sqlite="3.40",
        load_before=0.1,
        load_after=1.9,
        minutes=2.0,
        messages=30_000,
        bytes=2_100,
        rounds=3,
        seconds=4.0,
    )


def part(when: str, *figures: Figure, intakes: tuple[Intake, ...] = ()) -> TablePart:
    return TablePart(conditions=conditions(when), intakes=intakes, figures=figures)


def figure(name: str, value: float | None = 1.0) -> Figure:
    return Figure(name=name, value=value, unit="s", target=2.0, note="as said")


def intake() -> Intake:
    sample = Sample(
        rate=9.0, p50=1.0, p99=2.0, client_idle=0.9, server_cpu=0.9, answered=9, accepted=9, lost=0, memory=50.0
    )
    return Intake(server="us", does="all", connections=16, samples=(sample,), ratio=2.0)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    record = ResultRecord({"intake": part("2026-03-01", figure("a"), intakes=(intake(),)), "nodes": part("2026-03-02")})
    record.write(tmp_path / "figures.json")
    found = ResultRecord.read(tmp_path / "figures.json")
    assert found.intakes == record.intakes
    assert found.figures == record.figures
    assert {name: one.conditions for name, one in found.parts.items()} == {
        name: one.conditions for name, one in record.parts.items()
    }


def test_a_theme_that_was_run_again_replaces_its_own_rows_and_no_others() -> None:
    before = ResultRecord({"nodes": part("2026-03-01", figure("old")), "intake": part("2026-03-01", figure("kept"))})
    after = before.with_parts({"nodes": part("2026-03-05", figure("new"), figure("more"))}, _ORDER)
    rows = [(cells[0], cells[4]) for cells in after.figure_rows()]
    assert rows == [("kept", "2026-03-01"), ("new", "2026-03-05"), ("more", "2026-03-05")]


def test_a_theme_that_is_no_more_goes() -> None:
    before = ResultRecord({"once": part("2026-03-01", figure("old"))})
    assert before.with_parts({"burst": part("2026-03-05", figure("new"))}, _ORDER).figures == [figure("new")]


def test_the_first_run_finds_nothing(tmp_path: Path) -> None:
    assert ResultRecord.read(tmp_path / "figures.json").parts == {}


def test_a_file_of_another_make_is_not_mixed_in(tmp_path: Path) -> None:
    (tmp_path / "figures.json").write_text('{"about": {}, "figures": []}', "utf-8")
    with pytest.raises(ValueError, match="not of this"):
        ResultRecord.read(tmp_path / "figures.json")


def test_a_row_that_was_read_and_not_run_keeps_its_own_date() -> None:
    read = Figure(name="read", value=1.0, unit="s", when="2026-01-31")
    rows = ResultRecord({"burst": part("2026-03-05", read, figure("run"))}).figure_rows()
    assert [cells[4] for cells in rows] == ["2026-01-31", "2026-03-05"]


def test_the_summary_counts_targets_and_nothing_else() -> None:
    plain = Figure(name="without a target", value=1.0, unit="us")
    rows = (figure("met"), figure("met too"), figure("missed", 3.0), figure("not run", None), plain)
    assert ResultRecord({"burst": part("2026-03-01", *rows)}).summary() == "2 targets met, 1 missed, 1 not run"


def test_the_page_says_when_each_theme_was_measured() -> None:
    page = write_page(
        ResultRecord({"intake": part("2026-03-01", intakes=(intake(),)), "nodes": part("2026-03-02", figure("a"))})
    )
    assert "| us     | 16" in page
    assert "| a    | 1 s      | at most 2 s | met     | 2026-03-02  | as said |" in page
    assert "| nodes  | 2026-03-02" in page
    assert "1 targets met, 0 missed, 0 not run." in page


def test_themes_are_chosen_by_name_in_their_own_order() -> None:
    assert [theme.name for theme in chosen("nodes, burst")] == ["burst", "nodes"]
    with pytest.raises(ValueError, match="bursts: not one of intake, "):
        chosen("nodes,bursts")
    assert len({theme.name for theme in THEMES}) == len(THEMES)
