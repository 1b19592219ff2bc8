"""The configuration in force, as the pages about environments get it."""

from __future__ import annotations

from pathlib import Path

from carebell.staff.environments import present_configuration
from config.load import load


def test_keys_that_a_variable_sets_are_named_with_it(configuration: Path) -> None:
    name = "CAREBELL_ENVIRONMENTS__PRODUCTION__LISTENER__PORT"
    in_force = present_configuration(load(configuration, {name: "2999"}))
    assert in_force.variables == {"environments.production.listener.port": name}
    environment = in_force.environment("production")
    assert environment is not None
    assert environment.listener.port == 2999
    assert in_force.environment("nowhere") is None
