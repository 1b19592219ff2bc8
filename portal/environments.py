"""What the pages about environments ask for: the configuration in force.

A page reads the frozen models of `config.model` and turns what was typed into edits of carebell.yaml, which it proposes
(`portal.proposals`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from config.model import Configuration, Environment


@dataclass(frozen=True, slots=True, kw_only=True)
class PresentConfiguration:
    """The configuration that the service uses now.

    Attributes:
        variables: key, such as `environments.test.sms.from` -> the environment variable that sets it, so no page can.
    """

    configuration: Configuration = field(repr=False)
    variables: Mapping[str, str] = field(default_factory=dict)

    def environment(self, name: str) -> Environment | None:
        """None: there is none by this name."""
        return self.configuration.environments.get(name)


class EnvironmentsDesk(Protocol):
    """What the pages of existing environments ask for."""

    def in_force(self) -> PresentConfiguration: ...

    def approvals(self) -> Mapping[str, str]:
        """Environment -> how its approval stands, in a few words; only for those that need one."""
        ...
