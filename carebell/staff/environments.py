"""What the portal's pages about environments ask for: the configuration in force."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from config.load import Loaded
from config.problems import key_path
from portal.environments import PresentConfiguration

_VARIABLE: Final = "environment variable "


@dataclass(frozen=True, slots=True, kw_only=True)
class Environments:
    """Implements `portal.environments.EnvironmentsDesk`.

    Attributes:
        loaded: the configuration in force.
        approval_states: environment -> how its approval stands, for those that need one.
    """

    loaded: Callable[[], Loaded]
    approval_states: Callable[[], Mapping[str, str]]

    def in_force(self) -> PresentConfiguration:
        return present_configuration(self.loaded())

    def approvals(self) -> Mapping[str, str]:
        return self.approval_states()


def present_configuration(loaded: Loaded) -> PresentConfiguration:
    """A loaded configuration as pages get it."""
    variables = {
        key_path(keys): place.file.removeprefix(_VARIABLE)
        for keys, place in loaded.places.items()
        if place.file.startswith(_VARIABLE)
    }
    return PresentConfiguration(configuration=loaded.configuration, variables=variables)
