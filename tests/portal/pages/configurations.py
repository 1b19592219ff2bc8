"""A desk of environments for pages: the shipped configuration in force, and proposals that are only written down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import config
from config.edit import Edit
from config.load import load
from config.model import Configuration
from portal.environments import PresentConfiguration
from portal.people import Session
from portal.proposals import NotProposed, Proposed, SettingProblem

CANARY = "<script>alert(1)</script>'\"&"
PROPOSAL = "5f" * 8


@cache
def shipped() -> Configuration:
    return load(Path(config.__file__).parent / "carebell.yaml", {}).configuration


@dataclass
class FakeDesk:
    """Environments, and a proposer. `problems`: the answer to the next proposals; empty: they are taken."""

    configuration: Configuration = field(default_factory=shipped)
    problems: tuple[SettingProblem, ...] = ()
    digest: str = "0123456789ab"
    variables: dict[str, str] = field(default_factory=dict)
    proposed: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def in_force(self) -> PresentConfiguration:
        return PresentConfiguration(configuration=self.configuration, variables=self.variables)

    def approvals(self) -> Mapping[str, str]:
        return {"production": "approved by Dana"}

    def base(self) -> str:
        return self.digest

    def propose(
        self, by: Session, edits: Sequence[Edit], *, base: str | None = None, comment: str = ""
    ) -> Proposed | NotProposed:
        if base not in (None, self.digest):
            return NotProposed(problems=(problem("", "the file was changed meanwhile"),), is_stale=True)
        if self.problems:
            return NotProposed(problems=self.problems)
        self.proposed.append((by.person.login, {".".join(map(str, edit.keys)): edit.value for edit in edits}))
        return Proposed(id=PROPOSAL)


def problem(key: str, why: str) -> SettingProblem:
    return SettingProblem(key=key, place="carebell.yaml:1:1", line=1, why=why)


def with_environment(name: str, **changes: Any) -> Configuration:
    """The shipped configuration with another value of an environment; no rule is asked."""
    whole = shipped()
    environment = whole.environments[name].model_copy(update=changes)
    return whole.model_copy(update={"environments": {**whole.environments, name: environment}})
