"""The alert rules and the dashboard against the registry: every metric and label that they name exists."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from prometheus_client.metrics import MetricWrapperBase
from ruamel.yaml import YAML

from docs.generate import DOCS
from docs.tables.metrics import UNITS, instruments, labels_of
from journal.alarms import ALARMS, SEVERITIES
from journal.metrics import Metrics

DEPLOY: Final = DOCS.parent / "deploy"
RULES: Final = DEPLOY / "prometheus" / "carebell.rules.yml"
RULE_TESTS: Final = DEPLOY / "prometheus" / "carebell.rules.test.yml"
DASHBOARD: Final = DEPLOY / "grafana" / "carebell.json"
METRIC: Final = re.compile(r"\b(carebell_[a-z_]+)(?:\{([^}]*)\})?")
SUFFIX: Final = re.compile(r"_(?:bucket|sum|count)$")
PROMTOOL: Final = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(
    PROMTOOL is None, reason="promtool is not installed (Debian: the package prometheus)"
)


def rules() -> list[dict[str, Any]]:
    loaded = YAML(typ="safe").load(RULES)
    return [rule for group in loaded["groups"] for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    dashboard: dict[str, Any] = json.loads(DASHBOARD.read_text("utf-8"))
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def expressions() -> Iterator[tuple[str, str]]:
    """Where it stands, and the expression."""
    for rule in rules():
        yield rule["alert"], rule["expr"]
    for panel in panels():
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


def wrong_in(expression: str) -> list[str]:
    """What an expression names that the registry does not have."""
    known, wrong = instruments(), []
    for name, matchers in METRIC.findall(expression):
        instrument = known.get(name) or known.get(SUFFIX.sub("", name))
        if instrument is None:
            wrong.append(name)
            continue
        labels = {*labels_of(instrument), "le", "instance", "job"}
        wrong += [
            f"{name}: {label}" for label in re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers) if label not in labels
        ]
    return wrong


@pytest.mark.parametrize(("place", "expression"), list(expressions()))
def test_an_expression_names_metrics_and_labels_that_exist(place: str, expression: str) -> None:
    assert wrong_in(expression) == [], place
    assert METRIC.search(expression) or "up{" in expression


def test_this_check_can_fail() -> None:
    assert wrong_in('rate(carebell_textes_total{a="b"}[5m])') == ["carebell_textes_total"]
    assert wrong_in('carebell_alarms{colour="red"}') == ["carebell_alarms: colour"]


def test_grouped_labels_exist() -> None:
    known = {label for instrument in instruments().values() for label in labels_of(instrument)} | {"le"}
    grouped = {
        label.strip()
        for _, expression in expressions()
        for group in re.findall(r"by \(([^)]*)\)", expression)
        for label in group.split(",")
    }
    assert grouped <= known


def test_every_alert_says_what_to_do() -> None:
    for rule in rules():
        assert rule["labels"]["severity"] in SEVERITIES
        assert re.fullmatch(r"Carebell[A-Z][A-Za-z]+", rule["alert"])
        assert rule["annotations"]["summary"].endswith(".")
        assert rule["annotations"]["action"].endswith(".")


def test_every_alert_has_its_test() -> None:
    tested = {
        case["alertname"] for test in YAML(typ="safe").load(RULE_TESTS)["tests"] for case in test["alert_rule_test"]
    }
    assert tested == {rule["alert"] for rule in rules()}


def test_a_panel_has_its_place_and_its_words() -> None:
    cells = [
        (column, line)
        for panel in panels()
        for column in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for line in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells)), "two panels overlap"
    assert max(column for column, _ in cells) < 24
    assert all(panel["description"].endswith((".", "...")) for panel in panels())
    numbers = [panel["id"] for panel in json.loads(DASHBOARD.read_text("utf-8"))["panels"]]
    assert len(numbers) == len(set(numbers))


@needs_promtool
def test_promtool_accepts_the_rules() -> None:
    _run("check", "rules", str(RULES))


@needs_promtool
def test_each_rule_alerts_on_what_it_is_for() -> None:
    _run("test", "rules", str(RULE_TESTS))


@needs_promtool
def test_promtool_accepts_the_names_of_all_metrics() -> None:
    """`promtool check metrics` holds Prometheus' naming conventions."""
    metrics = Metrics()
    for own in vars(metrics).values():
        if isinstance(own, MetricWrapperBase) and labels_of(own):
            own.labels(*["x"] * len(labels_of(own)))
    ended = _ended("check", "metrics", given=metrics.render())
    assert ended.stderr.decode().splitlines() == [IN_DAYS]


IN_DAYS: Final = 'carebell_certificate_days_left use base unit "seconds" instead of "days"'
"""It is for people's eyes; `carebell_certificate_expiry_timestamp_seconds` says the same as the convention has it."""


def _run(*words: str) -> None:
    ended = _ended(*words)
    assert ended.returncode == 0, (ended.stdout + ended.stderr).decode()


def _ended(*words: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    assert PROMTOOL is not None
    return subprocess.run([PROMTOOL, *words], input=given, capture_output=True, timeout=120, check=False)


def test_every_metric_has_its_unit_and_none_is_left_over() -> None:
    assert set(UNITS) == set(instruments())


def test_every_metric_is_set_somewhere() -> None:
    """One that no code touches would be a gauge that is always absent, and an alert that never comes."""
    root = DOCS.parent
    code = "\n".join(
        path.read_text("utf-8") for room in ("carebell", "portal", "journal") for path in (root / room).rglob("*.py")
    )
    names = [name for name, own in vars(Metrics()).items() if hasattr(own, "describe")]
    assert [name for name in names if not re.search(rf"(?:metrics|self)\.{name}\b(?! = )", code)] == []


def test_the_alarms_of_the_rules_are_severities_of_ours() -> None:
    named = set(re.findall(r'severity="(\w+)"', "\n".join(expression for _, expression in expressions())))
    assert named <= {severity for kind in ALARMS.values() for severity in kind.severities}


def test_the_files_stand_where_the_page_says() -> None:
    page = Path(DOCS / "how-to" / "monitor.md").read_text("utf-8")
    for file in (RULES, DASHBOARD):
        assert str(file.relative_to(DOCS.parent)) in page
