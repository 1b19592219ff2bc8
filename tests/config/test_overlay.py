"""Environment variables over the file."""

from __future__ import annotations

from typing import Any

import pytest

from config.load import load
from config.overlay import overlay
from config.problems import ConfigurationError, SourceLocation
from tests.config.conftest import Write


def test_a_variable_sets_a_key_typed_by_the_model(write: Write) -> None:
    environ = {
        "CAREBELL_HTTP__PORT": "9090",
        "CAREBELL_HTTP__ENABLED": "false",
        "CAREBELL_ENVIRONMENTS__TEST__SMS__DEBOUNCE": "5m",
        "CAREBELL_ENVIRONMENTS__TEST__SMS__ALLOW_LIST": '["+12025550100", "+12025550101"]',
        "CAREBELL_ENVIRONMENTS__PROD__SMS__QUIET_HOURS": "null",
        "CAREBELL_ENVIRONMENTS__PROD__CERTIFICATES__0": "other.cer",
    }
    configuration = load(write(), environ).configuration
    prod, test = configuration.environments["prod"], configuration.environments["test"]

    assert (configuration.http.port, configuration.http.enabled) == (9090, False)
    assert test.sms.debounce.total_seconds() == 300
    assert test.sms.allow_list == ["+12025550100", "+12025550101"]
    assert prod.sms.quiet_hours is None
    assert [path.name for path in prod.certificates] == ["other.cer"]


def test_a_problem_names_the_variable_instead_of_the_file(write: Write) -> None:
    with pytest.raises(ConfigurationError) as raised:
        load(write(), {"CAREBELL_HTTP__PORT": "x", "CAREBELL_HTTP__PROT": "1"})

    assert str(raised.value).split("\n") == [
        "environment variable CAREBELL_HTTP__PORT: http.port: must be a whole number",
        "environment variable CAREBELL_HTTP__PROT: http.prot: unknown key (did you mean port?)",
    ]


def test_where_tells_the_variable_also_for_what_is_inside_its_value(write: Write) -> None:
    loaded = load(write(), {"CAREBELL_ENVIRONMENTS__TEST__SMS__ALLOW_LIST": '["+12025550100"]'})

    place = SourceLocation("environment variable CAREBELL_ENVIRONMENTS__TEST__SMS__ALLOW_LIST")
    assert loaded.where(("environments", "test", "sms", "allow_list")) == place
    assert loaded.where(("environments", "test", "sms", "allow_list", 0)) == place


@pytest.mark.parametrize(
    ("variable", "expected"),
    [
        ("CAREBELL_A__B", {"a": {"b": "v"}, "prod-east.2": {"x": [1, 2]}}),
        ("CAREBELL_PROD_EAST_2__X", {"prod-east.2": {"x": "v"}}),
        ("CAREBELL_PROD_EAST_2__X__1", {"prod-east.2": {"x": [1, "v"]}}),
        ("CAREBELL_CONFIG", {"prod-east.2": {"x": [1, 2]}}),
        ("OTHER_A__B", {"prod-east.2": {"x": [1, 2]}}),
    ],
)
def test_names_lead_to_keys(variable: str, expected: dict[str, Any]) -> None:
    values = {"prod-east.2": {"x": [1, 2]}}

    assert overlay(values, {variable: "v"})[0] == expected
    assert values == {"prod-east.2": {"x": [1, 2]}}, "the file's own values stay"


@pytest.mark.parametrize(
    "variable", ["CAREBELL_A__B__C", "CAREBELL_A____B", "CAREBELL_L__2", "CAREBELL_L__X", "CAREBELL___A"]
)
def test_a_variable_that_leads_to_nothing_is_refused(variable: str) -> None:
    with pytest.raises(ConfigurationError, match=f"environment variable {variable}: leads to nothing"):
        overlay({"a": {"b": "text"}, "l": [1, 2]}, {variable: "v"})


def test_a_broken_list_is_refused_without_its_value() -> None:
    with pytest.raises(ConfigurationError) as raised:
        overlay({}, {"CAREBELL_A__B": "[canary"})

    assert str(raised.value) == "environment variable CAREBELL_A__B: holds a list or section that is not valid YAML"
