"""How an environment's FHIR server is asked. This machine itself is asked in rehearsals alone."""

from __future__ import annotations

from typing import Literal

from config.load import Loaded
from oauth.fetcher import Fetcher, simulator_policy

Kind = Literal["production", "test"]


def fetcher_for(loaded: Loaded, kind: Kind) -> Fetcher:
    """A simulator on this machine may be asked for a test environment, where no real text can leave either. Nothing else inside."""
    rehearses = kind == "test" and not loaded.configuration.gateway.is_live
    return Fetcher(simulator_policy(kind)) if rehearses else Fetcher()
